//! Chunks between verified and durable.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::chunk_set::ChunkSet;
use crate::layout::ChunkIndex;
use crate::store::Core;
use crate::store::content::Content;
use crate::store::error::{ChunkWriteError, StoreError};
use crate::verify::{ChunkVerifier, VerifiedChunk};

/// What the download and its writers share. While one of them lives, no other download of the content begins.
pub(super) struct Transfer {
    content: Arc<Content>,
    /// Chunks that are written or being written, and not durable.
    taken: Mutex<ChunkSet>,
    /// Written chunks for the next commit.
    pub(super) recorded: Mutex<Vec<ChunkIndex>>,
    /// Held while a manifest is installed.
    pub(super) installing: Mutex<()>,
    /// Counts failed synchronisations: one may drop anything that was written before it and is not durable.
    pub(super) epoch: AtomicU64,
}

impl Transfer {
    pub(super) fn begin(content: &Arc<Content>) -> Result<Arc<Self>, StoreError> {
        if content.downloading.swap(true, Ordering::AcqRel) {
            return Err(StoreError::Busy(content.key.file_id));
        }
        Ok(Arc::new(Self {
            content: Arc::clone(content),
            taken: Mutex::new(ChunkSet::empty(content.layout)),
            recorded: Mutex::new(Vec::new()),
            installing: Mutex::new(()),
            epoch: AtomicU64::new(0),
        }))
    }

    pub(super) fn writer(
        self: &Arc<Self>,
        core: &Core,
        chunk: ChunkIndex,
    ) -> Result<ChunkWriter, StoreError> {
        let key = &self.content.key;
        let digest = self.content.digest(chunk)?;
        let file = self.content.live().data.clone().ok_or(StoreError::NotFound(key.file_id))?;
        let slot = Slot::take(self, chunk)?;
        Ok(ChunkWriter {
            verifier: ChunkVerifier::new(key.file_id, self.content.layout, chunk, digest),
            at: self.content.layout.range(chunk).start,
            epoch: self.epoch.load(Ordering::Acquire),
            path: core.paths.part(key.file_id, self.content.id),
            file,
            slot,
        })
    }

    pub(super) fn record(&self, mut chunk: WrittenChunk) -> Result<(), StoreError> {
        let index = chunk.verified.index();
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock: a failing synchronisation moves the epoch before it looks at what is recorded.
        if chunk.epoch != self.epoch.load(Ordering::Acquire)
            || chunk.verified.file_id() != self.content.key.file_id
        {
            return Err(StoreError::ChunkLost { file_id: self.content.key.file_id, chunk: index.get() });
        }
        chunk.slot.keep = true;
        recorded.push(index);
        Ok(())
    }

    /// Synchronises the data under everything that is recorded. On failure all of it counts as lost, whatever
    /// a later synchronisation says: the system may have dropped the bytes and forgotten that it did.
    pub(super) fn sync(&self, core: &Core) -> Result<Option<SyncedChunks>, StoreError> {
        let chunks = std::mem::take(&mut *self.recorded.lock().unwrap_or_else(PoisonError::into_inner));
        let data = self.content.live().data.clone();
        let Some(data) = data.filter(|_| !chunks.is_empty()) else { return Ok(None) };
        match data.sync_data() {
            Ok(()) => Ok(Some(SyncedChunks(chunks))),
            Err(error) => {
                let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
                self.epoch.fetch_add(1, Ordering::AcqRel);
                let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
                for chunk in chunks.into_iter().chain(recorded.drain(..)) {
                    taken.remove(chunk);
                }
                let path = core.paths.part(self.content.key.file_id, self.content.id);
                Err(StoreError::io("synchronise", path)(error))
            }
        }
    }

    /// The chunks are durable: that is what counts for them from now on.
    pub(super) fn release(&self, chunks: &[ChunkIndex]) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        for &chunk in chunks {
            taken.remove(chunk);
        }
    }

    pub(super) fn put_back(&self, synced: SyncedChunks) {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).extend(synced.0);
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.content.downloading.store(false, Ordering::Release);
    }
}

/// Chunks whose bytes are on the disk itself. Only [`Transfer::sync`] makes one.
pub(super) struct SyncedChunks(Vec<ChunkIndex>);

impl SyncedChunks {
    pub(super) fn chunks(&self) -> &[ChunkIndex] {
        &self.0
    }

    pub(super) fn into_chunks(self) -> Vec<ChunkIndex> {
        self.0
    }
}

/// The right to write one chunk; given back when dropped, unless the chunk was recorded.
struct Slot {
    transfer: Arc<Transfer>,
    chunk: ChunkIndex,
    keep: bool,
}

impl Slot {
    fn take(transfer: &Arc<Transfer>, chunk: ChunkIndex) -> Result<Self, StoreError> {
        let mut taken = transfer.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if transfer.content.holds(chunk) || !taken.insert(chunk) {
            let file_id = transfer.content.key.file_id;
            return Err(StoreError::ChunkTaken { file_id, chunk: chunk.get() });
        }
        Ok(Self { transfer: Arc::clone(transfer), chunk, keep: false })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.keep {
            self.transfer.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(self.chunk);
        }
    }
}

/// Hashes the bytes of one chunk and writes them in place as they come. Dropped, it leaves the chunk unheld.
pub struct ChunkWriter {
    verifier: ChunkVerifier,
    at: u64,
    epoch: u64,
    path: PathBuf,
    file: Arc<File>,
    slot: Slot,
}

impl ChunkWriter {
    /// The chunk.
    pub fn index(&self) -> ChunkIndex {
        self.slot.chunk
    }

    /// Bytes still to come.
    pub fn remaining(&self) -> u64 {
        self.verifier.remaining()
    }

    /// Takes the next bytes, in order; best 64 KiB or more at once. One byte too many is refused before it is
    /// written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ChunkWriteError> {
        self.verifier.update(bytes)?;
        self.file.write_all_at(bytes, self.at).map_err(StoreError::io("write", &self.path))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Judges the bytes. They are not durable yet: see [`Download::record`](super::Download::record).
    pub fn finish(self) -> Result<WrittenChunk, ChunkWriteError> {
        let verified = self.verifier.finish()?;
        Ok(WrittenChunk { verified, epoch: self.epoch, slot: self.slot })
    }
}

/// A chunk whose bytes were verified and handed to the system, and that is not durable yet. Dropped, it is
/// unheld.
pub struct WrittenChunk {
    verified: VerifiedChunk,
    epoch: u64,
    slot: Slot,
}

impl WrittenChunk {
    /// The proof that its bytes are the chunk.
    pub fn verified(&self) -> &VerifiedChunk {
        &self.verified
    }
}
