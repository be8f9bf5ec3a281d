//! Where things are under the content directory.
//!
//! ```text
//! lock                       held while a process uses the directory
//! index.db                   the index
//! objects/<file id>          complete content
//! partial/<file id>-<row>    content on its way, each chunk at its offset
//! manifests/<file id>-<row>  verified manifests
//! uploads/<n>.data, .manifest, <file id>-<row>.adopting   leftovers after a crash; removed at the next start
//! doomed/                    deleted content until its space is given back
//! evidence/<file id>-<row>   chunks that prove a manifest false
//! ```

use std::path::{Path, PathBuf};

use super::disk::Disk;
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
    pub(super) fn prepare(root: &Path, disk: &Disk) -> Result<Self, StoreError> {
        for dir in ["objects", "partial", "manifests", "uploads", "doomed", "evidence"] {
            disk.make_dirs(&root.join(dir))?;
        }
        // They may be those of a process that was killed before it came to this.
        for dir in root.parent().into_iter().chain([root]).filter(|dir| !dir.as_os_str().is_empty()) {
            disk.sync_dir(dir)?;
        }
        Ok(Self { root: root.to_path_buf() })
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

    pub(super) fn partial(&self) -> PathBuf {
        self.root.join("partial")
    }

    pub(super) fn evidence(&self, file_id: FileId, row: i64) -> PathBuf {
        self.root.join("evidence").join(format!("{file_id}-{row}"))
    }

    /// Marks an object, and the manifest of a row, that are renamed and not recorded yet.
    pub(super) fn marker(&self, file_id: FileId, row: i64) -> PathBuf {
        self.root.join("uploads").join(format!("{file_id}-{row}.adopting"))
    }

    pub(super) fn part_of(&self, row: &ObjectRow) -> PathBuf {
        self.part(row.key.file_id, row.id)
    }

    pub(super) fn manifest_of(&self, row: &ObjectRow) -> PathBuf {
        self.manifest(row.key.file_id, row.id)
    }
}
