//! How often somebody may do something: a rate, and how much of it at once.

use std::time::Duration;

use crate::swarm::Time;

/// What one has left, kept as the moment at which all that was taken would have been taken at the rate that may last (GCRA).
/// Whoever took nothing for long is as good as one who never came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowance {
    paid_until: Time,
}

impl Allowance {
    /// Takes what is worth so much time at the rate, unless more than the burst would be taken ahead. Then nothing is taken, and
    /// the error says how long to wait.
    pub fn take(&mut self, now: Time, worth: Duration, burst: Duration) -> Result<(), Duration> {
        let paid_until = self.paid_until.max(now) + worth;
        let wait = paid_until.since(now).saturating_sub(burst);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.paid_until = paid_until;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_and_what_is_refused_costs_nothing() {
        let (each, burst) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut allowance = Allowance::default();
        let take = |allowance: &mut Allowance, now| allowance.take(now, each, burst);
        assert_eq!((0..100).filter(|_| take(&mut allowance, Time::ZERO).is_ok()).count(), 10);
        for _ in 0..3 {
            assert_eq!(take(&mut allowance, Time::ZERO), Err(each));
        }
        let later = Time::ZERO + Duration::from_millis(250);
        assert_eq!((0..100).filter(|_| take(&mut allowance, later).is_ok()).count(), 2);
        let much_later = later + Duration::from_secs(3600);
        assert_eq!((0..100).filter(|_| take(&mut allowance, much_later).is_ok()).count(), 10);
    }
}
