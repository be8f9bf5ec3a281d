//! How much one member may say.

use std::time::Duration;

use crate::{Allowance, swarm::Time};

/// Offers, confirmations, questions and announcements that are taken from one member in a second. Ten thousand small
/// files a second need no more; each costs its receiver a look at its index at most.
pub const MESSAGES_PER_SECOND_MAX: u32 = 10_000;
/// The same at once, from one that was quiet before.
pub const MESSAGES_AT_ONCE_MAX: u32 = 50_000;

/// As many messages more one counts for that is about what nobody here knows: it has to be looked for. A member whose ledger is
/// ahead or behind says such things too, each once for what it was asked, which is far from being too much.
pub const UNKNOWN_COST: usize = 20;

/// What one message takes of a second.
const EACH: Duration = Duration::from_nanos(1_000_000_000 / MESSAGES_PER_SECOND_MAX as u64);

/// What one member has left.
#[derive(Clone, Copy, Debug, Default)]
pub struct Budget(Allowance);

impl Budget {
    /// Takes that many messages, unless they are too many by now.
    pub fn take(&mut self, now: Time, messages: usize) -> bool {
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        self.0.take(now, EACH.saturating_mul(messages), EACH * MESSAGES_AT_ONCE_MAX).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(budget: &mut Budget, now: Time) -> usize {
        (0..).take_while(|_| budget.take(now, 1)).count()
    }

    #[test]
    fn a_burst_passes_and_then_what_the_rate_allows() {
        let mut budget = Budget::default();
        assert_eq!(taken(&mut budget, Time::ZERO), MESSAGES_AT_ONCE_MAX as usize);
        let second = Time::ZERO + Duration::from_secs(1);
        assert_eq!(taken(&mut budget, second), MESSAGES_PER_SECOND_MAX as usize);
        assert_eq!(taken(&mut budget, second), 0);
    }

    #[test]
    fn what_does_not_fit_takes_nothing() {
        let mut budget = Budget::default();
        assert!(!budget.take(Time::ZERO, usize::MAX));
        assert!(budget.take(Time::ZERO, MESSAGES_AT_ONCE_MAX as usize));
        assert!(!budget.take(Time::ZERO, 1));
    }
}
