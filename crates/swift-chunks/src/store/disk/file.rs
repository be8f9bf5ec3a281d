//! An open file of the store.

use std::fs::{File, Metadata, Permissions};
use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
#[cfg(target_os = "linux")]
use std::{io::IoSliceMut, sync::OnceLock};

#[cfg(target_os = "linux")]
use rustix::{
    fs::fstatfs,
    io::{Errno, ReadWriteFlags, preadv2},
};

use super::{Disk, DiskOp, Synced};
use crate::store::error::StoreError;

/// Reads by many, writes at offsets. What was written is durable once it was synchronised, and that returns the proof.
pub(in crate::store) struct DiskFile {
    file: File,
    disk: Disk,
    /// Held while bytes are written: the system lets one at a time write to a file, and whoever waits for that spins.
    writing: Mutex<()>,
    #[cfg(target_os = "linux")]
    is_in_memory: OnceLock<bool>,
}

impl std::fmt::Debug for DiskFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.file.fmt(formatter)
    }
}

impl DiskFile {
    pub(in crate::store) fn new(file: File, disk: &Disk) -> Self {
        Self {
            file,
            disk: disk.clone(),
            writing: Mutex::default(),
            #[cfg(target_os = "linux")]
            is_in_memory: OnceLock::new(),
        }
    }

    pub(in crate::store) fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    pub(in crate::store) fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.file.read_at(buffer, at)
    }

    /// Reads what is in memory of these bytes, without waiting for a disk: from the first on, and none if that one is not
    /// or the system cannot tell.
    #[cfg(target_os = "linux")]
    pub(in crate::store) fn read_cached_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let read = preadv2(&self.file, &mut [IoSliceMut::new(buffer)], at, ReadWriteFlags::NOWAIT);
        match read {
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(Errno::OPNOTSUPP) if self.is_in_memory() => self.read_at(buffer, at),
            Err(Errno::OPNOTSUPP) => Ok(0),
            read => Ok(read?),
        }
    }

    /// Elsewhere nobody can tell.
    #[cfg(not(target_os = "linux"))]
    pub(in crate::store) fn read_cached_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        Ok(0)
    }

    /// Whether the file system has no disk.
    #[cfg(target_os = "linux")]
    fn is_in_memory(&self) -> bool {
        /// `TMPFS_MAGIC` in `linux/magic.h`.
        const TMPFS: u64 = 0x0102_1994;
        *self.is_in_memory.get_or_init(|| {
            fstatfs(&self.file)
                .is_ok_and(|system| u64::try_from(system.f_type).is_ok_and(|kind| kind == TMPFS))
        })
    }

    pub(in crate::store) fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, at)
    }

    /// The next read of these bytes asks the disk, unless they are not written there yet: memory is sound where the disk
    /// may not be. Only advice, so nothing fails.
    pub(in crate::store) fn forget_cached(&self, range: Range<u64>) {
        let len = NonZeroU64::new(range.end.saturating_sub(range.start));
        // None would mean all that follows.
        if len.is_some() {
            let _ = rustix::fs::fadvise(&self.file, range.start, len, rustix::fs::Advice::DontNeed);
        }
    }

    pub(in crate::store) fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.write_alone(bytes, at)
    }

    /// [`Self::write_all_at`], unless somebody else is writing: then nothing is done.
    pub(in crate::store) fn try_write_all_at(&self, bytes: &[u8], at: u64) -> Option<io::Result<()>> {
        let _writing = match self.writing.try_lock() {
            Ok(writing) => writing,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(self.write_alone(bytes, at))
    }

    fn write_alone(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.disk.change(&DiskOp::Write(&self.file, bytes, at), || self.file.write_all_at(bytes, at))
    }

    /// Lets `fill` write the file as a whole.
    pub(in crate::store) fn fill<T>(&self, fill: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
        self.disk.change(&DiskOp::Fill(&self.file), || fill(&self.file))
    }

    /// The open file itself, to be cloned by the system; not to be written to.
    pub(in crate::store) fn as_source(&self) -> &File {
        &self.file
    }

    pub(in crate::store) fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.change(&DiskOp::SetLen(&self.file, len), || self.file.set_len(len))
    }

    pub(in crate::store) fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.set_attributes(|file| file.set_permissions(Permissions::from_mode(mode)))
    }

    pub(in crate::store) fn set_attributes(
        &self,
        set: impl FnOnce(&File) -> io::Result<()>,
    ) -> io::Result<()> {
        self.disk.change(&DiskOp::SetAttributes(&self.file), || set(&self.file))
    }

    /// Makes bytes and length durable. `covered` is what follows from them, as it was before this began.
    pub(in crate::store) fn sync_data<T>(&self, path: &Path, covered: T) -> Result<Synced<T>, StoreError> {
        self.disk.sync(&DiskOp::SyncData(&self.file), path, || self.file.sync_data())?;
        Ok(Synced::new(covered))
    }

    /// As [`Self::sync_data`], and mode and times too.
    pub(in crate::store) fn sync_all<T>(&self, path: &Path, covered: T) -> Result<Synced<T>, StoreError> {
        self.disk.sync(&DiskOp::SyncAll(&self.file), path, || self.file.sync_all())?;
        Ok(Synced::new(covered))
    }

    /// Makes a file durable as a whole, so that it can be given its final name.
    pub(in crate::store) fn sync(self: Arc<Self>, path: &Path) -> Result<Synced<Arc<Self>>, StoreError> {
        let covered = Arc::clone(&self);
        self.sync_all(path, covered)
    }
}

/// Writes a file from its beginning.
pub(in crate::store) struct Appender {
    file: DiskFile,
    at: u64,
}

impl Appender {
    pub(in crate::store) fn new(file: DiskFile) -> Self {
        Self { file, at: 0 }
    }

    pub(in crate::store) fn into_file(self) -> Arc<DiskFile> {
        Arc::new(self.file)
    }
}

impl io::Write for Appender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread;

    use super::super::DiskWatcher;
    use super::*;

    /// Says that a write has begun, and lets it go on when it is told to.
    struct Gate {
        begun: Sender<()>,
        go_on: Mutex<Receiver<()>>,
    }

    impl DiskWatcher for Gate {
        fn run(&self, _: &DiskOp<'_>, action: &mut dyn FnMut() -> io::Result<()>) -> io::Result<()> {
            self.begun.send(()).unwrap();
            self.go_on.lock().unwrap().recv().unwrap();
            action()
        }
    }

    #[test]
    fn who_finds_a_file_being_written_learns_it_at_once_or_waits() {
        let ((begun, has_begun), (let_go, go_on)) = (channel(), channel());
        let disk = Disk::watched_by(Arc::new(Gate { begun, go_on: Mutex::new(go_on) }));
        let file = DiskFile::new(tempfile::tempfile().unwrap(), &disk);
        thread::scope(|scope| {
            let first = scope.spawn(|| file.write_all_at(b"first", 0));
            has_begun.recv().unwrap();
            assert!(file.try_write_all_at(b"other", 5).is_none());
            let second = scope.spawn(|| file.write_all_at(b"second", 5));
            for () in [(), ()] {
                let_go.send(()).unwrap();
            }
            first.join().unwrap().unwrap();
            second.join().unwrap().unwrap();
        });
        let_go.send(()).unwrap();
        file.try_write_all_at(b"third", 11).unwrap().unwrap();
        let mut all = [0; 16];
        file.read_exact_at(&mut all, 0).unwrap();
        assert_eq!(&all, b"firstsecondthird");
    }
}
