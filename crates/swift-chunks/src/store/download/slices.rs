//! Slices on their way to the disk: any order, many threads, verified before their chunk is whole.

use std::path::PathBuf;
use std::sync::Arc;

use super::Download;
use super::transfer::Transfer;
use crate::grain_tree::GrainTree;
use crate::layout::ChunkIndex;
use crate::slice::{Grains, Slice};
use crate::store::disk::DiskFile;
use crate::store::error::{SliceWriteError, StoreError};
use crate::store::reader::{ContentReader, Sees};
use crate::verify::SliceVerifier;

impl Download {
    /// Starts writing a slice, to be judged by the grain tree of its chunk. One writer at a time per grain, and none for
    /// a grain that is verified; slices and the whole chunk exclude each other. Writers may be in different threads, and
    /// may outlive this value.
    pub fn slice_writer(&self, slice: Slice, tree: &GrainTree) -> Result<SliceWriter, StoreError> {
        let (layout, chunk) = (self.layout(), slice.chunk());
        let grains = slice.grains(layout);
        let expected = self.content.digest(chunk)?.chaining_value;
        let is_of_file =
            tree.layout() == layout && tree.chunk() == chunk && tree.chaining_value() == expected;
        if !is_of_file || grains.is_empty() {
            let file_id = self.content.key.file_id;
            return Err(StoreError::ForeignSlice { file_id, chunk: chunk.get() });
        }
        self.transfer.make_room(&self.core, chunk, slice.len(layout))?;
        let file = self.part()?;
        let place = Place::take(&self.transfer, chunk, grains)
            .ok_or(StoreError::SliceTaken { file_id: self.content.key.file_id, slice })?;
        self.transfer.progress.lock().keep_tree(chunk, || tree.encode());
        Ok(SliceWriter {
            verifier: SliceVerifier::new(slice, tree),
            at: slice.range(layout).start,
            path: self.part_path(),
            file,
            place,
        })
    }

    /// The grains of a chunk that stand in the file as they should, durable or not.
    pub fn grains(&self, chunk: ChunkIndex) -> Grains {
        // In this order: a chunk is durable before it stops being open.
        let verified = self.transfer.progress.lock().verified(chunk);
        if self.content.holds(chunk) { Grains::all_of(self.layout(), chunk) } else { verified }
    }

    /// The chunks that have verified grains and are not durable as a whole, in order, and which grains. Those that no
    /// commit has made durable are forgotten with this value.
    pub fn open_chunks(&self) -> Vec<(ChunkIndex, Grains)> {
        self.transfer.progress.lock().open()
    }

    /// Reads, besides what is durable, every grain that is verified: for relays. When this value is dropped, what is
    /// durable remains to it.
    pub fn part_reader(&self) -> ContentReader {
        let sees = Sees::Verified;
        ContentReader { core: Arc::clone(&self.core), content: Arc::clone(&self.content), sees }
    }
}

/// The right to write some grains; given back when dropped.
struct Place {
    transfer: Arc<Transfer>,
    chunk: ChunkIndex,
    grains: Grains,
    epoch: u64,
}

impl Place {
    fn take(transfer: &Arc<Transfer>, chunk: ChunkIndex, grains: Grains) -> Option<Self> {
        let mut progress = transfer.progress.lock();
        let is_free = !transfer.content.holds(chunk) && progress.take_grains(chunk, grains);
        is_free.then(|| Self { transfer: Arc::clone(transfer), chunk, grains, epoch: progress.epoch() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.transfer.progress.lock().release_grains(self.chunk, self.grains);
    }
}

/// Hashes the bytes of one slice and writes them in place as they come. Dropped, it leaves the slice as it was: not
/// verified, whatever stands in the file.
pub struct SliceWriter {
    verifier: SliceVerifier,
    at: u64,
    path: PathBuf,
    file: Arc<DiskFile>,
    place: Place,
}

impl SliceWriter {
    /// The slice.
    pub fn slice(&self) -> Slice {
        self.verifier.slice()
    }

    /// Bytes still to come.
    pub fn remaining(&self) -> u64 {
        self.verifier.remaining()
    }

    /// Takes the next bytes, in order; best 64 KiB or more at once. One byte too many is refused before it is
    /// written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), SliceWriteError> {
        self.verifier.update(bytes)?;
        self.file.write_all_at(bytes, self.at).map_err(StoreError::io("write", &self.path))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Judges the bytes. If they are the slice, it can be read at once by [`Download::part_reader`].
    pub fn finish(self) -> Result<WrittenSlice, SliceWriteError> {
        let slice = self.slice();
        self.verifier.finish()?;
        let Place { transfer, chunk, grains, epoch } = &self.place;
        let written = transfer.progress.lock().grains_written(*chunk, *grains, *epoch);
        let file_id = transfer.content.key.file_id;
        let verified = written.ok_or(StoreError::ChunkLost { file_id, chunk: chunk.get() })?;
        let is_chunk_whole = verified == Grains::all_of(transfer.content.layout, *chunk);
        Ok(WrittenSlice { slice, is_chunk_whole })
    }
}

/// Proof that a slice was verified and handed to the system. Only [`SliceWriter::finish`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenSlice {
    slice: Slice,
    is_chunk_whole: bool,
}

impl WrittenSlice {
    /// The slice.
    pub fn slice(&self) -> Slice {
        self.slice
    }

    /// Whether it was the last that its chunk lacked: time for [`Download::check_chunk`]. True of one slice of a
    /// chunk, however many threads write.
    pub fn is_chunk_whole(&self) -> bool {
        self.is_chunk_whole
    }
}
