//! What is due when: the run's virtual time and everything that waits for it.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BinaryHeap},
    time::Duration,
};

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

/// Everything that is due. What is due at the same moment comes in the order in which it was noted.
///
/// What is due soon is in order; what is due later is put in order when its time comes, so that the heap stays small.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    /// All that is due before `soon` has passed.
    heap: BinaryHeap<Due<T>>,
    /// Number of the present span of [`SPAN_NS`].
    soon: u64,
    /// The rest, by its span.
    later: BTreeMap<u64, Vec<Due<T>>>,
    noted: u64,
}

/// What is put in order at a time: with many nodes, some hundreds of things.
const SPAN_NS: u64 = 500_000;

#[derive(Debug)]
struct Due<T> {
    at: Moment,
    order: u64,
    what: T,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), soon: 0, later: BTreeMap::new(), noted: 0 }
    }
}

impl<T> Agenda<T> {
    pub(crate) fn note(&mut self, at: Moment, what: T) {
        self.noted += 1;
        let due = Due { at, order: self.noted, what };
        let span = at.0 / SPAN_NS;
        if span <= self.soon {
            self.heap.push(due);
        } else {
            self.later.entry(span).or_default().push(due);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<(Moment, T)> {
        if self.heap.is_empty() {
            let (span, due) = self.later.pop_first()?;
            (self.soon, self.heap) = (span, due.into());
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
        self.order == other.order
    }
}

impl<T> Eq for Due<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_first_comes_first_and_equals_in_their_order() {
        let mut agenda = Agenda::default();
        let late = 3 * SPAN_NS;
        for (at, what) in [(late, 'e'), (3, 'd'), (1, 'a'), (2, 'b'), (2, 'c'), (late, 'f'), (late + 1, 'g')]
        {
            agenda.note(Moment(at), what);
        }
        let mut order: String = std::iter::from_fn(|| agenda.pop()).take(5).map(|(_, what)| what).collect();
        assert_eq!(order, "abcde");
        agenda.note(Moment(late), 'x');
        agenda.note(Moment(late + 1), 'y');
        order.extend(std::iter::from_fn(|| agenda.pop()).map(|(_, what)| what));
        assert_eq!(order, "abcdefxgy");
    }
}
