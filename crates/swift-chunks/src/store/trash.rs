//! The trash, and the holds that keep content out of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use super::error::StoreError;
use super::index::ObjectRow;
use super::upload::Hold;
use super::{Core, Store};
use crate::id::FileId;

/// Objects that are deleted in one go.
const BATCH: usize = 256;

/// What an expiry removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Contents.
    pub objects: u64,
    /// Their bytes, as far as they were held.
    pub bytes: u64,
}

impl Store {
    /// Every hold, with the content it keeps: what a caller was about to do when it last stopped.
    pub fn holds(&self) -> Result<Vec<(FileId, Hold)>, StoreError> {
        self.core.index()?.holds()
    }

    /// Releases a hold; says whether there was one. If nothing else uses the content it goes to the trash.
    pub fn release_hold(&self, key: &[u8], now_ms: u64) -> Result<bool, StoreError> {
        Ok(self.release_holds(&[key], now_ms)? > 0)
    }

    /// Releases holds in one commit, those of them that there are; says how many there were.
    pub fn release_holds(&self, keys: &[&[u8]], now_ms: u64) -> Result<usize, StoreError> {
        self.core.note_time(now_ms);
        self.core.index()?.release_holds(keys, now_ms)
    }

    /// Deletes what has been in the trash for longer than it is kept. Content that is being downloaded stays.
    pub fn expire(&self, now_ms: u64) -> Result<Expired, StoreError> {
        self.core.note_time(now_ms);
        match now_ms.checked_sub(self.core.trash_keep_ms()) {
            Some(cutoff_ms) => self.core.expire(cutoff_ms),
            None => Ok(Expired::default()),
        }
    }

    /// Deletes all that is in the trash now, and forgets which names were removed. What a name, a hold or a download uses
    /// stays.
    pub fn empty_trash(&self) -> Result<Expired, StoreError> {
        // Also what came there before the clock was set back.
        self.core.expire(u64::MAX)
    }
}

impl Core {
    pub(super) fn trash_keep_ms(&self) -> u64 {
        u64::try_from(self.options.trash_keep.as_millis()).unwrap_or(u64::MAX)
    }

    fn expire(&self, cutoff_ms: u64) -> Result<Expired, StoreError> {
        self.index()?.forget_removed_before(cutoff_ms)?;
        let mut expired = Expired::default();
        let mut after = -1;
        loop {
            {
                let _folder = self.folder();
                let mut rows = self.index()?.trash_before(cutoff_ms, after, BATCH)?;
                let Some(last) = rows.last() else { return Ok(expired) };
                after = last.id;
                rows.retain(|row| !self.is_downloading(row.id));
                self.delete(&rows)?;
                for row in &rows {
                    expired.objects += 1;
                    expired.bytes += row.durable_bytes();
                }
            }
            // Giving back the room of big files takes the system a while; nobody waits for it.
            self.clear_doomed()?;
        }
    }

    pub(super) fn is_downloading(&self, id: i64) -> bool {
        self.in_use(id).is_some_and(|content| content.downloading.load(Ordering::Acquire))
    }

    /// Deletes contents for good: first the claim, then the files, then the rows, so that a crash in between
    /// leaves rows that say what is still to do.
    fn delete(&self, rows: &[ObjectRow]) -> Result<(), StoreError> {
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        self.index()?.doom(&ids)?;
        self.bury(rows)
    }

    fn bury(&self, rows: &[ObjectRow]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut index = self.index()?;
        let mut gone = Gone::new(self);
        for row in rows {
            gone.doom(self.paths.part_of(row), row.id, "part")?;
            gone.remove(self.paths.manifest_of(row))?;
            gone.remove(self.paths.manifest_of(row).with_extension("new"))?;
            gone.remove(self.paths.evidence(row.key.file_id, row.id))?;
            // The object's file may by now be another row's, of the same file under another manifest.
            if !self.owns_object_file(&index, row.key.file_id)? {
                gone.doom(self.paths.object(row.key.file_id), row.id, "object")?;
            }
        }
        gone.sync()?;
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        index.forget(&ids)?;
        let mut contents = self.contents();
        for id in ids {
            contents.by_row.remove(&id);
        }
        Ok(())
    }

    /// Ends an expiry that a crash cut short.
    pub(super) fn finish_expiry(&self) -> Result<(), StoreError> {
        let rows = self.index()?.doomed()?;
        self.bury(&rows)?;
        self.clear_doomed()
    }

    pub(super) fn clear_doomed(&self) -> Result<(), StoreError> {
        let dir = self.paths.doomed();
        for entry in fs::read_dir(&dir).map_err(StoreError::io("list", &dir))? {
            self.disk.remove(&entry.map_err(StoreError::io("list", &dir))?.path())?;
        }
        Ok(())
    }
}

/// Files on their way out. Once they are synchronised none of them comes back.
pub(super) struct Gone<'a> {
    core: &'a Core,
    dirs: BTreeSet<PathBuf>,
}

impl<'a> Gone<'a> {
    pub(super) fn new(core: &'a Core) -> Self {
        Self { core, dirs: BTreeSet::new() }
    }

    /// Moves a file to where it waits to be deleted.
    pub(super) fn doom(&mut self, from: PathBuf, row: i64, kind: &str) -> Result<(), StoreError> {
        let doomed = self.core.paths.doomed();
        if self.core.disk.move_away(&from, &doomed.join(format!("{row}-{kind}")))? {
            self.dirs.insert(doomed);
            self.note(from);
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, path: PathBuf) -> Result<(), StoreError> {
        if self.core.disk.remove(&path)? {
            self.note(path);
        }
        Ok(())
    }

    fn note(&mut self, mut path: PathBuf) {
        path.pop();
        self.dirs.insert(path);
    }

    pub(super) fn sync(self) -> Result<(), StoreError> {
        self.dirs.iter().try_for_each(|dir| self.core.disk.sync_dir(dir))
    }
}
