//! Opening a store: locks, leftovers, and how a content's files are found again.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::content::{Content, Held, Live, mtime_ns};
use super::disk::{Access, Disk, DiskFile, DiskWatcher, Move};
use super::error::{OpenError, StoreError};
use super::folder::Folder;
use super::index::{DurableChunks, Index, ObjectRow, STATE_COMPLETE, STATE_PARTIAL, STATE_SUSPECT};
use super::paths::Paths;
use super::space::UploadSpace;
use super::trash::Gone;
use super::{Core, Store};
use crate::id::FileId;
use crate::keep::KeepRule;
use crate::layout::ChunkLayout;
use crate::slice::Grains;

/// Free bytes that the store leaves on the disk unless told otherwise.
pub const FREE_FLOOR_BYTES: u64 = 256 * 1024 * 1024;

/// How long the trash keeps content unless told otherwise.
pub const TRASH_KEEP: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Where a store is and how much it may take.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The store's own directory.
    pub content_dir: PathBuf,
    /// The folder in which people find their files.
    pub files_dir: PathBuf,
    /// The most bytes of content and manifests to hold.
    pub quota_bytes: Option<u64>,
    /// Free bytes to leave on the disk.
    pub free_floor_bytes: u64,
    /// How long the trash keeps content.
    pub trash_keep: Duration,
}

impl StoreOptions {
    /// The usual places and limits in one data folder.
    pub fn in_dir(data_dir: impl Into<PathBuf>) -> Self {
        let data_dir = data_dir.into();
        Self {
            content_dir: data_dir.join("content"),
            files_dir: data_dir.join("files"),
            quota_bytes: None,
            free_floor_bytes: FREE_FLOOR_BYTES,
            trash_keep: TRASH_KEEP,
        }
    }
}

impl Store {
    /// Opens a store, which is made if there is none. Hardly takes longer for a big store than for a small one:
    /// nothing is hashed and nothing is walked but the index and what a crash left over. Call [`Store::retry_visible`] next,
    /// and go through [`Store::holds`].
    ///
    /// The directory is released when the last clone, and the last transfer and reader of it, are dropped.
    pub fn open(options: StoreOptions) -> Result<Self, OpenError> {
        Self::open_on(Disk::default(), options)
    }

    /// As [`Self::open`], with somebody through whom every change of the file system passes.
    #[doc(hidden)]
    pub fn open_watched(options: StoreOptions, watcher: Arc<dyn DiskWatcher>) -> Result<Self, OpenError> {
        Self::open_on(Disk::watched_by(watcher), options)
    }

    fn open_on(disk: Disk, options: StoreOptions) -> Result<Self, OpenError> {
        let content_dir = &options.content_dir;
        disk.make_dirs(content_dir)?;
        let lock = lock(&options)?;
        let paths = Paths::prepare(content_dir, &disk)?;
        let index = Index::open(&paths.index(), &disk)?;
        let keep = match index.keep()? {
            Some(stored) => KeepRule::from_stored(&stored).map_err(StoreError::KeepRule)?,
            None => KeepRule::default(),
        };
        let folder = Folder::open(&options.files_dir, &paths.objects(), &disk)?;
        let core = Core {
            options,
            disk,
            paths,
            folder: Mutex::new(folder),
            index: Mutex::new(index),
            contents: Mutex::default(),
            uploads: UploadSpace::default(),
            keep: Mutex::new(Arc::new(keep)),
            upload_count: AtomicU64::new(0),
            paired_uploads: AtomicUsize::new(0),
            latest_ms: AtomicU64::new(0),
            _lock: lock,
        };
        core.clear_uploads()?;
        core.clear_parts()?;
        core.finish_expiry()?;
        core.finish_downloads()?;
        Ok(Self { core: Arc::new(core) })
    }
}

fn lock(options: &StoreOptions) -> Result<fs::File, OpenError> {
    let path = options.content_dir.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(StoreError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(OpenError::InUse { path: options.content_dir.clone() }),
        Err(fs::TryLockError::Error(error)) => Err(StoreError::io("lock", &path)(error).into()),
    }
}

impl Core {
    /// Removes what uploads left over. An object that was renamed into place but never recorded is named by
    /// its marker.
    fn clear_uploads(&self) -> Result<(), StoreError> {
        let dir = self.paths.uploads();
        for entry in fs::read_dir(&dir).map_err(StoreError::io("list", &dir))? {
            let path = entry.map_err(StoreError::io("list", &dir))?.path();
            if path.extension().is_some_and(|extension| extension == "adopting")
                && let Some(marked) = path.file_stem().and_then(|stem| stem.to_str())
            {
                let (file_id, row) = marked.split_once('-').unwrap_or((marked, ""));
                if let Ok(file_id) = file_id.parse() {
                    self.clear_unclaimed(&*self.index()?, file_id, row.parse().ok())?;
                }
            }
            self.disk.remove(&path)?;
        }
        Ok(())
    }

    /// Removes parts of contents that are not partial any more, so that their room is free. Of those that nothing keeps
    /// any more the room that they have not filled is.
    fn clear_parts(&self) -> Result<(), StoreError> {
        let dir = self.paths.partial();
        for entry in fs::read_dir(&dir).map_err(StoreError::io("list", &dir))? {
            let entry = entry.map_err(StoreError::io("list", &dir))?;
            let name = entry.file_name();
            let row =
                name.to_str().and_then(|name| name.split_once('-')).and_then(|(_, row)| row.parse().ok());
            let Some(row) = row else { continue };
            let row = Index::by_id(self.index()?.read(), row)?;
            match row {
                Some(row) if row.state == STATE_PARTIAL => self.trim_reserved(&mut *self.index()?, &row)?,
                _ => _ = self.disk.remove(&entry.path())?,
            }
        }
        Ok(())
    }

    /// Removes what was renamed into place and never recorded, unless somebody claims it: a marker may be an old one that
    /// came back.
    pub(super) fn clear_unclaimed(
        &self,
        index: &Index,
        file_id: FileId,
        row: Option<i64>,
    ) -> Result<(), StoreError> {
        let mut gone = Gone::new(self);
        if let Some(row) = row
            && !Index::by_id(index.read(), row)?.is_some_and(|row| row.has_manifest)
        {
            gone.remove(self.paths.manifest(file_id, row))?;
        }
        // A download that was being completed has its part under the object's name.
        let is_part = |row: &ObjectRow| row.stored > 0 && !self.paths.part_of(row).exists();
        if !self.owns_object_file(index, file_id)? && !index.partial_rows(file_id)?.iter().any(is_part) {
            gone.remove(self.paths.object(file_id))?;
        }
        // Before the marker goes, which is all that knows of them.
        gone.sync()
    }

    pub(super) fn owns_object_file(&self, index: &Index, file_id: FileId) -> Result<bool, StoreError> {
        Ok(index.best(file_id)?.is_some_and(|row| row.state == STATE_COMPLETE || row.state == STATE_SUSPECT))
    }

    /// Completes the downloads that had every chunk when the crash came.
    fn finish_downloads(&self) -> Result<(), StoreError> {
        let rows = self.index()?.finished_but_unnamed()?;
        for row in rows {
            let content = self.content(&mut *self.index()?, &row)?;
            if content.held().is_full() && content.live().data.is_some() {
                self.complete_part(&content)?;
            }
        }
        Ok(())
    }

    /// The shared state of a row's content. What the disk has lost or somebody has changed since the row was
    /// written is noticed here, before anything is claimed.
    pub(super) fn content(&self, index: &mut Index, row: &ObjectRow) -> Result<Arc<Content>, StoreError> {
        if let Some(content) = self.in_use(row.id) {
            if row.state == STATE_COMPLETE {
                self.open_complete(index, row)?;
            }
            return Ok(content);
        }
        let content = Arc::new(Content::new(row.id, row.key, self.load(index, row)?)?);
        if row.state == STATE_PARTIAL && content.live().data.is_some() {
            restore_parts(index, &content)?;
        }
        self.contents().insert(row.id, &content);
        Ok(content)
    }

    fn load(&self, index: &mut Index, row: &ObjectRow) -> Result<Live, StoreError> {
        let layout = ChunkLayout::new(row.key.len)?;
        let nothing = || Held::Some(DurableChunks::none(layout));
        let mut manifest = None;
        if row.has_manifest {
            let path = self.paths.manifest_of(row);
            manifest = self.disk.open(&path, Access::Read)?.map(Arc::new);
        }
        let (data, held) = match row.state {
            STATE_COMPLETE if manifest.is_none() => {
                // Nobody can say what its chunks must be; verification makes the manifest again.
                self.suspect(index, row.id)?;
                (None, nothing())
            }
            STATE_COMPLETE => match self.open_complete(index, row)? {
                Some(file) => (Some(Arc::new(file)), Held::All),
                None => (None, nothing()),
            },
            STATE_PARTIAL if row.stored > 0 => match self.open_part(index, row)? {
                Some(file) => (Some(file), Held::Some(index.held_of(row.id, layout)?)),
                None => {
                    lose_everything(index, row)?;
                    (None, nothing())
                }
            },
            _ => (None, nothing()),
        };
        Ok(Live { data, manifest, held })
    }

    /// The file of a complete object if it is still the one that was completed.
    pub(super) fn open_complete(
        &self,
        index: &mut Index,
        row: &ObjectRow,
    ) -> Result<Option<DiskFile>, StoreError> {
        let path = self.paths.object(row.key.file_id);
        let Some(file) = self.disk.open(&path, Access::Read)? else {
            lose_everything(index, row)?;
            self.unclaim(row.id);
            return Ok(None);
        };
        let metadata = file.metadata().map_err(StoreError::io("examine", &path))?;
        if metadata.len() == row.key.len && mtime_ns(&metadata) == row.mtime_ns {
            return Ok(Some(file));
        }
        self.suspect(index, row.id)?;
        Ok(None)
    }

    /// A content that was complete counts for nothing until it was verified.
    pub(super) fn suspect(&self, index: &mut Index, id: i64) -> Result<(), StoreError> {
        let transaction = index.begin()?;
        Index::set_state(&transaction, id, STATE_SUSPECT)?;
        transaction.commit()?;
        self.unclaim(id);
        Ok(())
    }

    /// Nothing of a content counts any more, for those who use it now either.
    fn unclaim(&self, id: i64) {
        if let Some(content) = self.in_use(id) {
            content.live_mut().held = Held::Some(DurableChunks::none(content.layout));
            content.progress.lock().forget_all();
        }
    }

    /// The file of a partial object. After a crash in the middle of a rename it may still, or already, be
    /// under the name of the complete one.
    fn open_part(&self, index: &Index, row: &ObjectRow) -> Result<Option<Arc<DiskFile>>, StoreError> {
        let part = self.paths.part_of(row);
        if let Some(file) = self.disk.open(&part, Access::Write)? {
            return Ok(Some(Arc::new(file)));
        }
        let object = self.paths.object(row.key.file_id);
        if self.owns_object_file(index, row.key.file_id)? || !object.exists() {
            return Ok(None);
        }
        self.disk.make_writable(&object)?;
        let Some(file) = self.disk.open(&object, Access::Write)? else { return Ok(None) };
        let synced = Arc::new(file).sync(&object)?;
        let placed = self.disk.place(&Move { file: &synced, from: &object, to: &part })?;
        Ok(Some(placed.file()))
    }
}

/// The grains of chunks that are not whole were synchronised before the index claimed them.
fn restore_parts(index: &Index, content: &Content) -> Result<(), StoreError> {
    let parts = index.grains_of(content.id)?;
    let mut progress = content.progress.lock();
    for (number, grains) in parts {
        let Some(chunk) = content.layout.chunk(number).filter(|&chunk| !content.holds(chunk)) else {
            continue;
        };
        let spare = grains.without(Grains::all_of(content.layout, chunk));
        if !grains.without(spare).is_empty() {
            progress.restore(chunk, grains.without(spare));
        }
    }
    Ok(())
}

fn lose_everything(index: &mut Index, row: &ObjectRow) -> Result<(), StoreError> {
    let transaction = index.begin()?;
    let nothing = DurableChunks::none(ChunkLayout::new(row.key.len)?);
    Index::forget_all_grains(&transaction, row.id)?;
    Index::set_partial(&transaction, row.id, &nothing, row.has_manifest)?;
    transaction.commit()?;
    Ok(())
}
