//! Proofs that something is on the disk itself. Nothing outside of `disk` can make one.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use super::{Disk, DiskFile};
use crate::store::content::mtime_ns;
use crate::store::error::StoreError;

/// Something that was so when a synchronisation began that has succeeded since.
#[derive(Debug)]
pub(in crate::store) struct Synced<T>(T);

impl<T> Synced<T> {
    pub(super) fn new(covered: T) -> Self {
        Self(covered)
    }

    /// For tests of what follows from a synchronisation.
    #[cfg(test)]
    pub(in crate::store) fn assumed(covered: T) -> Self {
        Self(covered)
    }

    pub(in crate::store) fn get(&self) -> &T {
        &self.0
    }

    pub(in crate::store) fn into_inner(self) -> T {
        self.0
    }
}

impl<A, B> Synced<(A, B)> {
    pub(in crate::store) fn split(self) -> (Synced<A>, Synced<B>) {
        (Synced(self.0.0), Synced(self.0.1))
    }
}

/// A file that is on the disk itself, its name too: what it means may be claimed.
#[derive(Debug)]
pub(in crate::store) struct Placed {
    file: Arc<DiskFile>,
    mtime_ns: i64,
}

impl Placed {
    pub(in crate::store) fn file(&self) -> Arc<DiskFile> {
        Arc::clone(&self.file)
    }

    pub(in crate::store) fn mtime_ns(&self) -> i64 {
        self.mtime_ns
    }
}

/// Where a synchronised file is, and where it belongs. The two may be the same, and it may be there already.
pub(in crate::store) struct Move<'a> {
    pub(in crate::store) file: &'a Synced<Arc<DiskFile>>,
    pub(in crate::store) from: &'a Path,
    pub(in crate::store) to: &'a Path,
}

impl Disk {
    /// Renames a synchronised file to its final name, durably on both sides.
    pub(in crate::store) fn place(&self, one: &Move<'_>) -> Result<Placed, StoreError> {
        self.rename(std::slice::from_ref(one))?;
        one.examine()
    }

    /// As [`Self::place`] for many files, with one synchronisation for each directory.
    pub(in crate::store) fn place_all(&self, moves: &[Move<'_>]) -> Result<Vec<Placed>, StoreError> {
        self.rename(moves)?;
        moves.iter().map(Move::examine).collect()
    }

    fn rename(&self, moves: &[Move<'_>]) -> Result<(), StoreError> {
        for Move { from, to, .. } in moves {
            if from != to {
                // Whether it is there already is seen later.
                self.move_away(from, to)?;
            }
        }
        let mut synced = BTreeSet::new();
        for path in moves.iter().map(|one| one.to).chain(moves.iter().map(|one| one.from)) {
            if let Some(dir) = path.parent().filter(|&dir| synced.insert(dir)) {
                self.sync_dir(dir)?;
            }
        }
        Ok(())
    }
}

impl Move<'_> {
    /// What has the final name must be what was synchronised.
    fn examine(&self) -> Result<Placed, StoreError> {
        let metadata = self.file.get().metadata().map_err(StoreError::io("examine", self.to))?;
        let named = fs::metadata(self.to).map_err(StoreError::io("examine", self.to))?;
        if (named.dev(), named.ino()) != (metadata.dev(), metadata.ino()) {
            let gone = io::Error::from(io::ErrorKind::NotFound);
            return Err(StoreError::io("find what was written as", self.to)(gone));
        }
        Ok(Placed { file: Arc::clone(self.file.get()), mtime_ns: mtime_ns(&metadata) })
    }
}
