//! Whole chunks on their way to the disk.

use std::path::PathBuf;
use std::sync::Arc;

use super::Download;
use super::progress::Unready;
use super::transfer::Transfer;
use crate::layout::ChunkIndex;
use crate::slice::Grains;
use crate::store::disk::DiskFile;
use crate::store::error::{ChunkWriteError, StoreError};
use crate::verify::{ChunkFault, ChunkVerifier, VerifiedChunk};

/// Bytes read back at once.
const READ_BACK_LEN: usize = 256 * 1024;

impl Download {
    /// Starts writing a chunk. One writer at a time per chunk, and none for a chunk that is written or has verified
    /// grains: verified bytes are never overwritten. Writers of different chunks may be in different threads, and may
    /// outlive this value.
    pub fn chunk_writer(&self, chunk: ChunkIndex) -> Result<ChunkWriter, StoreError> {
        self.core.check_floor(self.layout().chunk_len(chunk))?;
        let verifier = self.verifier(chunk)?;
        let file = self.part()?;
        let slot = Slot::take(&self.transfer, chunk)?;
        Ok(ChunkWriter { verifier, at: self.layout().range(chunk).start, path: self.part_path(), file, slot })
    }

    /// Reads a chunk back whose grains are all verified, and judges it by both hashes as a [`ChunkWriter`] would have:
    /// SHA-1 needs the bytes in order, in which slices do not come. For one caller per chunk.
    ///
    /// [`StoreError::ReadBackDiffers`] blames no sender. After any fault and any failure to read, the chunk's grains are
    /// forgotten, durably, and can be fetched again.
    pub fn check_chunk(&self, chunk: ChunkIndex) -> Result<WrittenChunk, ChunkWriteError> {
        let verifier = self.verifier(chunk)?;
        let file = self.part()?;
        let slot = Slot::take_verified(&self.transfer, chunk)?;
        match self.read_back(chunk, &file, verifier) {
            Ok(verified) => Ok(WrittenChunk { verified, slot }),
            Err(error) => {
                self.forget_grains(chunk)?;
                Err(error)
            }
        }
    }

    fn read_back(
        &self,
        chunk: ChunkIndex,
        file: &DiskFile,
        mut verifier: ChunkVerifier,
    ) -> Result<VerifiedChunk, ChunkWriteError> {
        let end = self.layout().range(chunk).end;
        let mut buffer = vec![0; READ_BACK_LEN];
        while verifier.remaining() > 0 {
            let len = usize::try_from(verifier.remaining()).unwrap_or(usize::MAX).min(buffer.len());
            let block = &mut buffer[..len];
            let read = file.read_exact_at(block, end - verifier.remaining());
            read.map_err(StoreError::io("read back", self.part_path()))?;
            verifier.update(block)?;
        }
        verifier.finish().map_err(|fault| match fault {
            ChunkFault::ManifestFalse => fault.into(),
            _ => {
                let file_id = self.content.key.file_id;
                StoreError::ReadBackDiffers { file_id, chunk: chunk.get() }.into()
            }
        })
    }

    fn verifier(&self, chunk: ChunkIndex) -> Result<ChunkVerifier, StoreError> {
        let digest = self.content.digest(chunk)?;
        Ok(ChunkVerifier::new(self.content.key.file_id, self.content.layout, chunk, digest))
    }

    pub(super) fn part(&self) -> Result<Arc<DiskFile>, StoreError> {
        self.content.live().data.clone().ok_or(StoreError::NotFound(self.content.key.file_id))
    }

    pub(super) fn part_path(&self) -> PathBuf {
        self.core.paths.part(self.content.key.file_id, self.content.id)
    }
}

/// A chunk that is one's own as a whole; given back when dropped, unless it was recorded.
struct Slot {
    transfer: Arc<Transfer>,
    chunk: ChunkIndex,
    epoch: u64,
    keep: bool,
}

impl Slot {
    fn take(transfer: &Arc<Transfer>, chunk: ChunkIndex) -> Result<Self, StoreError> {
        let mut progress = transfer.progress.lock();
        if transfer.content.holds(chunk) || !progress.take_chunk(chunk) {
            return Err(taken(transfer, chunk));
        }
        Ok(Self { transfer: Arc::clone(transfer), chunk, epoch: progress.epoch(), keep: false })
    }

    fn take_verified(transfer: &Arc<Transfer>, chunk: ChunkIndex) -> Result<Self, StoreError> {
        let all = Grains::all_of(transfer.content.layout, chunk);
        let mut progress = transfer.progress.lock();
        if transfer.content.holds(chunk) {
            return Err(taken(transfer, chunk));
        }
        progress.take_verified(chunk, all).map_err(|unready| match unready {
            Unready::Taken => taken(transfer, chunk),
            Unready::Missing(missing) => StoreError::GrainsMissing {
                file_id: transfer.content.key.file_id,
                chunk: chunk.get(),
                missing: missing.len(),
            },
        })?;
        Ok(Self { transfer: Arc::clone(transfer), chunk, epoch: progress.epoch(), keep: false })
    }
}

fn taken(transfer: &Transfer, chunk: ChunkIndex) -> StoreError {
    StoreError::ChunkTaken { file_id: transfer.content.key.file_id, chunk: chunk.get() }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.keep {
            self.transfer.progress.lock().release_chunk(self.chunk);
        }
    }
}

/// Hashes the bytes of one chunk and writes them in place as they come. Dropped, it leaves the chunk unheld.
pub struct ChunkWriter {
    verifier: ChunkVerifier,
    at: u64,
    path: PathBuf,
    file: Arc<DiskFile>,
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
        let Slot { transfer, chunk, epoch, .. } = &self.slot;
        let all = Grains::all_of(transfer.content.layout, *chunk);
        transfer.progress.lock().chunk_written(*chunk, all, *epoch);
        Ok(WrittenChunk { verified, slot: self.slot })
    }
}

/// A chunk whose bytes were verified and handed to the system, and that is not durable yet. Dropped, it is
/// unheld.
pub struct WrittenChunk {
    verified: VerifiedChunk,
    slot: Slot,
}

impl WrittenChunk {
    /// The proof that its bytes are the chunk.
    pub fn verified(&self) -> &VerifiedChunk {
        &self.verified
    }

    pub(super) fn is_of(&self, transfer: &Arc<Transfer>) -> bool {
        Arc::ptr_eq(&self.slot.transfer, transfer)
    }

    pub(super) fn epoch(&self) -> u64 {
        self.slot.epoch
    }

    /// Leaves the chunk taken: from now on the commit answers for it.
    pub(super) fn keep(mut self) {
        self.slot.keep = true;
    }
}
