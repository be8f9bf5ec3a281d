//! A node's two clocks. Neither shows what time it is.

use std::time::Duration;

/// What a right wall clock shows when a run begins, in milliseconds since 1970.
pub(crate) const START_MS: u64 = 1_700_000_000_000;
const MILLION: u128 = 1_000_000;

/// A node's clocks as functions of true time, which is counted from the beginning of the run.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    /// How much longer the steady clock finds a second, in millionths.
    drift_ppm: i32,
    /// When the machine was switched on.
    started: Duration,
    /// What the steady clock showed then.
    showed: Duration,
    wall_error_ms: i64,
}

impl Clock {
    pub(crate) fn new(drift_ppm: i32, showed: Duration, wall_error_ms: i64) -> Self {
        Self { drift_ppm, started: Duration::ZERO, showed, wall_error_ms }
    }

    /// What the steady clock shows.
    pub(crate) fn steady(&self, now: Duration) -> Duration {
        let passed = now.saturating_sub(self.started).as_nanos();
        self.showed + nanos(passed * self.rate() / MILLION)
    }

    /// The first moment at which the steady clock shows at least this.
    pub(crate) fn when(&self, steady: Duration) -> Duration {
        let ahead = steady.saturating_sub(self.showed).as_nanos();
        self.started + nanos((ahead * MILLION).div_ceil(self.rate()))
    }

    /// What the wall clock shows, in milliseconds since 1970.
    pub(crate) fn wall_ms(&self, now: Duration) -> u64 {
        let right = START_MS.saturating_add(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        right.saturating_add_signed(self.wall_error_ms)
    }

    /// How wrong the wall clock is.
    pub(crate) fn wall_error_ms(&self) -> i64 {
        self.wall_error_ms
    }

    /// Somebody sets the wall clock.
    pub(crate) fn set_wall_error_ms(&mut self, wall_error_ms: i64) {
        self.wall_error_ms = wall_error_ms;
    }

    /// The steady clock begins anew, anywhere.
    pub(crate) fn restart(&mut self, now: Duration, showing: Duration) {
        self.started = now;
        self.showed = showing;
    }

    fn rate(&self) -> u128 {
        MILLION.saturating_add_signed(i128::from(self.drift_ppm)).max(1)
    }
}

fn nanos(count: u128) -> Duration {
    Duration::from_nanos(u64::try_from(count).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_what_is_due_when_it_is_due_and_not_before() {
        for drift_ppm in [-9_999, -1, 0, 1, 7, 10_000] {
            let mut clock = Clock::new(drift_ppm, Duration::from_secs(77), 0);
            clock.restart(Duration::from_secs(5), Duration::from_secs(900));
            for ahead_us in [0, 1, 999, 600_000, 86_400_000_000] {
                let steady = Duration::from_secs(900) + Duration::from_micros(ahead_us);
                let when = clock.when(steady);
                assert!(clock.steady(when) >= steady);
                if when > Duration::from_secs(5) {
                    assert!(clock.steady(when - Duration::from_nanos(2)) < steady);
                }
            }
        }
    }

    #[test]
    fn the_wall_clock_is_wrong_by_its_error() {
        let mut clock = Clock::new(0, Duration::ZERO, -3);
        assert_eq!(clock.wall_ms(Duration::from_secs(1)), START_MS + 997);
        clock.set_wall_error_ms(5);
        assert_eq!(clock.wall_ms(Duration::ZERO), START_MS + 5);
    }
}
