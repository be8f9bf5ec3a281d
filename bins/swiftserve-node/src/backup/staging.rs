//! A folder that is made beside its place and put there when it is whole.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::BackupError;
use crate::data_dir::{io_error, sync_folder};

/// A folder on its way to its place. Dropped before its end, it goes.
pub(super) struct Staging {
    path: PathBuf,
    target: PathBuf,
    parent: PathBuf,
    is_finished: bool,
}

impl Staging {
    /// Begins, if nothing is at the place but perhaps an empty folder.
    pub(super) fn beside(target: &Path) -> Result<Self, BackupError> {
        match fs::read_dir(target).map(|mut entries| entries.next().is_some()) {
            Ok(false) => {}
            Ok(true) => return Err(BackupError::Occupied(target.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(BackupError::Occupied(target.to_owned()));
            }
            Err(error) => return Err(io_error("look at", target)(error).into()),
        }
        let name = target.file_name().ok_or_else(|| BackupError::NoPlace(target.to_owned()))?;
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new(".")).to_owned();
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(BackupError::Random)?;
        let path =
            parent.join(format!(".{}.{:016x}.part", name.to_string_lossy(), u64::from_le_bytes(random)));
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(io_error("create", &path))?;
        Ok(Self { path, target: target.to_owned(), parent, is_finished: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn make_dir(&self, name: &str) -> Result<(), BackupError> {
        let path = self.file(name);
        Ok(fs::DirBuilder::new().mode(0o700).create(&path).map_err(io_error("create", &path))?)
    }

    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<(), BackupError> {
        let path = self.file(name);
        let mut options = OpenOptions::new();
        options.create_new(true).write(true).mode(0o600);
        let mut file = options.open(&path).map_err(io_error("create", &path))?;
        Ok(file.write_all(content).map_err(io_error("write", &path))?)
    }

    /// Copies a file of any length.
    pub(super) fn copy(&self, from: &Path, name: &str) -> Result<(), BackupError> {
        let path = self.file(name);
        let mut source = File::open(from).map_err(io_error("open", from))?;
        let mut options = OpenOptions::new();
        options.create_new(true).write(true).mode(0o600);
        let mut file = options.open(&path).map_err(io_error("create", &path))?;
        io::copy(&mut source, &mut file).map_err(io_error("write", &path))?;
        Ok(())
    }

    /// Makes all of it durable and puts it to its place.
    pub(super) fn finish(mut self) -> Result<(), BackupError> {
        settle(&self.path)?;
        // Over an empty folder too.
        fs::rename(&self.path, &self.target).map_err(io_error("create", &self.target))?;
        self.is_finished = true;
        Ok(sync_folder(&self.parent)?)
    }
}

/// Everything in a folder: for its owner only, and synchronised.
fn settle(folder: &Path) -> Result<(), BackupError> {
    for entry in fs::read_dir(folder).map_err(io_error("list", folder))? {
        let path = entry.map_err(io_error("list", folder))?.path();
        if path.is_dir() {
            settle(&path)?;
            continue;
        }
        let file = File::open(&path).map_err(io_error("open", &path))?;
        file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(io_error("protect", &path))?;
        file.sync_all().map_err(io_error("sync", &path))?;
    }
    Ok(sync_folder(folder)?)
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.is_finished {
            // Its name says that it is a part, and the error that led here is the one to tell.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
