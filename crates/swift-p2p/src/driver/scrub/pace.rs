//! How long to wait so that a rate is kept.

use std::time::{Duration, Instant};

use crate::driver::limits::Rate;

/// The rate is divided by this while others need the disk.
const YIELDING: u64 = 4;

/// Keeps to a rate from the moment it is made.
#[derive(Debug)]
pub(super) struct Pace {
    rate: Option<Rate>,
    read: u64,
    /// When what was read until now is due at the rate.
    due: Instant,
}

impl Pace {
    pub(super) fn new(rate: Option<Rate>) -> Self {
        Self { rate, read: 0, due: Instant::now() }
    }

    /// How long to wait when so many bytes were read since it was made.
    pub(super) fn after(&mut self, read: u64, yields: bool) -> Duration {
        self.after_at(Instant::now(), read, yields)
    }

    fn after_at(&mut self, now: Instant, read: u64, yields: bool) -> Duration {
        let Some(rate) = self.rate else { return Duration::ZERO };
        let per_second = if yields { rate.get() / YIELDING } else { rate.get() };
        let nanos = u128::from(read - self.read) * 1_000_000_000 / u128::from(per_second.max(1));
        self.read = read;
        self.due += Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let wait = self.due.saturating_duration_since(now);
        // A disk that was slow for a while is not made up for.
        self.due = self.due.max(now);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(bytes_per_second: u64) -> (Pace, Instant) {
        let pace = Pace::new(Some(Rate::new(bytes_per_second).unwrap()));
        let start = pace.due;
        (pace, start)
    }

    #[test]
    fn what_is_read_takes_as_long_as_the_rate_says() {
        let (mut pace, start) = pace(1 << 20);
        assert_eq!(pace.after_at(start, 1 << 20, false), Duration::from_secs(1));
        let later = start + Duration::from_millis(1500);
        assert_eq!(pace.after_at(later, 2 << 20, false), Duration::from_millis(500));
        assert_eq!(pace.after_at(start + Duration::from_secs(2), 3 << 20, true), Duration::from_secs(4));
    }

    #[test]
    fn a_slow_disk_is_not_made_up_for() {
        let (mut pace, start) = pace(1 << 20);
        assert_eq!(pace.after_at(start + Duration::from_secs(9), 1 << 20, false), Duration::ZERO);
        assert_eq!(pace.after_at(start + Duration::from_secs(9), 2 << 20, false), Duration::from_secs(1));
    }

    #[test]
    fn without_a_rate_nothing_is_waited_for() {
        let mut pace = Pace::new(None);
        assert_eq!(pace.after(1 << 40, true), Duration::ZERO);
    }
}
