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
use crate::verify::{ChunkFault, ChunkVerifier, VerifiedChunk, WholeChunkCheck};

/// Bytes read back at once: as many as are hashed while the processor has them in its cache.
const READ_BACK_LEN: usize = 128 * 1024;

impl Download {
    /// Starts writing a chunk. One writer at a time per chunk, and none for a chunk that is written or has verified
    /// grains: verified bytes are never overwritten. Writers of different chunks may be in different threads, and may
    /// outlive this value.
    pub fn chunk_writer(&self, chunk: ChunkIndex) -> Result<ChunkWriter, StoreError> {
        self.transfer.make_room(&self.core, chunk, self.layout().chunk_len(chunk))?;
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
        ReadBack::begin(self, chunk)?.alone()
    }

    /// [`Self::check_chunk`] of two chunks, which takes less time than one after the other.
    pub fn check_chunks(&self, chunks: [ChunkIndex; 2]) -> [Result<WrittenChunk, ChunkWriteError>; 2] {
        match chunks.map(|chunk| ReadBack::begin(self, chunk)) {
            [Ok(a), Ok(b)] => ReadBack::both(a, b),
            begun => begun.map(|begun| begun.map_err(ChunkWriteError::from)?.alone()),
        }
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

/// A chunk of which every grain is verified, while it is read back.
struct ReadBack<'a> {
    download: &'a Download,
    file: Arc<DiskFile>,
    slot: Slot,
    check: WholeChunkCheck,
    buffer: Vec<u8>,
    at: u64,
    failure: Option<StoreError>,
}

impl<'a> ReadBack<'a> {
    fn begin(download: &'a Download, chunk: ChunkIndex) -> Result<Self, StoreError> {
        let digest = download.content.digest(chunk)?;
        let file = download.part()?;
        let slot = Slot::take_verified(&download.transfer, chunk)?;
        Ok(Self {
            download,
            file,
            slot,
            check: WholeChunkCheck::new(download.content.key.file_id, chunk, digest),
            buffer: vec![0; READ_BACK_LEN],
            at: download.layout().range(chunk).start,
            failure: None,
        })
    }

    fn alone(mut self) -> Result<WrittenChunk, ChunkWriteError> {
        while let len @ 1.. = self.read() {
            self.check.update(&self.buffer[..len]);
        }
        self.finish()
    }

    fn both(mut a: Self, mut b: Self) -> [Result<WrittenChunk, ChunkWriteError>; 2] {
        while let (a_len, b_len) = (a.read(), b.read())
            && a_len + b_len > 0
        {
            WholeChunkCheck::update_both(
                (&mut a.check, &a.buffer[..a_len]),
                (&mut b.check, &b.buffer[..b_len]),
            );
        }
        [a.finish(), b.finish()]
    }

    /// Reads the next bytes; none at the chunk's end, or when they cannot be read.
    fn read(&mut self) -> usize {
        let end = self.download.layout().range(self.slot.chunk).end;
        let len = usize::try_from(end - self.at).unwrap_or(usize::MAX).min(self.buffer.len());
        if self.failure.is_some() || len == 0 {
            return 0;
        }
        if let Err(error) = self.file.read_exact_at(&mut self.buffer[..len], self.at) {
            self.failure = Some(StoreError::io("read back", self.download.part_path())(error));
            return 0;
        }
        self.at += len as u64;
        len
    }

    /// The bytes passed BLAKE3 when they came, so SHA-1 alone is looked at, unless it does not fit: which of the two is
    /// to blame then, the disk or the manifest, BLAKE3 tells.
    fn finish(mut self) -> Result<WrittenChunk, ChunkWriteError> {
        let (download, chunk) = (self.download, self.slot.chunk);
        let judged = match self.failure.take() {
            Some(failure) => Err(failure.into()),
            None => match self.check.finish() {
                Some(verified) => Ok(verified),
                None => Self::judge(download, chunk, &self.file),
            },
        };
        match judged {
            Ok(verified) => Ok(WrittenChunk { verified, slot: self.slot }),
            Err(error) => {
                download.forget_grains(chunk)?;
                Err(error)
            }
        }
    }

    fn judge(
        download: &Download,
        chunk: ChunkIndex,
        file: &DiskFile,
    ) -> Result<VerifiedChunk, ChunkWriteError> {
        let mut verifier = download.verifier(chunk)?;
        let end = download.layout().range(chunk).end;
        let mut buffer = vec![0; READ_BACK_LEN];
        while verifier.remaining() > 0 {
            let len = usize::try_from(verifier.remaining()).unwrap_or(usize::MAX).min(buffer.len());
            let block = &mut buffer[..len];
            let read = file.read_exact_at(block, end - verifier.remaining());
            read.map_err(StoreError::io("read back", download.part_path()))?;
            verifier.update(block)?;
        }
        verifier.finish().map_err(|fault| match fault {
            ChunkFault::ManifestFalse => fault.into(),
            _ => {
                let file_id = download.content.key.file_id;
                StoreError::ReadBackDiffers { file_id, chunk: chunk.get() }.into()
            }
        })
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
        let is_written = self.write_if_free(bytes)?;
        self.verifier.update(bytes)?;
        self.write_unless(is_written, bytes)
    }

    /// [`Self::write`] of two chunks at once, of whatever files: hashing two takes less time together than one after the
    /// other. What happens to one does not touch the other.
    pub fn write_both(
        (a, a_bytes): (&mut Self, &[u8]),
        (b, b_bytes): (&mut Self, &[u8]),
    ) -> [Result<(), ChunkWriteError>; 2] {
        let (a_written, b_written) = (a.write_if_free(a_bytes), b.write_if_free(b_bytes));
        let [a_taken, b_taken] =
            ChunkVerifier::update_both((&mut a.verifier, a_bytes), (&mut b.verifier, b_bytes));
        let end = |chunk: &mut Self, bytes, written: Result<bool, _>, taken: Result<(), ChunkFault>| {
            let is_written = written?;
            taken?;
            chunk.write_unless(is_written, bytes)
        };
        [end(a, a_bytes, a_written, a_taken), end(b, b_bytes, b_written, b_taken)]
    }

    /// Writes now if nobody else writes to the file; whoever does is mostly done when the bytes are hashed. Whether it is
    /// written.
    fn write_if_free(&mut self, bytes: &[u8]) -> Result<bool, ChunkWriteError> {
        if bytes.len() as u64 > self.verifier.remaining() {
            return Ok(false);
        }
        let written = self.file.try_write_all_at(bytes, self.at).transpose();
        Ok(written.map_err(StoreError::io("write", &self.path))?.is_some())
    }

    fn write_unless(&mut self, is_written: bool, bytes: &[u8]) -> Result<(), ChunkWriteError> {
        if !is_written {
            self.file.write_all_at(bytes, self.at).map_err(StoreError::io("write", &self.path))?;
        }
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
