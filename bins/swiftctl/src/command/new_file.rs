//! A file that appears when it is whole, or not at all.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{error::Error, text::shell};

/// What becomes of a file that is there already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    /// It stays, and the new one is refused.
    Keep,
    /// It goes, in the moment in which the new one appears.
    Replace,
}

/// A file being written beside its place. Dropped before its end, it goes.
pub(super) struct NewFile {
    target: PathBuf,
    part: PathBuf,
    file: File,
    existing: Existing,
}

impl NewFile {
    /// Begins.
    pub(super) fn create(target: &Path, existing: Existing) -> Result<Self, Error> {
        check_free(target, existing)?;
        let mut part = target.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create_new(&part).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Error::Failed(format!(
                "{} is in the way: another command writes it right now, or left it when it was cut off; then delete it",
                part.display()
            )),
            _ => Error::file("create", &part, &error),
        })?;
        Ok(Self { target: target.to_owned(), part, file, existing })
    }

    /// Takes the next bytes.
    pub(super) fn write(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.file.write_all(piece).map_err(|error| Error::file("write", &self.part, &error))
    }

    /// Puts it in its place, durably; the place as a word of a command.
    pub(super) fn finish(self) -> Result<String, Error> {
        self.file.sync_all().map_err(|error| Error::file("write", &self.part, &error))?;
        check_free(&self.target, self.existing)?;
        fs::rename(&self.part, &self.target).map_err(|error| Error::file("create", &self.target, &error))?;
        sync_folder(&self.target)?;
        Ok(shell::quote(&self.target.to_string_lossy()))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // After a rename there is nothing at this path; that is no error here.
        let _ = fs::remove_file(&self.part);
    }
}

fn check_free(target: &Path, existing: Existing) -> Result<(), Error> {
    if existing == Existing::Keep && target.symlink_metadata().is_ok() {
        return Err(Error::Failed(format!("{} exists already; choose another file", target.display())));
    }
    Ok(())
}

/// What to say to somebody who could have said --force.
pub(super) fn exists(target: &Path) -> Error {
    Error::Failed(format!(
        "{} exists already; overwrite it with --force, or choose another path with -o",
        target.display()
    ))
}

/// A new name survives a power cut once its folder does.
#[cfg(unix)]
pub(super) fn sync_folder(target: &Path) -> Result<(), Error> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| Error::file("sync the folder of", target, &error))
}

#[cfg(not(unix))]
pub(super) fn sync_folder(_target: &Path) -> Result<(), Error> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        let mut begun = NewFile::create(&target, Existing::Keep).unwrap();
        begun.write(b"half").unwrap();
        assert!(!target.exists());
        drop(begun);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut whole = NewFile::create(&target, Existing::Keep).unwrap();
        whole.write(b"whole").unwrap();
        whole.finish().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"whole");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_there_stays_unless_it_may_be_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        let late = NewFile::create(&target, Existing::Keep).unwrap();
        fs::write(&target, "mine").unwrap();
        assert!(late.finish().is_err());
        assert!(NewFile::create(&target, Existing::Keep).is_err());
        assert_eq!(fs::read(&target).unwrap(), b"mine");
        let mut new = NewFile::create(&target, Existing::Replace).unwrap();
        assert!(NewFile::create(&target, Existing::Replace).is_err(), "two write at once");
        new.write(b"new").unwrap();
        new.finish().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
    }
}
