//! Takes content into the store and lets go of holds, of which many may come at once: those that come while others are
//! at it go together, with one synchronisation and one commit for all of them.

use std::sync::Arc;

use swift_chunks::{Adoption, Store, StoreError};
use tokio::{
    sync::{mpsc, oneshot},
    task,
};
use tokio_util::task::TaskTracker;

use super::{catalog::report, wall_clock_ms};

/// Pieces of work that are done together, at most; so many may wait besides.
const TOGETHER_MAX: usize = 128;

/// Hands work to the task that does it. Cheap to clone; the task ends when the last clone is gone and all is done.
#[derive(Clone, Debug)]
pub(super) struct Intake {
    work: mpsc::Sender<Work>,
}

struct Work {
    what: What,
    reply: oneshot::Sender<Result<(), StoreError>>,
}

enum What {
    Adopt(Box<Adoption>),
    Release(Vec<u8>),
}

/// The task was broken off: the node is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node is stopping")]
pub(super) struct Stopping;

impl Intake {
    /// Starts the task as one of these.
    pub(super) fn spawn(store: Store, tasks: &TaskTracker) -> Self {
        let (work, mut inbox) = mpsc::channel(TOGETHER_MAX);
        tasks.spawn(async move {
            let mut together = Vec::with_capacity(TOGETHER_MAX);
            while inbox.recv_many(&mut together, TOGETHER_MAX).await > 0 {
                let (store, together) = (store.clone(), std::mem::take(&mut together));
                // A panic in it was reported; those who wait hear that there is no answer.
                drop(task::spawn_blocking(move || carry_out(&store, together)).await);
            }
        });
        Self { work }
    }

    /// Takes content into the store: it is durable there when this returns. Goes on if nobody waits any more.
    pub(super) async fn adopt(&self, adoption: Adoption) -> Result<Result<(), StoreError>, Stopping> {
        self.hand_over(What::Adopt(Box::new(adoption))).await
    }

    /// Releases a hold, durably; nothing if there is none.
    pub(super) async fn release(&self, key: Vec<u8>) -> Result<Result<(), StoreError>, Stopping> {
        self.hand_over(What::Release(key)).await
    }

    async fn hand_over(&self, what: What) -> Result<Result<(), StoreError>, Stopping> {
        let (reply, answer) = oneshot::channel();
        self.work.send(Work { what, reply }).await.map_err(|_| Stopping)?;
        answer.await.map_err(|_| Stopping)
    }
}

fn carry_out(store: &Store, together: Vec<Work>) {
    let (mut adoptions, mut adopters) = (Vec::new(), Vec::new());
    let (mut keys, mut releasers) = (Vec::new(), Vec::new());
    for Work { what, reply } in together {
        match what {
            What::Adopt(adoption) => {
                adoptions.push(*adoption);
                adopters.push(reply);
            }
            What::Release(key) => {
                keys.push(key);
                releasers.push(reply);
            }
        }
    }
    if !adoptions.is_empty() {
        let adopted = store.adopt_all(adoptions, wall_clock_ms());
        answer(adopters, adopted.map(|visible| report(&visible)));
    }
    if !keys.is_empty() {
        let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        answer(releasers, store.release_holds(&keys, wall_clock_ms()).map(|_| ()));
    }
}

/// Tells everybody what became of all. Who asked may be gone.
fn answer(replies: Vec<oneshot::Sender<Result<(), StoreError>>>, outcome: Result<(), StoreError>) {
    let outcome = outcome.map_err(Arc::new);
    for reply in replies {
        let _ = reply.send(outcome.as_ref().copied().map_err(StoreError::shared));
    }
}

#[cfg(test)]
mod tests;
