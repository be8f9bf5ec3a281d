//! The store: content on disk, crash-safe, and the folder of files that people see.
//!
//! Four locks, always taken in this order: the files folder, the index, the table of contents in use, one
//! content. Bytes of content are read and written under none of them. A download has one more, which
//! is taken under none of these; only that of its content is taken under it.

mod adopt;
mod backup;
mod content;
mod disk;
mod download;
mod error;
mod evict;
mod folder;
mod index;
mod keep;
mod level;
mod names;
mod open;
mod passes;
mod paths;
mod priorities;
mod reader;
mod removed;
mod scrub;
mod show;
mod space;
mod trash;
mod upload;

pub use adopt::Adoption;
pub use backup::{copy_index, forget_content};
pub use content::ContentRef;
pub use disk::{DiskOp, DiskWatcher, Place};
pub use download::{ChunkWriter, Download, SliceWriter, WrittenChunk, WrittenSlice};
pub use error::{ChunkWriteError, InstallError, OpenError, ReadError, SliceWriteError, StoreError};
pub use evict::{EvictOutcome, GivenPromise, HeldPromise, PromiseOutcome, Surplus};
pub use folder::FolderError;
pub use keep::Pinned;
pub use level::LiveName;
pub use names::{ChangedBy, KeptEdit, NameChange, NameInfo, VisibleChanges, VisibleProblem};
pub use open::{FREE_FLOOR_BYTES, StoreOptions, TRASH_KEEP};
pub use passes::{Rot, ScrubDue, ScrubPass, Scrubbed};
pub use reader::{ContentReader, ManifestReader};
pub use removed::{NoSuchPlace, Removed, TrashCursor};
pub use scrub::VerifyReport;
pub use space::Usage;
pub use trash::Expired;
pub use upload::{Hold, Staged, Upload};

use std::collections::HashMap;
use std::fs::File;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use self::content::Content;
use self::disk::Disk;
use self::folder::Folder;
use self::index::{Index, ObjectRow, STATE_COMPLETE, STATE_FALSE, STATE_SUSPECT};
use self::paths::Paths;
use self::space::UploadSpace;
use crate::id::{FileId, ManifestHash};
use crate::keep::KeepRule;
use crate::layout::ChunkLayout;
use crate::manifest::manifest_len;

/// The content of one data folder. Cheap to clone; every clone is the same store.
#[derive(Clone)]
pub struct Store {
    core: Arc<Core>,
}

/// What everything that belongs to a store shares.
struct Core {
    options: StoreOptions,
    disk: Disk,
    paths: Paths,
    folder: Mutex<Folder>,
    index: Mutex<Index>,
    contents: Mutex<InUse>,
    uploads: UploadSpace,
    /// Written under the index's lock.
    keep: Mutex<Arc<KeepRule>>,
    upload_count: AtomicU64,
    /// Uploads that hash chunks in pairs now.
    paired_uploads: AtomicUsize,
    /// The latest wall time a caller mentioned, for what goes to the trash without a caller.
    latest_ms: AtomicU64,
    /// Held, not read: the lock goes with it.
    _lock: File,
}

/// The contents that somebody uses now, and some that nobody does any more.
#[derive(Default)]
struct InUse {
    by_row: HashMap<i64, Weak<Content>>,
    /// So many there were when those that nobody uses were last let go of, and twice as many may come to be.
    kept: usize,
}

impl InUse {
    /// The least that is looked through: what nobody uses takes room all the same.
    const SWEEP_MIN: usize = 64;

    fn insert(&mut self, id: i64, content: &Arc<Content>) {
        if self.by_row.len() >= (2 * self.kept).max(Self::SWEEP_MIN) {
            self.by_row.retain(|_, content| content.strong_count() > 0);
            self.kept = self.by_row.len();
        }
        self.by_row.insert(id, Arc::downgrade(content));
    }
}

/// What the store knows of one content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// BLAKE3 of the content.
    pub file_id: FileId,
    /// SHA-256 of its manifest.
    pub manifest_hash: ManifestHash,
    /// Bytes in it.
    pub len: u64,
    /// How far it is.
    pub state: ObjectState,
    /// Chunks that are durable here.
    pub held_chunks: u32,
    /// Bytes of it that are durable here, those of parts of chunks too.
    pub durable_bytes: u64,
    /// Since when it is in the trash, if nothing uses it.
    pub trashed_ms: Option<u64>,
}

/// How far a content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectState {
    /// Chunks are missing.
    Partial,
    /// Every chunk is there.
    Complete,
    /// It was complete, then its file was changed from outside: it counts for nothing until
    /// [`Store::verify`] has looked at it.
    Suspect,
    /// Its manifest is proven false; it cannot be had.
    ManifestFalse,
}

/// Content that a live name needs and that is not complete here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// BLAKE3 of the content.
    pub file_id: FileId,
    /// SHA-256 of its manifest.
    pub manifest_hash: ManifestHash,
    /// Bytes in it.
    pub len: u64,
    /// The lowest height at which a live name asked for it.
    pub height: u64,
    /// Chunks that are durable here already.
    pub held_chunks: u32,
    /// Bytes of it that are durable here already, those of parts of chunks too.
    pub durable_bytes: u64,
    row: i64,
}

/// Contents that are complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Whole {
    /// How many.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Store {
    /// What the store knows of a file; of several contents with this id, the one that is furthest.
    pub fn object(&self, file_id: FileId) -> Result<Option<ObjectInfo>, StoreError> {
        Ok(self.core.index()?.best(file_id)?.map(|row| ObjectInfo::of(&row)))
    }

    /// Up to `limit` contents in the order of their ids, after the one with id `after`.
    pub fn list_objects(&self, after: Option<FileId>, limit: usize) -> Result<Vec<ObjectInfo>, StoreError> {
        let rows = self.core.index()?.objects_after(after, limit)?;
        Ok(rows.iter().map(ObjectInfo::of).collect())
    }

    /// Up to `limit` contents that live names need and that are not complete here, in the order in which the
    /// ledger asked for them, after `after`.
    pub fn wanted(&self, after: Option<&Wanted>, limit: usize) -> Result<Vec<Wanted>, StoreError> {
        let after = after.map_or((-1, 0), |wanted| (index::to_sql(wanted.height), wanted.row));
        let rows = self.core.index()?.wanted(after, limit)?;
        let wanted = rows.into_iter().map(|row| Wanted {
            file_id: row.key.file_id,
            manifest_hash: row.key.manifest_hash,
            len: row.key.len,
            height: row.wanted_height.unwrap_or(0),
            held_chunks: row.held,
            durable_bytes: row.durable_bytes(),
            row: row.id,
        });
        Ok(wanted.collect())
    }

    /// Up to `limit` contents whose files were changed from outside and that [`Store::verify`] must look at.
    pub fn suspects(&self, limit: usize) -> Result<Vec<FileId>, StoreError> {
        Ok(self.core.index()?.suspects(limit)?.iter().map(|row| row.key.file_id).collect())
    }

    /// How much is whole here of what live names mean. Costs nothing when nothing has changed since it was last asked.
    pub fn whole(&self) -> Result<Whole, StoreError> {
        self.core.index()?.whole()
    }

    /// Calls somebody once when the store stops because a synchronisation failed, from the thread in which it did, with
    /// the reason. Everything then ends in [`StoreError::Stopped`]: the process should end, too.
    pub fn on_stop(&self, listener: impl FnOnce(&str) + Send + 'static) {
        self.core.disk.on_stop(listener);
    }

    /// Fails unless content of so many bytes could be taken in now. Nothing is set aside.
    pub fn check_room(&self, len: u64) -> Result<(), StoreError> {
        let needed = len + manifest_len(ChunkLayout::new(len)?);
        self.core.check_space(&*self.core.index()?, needed)
    }

    /// Space in use and left.
    pub fn usage(&self) -> Result<Usage, StoreError> {
        self.core.usage(&*self.core.index()?)
    }
}

impl ObjectInfo {
    fn of(row: &ObjectRow) -> Self {
        Self {
            file_id: row.key.file_id,
            manifest_hash: row.key.manifest_hash,
            len: row.key.len,
            state: match row.state {
                STATE_COMPLETE => ObjectState::Complete,
                STATE_SUSPECT => ObjectState::Suspect,
                STATE_FALSE => ObjectState::ManifestFalse,
                _ => ObjectState::Partial,
            },
            held_chunks: row.held,
            durable_bytes: row.durable_bytes(),
            trashed_ms: row.trashed_ms,
        }
    }
}

impl Core {
    // A thread that panicked while it held a lock left the index to roll back and the rest to be re-read, so
    // the others go on.

    fn folder(&self) -> MutexGuard<'_, Folder> {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody gets past this, to read or to write, once a synchronisation has failed.
    fn index(&self) -> Result<MutexGuard<'_, Index>, StoreError> {
        self.disk.check()?;
        Ok(self.index.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn contents(&self) -> MutexGuard<'_, InUse> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The content of a row if somebody uses it now.
    fn in_use(&self, id: i64) -> Option<Arc<Content>> {
        self.contents().by_row.get(&id).and_then(Weak::upgrade)
    }

    fn note_time(&self, now_ms: u64) {
        self.latest_ms.fetch_max(now_ms, Ordering::Relaxed);
    }

    fn latest_ms(&self) -> u64 {
        self.latest_ms.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::content::{Held, Live};
    use super::*;

    /// A node that had sent forty thousand small files kept a trace of each.
    #[test]
    fn contents_that_nobody_uses_any_more_do_not_pile_up() {
        let key = ContentRef {
            file_id: FileId::from_bytes([1; 32]),
            manifest_hash: ManifestHash::from_bytes([2; 32]),
            len: 1,
        };
        let content = |id| {
            let live = Live { data: None, manifest: None, held: Held::All };
            Arc::new(Content::new(id, key, live).unwrap())
        };
        let mut in_use = InUse::default();
        let used: Vec<_> = (0..100).map(content).collect();
        used.iter().for_each(|content| in_use.insert(content.id, content));
        for id in 100..10_000 {
            in_use.insert(id, &content(id));
            assert!(in_use.by_row.len() <= 200, "{} of 100 in use", in_use.by_row.len());
        }
        assert!(used.iter().all(|content| in_use.by_row[&content.id].upgrade().is_some()));
    }
}
