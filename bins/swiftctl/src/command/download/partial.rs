//! A download on its way: `TARGET.xxxxxxxx.part`, where the digits begin the file id. Another content has another
//! partial, and whatever stands in one is hashed with the rest before it becomes the target.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use swift_chunks::{ContentHasher, FileId};

use super::Receive;
use crate::{
    command::new_file::{exists, sync_folder},
    error::Error,
    text::size,
};

/// Digits of the file id in the name: with the longest name the ledger allows, it still is one on every file system.
const ID_DIGITS: usize = 8;
const PIECE_LEN: usize = 1 << 20;

/// An open partial, hashed as far as it is written.
pub(super) struct Partial {
    file: File,
    path: PathBuf,
    target: PathBuf,
    hasher: ContentHasher,
}

impl Partial {
    /// Opens what an earlier download left, or begins.
    pub(super) fn open(target: &Path, file_id: &FileId, size: u64) -> Result<Self, Error> {
        let path = path_of(target, file_id);
        // A link or a device in the partial's place is not ours.
        if path.symlink_metadata().is_ok_and(|metadata| !metadata.is_file()) {
            return Err(Error::Failed(format!("{} is in the way: it is no regular file", path.display())));
        }
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = opened.map_err(|error| Error::file("write", &path, &error))?;
        // Two downloads to one place would mix; the lock ends with the process.
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(Error::Failed(format!("another download writes {} right now", path.display())));
        }
        let mut partial = Self { file, path, target: target.to_owned(), hasher: ContentHasher::new() };
        if partial.hash_what_is_here().map_err(|error| partial.unwritable(&error))? > size {
            partial.restart()?;
        }
        Ok(partial)
    }

    fn hash_what_is_here(&mut self) -> io::Result<u64> {
        let mut piece = vec![0; PIECE_LEN];
        loop {
            let len = self.file.read(&mut piece)?;
            if len == 0 {
                return Ok(self.hasher.len());
            }
            self.hasher.update(&piece[..len], |_| ()).map_err(io::Error::other)?;
        }
    }

    /// Forgets what is here.
    pub(super) fn restart(&mut self) -> Result<(), Error> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        emptied.map_err(|error| self.unwritable(&error))?;
        self.hasher = ContentHasher::new();
        Ok(())
    }

    /// Tells a user whose download stopped what became of its beginning.
    pub(super) fn kept(&self, error: Error, what: &str) -> Error {
        match error {
            Error::Unreachable(says) => {
                Error::Unreachable(format!("{says}; {} are kept", size::human(self.len())))
            }
            Error::Integrity(_) => match fs::remove_file(&self.path) {
                Ok(()) => error,
                Err(left) => {
                    Error::Integrity(format!("{what}: {} is wrong, delete it ({left})", self.path.display()))
                }
            },
            _ => error,
        }
    }

    /// Makes it the target, if it is what it must be; else it is deleted.
    pub(super) fn finish(mut self, file_id: &FileId, size: u64, force: bool) -> Result<(), Error> {
        let found = std::mem::take(&mut self.hasher).finish(|_| ());
        if (&found.file_id, found.len) != (file_id, size) {
            return Err(self.reject(found.len, &found.file_id, file_id));
        }
        self.file.sync_all().map_err(|error| self.unwritable(&error))?;
        if !force && self.target.symlink_metadata().is_ok() {
            return Err(exists(&self.target));
        }
        fs::rename(&self.path, &self.target).map_err(|error| Error::file("create", &self.target, &error))?;
        sync_folder(&self.target)
    }

    fn reject(&self, len: u64, found: &FileId, expected: &FileId) -> Error {
        let fate = match fs::remove_file(&self.path) {
            Ok(()) => "it was thrown away; repeat the command, or ask another node".to_owned(),
            Err(error) => format!("delete {} ({error})", self.path.display()),
        };
        Error::Integrity(format!(
            "what arrived for {} is not its content: {len} bytes with BLAKE3 {found} instead of {expected}; {fate}",
            self.target.display()
        ))
    }

    fn unwritable(&self, error: &io::Error) -> Error {
        Error::Failed(format!("cannot write {}: {error}; what arrived is kept", self.path.display()))
    }
}

impl Receive for Partial {
    fn len(&self) -> u64 {
        self.hasher.len()
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|error| self.unwritable(&error))?;
        self.hasher.update(bytes, |_| ()).map_err(|error| Error::Integrity(error.to_string()))
    }
}

fn path_of(target: &Path, file_id: &FileId) -> PathBuf {
    let mut name = target.file_name().map_or_else(|| OsString::from("download"), OsString::from);
    let id = file_id.to_string();
    name.push(format!(".{}.part", &id[..ID_DIGITS]));
    target.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(content: &[u8]) -> FileId {
        let mut hasher = ContentHasher::new();
        hasher.update(content, |_| ()).unwrap();
        hasher.finish(|_| ()).file_id
    }

    #[test]
    fn what_an_earlier_download_left_counts() {
        let folder = tempfile::tempdir().unwrap();
        let (target, id) = (folder.path().join("x"), id_of(b"hello world"));
        let mut first = Partial::open(&target, &id, 11).unwrap();
        first.take(b"hello ").unwrap();
        drop(first);
        let mut second = Partial::open(&target, &id, 11).unwrap();
        assert_eq!(second.len(), 6);
        second.take(b"world").unwrap();
        second.finish(&id, 11, false).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"hello world");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn another_content_has_another_partial() {
        let target = Path::new("folder/x");
        assert_ne!(path_of(target, &id_of(b"1")), path_of(target, &id_of(b"2")));
        let longest = "n".repeat(240);
        assert!(path_of(Path::new(&longest), &id_of(b"1")).as_os_str().len() <= 255);
    }

    #[test]
    fn a_partial_that_is_too_long_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (target, id) = (folder.path().join("x"), id_of(b"abc"));
        fs::write(path_of(&target, &id), "far too long").unwrap();
        assert_eq!(Partial::open(&target, &id, 3).unwrap().len(), 0);
    }

    #[test]
    fn wrong_content_never_becomes_the_target() {
        let folder = tempfile::tempdir().unwrap();
        let (target, id) = (folder.path().join("x"), id_of(b"abc"));
        let mut partial = Partial::open(&target, &id, 3).unwrap();
        partial.take(b"abd").unwrap();
        assert_eq!(partial.finish(&id, 3, true).unwrap_err().exit_code(), 5);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_appeared_meanwhile_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let (target, id) = (folder.path().join("x"), id_of(b"abc"));
        let mut partial = Partial::open(&target, &id, 3).unwrap();
        partial.take(b"abc").unwrap();
        fs::write(&target, "mine").unwrap();
        assert_eq!(partial.finish(&id, 3, false).unwrap_err().exit_code(), 1);
        assert_eq!(fs::read(&target).unwrap(), b"mine");
    }

    #[test]
    fn two_downloads_to_one_place_do_not_mix() {
        let folder = tempfile::tempdir().unwrap();
        let (target, id) = (folder.path().join("x"), id_of(b"abc"));
        let _first = Partial::open(&target, &id, 3).unwrap();
        assert!(Partial::open(&target, &id, 3).is_err());
    }
}
