//! Where the fetches of one lane meet: two that have bytes of whole chunks at hand are hashed together, which takes less
//! time than one after the other.

use std::{
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use swift_chunks::{ChunkWriteError, ChunkWriter, FileId, StoreError};
use tokio::{sync::oneshot, task::yield_now};

/// Of one lane, whose fetches take turns in one thread.
#[derive(Default)]
pub(in crate::driver::swarm) struct Desk {
    /// Whole chunks that are coming.
    chunks: AtomicUsize,
    /// Who has bytes at hand and waits for another.
    waiting: Mutex<Option<Waiting>>,
    waited: AtomicUsize,
}

/// Bytes on their way to their place. Who takes them gives them back, for the sake of the memory.
pub(super) enum Piece {
    /// Of one frame.
    Frame(Bytes),
    /// Of several.
    Batch(Vec<u8>),
}

impl Piece {
    /// An empty buffer, with the memory of the batch if it was one.
    pub(super) fn into_memory(self) -> Vec<u8> {
        match self {
            Self::Frame(_) => Vec::new(),
            Self::Batch(mut bytes) => {
                bytes.clear();
                bytes
            }
        }
    }
}

impl Deref for Piece {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Frame(bytes) => bytes,
            Self::Batch(bytes) => bytes,
        }
    }
}

/// A whole chunk that is coming, as long as this is there.
pub(super) struct Turn {
    desk: Arc<Desk>,
    file_id: FileId,
}

struct Job {
    writer: Box<ChunkWriter>,
    piece: Piece,
}

type Done = (Job, Result<(), ChunkWriteError>);

struct Waiting {
    id: usize,
    job: Job,
    done: oneshot::Sender<Done>,
}

impl Desk {
    /// Says that bytes of a whole chunk will come.
    pub(super) fn turn(self: &Arc<Self>, file_id: FileId) -> Turn {
        self.chunks.fetch_add(1, Ordering::Relaxed);
        Turn { desk: self.clone(), file_id }
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a job for whoever comes next.
    fn leave(&self, job: Job) -> (Left<'_>, oneshot::Receiver<Done>) {
        let (done, outcome) = oneshot::channel();
        let id = self.waited.fetch_add(1, Ordering::Relaxed);
        *self.waiting() = Some(Waiting { id, job, done });
        (Left { desk: self, id }, outcome)
    }
}

/// A job that was left. It goes with who left it, unless it was taken.
struct Left<'a> {
    desk: &'a Desk,
    id: usize,
}

impl Left<'_> {
    fn take_back(&self) -> Option<Job> {
        self.desk.waiting().take_if(|waiting| waiting.id == self.id).map(|waiting| waiting.job)
    }
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        drop(self.take_back());
    }
}

impl Turn {
    /// Hashes and writes a piece: together with another's, if one is at hand or comes while all others have their turn.
    pub(super) async fn write(
        &self,
        writer: Box<ChunkWriter>,
        piece: Piece,
    ) -> Result<(Box<ChunkWriter>, Piece), ChunkWriteError> {
        let chunk = writer.index().get();
        let job = Job { writer, piece };
        let met = self.desk.waiting().take();
        let (job, outcome) = match met {
            Some(other) => with(job, other),
            None if self.desk.chunks.load(Ordering::Relaxed) == 1 => alone(job),
            None => {
                let (left, outcome) = self.desk.leave(job);
                yield_now().await;
                match left.take_back() {
                    Some(job) => alone(job),
                    None => {
                        let file_id = self.file_id;
                        outcome.await.map_err(|_| StoreError::ChunkLost { file_id, chunk })?
                    }
                }
            }
        };
        outcome.map(|()| (job.writer, job.piece))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.desk.chunks.fetch_sub(1, Ordering::Relaxed);
    }
}

fn alone(mut job: Job) -> Done {
    let outcome = job.writer.write(&job.piece);
    (job, outcome)
}

fn with(mut job: Job, other: Waiting) -> Done {
    let Waiting { job: mut theirs, done, .. } = other;
    let [outcome, their_outcome] =
        ChunkWriter::write_both((&mut job.writer, &job.piece), (&mut theirs.writer, &theirs.piece));
    // Who left it may have been broken off since: then its writer ends here.
    drop(done.send((theirs, their_outcome)));
    (job, outcome)
}

#[cfg(test)]
mod tests;
