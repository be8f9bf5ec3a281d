//! A bucket of bytes that fills at a rate: the arithmetic of a limit, without a clock.

use std::time::Duration;

use super::rate::Rate;

/// What may pass at once after a pause: this much time's worth. It also makes up for a sleeper that is woken late.
const BURST: Duration = Duration::from_millis(50);
/// Who has to wait waits until this much time's worth may pass, so that a fast link is not a storm of short sleeps.
const HEADROOM: Duration = Duration::from_millis(5);
/// Pieces in which bytes pass: this much time's worth, within bounds.
const PIECE: Duration = Duration::from_millis(10);
const PIECE_LENS: (u64, u64) = (4 * 1024, 64 * 1024);

/// Billionths of a byte, so that no rounding adds up.
const WHOLE: i128 = 1_000_000_000;

/// Lets bytes pass at a rate. Times are since any moment that stays the same.
///
/// A piece may pass when nothing is owed; its bytes are then owed. So in any span of time there pass at most the rate
/// times the span, one burst and one piece, and as much less one piece if somebody always has something.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    rate: Rate,
    /// In billionths of a byte; below zero it is owed.
    credit: i128,
    /// When it was that much.
    at: Duration,
}

/// What a rate gives in some time, in billionths of a byte.
fn worth(rate: Rate, time: Duration) -> i128 {
    let nanos = i128::try_from(time.as_nanos()).unwrap_or(i128::MAX);
    nanos.saturating_mul(rate.get().into())
}

/// How many bytes should pass at once at a rate.
pub(super) fn piece_len(rate: Rate) -> usize {
    let bytes = u64::try_from(worth(rate, PIECE) / WHOLE).unwrap_or(u64::MAX);
    usize::try_from(bytes.clamp(PIECE_LENS.0, PIECE_LENS.1)).unwrap_or(usize::MAX)
}

impl Bucket {
    /// Nothing is owed, and nothing saved up.
    pub(super) fn new(rate: Rate, now: Duration) -> Self {
        Self { rate, credit: 0, at: now }
    }

    /// Another rate from now on. What is owed stays, as far as the new rate pays it in a moment.
    pub(super) fn set_rate(&mut self, rate: Rate, now: Duration) {
        self.fill(now);
        self.rate = rate;
        self.credit = self.credit.clamp(-worth(rate, BURST), worth(rate, BURST));
    }

    /// Lets bytes pass, or says how long to wait before asking again.
    pub(super) fn pass(&mut self, bytes: u64, now: Duration) -> Result<(), Duration> {
        self.fill(now);
        if self.credit >= 0 {
            self.credit -= i128::from(bytes) * WHOLE;
            return Ok(());
        }
        let lacking = worth(self.rate, HEADROOM) - self.credit;
        let nanos = (lacking + i128::from(self.rate.get()) - 1) / i128::from(self.rate.get());
        Err(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    fn fill(&mut self, now: Duration) {
        let since = now.saturating_sub(self.at);
        self.at = self.at.max(now);
        self.credit = self.credit.saturating_add(worth(self.rate, since)).min(worth(self.rate, BURST));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Lets pieces pass through for a while as a hungry sender does whose sleeps end late; says how many bytes passed.
    fn send(bucket: &mut Bucket, from: Duration, until: Duration, late: &[u64]) -> u64 {
        let (mut now, mut passed, mut late) = (from, 0, late.iter().cycle());
        let piece = piece_len(bucket.rate) as u64;
        while now < until {
            match bucket.pass(piece, now) {
                Ok(()) => passed += piece,
                Err(wait) => now += wait + Duration::from_micros(*late.next().unwrap()),
            }
        }
        passed
    }

    fn rates() -> impl Strategy<Value = Rate> {
        (100 * 1024..2_u64 << 30).prop_map(|bytes| Rate::new(bytes).unwrap())
    }

    proptest! {
        #[test]
        fn over_ten_seconds_the_rate_is_met_within_two_percent_though_sleeps_end_late(
            rate in rates(),
            late in proptest::collection::vec(0_u64..20_000, 1..20),
        ) {
            let span = Duration::from_secs(10);
            let passed = send(&mut Bucket::new(rate, Duration::ZERO), Duration::ZERO, span, &late);
            let allowed = rate.get() * 10;
            prop_assert!(passed >= allowed - allowed / 50 && passed <= allowed + allowed / 50, "{passed} {allowed}");
        }

        #[test]
        fn never_does_more_pass_than_the_rate_a_burst_and_a_piece(
            rate in rates(),
            asks in proptest::collection::vec((0_u64..3_000_000, 1_u64..64 * 1024), 1..200),
        ) {
            let mut bucket = Bucket::new(rate, Duration::ZERO);
            let (mut now, mut passed) = (Duration::ZERO, 0_u64);
            for (micros, bytes) in asks {
                now += Duration::from_micros(micros);
                let before = passed;
                passed += if bucket.pass(bytes, now).is_ok() { bytes } else { 0 };
                let bound = worth(rate, now + BURST) / WHOLE;
                prop_assert!(i128::from(before) <= bound, "{before} bytes after {now:?}");
            }
        }

        #[test]
        fn who_is_told_to_wait_may_pass_when_the_time_is_over(rate in rates(), owed in 1_u64..1 << 30) {
            let mut bucket = Bucket::new(rate, Duration::ZERO);
            bucket.pass(owed, Duration::ZERO).unwrap();
            let wait = bucket.pass(1, Duration::ZERO).unwrap_err();
            prop_assert!(bucket.pass(1, wait).is_ok());
        }

        #[test]
        fn a_new_rate_holds_from_the_moment_it_is_set(first in rates(), second in rates()) {
            let mut bucket = Bucket::new(first, Duration::ZERO);
            let change = Duration::from_secs(3);
            send(&mut bucket, Duration::ZERO, change, &[0]);
            bucket.set_rate(second, change);
            let passed = send(&mut bucket, change, change + Duration::from_secs(10), &[0]);
            let allowed = second.get() * 10;
            prop_assert!(passed >= allowed - allowed / 50 && passed <= allowed + allowed / 50, "{passed} {allowed}");
        }
    }

    #[test]
    fn after_a_pause_no_more_than_a_burst_passes_at_once() {
        let rate = Rate::new(10 << 20).unwrap();
        let mut bucket = Bucket::new(rate, Duration::ZERO);
        let later = Duration::from_secs(3600);
        let mut passed = 0;
        while bucket.pass(1024, later).is_ok() {
            passed += 1024;
        }
        assert!(passed <= (10 << 20) / 20 + 1024, "{passed}");
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_gives_nothing() {
        let mut bucket = Bucket::new(Rate::new(1 << 20).unwrap(), Duration::from_secs(5));
        bucket.pass(4096, Duration::from_secs(5)).unwrap();
        assert!(bucket.pass(1, Duration::from_secs(5)).is_err());
        assert!(bucket.pass(1, Duration::from_secs(1)).is_err());
    }
}
