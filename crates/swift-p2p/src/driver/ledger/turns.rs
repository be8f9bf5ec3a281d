//! Who may hand the ledger something: one request of each sender at a time, and so many bytes of all together.
//!
//! What waits for the ledger's thread is held in memory. A sender that does not wait for its answer, or breaks off and
//! asks again, must not make that more.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use swift_chain::NodeId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Gives turns. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    senders: Arc<Mutex<HashSet<NodeId>>>,
    room: Room,
}

/// Bytes that may wait.
#[derive(Clone, Debug)]
pub(super) struct Room {
    left: Arc<Semaphore>,
    len_max: u32,
}

/// Bytes that wait, until this is dropped.
#[derive(Debug)]
pub(super) struct Place(#[allow(dead_code, reason = "held for its drop")] Option<OwnedSemaphorePermit>);

/// A sender's one request, from its arrival until the ledger is done with it, even if nobody waits for that any more.
#[derive(Debug)]
pub(super) struct Turn {
    from: NodeId,
    senders: Arc<Mutex<HashSet<NodeId>>>,
    place: Option<Place>,
}

impl Room {
    pub(super) fn new(len_max: u32) -> Self {
        Self { left: Arc::new(Semaphore::new(len_max as usize)), len_max }
    }

    /// Waits until there is room. What is larger than all of it takes all of it.
    pub(super) async fn take(&self, len: usize) -> Place {
        let len = u32::try_from(len).unwrap_or(u32::MAX).min(self.len_max);
        // It is never closed.
        Place(self.left.clone().acquire_many_owned(len).await.ok())
    }
}

impl Turns {
    /// With room for so many bytes of all senders.
    pub(super) fn new(len_max: u32) -> Self {
        Self { senders: Arc::default(), room: Room::new(len_max) }
    }

    /// Takes a sender's turn and waits for room; none while an earlier request of the same sender is not done with.
    pub(super) async fn take(&self, from: NodeId, len: usize) -> Option<Turn> {
        if !lock(&self.senders).insert(from) {
            return None;
        }
        let mut turn = Turn { from, senders: self.senders.clone(), place: None };
        turn.place = Some(self.room.take(len).await);
        Some(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock(&self.senders).remove(&self.from);
    }
}

fn lock(senders: &Mutex<HashSet<NodeId>>) -> std::sync::MutexGuard<'_, HashSet<NodeId>> {
    // A panic elsewhere leaves the set whole.
    senders.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, task::Poll};

    use super::*;

    fn node(number: u8) -> NodeId {
        NodeId::from_bytes([number; 32])
    }

    /// Whether a future has nothing to wait for.
    async fn is_ready<T>(future: impl Future<Output = T>) -> bool {
        let mut future = pin!(future);
        std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await
    }

    #[tokio::test]
    async fn a_second_request_of_a_sender_is_refused_until_the_first_is_done_with() {
        let turns = Turns::new(100);
        let first = turns.take(node(1), 10).await.unwrap();
        assert!(turns.take(node(1), 10).await.is_none());
        assert!(turns.take(node(2), 10).await.is_some());
        drop(first);
        assert!(turns.take(node(1), 10).await.is_some());
    }

    #[tokio::test]
    async fn all_senders_together_have_so_many_bytes_waiting_and_no_more() {
        let turns = Turns::new(100);
        let first = turns.take(node(1), 60).await.unwrap();
        assert!(!is_ready(turns.take(node(2), 60)).await);
        // Who gave up waiting has no turn any more.
        assert!(is_ready(turns.take(node(2), 40)).await);
        drop(first);
        assert!(is_ready(turns.take(node(2), 60)).await);
    }

    #[tokio::test]
    async fn what_is_larger_than_the_room_takes_all_of_it_and_is_not_stuck() {
        let turns = Turns::new(100);
        let large = turns.take(node(1), usize::MAX).await.unwrap();
        assert!(!is_ready(turns.take(node(2), 1)).await);
        drop(large);
        assert!(is_ready(turns.take(node(2), 1)).await);
    }
}
