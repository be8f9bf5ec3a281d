//! Virtual time, and what waits for it.

use std::{cmp::Ordering, collections::BinaryHeap, time::Duration};

use swift_p2p::swarm::Time;

/// Nanoseconds since the run began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Moment(pub(crate) u64);

impl Moment {
    pub(crate) const ZERO: Self = Self(0);
    pub(crate) const NEVER: Self = Self(u64::MAX);

    pub(crate) fn after(self, later: Duration) -> Self {
        Self(self.0.saturating_add(nanos(later)))
    }

    pub(crate) const fn plus(self, later_ns: u64) -> Self {
        Self(self.0.saturating_add(later_ns))
    }

    /// Nanoseconds since `earlier`; none if it is later.
    pub(crate) const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    #[allow(clippy::cast_precision_loss, reason = "shown to people, in seconds")]
    pub(crate) fn seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }

    pub(crate) fn time(self) -> Time {
        Time::after_start(Duration::from_nanos(self.0))
    }

    pub(crate) fn of(time: Time) -> Self {
        Self(nanos(time.since(Time::ZERO)))
    }
}

/// A length of time; 584 years are the most there can be.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Everything that is due somewhere. What is due at the same moment comes in an order that whoever notes it gives, and
/// never twice: so it does not matter in which order things were noted.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    heap: BinaryHeap<Due<T>>,
}

#[derive(Debug)]
struct Due<T> {
    at: Moment,
    order: u64,
    what: T,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new() }
    }
}

impl<T> Agenda<T> {
    pub(crate) fn note(&mut self, at: Moment, order: u64, what: T) {
        self.heap.push(Due { at, order, what });
    }

    /// When the next thing is due; never, if there is none.
    pub(crate) fn next_at(&self) -> Moment {
        self.heap.peek().map_or(Moment::NEVER, |due| due.at)
    }

    /// The next thing, if it is due before `until`.
    pub(crate) fn pop_before(&mut self, until: Moment) -> Option<(Moment, T)> {
        if self.next_at() >= until {
            return None;
        }
        self.heap.pop().map(|due| (due.at, due.what))
    }
}

// The heap gives the greatest first: the greatest is what is due next.
impl<T> Ord for Due<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl<T> PartialOrd for Due<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Due<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Due<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_first_comes_first_and_equals_in_their_order_however_they_were_noted() {
        let mut agenda = Agenda::default();
        for (at, order, what) in [(3, 1, 'd'), (2, 5, 'c'), (1, 9, 'a'), (2, 4, 'b'), (7, 2, 'e')] {
            agenda.note(Moment(at), order, what);
        }
        let mut until = |until| -> String {
            std::iter::from_fn(|| agenda.pop_before(Moment(until))).map(|(_, what)| what).collect()
        };
        assert_eq!(until(2), "a");
        assert_eq!(until(7), "bcd");
        assert_eq!(agenda.next_at(), Moment(7));
    }
}
