//! Time as the caller counts it.

use std::ops::Add;
use std::time::Duration;

/// A moment: how long after some start of the caller's choosing. The machine reads no clock; it only compares
/// and adds what it is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// Nanoseconds: as many as there are in 584 years.
    nanos: u64,
}

impl Time {
    /// The start itself.
    pub const ZERO: Self = Self { nanos: 0 };

    /// A moment that does not come.
    pub(super) const NEVER: Self = Self { nanos: u64::MAX };

    /// The moment this long after the start.
    pub const fn after_start(elapsed: Duration) -> Self {
        Self { nanos: nanos(elapsed) }
    }

    /// How long after the start it is.
    pub const fn elapsed(self) -> Duration {
        Duration::from_nanos(self.nanos)
    }

    /// How long after `earlier` it is; nothing if it is not after it.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos.saturating_sub(earlier.nanos))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self { nanos: self.nanos.saturating_add(nanos(later)) }
    }
}

const fn nanos(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000_000_000).saturating_add(time.subsec_nanos() as u64)
}
