//! A chain written to a file, which appears when it proved right.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use crate::{error::Error, text::shell};

/// A file being written beside its place. Dropped before its end, it goes.
pub(super) struct Export {
    target: PathBuf,
    part: PathBuf,
    file: File,
}

impl Export {
    /// Begins; nothing is overwritten.
    pub(super) fn create(target: &Path) -> Result<Self, Error> {
        if target.symlink_metadata().is_ok() {
            return Err(Error::Failed(format!("{} exists already; choose another file", target.display())));
        }
        let mut part = target.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create_new(&part).map_err(|error| Error::file("create", &part, &error))?;
        Ok(Self { target: target.to_owned(), part, file })
    }

    /// Takes the next bytes.
    pub(super) fn write(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.file.write_all(piece).map_err(|error| Error::file("write", &self.part, &error))
    }

    /// Puts it in its place; the place as a word of a command.
    pub(super) fn finish(self) -> Result<String, Error> {
        let moved = self.file.sync_all().and_then(|()| fs::rename(&self.part, &self.target));
        moved.map_err(|error| Error::file("create", &self.target, &error))?;
        Ok(shell::quote(&self.target.to_string_lossy()))
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        // After a rename there is nothing at this path; that is no error here.
        let _ = fs::remove_file(&self.part);
    }
}
