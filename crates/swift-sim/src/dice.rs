//! The run's one source of chance.

use std::time::Duration;

use swift_p2p::swarm::Random;

/// Draws everything that a run leaves to chance; all of it follows from the seed.
#[derive(Clone, Debug)]
pub(crate) struct Dice(Random);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Random::new(seed))
    }

    /// The next 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0.bits()
    }

    pub(crate) fn bytes<const LEN: usize>(&mut self) -> [u8; LEN] {
        std::array::from_fn(|_| self.bits().to_le_bytes()[0])
    }

    /// An index into something of this length; 0 when it is empty.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.0.index(len)
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn number(&mut self, low: u32, high: u32) -> u32 {
        low + self.0.below((high - low).saturating_add(1))
    }

    /// Whether something happens that happens so many times in a thousand.
    pub(crate) fn chance(&mut self, per_mille: u32) -> bool {
        self.0.below(1000) < per_mille
    }

    /// A time from `low` to `high`, in steps of a microsecond.
    pub(crate) fn time(&mut self, low: Duration, high: Duration) -> Duration {
        let span = u32::try_from(high.saturating_sub(low).as_micros()).unwrap_or(u32::MAX);
        low + Duration::from_micros(u64::from(self.0.below(span.saturating_add(1))))
    }

    /// One of the items; none of none.
    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        items.get(self.index(items.len())).copied()
    }

    /// Up to `count` of the items, in random order.
    pub(crate) fn some_of<T>(&mut self, items: Vec<T>, count: usize) -> Vec<T> {
        self.0.some_of(items, count)
    }
}
