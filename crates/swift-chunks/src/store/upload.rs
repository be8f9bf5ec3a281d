//! Taking in new content: one pass, hashed and written as it comes, recorded with the caller's intent.

use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sha2::{Digest as _, Sha256};

use super::content::{ContentRef, FileReader};
use super::disk::{Appender, DiskFile, Existing, Move, Synced};
use super::error::StoreError;
use super::space::Reservation;
use super::{Core, Store};
use crate::content_hasher::{ContentHasher, ContentSummary};
use crate::digest::ChunkDigest;
use crate::id::{FileId, ManifestHash};
use crate::layout::{CHUNK_LEN, ChunkLayout};
use crate::manifest::{ENTRY_LEN, HEADER_LEN, encode_entry, encode_header, manifest_len};

/// Uploads that may hash chunks in pairs at once: each remembers a chunk for it.
const PAIRED_MAX: usize = 4;

/// Keeps a content from the trash while the caller's ledger transaction is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Chosen by the caller, who releases the hold by it.
    pub key: Vec<u8>,
    /// The caller's durable intent; opaque here.
    pub payload: Vec<u8>,
}

/// Content on its way in. Dropped unfinished, it leaves nothing behind.
pub struct Upload {
    files: StagedFiles,
    hasher: ContentHasher,
    _pairing: Option<PairPlace>,
    data: Appender,
    manifest: BufWriter<Appender>,
    entries: Vec<ChunkDigest>,
}

/// Content that is wholly on disk and synchronised, but not in the store yet: see [`Store::adopt`]. Dropped,
/// it leaves nothing behind.
pub struct Staged {
    /// BLAKE3 of the content.
    pub file_id: FileId,
    /// SHA-256 of its manifest.
    pub manifest_hash: ManifestHash,
    /// Bytes in it.
    pub len: u64,
    data: Synced<Arc<DiskFile>>,
    manifest: Synced<Arc<DiskFile>>,
    files: StagedFiles,
}

/// The temporary files and the room they take.
struct StagedFiles {
    core: Arc<Core>,
    space: Reservation,
    data: PathBuf,
    manifest: PathBuf,
}

/// One of [`PAIRED_MAX`] places.
struct PairPlace(Arc<Core>);

impl PairPlace {
    fn take(core: &Arc<Core>) -> Option<Self> {
        let more = |taken| (taken < PAIRED_MAX).then_some(taken + 1);
        core.paired_uploads.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self(Arc::clone(core)))
    }
}

impl Drop for PairPlace {
    fn drop(&mut self) {
        self.0.paired_uploads.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for StagedFiles {
    fn drop(&mut self) {
        // What cannot be removed now is removed at the next start.
        let _ = self.core.disk.remove(&self.data);
        let _ = self.core.disk.remove(&self.manifest);
    }
}

impl Store {
    /// Starts taking in content. With its length, room for all of it is set aside or refused now.
    pub fn begin_upload(&self, len_hint: Option<u64>) -> Result<Upload, StoreError> {
        let reserved = match len_hint {
            Some(len) => len + manifest_len(ChunkLayout::new(len)?),
            None => 0,
        };
        let space = Reservation::new(&self.core, reserved)?;
        let number = self.core.upload_count.fetch_add(1, Ordering::Relaxed);
        let dir = self.core.paths.uploads();
        let files = StagedFiles {
            core: Arc::clone(&self.core),
            space,
            data: dir.join(format!("{number}.data")),
            manifest: dir.join(format!("{number}.manifest")),
        };
        let create = |path: &PathBuf| self.core.disk.create(path, Existing::Refuse).map(Appender::new);
        let data = create(&files.data)?;
        let mut manifest = BufWriter::with_capacity(64 * 1024, create(&files.manifest)?);
        // The length is known at the end; the header is written over this then.
        manifest.write_all(&[0; HEADER_LEN]).map_err(StoreError::io("write", &files.manifest))?;
        let has_pairs = len_hint.is_none_or(|len| len > CHUNK_LEN);
        let pairing = has_pairs.then(|| PairPlace::take(&self.core)).flatten();
        let hasher = if pairing.is_some() { ContentHasher::paired() } else { ContentHasher::new() };
        Ok(Upload { files, hasher, _pairing: pairing, data, manifest, entries: Vec::new() })
    }
}

impl Staged {
    /// What it is, as a ledger names it.
    pub fn key(&self) -> ContentRef {
        ContentRef { file_id: self.file_id, manifest_hash: self.manifest_hash, len: self.len }
    }

    /// From where they were staged to where they belong: content, then manifest.
    pub(super) fn moves<'a>(&'a self, object: &'a Path, manifest: &'a Path) -> [Move<'a>; 2] {
        [
            Move { file: &self.data, from: &self.files.data, to: object },
            Move { file: &self.manifest, from: &self.files.manifest, to: manifest },
        ]
    }
}

impl Upload {
    /// Bytes taken so far.
    pub fn len(&self) -> u64 {
        self.hasher.len()
    }

    /// Whether no byte was taken yet.
    pub fn is_empty(&self) -> bool {
        self.hasher.is_empty()
    }

    /// Takes the next bytes; best 64 KiB or more at once. After an error the upload can only be dropped.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.files.space.write(bytes.len() as u64)?;
        self.hasher.update(bytes, |digest| self.entries.push(digest))?;
        self.data.write_all(bytes).map_err(StoreError::io("write", &self.files.data))?;
        self.write_entries()
    }

    /// Ends the content and synchronises it.
    pub fn finish(mut self) -> Result<Staged, StoreError> {
        let hasher = std::mem::take(&mut self.hasher);
        let summary = hasher.finish(|digest| self.entries.push(digest));
        self.write_entries()?;
        let Self { mut files, data, manifest, .. } = self;
        files.space.write(HEADER_LEN as u64)?;

        let (manifest_hash, manifest) = seal_manifest(manifest, summary, &files.manifest)?;
        let data = data.into_file();
        data.set_mode(0o444).map_err(StoreError::io("make read-only", &files.data))?;
        let data = data.sync(&files.data)?;
        Ok(Staged { file_id: summary.file_id, manifest_hash, len: summary.len, data, manifest, files })
    }

    fn write_entries(&mut self) -> Result<(), StoreError> {
        for digest in self.entries.drain(..) {
            self.files.space.write(ENTRY_LEN as u64)?;
            let written = self.manifest.write_all(&encode_entry(&digest));
            written.map_err(StoreError::io("write", &self.files.manifest))?;
        }
        Ok(())
    }
}

/// Puts the header in front, hashes the whole, and synchronises it: the header holds the length, so the hash, which
/// begins with it, can only be taken at the end. That reads 52 bytes for every 4 MiB of content.
pub(super) fn seal_manifest(
    manifest: BufWriter<Appender>,
    summary: ContentSummary,
    path: &Path,
) -> Result<(ManifestHash, Synced<Arc<DiskFile>>), StoreError> {
    let io = || StoreError::io("write", path);
    let file = manifest.into_inner().map_err(io::IntoInnerError::into_error).map_err(io())?.into_file();
    file.write_all_at(&encode_header(summary.len), 0).map_err(io())?;
    let mut sha256 = Sha256::new();
    let copied = io::copy(&mut FileReader::new(Arc::clone(&file)), &mut HashWriter(&mut sha256));
    if copied.map_err(io())? != manifest_len(ChunkLayout::new(summary.len)?) {
        return Err(io()(io::Error::other("the manifest has not the length that was written")));
    }
    Ok((ManifestHash::from_bytes(sha256.finalize().into()), file.sync(path)?))
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
