//! Reading content: as it stands for peers, who check it themselves, and verified for everybody else.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use super::content::{Content, ContentRef};
use super::error::{ReadError, StoreError};
use super::{Core, Store};
use crate::chunk_set::ChunkSet;
use crate::digest::{ChunkDigest, Subtree, SubtreeHasher};
use crate::id::FileId;
use crate::layout::{ChunkIndex, ChunkLayout};
use crate::manifest::manifest_len;

/// Reads one content, complete or not. Sees chunks as soon as they are durable, and loses them as soon as
/// they are quarantined.
#[derive(Clone)]
pub struct ContentReader {
    core: Arc<Core>,
    content: Arc<Content>,
}

/// The encoded manifest of one content, for peers.
pub struct ManifestReader {
    file: Arc<File>,
    len: u64,
    at: u64,
}

impl Store {
    /// Opens a content for reading; of several contents with this id, the one that is furthest.
    pub fn reader(&self, file_id: FileId) -> Result<ContentReader, StoreError> {
        let mut index = self.core.index();
        let row = index.best(file_id)?.ok_or(StoreError::NotFound(file_id))?;
        let content = self.core.content(&mut index, &row)?;
        Ok(ContentReader { core: Arc::clone(&self.core), content })
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

    /// Whether the chunk can be read.
    pub fn holds(&self, chunk: ChunkIndex) -> bool {
        self.content.holds(chunk)
    }

    /// The chunks that can be read now.
    pub fn held(&self) -> ChunkSet {
        self.content.held()
    }

    /// Whether all of them can.
    pub fn is_complete(&self) -> bool {
        self.content.is_complete()
    }

    /// What the manifest says of a chunk.
    pub fn digest(&self, chunk: ChunkIndex) -> Result<ChunkDigest, StoreError> {
        self.content.digest(chunk)
    }

    /// Reads at an offset without checking the bytes: for peers, who do. Reads as much as fits, up to the
    /// end of the file, and answers how much; fails if a chunk it touches is not held.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let layout = self.content.layout;
        let end = offset.saturating_add(buffer.len() as u64).min(layout.file_len());
        let len = usize::try_from(end.saturating_sub(offset)).unwrap_or(0);
        if len == 0 {
            return Ok(0);
        }
        if let Some(chunk) = layout.chunks_covering(offset..end).find(|&chunk| !self.content.holds(chunk)) {
            return Err(self.not_held(chunk));
        }
        let file = self.content.live().data.clone().ok_or(StoreError::NotFound(self.content.key.file_id))?;
        let path = || self.core.paths.object(self.content.key.file_id);
        file.read_exact_at(&mut buffer[..len], offset)
            .map_err(|error| StoreError::io("read", path())(error))?;
        Ok(len)
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
        let data = content.live().data.clone().ok_or(StoreError::NotFound(content.key.file_id))?;
        let read = data.read_exact_at(buffer, range.start);
        let mut hasher = SubtreeHasher::new(chunk);
        hasher.update(buffer);
        // An unreadable sector is rot like any other.
        if read.is_ok() && hasher.chaining_value(Subtree::of(content.layout)) == expected.chaining_value {
            return Ok(());
        }
        if content.manifest_is_sound()? {
            self.core.quarantine(content, &[chunk])?;
            return Err(ReadError::Rotten { file_id: content.key.file_id, chunk: chunk.get() });
        }
        // It is the manifest that has rotted; the content may be fine, which `Store::verify` finds out.
        self.core.drop_manifest(content)?;
        Err(StoreError::ManifestMissing(content.key.file_id).into())
    }

    /// The encoded manifest, for peers.
    pub fn manifest_reader(&self) -> Result<ManifestReader, StoreError> {
        let file = self.content.manifest_file()?;
        Ok(ManifestReader { file, len: manifest_len(self.content.layout), at: 0 })
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
