//! Writes that were refused after they had waited: whoever asked for one may have gone by then.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use swift_chain::{Action, Label, SubmitError};

/// So many are kept, in memory, of at most 4 KiB each: the length of a transaction.
pub const REFUSALS_KEPT: usize = 1000;

/// A write of this node that its ledger took into the queue, and that will not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// When it was decided, in milliseconds since 1970.
    pub refused_ms: u64,
    /// What was wanted.
    pub action: Action,
    /// For which client.
    pub on_behalf_of: Option<Label>,
    /// Why not.
    pub error: SubmitError,
}

/// The last [`REFUSALS_KEPT`] refusals since the node's start. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    refusals: VecDeque<Refusal>,
    /// Those that were kept and have given their places to others.
    gone: u64,
}

impl Refusals {
    /// Keeps one, for the oldest if there is no place left.
    pub(super) fn note(&self, refusal: Refusal) {
        let mut kept = self.lock();
        if kept.refusals.len() == REFUSALS_KEPT {
            kept.refusals.pop_front();
            kept.gone += 1;
        }
        kept.refusals.push_back(refusal);
    }

    /// The latest first, so many at the most, each with its number since the node's start; those before one with a
    /// number.
    pub fn latest(&self, before: Option<u64>, count_max: usize) -> Vec<(u64, Refusal)> {
        let kept = self.lock();
        let numbered = (kept.gone..).zip(&kept.refusals);
        let mut found: Vec<_> =
            numbered.filter(|(number, _)| before.is_none_or(|before| *number < before)).collect();
        found.reverse();
        found.truncate(count_max);
        found.into_iter().map(|(number, refusal)| (number, refusal.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A panic elsewhere leaves the queue whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept_and_come_first() {
        let refusals = Refusals::default();
        for refused_ms in 0..1010 {
            let (action, error) = (Action::Void {}, SubmitError::QueueFull);
            refusals.note(Refusal { refused_ms, action, on_behalf_of: None, error });
        }
        let times = |before, count_max| -> Vec<_> {
            let found = refusals.latest(before, count_max);
            assert!(found.iter().all(|(number, refusal)| *number == refusal.refused_ms));
            found.iter().map(|(number, _)| *number).collect()
        };
        assert_eq!(times(None, 2), [1009, 1008]);
        assert_eq!(times(Some(1008), 2), [1007, 1006]);
        assert_eq!(times(Some(11), 2), [10]);
        assert_eq!(times(Some(3), 2), [0; 0]);
        assert_eq!(times(None, usize::MAX), (10..1010).rev().collect::<Vec<_>>());
    }
}
