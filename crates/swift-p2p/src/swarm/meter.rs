//! How fast bytes leave or reach this node: what the size of slices and the credit follow.

use std::time::Duration;

use super::time::Time;

/// Slices after which a rate is worth something.
const SLICES_PER_SAMPLE: u32 = 4;
/// The shortest time over which the first is taken.
const FIRST_MIN: Duration = Duration::from_millis(20);
/// The same for the second, if it shows a fast way. Then it takes the place of the first: that was of the smallest slices,
/// and of connections that were just opened.
const SECOND_MIN: Duration = Duration::from_millis(100);
/// The same for later ones: slices that left side by side arrive together, and must not look like speed.
const LATER_MIN: Duration = Duration::from_millis(400);

/// The rate of one direction, measured while something is on its way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meter {
    /// Bytes per second, smoothed.
    pub(super) rate: Option<u64>,
    sample: Option<Sample>,
    /// More than one was taken.
    is_settled: bool,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    since: Time,
    bytes: u64,
    slices: u32,
}

impl Meter {
    /// Bytes that pass in so long, as far as is known.
    pub(super) fn sent_in(&self, time: Duration) -> u64 {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.rate.unwrap_or(0).saturating_mul(micros) / 1_000_000
    }

    /// Something is on its way.
    pub(super) fn begin(&mut self, now: Time) {
        self.sample.get_or_insert(Sample { since: now, bytes: 0, slices: 0 });
    }

    /// Nothing is on its way any more.
    pub(super) fn pause(&mut self) {
        self.sample = None;
    }

    /// A slice has arrived, over a way that is fast from so many bytes per second on.
    pub(super) fn arrived(&mut self, now: Time, bytes: u64, fast: u64) {
        let Some(sample) = &mut self.sample else { return };
        sample.bytes += bytes;
        sample.slices += 1;
        let took = now.since(sample.since);
        if sample.slices < SLICES_PER_SAMPLE {
            return;
        }
        let rate = rate_of(sample.bytes, took);
        let next = match (self.rate, self.is_settled) {
            (None, _) if took >= FIRST_MIN => Some(rate),
            (Some(_), false) if took >= SECOND_MIN && rate >= fast => Some(rate),
            (Some(old), _) if took >= LATER_MIN => Some(old / 2 + rate / 2),
            _ => None,
        };
        if let Some(next) = next {
            self.is_settled = self.rate.is_some();
            self.rate = Some(next);
            self.sample = Some(Sample { since: now, bytes: 0, slices: 0 });
        }
    }
}

/// Bytes per second.
pub(super) fn rate_of(bytes: u64, took: Duration) -> u64 {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
    bytes.saturating_mul(1_000_000) / micros
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_measurement_of_a_fast_way_takes_the_place_of_the_first_and_later_ones_count_half() {
        let (mut meter, mut now, fast) = (Meter::default(), Time::default(), 100_000_000);
        let mut sample = |took: Duration, bytes| {
            meter.pause();
            meter.begin(now);
            now = now + took;
            (0..SLICES_PER_SAMPLE)
                .for_each(|_| meter.arrived(now, bytes / u64::from(SLICES_PER_SAMPLE), fast));
            meter.rate
        };
        assert_eq!(sample(FIRST_MIN / 2, 1_000_000), None);
        assert_eq!(sample(FIRST_MIN, 1_000_000), Some(50_000_000));
        // Of a slow way it counts half as well, and takes as long as later ones.
        assert_eq!(sample(SECOND_MIN, 1_000_000), Some(50_000_000));
        assert_eq!(sample(SECOND_MIN, 20_000_000), Some(200_000_000));
        assert_eq!(sample(LATER_MIN, 40_000_000), Some(150_000_000));
    }
}
