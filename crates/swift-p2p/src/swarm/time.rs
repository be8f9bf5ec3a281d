//! Time as the caller counts it.

use std::ops::Add;
use std::time::Duration;

/// A moment: how long after some start of the caller's choosing. The machine reads no clock; it only compares
/// and adds what it is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Duration);

impl Time {
    /// The start itself.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// A moment that does not come.
    pub(super) const NEVER: Self = Self(Duration::MAX);

    /// The moment this long after the start.
    pub const fn after_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// How long after the start it is.
    pub const fn elapsed(self) -> Duration {
        self.0
    }

    /// How long after `earlier` it is; nothing if it is not after it.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later))
    }
}
