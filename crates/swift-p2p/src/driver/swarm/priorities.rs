//! How soon files are wanted: what an operator said of those that are on their way, kept until they are here.

use std::collections::BTreeMap;

use swift_chunks::{FileId, Store, StoreError};
use tokio::sync::oneshot;

use super::{events::Event, owner::Owner};
use crate::swarm::Priority;

/// What an operator said. Normal files are not in it.
#[derive(Default)]
pub(super) struct Priorities(BTreeMap<FileId, Priority>);

/// What came of setting a file's priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prioritized {
    /// It holds, also after a restart, until the file is complete.
    Set,
    /// The file is not on its way to this node: it is complete, or not wanted.
    NotArriving,
}

/// Who asked, and waits until it is durable.
pub(super) type Reply = oneshot::Sender<Result<Prioritized, StoreError>>;

impl Priorities {
    /// What was kept.
    pub(super) fn load(store: &Store) -> Result<Self, StoreError> {
        let kept = store.priorities()?.into_iter();
        Ok(Self(kept.filter_map(|(file, number)| Some((file, of_number(number)?))).collect()))
    }

    pub(super) fn of(&self, file: &FileId) -> Priority {
        self.0.get(file).copied().unwrap_or_default()
    }

    pub(super) fn all(&self) -> Vec<(FileId, Priority)> {
        self.0.iter().map(|(&file, &priority)| (file, priority)).collect()
    }

    fn set(&mut self, file: FileId, priority: Priority) {
        match priority {
            Priority::Normal => _ = self.0.remove(&file),
            priority => _ = self.0.insert(file, priority),
        }
    }

    /// A file is here, or gone.
    pub(super) fn forget(&mut self, file: &FileId) {
        self.0.remove(file);
    }
}

/// As the store keeps it. None is normal.
fn number(priority: Priority) -> Option<i64> {
    match priority {
        Priority::Low => Some(-1),
        Priority::Normal => None,
        Priority::High => Some(1),
    }
}

fn of_number(number: i64) -> Option<Priority> {
    match number {
        -1 => Some(Priority::Low),
        1 => Some(Priority::High),
        _ => None,
    }
}

impl Owner {
    /// Keeps a priority, and only then goes by it.
    pub(super) fn prioritize(&mut self, file: FileId, priority: Priority, reply: Reply) {
        let receiving = self.files.get(&file).and_then(|entry| entry.receiving());
        if receiving.is_none_or(|receiving| !receiving.is_kept) {
            // Who asked may be gone.
            drop(reply.send(Ok(Prioritized::NotArriving)));
            return;
        }
        let (store, events) = (self.library.store.clone(), self.events.clone());
        self.work.spawn_blocking(move || {
            let outcome = store.set_priority(file, number(priority));
            drop(store);
            let _ = events.send(Event::Prioritized { file, priority, outcome, reply });
        });
    }

    /// A file is gone: what was said of it means nothing any more.
    pub(super) fn forget_priority(&mut self, file: FileId) {
        if self.priorities.of(&file) == Priority::Normal {
            return;
        }
        self.priorities.forget(&file);
        let store = self.library.store.clone();
        self.work.spawn_blocking(move || {
            if let Err(error) = store.set_priority(file, None) {
                // Then it is said of a file that nobody asks for.
                tracing::warn!(%file, %error, "the priority of a file that is gone was not forgotten");
            }
        });
    }

    pub(super) fn on_prioritized(
        &mut self,
        file: FileId,
        priority: Priority,
        outcome: Result<(), StoreError>,
        reply: Reply,
    ) {
        if outcome.is_ok() && self.files.get(&file).is_some_and(|entry| entry.receiving().is_some()) {
            self.priorities.set(file, priority);
            self.tell_urgency(file);
        }
        drop(reply.send(outcome.map(|()| Prioritized::Set)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_normal_is_not_kept() {
        for priority in [Priority::Low, Priority::Normal, Priority::High] {
            assert_eq!(number(priority).and_then(of_number).unwrap_or_default(), priority);
        }
        assert_eq!((number(Priority::Normal), of_number(7)), (None, None));
    }
}
