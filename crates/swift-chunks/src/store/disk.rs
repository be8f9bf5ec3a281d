//! Every change that the store makes to the file system goes through here.
//!
//! Two rules live here, so that nobody else has to remember them. What counts as durable is a [`Synced`] or a
//! [`Placed`], and only a synchronisation that succeeded returns one. After one that failed nothing goes on: the system
//! may have dropped what it was given and forgotten that it did, so that the next synchronisation would succeed and mean
//! nothing. The store answers everything with [`StoreError::Stopped`] until it is opened again.
//!
//! A rename counts as one step of the file system that is on the disk once the directory it leads to was synchronised,
//! as ext4, XFS, Btrfs and ZFS have it. Where both directories matter, both are.

mod file;
mod synced;
mod watch;

pub(super) use file::{Appender, DiskFile};
pub(super) use synced::{Move, Placed, Synced};
pub use watch::{DiskOp, DiskWatcher, Place};

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::io::Errno;

use super::error::StoreError;

/// The file system as the store uses it. Cheap to clone; every clone is the same.
#[derive(Clone, Default)]
pub(super) struct Disk {
    watcher: Option<Arc<dyn DiskWatcher>>,
    stop: Arc<Stop>,
}

/// Told the reason.
type Listener = Box<dyn FnOnce(&str) + Send>;

#[derive(Default)]
struct Stop {
    reason: OnceLock<Arc<str>>,
    listeners: Mutex<Vec<Listener>>,
}

/// What a new file may stand in the way of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    Refuse,
    Empty,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

impl Disk {
    pub(super) fn watched_by(watcher: Arc<dyn DiskWatcher>) -> Self {
        Self { watcher: Some(watcher), stop: Arc::default() }
    }

    /// Fails for good once a synchronisation has failed.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.stop.reason.get() {
            None => Ok(()),
            Some(reason) => Err(StoreError::Stopped(Arc::clone(reason))),
        }
    }

    /// Calls somebody once when a synchronisation fails, at once if one has.
    pub(super) fn on_stop(&self, listener: impl FnOnce(&str) + Send + 'static) {
        {
            let mut listeners = self.listeners();
            if self.stop.reason.get().is_none() {
                listeners.push(Box::new(listener));
                return;
            }
        }
        if let Some(reason) = self.stop.reason.get() {
            listener(reason);
        }
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<Listener>> {
        self.stop.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing goes on from here; the first reason stays.
    pub(super) fn stop(&self, reason: &str) -> StoreError {
        let listeners = {
            let mut listeners = self.listeners();
            let _ = self.stop.reason.set(reason.into());
            std::mem::take(&mut *listeners)
        };
        let reason = self.stop.reason.get().map_or_else(|| Arc::from(reason), Arc::clone);
        for listener in listeners {
            listener(&reason);
        }
        StoreError::Stopped(reason)
    }

    /// Every change passes here; with nobody watching that costs one look.
    pub(super) fn change<T>(&self, op: &DiskOp<'_>, action: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.check().map_err(io::Error::other)?;
        let Some(watcher) = &self.watcher else { return action() };
        let (mut action, mut done) = (Some(action), None);
        watcher.run(op, &mut || {
            if let Some(action) = action.take() {
                done = Some(action()?);
            }
            Ok(())
        })?;
        done.ok_or_else(|| io::Error::other("the watcher did not do it"))
    }

    /// As [`Self::change`], for calls that go through directory handles.
    pub(super) fn change_at<T>(
        &self,
        op: &DiskOp<'_>,
        action: impl FnOnce() -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let done = self.change(op, || action().map_err(io::Error::from));
        done.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }

    /// Tells the watcher that the index committed.
    pub(super) fn commit<T>(&self, action: impl FnOnce() -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let mut refused = None;
        let done = self.change(&DiskOp::Commit, || {
            action().map_err(|error| {
                refused = Some(error);
                io::Error::other("the commit failed")
            })
        });
        match (done, refused) {
            (Ok(done), _) => Ok(done),
            (Err(_), Some(error)) if is_failed_sync(&error) => {
                Err(self.stop(&format!("cannot synchronise the content index: {error}")))
            }
            (Err(_), Some(error)) => Err(error.into()),
            (Err(error), None) => match self.check() {
                Err(stopped) => Err(stopped),
                Ok(()) => Err(self.stop(&format!("cannot synchronise the content index: {error}"))),
            },
        }
    }

    /// The one place that synchronises. It is never tried again.
    fn sync(
        &self,
        op: &DiskOp<'_>,
        path: &Path,
        action: impl FnOnce() -> io::Result<()>,
    ) -> Result<(), StoreError> {
        self.change(op, action).map_err(|error| match self.check() {
            Err(stopped) => stopped,
            Ok(()) => self.stop(&format!("cannot synchronise {}: {error}", path.display())),
        })
    }

    /// Makes a directory and those above it, durably.
    pub(super) fn make_dirs(&self, dir: &Path) -> Result<(), StoreError> {
        if dir.is_dir() {
            return Ok(());
        }
        let above = dir.parent().filter(|above| !above.as_os_str().is_empty());
        if let Some(above) = above {
            self.make_dirs(above)?;
        }
        match self.change(&DiskOp::MakeDir(Place::Path(dir)), || fs::create_dir(dir)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.map_err(StoreError::io("create", dir))?,
        }
        self.sync_dir(above.unwrap_or(Path::new(".")))
    }

    /// Makes renames and removals in a directory durable.
    pub(super) fn sync_dir(&self, dir: &Path) -> Result<(), StoreError> {
        let opened = File::open(dir).map_err(StoreError::io("open", dir))?;
        self.sync(&DiskOp::SyncDir(&opened), dir, || opened.sync_all())
    }

    /// As [`Self::sync_dir`] of an open directory.
    pub(super) fn sync_dir_at(&self, dir: &std::os::fd::OwnedFd, path: &Path) -> Result<(), StoreError> {
        self.sync(&DiskOp::SyncDir(dir), path, || {
            rustix::io::retry_on_intr(|| rustix::fs::fsync(dir)).map_err(io::Error::from)
        })
    }

    /// Makes a file that can be read and written.
    pub(super) fn create(&self, path: &Path, existing: Existing) -> Result<DiskFile, StoreError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        match existing {
            Existing::Refuse => options.create_new(true),
            Existing::Empty => options.create(true).truncate(true),
        };
        let file = self.change(&DiskOp::Create(Place::Path(path)), || options.open(path));
        Ok(DiskFile::new(file.map_err(StoreError::io("create", path))?, self))
    }

    /// Opens a file, which may not be there.
    pub(super) fn open(&self, path: &Path, access: Access) -> Result<Option<DiskFile>, StoreError> {
        self.check()?;
        match OpenOptions::new().read(true).write(access == Access::Write).open(path) {
            Ok(file) => Ok(Some(DiskFile::new(file, self))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("open", path)(error)),
        }
    }

    /// Removes a file, which may be gone already. Says whether it was there.
    pub(super) fn remove(&self, path: &Path) -> Result<bool, StoreError> {
        let op = DiskOp::Remove(Place::Path(path));
        if_there(self.change(&op, || fs::remove_file(path))).map_err(StoreError::io("remove", path))
    }

    /// Renames a file, which may be gone already, to where nothing is claimed of it. Says whether it was there. Not
    /// durable before the directory it leads to is synchronised.
    pub(super) fn move_away(&self, from: &Path, to: &Path) -> Result<bool, StoreError> {
        let op = DiskOp::Rename(Place::Path(from), Place::Path(to));
        if_there(self.change(&op, || fs::rename(from, to))).map_err(StoreError::io("rename", from))
    }

    /// Objects are read-only so that a hard link in the files folder is, too; a part is written to.
    pub(super) fn make_writable(&self, path: &Path) -> Result<(), StoreError> {
        let io = |error| StoreError::io("make writable", path)(error);
        let file = File::open(path).map_err(io)?;
        DiskFile::new(file, self).set_mode(0o644).map_err(io)
    }
}

fn if_there(done: io::Result<()>) -> io::Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether SQLite failed in a synchronisation, of a file or of a directory.
pub(super) fn is_failed_sync(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_IOERR_DIR_FSYNC, SQLITE_IOERR_FSYNC};
    error
        .sqlite_error()
        .is_some_and(|error| [SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC].contains(&error.extended_code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi::{self, SQLITE_FULL, SQLITE_IOERR_FSYNC, SQLITE_IOERR_WRITE};

    fn failure(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn a_commit_that_was_refused_is_no_reason_to_stop_and_one_that_was_not_synchronised_is() {
        let disk = Disk::default();
        let no_room = disk.commit(|| Err::<(), _>(failure(SQLITE_FULL))).unwrap_err();
        assert!(matches!(no_room, StoreError::NoSpace { .. }), "{no_room}");
        let not_written = disk.commit(|| Err::<(), _>(failure(SQLITE_IOERR_WRITE))).unwrap_err();
        assert!(matches!(not_written, StoreError::Index(_)), "{not_written}");
        disk.commit(|| Ok(())).unwrap();

        let not_synchronised = disk.commit(|| Err::<(), _>(failure(SQLITE_IOERR_FSYNC))).unwrap_err();
        assert!(matches!(not_synchronised, StoreError::Stopped(_)), "{not_synchronised}");
        let mut is_tried = false;
        let after = disk.commit(|| {
            is_tried = true;
            Ok(())
        });
        assert!(matches!(after, Err(StoreError::Stopped(_))) && !is_tried);
    }
}
