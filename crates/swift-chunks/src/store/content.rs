//! One content as the running store sees it, shared by its download and its readers.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::disk::DiskFile;
use super::download::SharedProgress;
use super::error::StoreError;
use super::index::DurableChunks;
use crate::chunk_set::ChunkSet;
use crate::digest::ChunkDigest;
use crate::id::{FileId, ManifestHash};
use crate::layout::{ChunkIndex, ChunkLayout};
use crate::manifest::{ENTRY_LEN, ManifestCheck, decode_entry, entry_offset};

/// What the ledger says of a file's content. Content is trusted per all three together: a second publisher
/// may name the same file with a false manifest, and must not get in the way of the true one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContentRef {
    /// BLAKE3 of the content.
    pub file_id: FileId,
    /// SHA-256 of its manifest.
    pub manifest_hash: ManifestHash,
    /// Bytes in it.
    pub len: u64,
}

/// Which chunks may be claimed.
#[derive(Debug)]
pub(super) enum Held {
    All,
    Some(DurableChunks),
}

/// The part of a [`Content`] that changes: replaced as a whole or in order data, then claim.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) data: Option<Arc<DiskFile>>,
    pub(super) manifest: Option<Arc<DiskFile>>,
    pub(super) held: Held,
}

#[derive(Debug)]
pub(super) struct Content {
    /// The row in the index.
    pub(super) id: i64,
    pub(super) key: ContentRef,
    pub(super) layout: ChunkLayout,
    /// Whether a download of it exists.
    pub(super) downloading: AtomicBool,
    /// Chunks that are not durable as a whole.
    pub(super) progress: SharedProgress,
    live: RwLock<Live>,
}

impl Content {
    pub(super) fn new(id: i64, key: ContentRef, live: Live) -> Result<Self, StoreError> {
        let layout = ChunkLayout::new(key.len)?;
        let (downloading, progress) = (AtomicBool::new(false), SharedProgress::default());
        Ok(Self { id, key, layout, downloading, progress, live: RwLock::new(live) })
    }

    pub(super) fn live(&self) -> RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn live_mut(&self) -> RwLockWriteGuard<'_, Live> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn holds(&self, chunk: ChunkIndex) -> bool {
        match &self.live().held {
            Held::All => self.layout.contains(chunk),
            Held::Some(held) => held.contains(chunk),
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        matches!(self.live().held, Held::All)
    }

    pub(super) fn held(&self) -> ChunkSet {
        match &self.live().held {
            Held::All => ChunkSet::full(self.layout),
            Held::Some(held) => ChunkSet::clone(held),
        }
    }

    pub(super) fn manifest_file(&self) -> Result<Arc<DiskFile>, StoreError> {
        self.live().manifest.clone().ok_or(StoreError::ManifestMissing(self.key.file_id))
    }

    /// One entry of the installed manifest.
    pub(super) fn digest(&self, chunk: ChunkIndex) -> Result<ChunkDigest, StoreError> {
        let mut entry = [0; ENTRY_LEN];
        self.manifest_file()?.read_exact_at(&mut entry, entry_offset(chunk)).map_err(|source| {
            let path = self.key.manifest_hash.to_string().into();
            StoreError::Io { doing: "read an entry of the manifest", path, source }
        })?;
        Ok(decode_entry(&entry))
    }

    /// Whether the installed manifest is still what was installed.
    pub(super) fn manifest_is_sound(&self) -> Result<bool, StoreError> {
        let Some(file) = self.live().manifest.clone() else { return Ok(false) };
        let check = ManifestCheck::new(self.key.file_id, self.key.manifest_hash, self.key.len)?;
        Ok(check.copy_verified(FileReader::new(file), io::sink()).is_ok())
    }
}

/// Modification time in nanoseconds since 1970.
pub(super) fn mtime_ns(metadata: &std::fs::Metadata) -> i64 {
    metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec())
}

/// Reads a shared file without moving anybody's position.
pub(super) struct FileReader {
    file: Arc<DiskFile>,
    at: u64,
}

impl FileReader {
    pub(super) fn new(file: Arc<DiskFile>) -> Self {
        Self::starting_at(file, 0)
    }

    pub(super) fn starting_at(file: Arc<DiskFile>, offset: u64) -> Self {
        Self { file, at: offset }
    }
}

impl io::Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
