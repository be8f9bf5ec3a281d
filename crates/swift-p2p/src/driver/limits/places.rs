//! A number of places for what runs at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as Turn, Notify};

/// Places, as many as there may be at the time. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Places(Arc<Shared>);

#[derive(Default)]
struct Shared {
    counts: Mutex<Counts>,
    /// Held by the first in line. It is given on in the order of asking.
    turn: Turn<()>,
    freed: Notify,
}

#[derive(Default)]
struct Counts {
    taken: usize,
    most: Option<usize>,
}

/// A place that is taken, until it is dropped.
pub(crate) struct Place(Places);

impl Places {
    /// So many from now on. What runs goes on.
    pub(crate) fn set(&self, most: Option<usize>) {
        self.counts().most = most;
        self.0.freed.notify_waiters();
    }

    /// Waits in line for a place.
    pub(crate) async fn enter(&self) -> Place {
        let _turn = self.0.turn.lock().await;
        loop {
            let mut freed = std::pin::pin!(self.0.freed.notified());
            // Before looking, so that nothing is missed.
            freed.as_mut().enable();
            if self.take() {
                return Place(self.clone());
            }
            freed.await;
        }
    }

    fn take(&self) -> bool {
        let mut counts = self.counts();
        let is_free = counts.most.is_none_or(|most| counts.taken < most);
        counts.taken += usize::from(is_free);
        is_free
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.counts().taken -= 1;
        self.0.0.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_finds_no_place_gets_the_next_that_is_free() {
        let places = Places::default();
        let first = places.enter().await;
        places.set(Some(1));
        let waiting = tokio::spawn({
            let places = places.clone();
            async move { places.enter().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        let second = waiting.await.unwrap();
        assert!(!places.take());
        places.set(Some(2));
        drop((places.enter().await, second));
        assert_eq!(places.counts().taken, 0);
    }
}
