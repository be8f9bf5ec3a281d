//! From verified to durable, and from durable to finished: what the disk does for a file, one thing at a time.

use std::time::Duration;

use swift_chunks::{ChunkIndex, ChunkSet, FileId, Slice, StoreError, VisibleChanges};
use tokio::{
    task,
    time::{Instant, sleep},
};
use tracing::warn;

use super::{
    events::Event,
    files::{Disk, Receiving, Stage},
    owner::Owner,
};
use crate::{
    driver::{catalog::report, wall_clock_ms},
    swarm::{Input, Want},
};

/// Verified bytes that are committed at once.
const COMMIT_BYTES: u64 = 64 * 1024 * 1024;
/// How long what is verified may wait for its commit: what a crash costs.
const COMMIT_AFTER: Duration = Duration::from_secs(1);
/// Pause after a file could not be finished.
const FINISH_PAUSE: Duration = Duration::from_secs(5);

impl Receiving {
    /// Whether something waits for its commit.
    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty() || self.pending_parts > 0
    }

    fn is_commit_due(&self) -> bool {
        let is_old = self.pending_since.is_some_and(|since| since.elapsed() >= COMMIT_AFTER);
        self.has_pending() && (self.pending_bytes + self.pending_parts >= COMMIT_BYTES || is_old)
    }

    fn nothing_pending(&mut self) {
        self.pending.clear();
        (self.pending_bytes, self.pending_parts, self.pending_since) = (0, 0, None);
    }
}

impl Owner {
    /// A chunk passed both hashes and is recorded for the next commit.
    pub(super) fn note_verified(&mut self, file: FileId, chunk: ChunkIndex) {
        self.unblock(file);
        let Some(entry) = self.files.get_mut(&file) else { return };
        let layout = entry.layout;
        let Some(receiving) = entry.receiving_mut() else { return };
        if receiving.pending.insert(chunk) {
            receiving.pending_bytes += layout.chunk_len(chunk);
            receiving.pending_since.get_or_insert_with(Instant::now);
        }
        self.drive_disk(file);
    }

    /// The file came as a whole, and is complete in the store.
    pub(super) fn note_taken_in(&mut self, file: FileId) {
        self.unblock(file);
        if let Some(receiving) = self.files.receiving_mut(&file) {
            receiving.is_stored = true;
        }
    }

    /// A part of a chunk passed BLAKE3: it is durable with the next commit.
    pub(super) fn note_part(&mut self, file: FileId, slice: Slice) {
        self.unblock(file);
        let Some(entry) = self.files.get_mut(&file) else { return };
        let layout = entry.layout;
        let Some(receiving) = entry.receiving_mut() else { return };
        receiving.pending_parts += slice.len(layout);
        receiving.pending_since.get_or_insert_with(Instant::now);
        self.drive_disk(file);
    }

    /// Starts what is due on disk, unless something is running.
    pub(super) fn drive_disk(&mut self, file: FileId) {
        let Some(receiving) = self.files.receiving_mut(&file) else { return };
        if receiving.disk != Disk::Idle {
            return;
        }
        let (incoming, events) = (receiving.incoming.clone(), self.events.clone());
        if receiving.is_finish_due && receiving.is_stored {
            receiving.disk = Disk::Finishing;
            let _ = events.send(Event::Finished { file, outcome: Ok(VisibleChanges::default()) });
        } else if receiving.is_finish_due {
            receiving.disk = Disk::Finishing;
            self.work.spawn_blocking(move || {
                let outcome = incoming.open().and_then(|download| download.finish(wall_clock_ms()));
                drop(incoming);
                let _ = events.send(Event::Finished { file, outcome });
            });
        } else if receiving.is_commit_due() {
            receiving.disk = Disk::Committing;
            // Every part that was noted is written by now.
            receiving.pending_parts = 0;
            self.work.spawn_blocking(move || {
                let outcome = incoming.open().and_then(|download| {
                    download.commit()?;
                    Ok(download.held())
                });
                drop(incoming);
                let _ = events.send(Event::Committed { file, outcome });
            });
        }
    }

    pub(super) fn on_committed(&mut self, file: FileId, outcome: Result<ChunkSet, StoreError>) {
        let Some(entry) = self.files.get_mut(&file) else { return };
        let layout = entry.layout;
        let Some(receiving) = entry.receiving_mut() else { return };
        receiving.disk = Disk::Idle;
        match outcome {
            Ok(held) => {
                receiving.pending.retain(|&chunk| !held.contains(chunk));
                receiving.pending_bytes =
                    receiving.pending.iter().map(|&chunk| layout.chunk_len(chunk)).sum();
                receiving.pending_since = receiving.has_pending().then(Instant::now);
            }
            Err(error) => self.lose_pending(file, &error),
        }
        self.drive_disk(file);
    }

    /// What was written and could not be made durable is lost: the system may have dropped it. Verified grains of other
    /// chunks are as well; those that were durable before are found in their place when they are to be fetched.
    fn lose_pending(&mut self, file: FileId, error: &StoreError) {
        let Some(receiving) = self.files.receiving_mut(&file) else { return };
        let mut lost = receiving.incoming.close();
        lost.extend(std::mem::take(&mut receiving.pending));
        receiving.nothing_pending();
        self.block(file, describe(error));
        self.tell(Input::Lost { file, chunks: lost });
    }

    pub(super) fn on_finished(&mut self, file: FileId, outcome: Result<VisibleChanges, StoreError>) {
        let Some(receiving) = self.files.receiving_mut(&file) else { return };
        receiving.disk = Disk::Idle;
        match outcome {
            Ok(visible) => {
                report(&visible);
                self.note_stored(file);
                self.look_further();
            }
            Err(StoreError::Incomplete { .. }) => {
                let held = receiving.incoming.download().map(|download| download.held());
                receiving.is_finish_due = false;
                receiving.nothing_pending();
                receiving.incoming.close();
                warn!(%file, "chunks were lost before the file was finished; they are fetched again");
                let chunks = held.map(|held| held.missing().collect()).unwrap_or_default();
                self.tell(Input::Lost { file, chunks });
            }
            Err(error) => {
                receiving.disk = Disk::Pausing;
                self.block(file, describe(&error));
                let events = self.events.clone();
                task::spawn(async move {
                    sleep(FINISH_PAUSE).await;
                    let _ = events.send(Event::FinishAgain { file });
                });
            }
        }
    }

    pub(super) fn finish_again(&mut self, file: FileId) {
        if let Some(receiving) = self.files.receiving_mut(&file).filter(|it| it.disk == Disk::Pausing) {
            receiving.disk = Disk::Idle;
            self.drive_disk(file);
        }
    }

    /// The whole file is durable and in its place.
    pub(super) fn note_stored(&mut self, file: FileId) {
        self.unblock(file);
        let Some(entry) = self.files.get_mut(&file) else { return };
        let (publisher, layout) = (entry.publisher, entry.layout);
        if let Stage::Receiving(receiving) = std::mem::replace(&mut entry.stage, Stage::Stored) {
            receiving.incoming.close();
            self.tally.transfers.note(receiving.since.elapsed());
        }
        self.received.forget(file);
        self.priorities.forget(&file);
        // Nobody may be listening.
        let _ = self.stored.send(file);
        let (held, parts) = (ChunkSet::full(layout), Vec::new());
        self.tell(Input::FileAdded { file, publisher, held, parts, want: Want::Wanted });
        self.tell(Input::Durable { file });
        self.limit_resting(file);
    }
}

/// What an operator reads.
fn describe(error: &StoreError) -> String {
    match error {
        StoreError::NoSpace { .. } => format!("disk full: {error}"),
        _ => error.to_string(),
    }
}
