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
    kept: Arc<Mutex<VecDeque<Refusal>>>,
}

impl Refusals {
    /// Keeps one, for the oldest if there is no place left.
    pub(super) fn note(&self, refusal: Refusal) {
        let mut kept = self.lock();
        if kept.len() == REFUSALS_KEPT {
            kept.pop_front();
        }
        kept.push_back(refusal);
    }

    /// The latest first, so many at the most.
    pub fn latest(&self, count_max: usize) -> Vec<Refusal> {
        self.lock().iter().rev().take(count_max).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Refusal>> {
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
        let times = |count_max| -> Vec<_> {
            refusals.latest(count_max).iter().map(|refusal| refusal.refused_ms).collect()
        };
        assert_eq!(times(2), [1009, 1008]);
        assert_eq!(times(usize::MAX), (10..1010).rev().collect::<Vec<_>>());
    }
}
