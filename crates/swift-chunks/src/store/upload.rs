//! Taking in new content: one pass, hashed and written as it comes, recorded with the caller's intent.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sha2::{Digest as _, Sha256};

use super::content::{ContentRef, Held, mtime_ns};
use super::error::StoreError;
use super::index::{Index, STATE_COMPLETE};
use super::names::VisibleChanges;
use super::paths::{remove_if_there, rename_durably};
use super::space::Reservation;
use super::{Core, Store};
use crate::content_hasher::{ContentHasher, ContentSummary};
use crate::digest::ChunkDigest;
use crate::id::{FileId, ManifestHash};
use crate::layout::{ChunkLayout, FileTooLong};
use crate::manifest::{ENTRY_LEN, HEADER_LEN, encode_entry, encode_header, manifest_len};

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
    data: File,
    manifest: BufWriter<File>,
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
    files: StagedFiles,
}

/// The temporary files and the room they take.
struct StagedFiles {
    core: Arc<Core>,
    space: Reservation,
    data: PathBuf,
    manifest: PathBuf,
}

impl Drop for StagedFiles {
    fn drop(&mut self) {
        // What cannot be removed now is removed at the next start.
        let _ = fs::remove_file(&self.data);
        let _ = fs::remove_file(&self.manifest);
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
        let create = |path: &PathBuf| {
            let file = OpenOptions::new().read(true).write(true).create_new(true).open(path);
            file.map_err(StoreError::io("create", path))
        };
        let data = create(&files.data)?;
        let mut manifest = BufWriter::with_capacity(64 * 1024, create(&files.manifest)?);
        // The length is known at the end; the header is written over this then.
        manifest.write_all(&[0; HEADER_LEN]).map_err(StoreError::io("write", &files.manifest))?;
        Ok(Upload { files, hasher: ContentHasher::new(), data, manifest, entries: Vec::new() })
    }

    /// Takes the content into the store and records, in one commit, that it is complete and who holds it.
    ///
    /// Adding what is there already, or in the trash, costs that commit only. Names that wait for the content
    /// appear in the files folder; what happened there is in the answer.
    pub fn adopt(&self, staged: Staged, hold: &Hold, now_ms: u64) -> Result<VisibleChanges, StoreError> {
        let core = &self.core;
        core.note_time(now_ms);
        let key =
            ContentRef { file_id: staged.file_id, manifest_hash: staged.manifest_hash, len: staged.len };
        let mut folder = core.folder();
        {
            let mut index = core.index();
            let known = Index::by_key(index.read(), &key)?;
            let is_here = match &known {
                Some(row) if row.state == STATE_COMPLETE => core.open_complete(&mut index, row)?.is_some(),
                _ => false,
            };
            let marker = core.paths.uploads().join(format!("{}.adopting", key.file_id));
            if !is_here {
                File::create(&marker).map_err(StoreError::io("create", &marker))?;
                staged.files.move_object(key.file_id)?;
            }
            let committed =
                core.commit_adoption(&mut index, &key, (!is_here).then_some(&staged.files), hold, now_ms);
            if committed.is_err() && !is_here && !core.owns_object_file(&index, key.file_id)? {
                // Nobody knows of the object: it must not stay.
                remove_if_there(&core.paths.object(key.file_id))?;
            }
            remove_if_there(&marker)?;
            committed?;
        }
        // The objects now account for the room.
        drop(staged);
        let waiting = core.names_of(&key)?;
        core.show(&mut folder, waiting, now_ms)
    }
}

impl Core {
    fn commit_adoption(
        &self,
        index: &mut Index,
        key: &ContentRef,
        moved: Option<&StagedFiles>,
        hold: &Hold,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let transaction = index.begin()?;
        let row = Index::ensure(&transaction, key)?;
        let mut new_live = None;
        if let Some(files) = moved {
            let manifest = self.paths.manifest_of(&row);
            rename_durably(&files.manifest, &manifest)?;
            let object = self.paths.object(key.file_id);
            let data = File::open(&object).map_err(StoreError::io("open", &object))?;
            let metadata = data.metadata().map_err(StoreError::io("examine", &object))?;
            let manifest = File::open(&manifest).map_err(StoreError::io("open", &manifest))?;
            Index::set_complete(&transaction, row.id, key, mtime_ns(&metadata))?;
            new_live = Some((data, manifest));
        }
        Index::put_hold(&transaction, &hold.key, row.id, &hold.payload, now_ms)?;
        transaction.commit()?;
        if let Some((data, manifest)) = new_live {
            if let Some(content) = self.in_use(row.id) {
                let mut live = content.live_mut();
                live.data = Some(Arc::new(data));
                live.manifest = Some(Arc::new(manifest));
                live.held = Held::All;
                drop(live);
                content.progress.lock().forget_all();
            }
            // A download of the same content was overtaken.
            remove_if_there(&self.paths.part_of(&row))?;
            self.drop_false_parts(index, key.file_id)?;
        }
        Ok(())
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

        let io = StoreError::io("write", &files.manifest);
        let manifest_hash = seal_manifest(manifest, summary).map_err(io)?;
        let permissions = fs::Permissions::from_mode(0o444);
        data.set_permissions(permissions).map_err(StoreError::io("make read-only", &files.data))?;
        data.sync_all().map_err(StoreError::io("synchronise", &files.data))?;
        Ok(Staged { file_id: summary.file_id, manifest_hash, len: summary.len, files })
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

impl StagedFiles {
    fn move_object(&self, file_id: FileId) -> Result<(), StoreError> {
        rename_durably(&self.data, &self.core.paths.object(file_id))
    }
}

/// Puts the header in front and hashes the whole: the header holds the length, so the hash, which begins with
/// it, can only be taken at the end. That reads 52 bytes for every 4 MiB of content.
pub(super) fn seal_manifest(manifest: BufWriter<File>, summary: ContentSummary) -> io::Result<ManifestHash> {
    let mut file = manifest.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.write_all_at(&encode_header(summary.len), 0)?;
    file.seek(SeekFrom::Start(0))?;
    let mut sha256 = Sha256::new();
    let copied = io::copy(&mut file, &mut HashWriter(&mut sha256))?;
    let layout = ChunkLayout::new(summary.len).map_err(|error: FileTooLong| io::Error::other(error))?;
    if copied != manifest_len(layout) {
        return Err(io::Error::other("the manifest has not the length that was written"));
    }
    file.sync_all()?;
    Ok(ManifestHash::from_bytes(sha256.finalize().into()))
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
