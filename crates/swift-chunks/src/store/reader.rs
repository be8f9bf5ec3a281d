//! Reading content: as it stands for peers, who check it themselves, and verified for everybody else.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use super::content::{Content, ContentRef, FileReader};
use super::disk::DiskFile;
use super::error::{ReadError, StoreError};
use super::{Core, Store};
use crate::chunk_set::ChunkSet;
use crate::digest::{ChunkDigest, Subtree, SubtreeHasher};
use crate::grain_tree::GrainTree;
use crate::id::FileId;
use crate::layout::{ChunkIndex, ChunkLayout};
use crate::manifest::manifest_len;
use crate::slice::Grains;

/// Reads one content, complete or not. Sees chunks as soon as they are durable, and loses them as soon as
/// they are quarantined; of chunks that are not whole it reads the grains that are durable. One of
/// [`Download::part_reader`](super::Download::part_reader) also reads what is verified and not durable yet.
#[derive(Clone)]
pub struct ContentReader {
    pub(super) core: Arc<Core>,
    pub(super) content: Arc<Content>,
    pub(super) sees: Sees,
}

/// What of a content a reader reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sees {
    Durable,
    Verified,
}

/// The encoded manifest of one content, for peers.
pub struct ManifestReader {
    file: Arc<DiskFile>,
    len: u64,
    at: u64,
}

impl Store {
    /// Opens a content for reading; of several contents with this id, the one that is furthest.
    pub fn reader(&self, file_id: FileId) -> Result<ContentReader, StoreError> {
        let mut index = self.core.index()?;
        let row = index.best(file_id)?.ok_or(StoreError::NotFound(file_id))?;
        let content = self.core.content(&mut index, &row)?;
        Ok(ContentReader { core: Arc::clone(&self.core), content, sees: Sees::Durable })
    }
}

impl ContentReader {
    /// The content.
    pub fn content(&self) -> ContentRef {
        self.content.key
    }

    /// Its division into chunks.
    pub fn layout(&self) -> ChunkLayout {
        self.content.layout
    }

    /// Whether the chunk is durable.
    pub fn holds(&self, chunk: ChunkIndex) -> bool {
        self.content.holds(chunk)
    }

    /// The chunks that are durable now.
    pub fn held(&self) -> ChunkSet {
        self.content.held()
    }

    /// The chunks that are not held and of which grains are durable, in order, and which grains.
    pub fn open_chunks(&self) -> Vec<(ChunkIndex, Grains)> {
        let parts = self.content.progress.lock().durable_parts();
        parts.into_iter().filter(|&(chunk, _)| !self.content.holds(chunk)).collect()
    }

    /// Whether all of them are.
    pub fn is_complete(&self) -> bool {
        self.content.is_complete()
    }

    /// What the manifest says of a chunk.
    pub fn digest(&self, chunk: ChunkIndex) -> Result<ChunkDigest, StoreError> {
        self.content.digest(chunk)
    }

    /// Whether [`Self::read_at`] reads all of these bytes; those beyond the end of the file do not count.
    pub fn can_read(&self, bytes: Range<u64>) -> bool {
        self.first_unreadable(bytes).is_none()
    }

    /// Reads at an offset without checking the bytes: for peers, who do. Reads as much as fits, up to the
    /// end of the file, and answers how much; fails if a chunk it touches is not held, nor verified as far as it is read.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, ReadError> {
        self.read_with(offset, buffer, |file, buffer| {
            file.read_exact_at(buffer, offset).map(|()| buffer.len())
        })
    }

    /// [`Self::read_at`] as far as the bytes are in memory, from the first on: it does not wait for a disk. None if that
    /// one is not, or where the system cannot tell (it can on Linux).
    pub fn read_cached_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, ReadError> {
        self.read_with(offset, buffer, |file, buffer| file.read_cached_at(buffer, offset))
    }

    fn read_with(
        &self,
        offset: u64,
        buffer: &mut [u8],
        read: impl FnOnce(&DiskFile, &mut [u8]) -> io::Result<usize>,
    ) -> Result<usize, ReadError> {
        let layout = self.content.layout;
        let end = offset.saturating_add(buffer.len() as u64).min(layout.file_len());
        let len = usize::try_from(end.saturating_sub(offset)).unwrap_or(0);
        if len == 0 {
            return Ok(0);
        }
        if let Some(chunk) = self.first_unreadable(offset..end) {
            return Err(self.not_held(chunk));
        }
        let path = || self.core.paths.object(self.content.key.file_id);
        Ok(read(&*self.data()?, &mut buffer[..len]).map_err(|error| StoreError::io("read", path())(error))?)
    }

    /// Reads one chunk into `buffer`, which gets the chunk's length, and checks it against the manifest. On
    /// an error the bytes in `buffer` mean nothing, and a chunk that has rotted is quarantined.
    pub fn read_verified_chunk(&self, chunk: ChunkIndex, buffer: &mut Vec<u8>) -> Result<(), ReadError> {
        let content = &self.content;
        if !content.holds(chunk) {
            return Err(self.not_held(chunk));
        }
        let expected = content.digest(chunk)?;
        let range = content.layout.range(chunk);
        buffer.resize(usize::try_from(range.end - range.start).unwrap_or(0), 0);
        let read = self.data()?.read_exact_at(buffer, range.start);
        let mut hasher = SubtreeHasher::new(chunk);
        hasher.update(buffer);
        // An unreadable sector is rot like any other.
        if read.is_ok() && hasher.chaining_value(Subtree::of(content.layout)) == expected.chaining_value {
            return Ok(());
        }
        self.distrust(chunk)
    }

    /// The grain tree of a chunk, checked against the manifest. Of a whole chunk it is made by reading it, which takes
    /// about a millisecond, and a chunk that has rotted ends as in [`Self::read_verified_chunk`]. Of one that is not
    /// whole it is the tree that its grains came with.
    pub fn grain_tree(&self, chunk: ChunkIndex) -> Result<GrainTree, ReadError> {
        let layout = self.content.layout;
        let range = layout.range(chunk);
        if range.is_empty() {
            return Err(self.not_held(chunk));
        }
        if !self.can_read(range.clone()) {
            return self.tree_of_part(chunk);
        }
        let expected = self.content.digest(chunk)?;
        let bytes = FileReader::starting_at(self.data()?, range.start);
        match GrainTree::of_chunk(layout, chunk, bytes) {
            Ok(tree) if tree.chaining_value() == expected.chaining_value => Ok(tree),
            _ => self.distrust(chunk),
        }
    }

    fn tree_of_part(&self, chunk: ChunkIndex) -> Result<GrainTree, ReadError> {
        let coming = self.content.progress.lock().tree(chunk).cloned();
        // In this order: a tree is in the index before it is anywhere else no more.
        let encoded = match coming {
            Some(encoded) => encoded,
            None => self.core.index()?.tree_of(self.content.id, chunk)?.ok_or(self.not_held(chunk))?,
        };
        let expected = self.content.digest(chunk)?.chaining_value;
        // It was checked when it came: what does not fit has rotted, and the next that comes with a slice will do.
        GrainTree::decode(self.content.layout, chunk, expected, &encoded).map_err(|_| self.not_held(chunk))
    }

    /// The encoded manifest, for peers.
    pub fn manifest_reader(&self) -> Result<ManifestReader, StoreError> {
        let file = self.content.manifest_file()?;
        Ok(ManifestReader { file, len: manifest_len(self.content.layout), at: 0 })
    }

    /// A chunk's bytes are not what its manifest says: finds out which of the two has rotted.
    fn distrust<T>(&self, chunk: ChunkIndex) -> Result<T, ReadError> {
        let content = &self.content;
        let file_id = content.key.file_id;
        if !content.manifest_is_sound()? {
            // The content may be fine, which `Store::verify` finds out.
            self.core.lose_manifest(content)?;
            return Err(StoreError::ManifestMissing(file_id).into());
        }
        if !content.holds(chunk) {
            return Err(StoreError::ReadBackDiffers { file_id, chunk: chunk.get() }.into());
        }
        self.core.quarantine(content, &[chunk])?;
        Err(ReadError::Rotten { file_id, chunk: chunk.get() })
    }

    fn first_unreadable(&self, bytes: Range<u64>) -> Option<ChunkIndex> {
        let layout = self.content.layout;
        let mut chunks = layout.chunks_covering(bytes.clone());
        chunks.find(|&chunk| {
            if self.content.holds(chunk) {
                return false;
            }
            let has_part = self.part_of(chunk).contains(Grains::covering(layout, chunk, &bytes));
            // Once more: a chunk is durable before it stops being open.
            !has_part && !self.content.holds(chunk)
        })
    }

    /// The grains of an open chunk that this reader reads.
    fn part_of(&self, chunk: ChunkIndex) -> Grains {
        let progress = self.content.progress.lock();
        match self.sees {
            Sees::Durable => progress.durable(chunk),
            Sees::Verified => progress.verified(chunk),
        }
    }

    fn data(&self) -> Result<Arc<DiskFile>, StoreError> {
        self.core.disk.check()?;
        self.content.live().data.clone().ok_or(StoreError::NotFound(self.content.key.file_id))
    }

    fn not_held(&self, chunk: ChunkIndex) -> ReadError {
        ReadError::NotHeld { file_id: self.content.key.file_id, chunk: chunk.get() }
    }
}

impl ManifestReader {
    /// Bytes in the manifest.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Never: a manifest has a header.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Goes to an offset, for a peer that wants a part.
    pub fn seek_to(&mut self, offset: u64) {
        self.at = offset;
    }
}

impl Read for ManifestReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
