//! Where things are under the content directory.
//!
//! ```text
//! lock                       held while a process uses the directory
//! index.db                   the index
//! objects/<file id>          complete content
//! partial/<file id>-<row>    content on its way, each chunk at its offset
//! manifests/<file id>-<row>  verified manifests
//! uploads/<n>.data, .manifest, <file id>.adopting   leftovers after a crash; removed at the next start
//! doomed/                    deleted content until its space is given back
//! evidence/<file id>-<row>   chunks that prove a manifest false
//! ```

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::index::ObjectRow;
use crate::id::FileId;

/// The index, in the content directory.
pub(super) const INDEX_FILE: &str = "index.db";

#[derive(Debug)]
pub(super) struct Paths {
    root: PathBuf,
}

impl Paths {
    /// Makes the directories that are missing.
    pub(super) fn prepare(root: &Path) -> Result<Self, StoreError> {
        let paths = Self { root: root.to_path_buf() };
        for dir in ["objects", "partial", "manifests", "uploads", "doomed", "evidence"] {
            let dir = root.join(dir);
            fs::create_dir_all(&dir).map_err(StoreError::io("create", &dir))?;
        }
        sync_dir(root)?;
        Ok(paths)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn index(&self) -> PathBuf {
        self.root.join(INDEX_FILE)
    }

    pub(super) fn objects(&self) -> PathBuf {
        self.root.join("objects")
    }

    pub(super) fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    pub(super) fn doomed(&self) -> PathBuf {
        self.root.join("doomed")
    }

    pub(super) fn object(&self, file_id: FileId) -> PathBuf {
        self.root.join("objects").join(file_id.to_string())
    }

    pub(super) fn part(&self, file_id: FileId, row: i64) -> PathBuf {
        self.root.join("partial").join(format!("{file_id}-{row}"))
    }

    pub(super) fn manifest(&self, file_id: FileId, row: i64) -> PathBuf {
        self.root.join("manifests").join(format!("{file_id}-{row}"))
    }

    pub(super) fn evidence(&self, file_id: FileId, row: i64) -> PathBuf {
        self.root.join("evidence").join(format!("{file_id}-{row}"))
    }

    pub(super) fn part_of(&self, row: &ObjectRow) -> PathBuf {
        self.part(row.key.file_id, row.id)
    }

    pub(super) fn manifest_of(&self, row: &ObjectRow) -> PathBuf {
        self.manifest(row.key.file_id, row.id)
    }
}

/// Makes renames and removals in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(StoreError::io("synchronise", dir))
}

/// Renames, within one file system, and makes it durable on both sides.
pub(super) fn rename_durably(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(StoreError::io("rename", from))?;
    for dir in [to.parent(), from.parent().filter(|&dir| Some(dir) != to.parent())].into_iter().flatten() {
        sync_dir(dir)?;
    }
    Ok(())
}

/// Removes a file, which may be gone already.
pub(super) fn remove_if_there(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Opens a file, which may not be there.
pub(super) fn open_if_there(options: &fs::OpenOptions, path: &Path) -> Result<Option<File>, StoreError> {
    match options.open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("open", path)(error)),
    }
}
