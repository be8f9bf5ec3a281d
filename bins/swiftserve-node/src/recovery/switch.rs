//! Putting the ledger of a new network into the place of the old one.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use swift_chain::NetworkId;

use super::{NEW_LEDGER, RecoveryError};
use crate::data_dir::{DataDir, DataDirError, io_error, sync_folder};

/// What is about to be done. A crash before or after any of them leaves one ledger under the name that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Both ledgers are closed and whole: give the old one a second name, by which it is kept.
    Keep,
    /// Rename the new one over the old one's first name.
    Replace,
    /// All is done.
    Done,
}

/// A switch of ledgers.
pub(super) struct Switch<'d> {
    data_dir: &'d DataDir,
    ledger: PathBuf,
    new: PathBuf,
    old: NetworkId,
}

impl<'d> Switch<'d> {
    pub(super) fn new(data_dir: &'d DataDir, old: NetworkId) -> Self {
        Self { data_dir, ledger: data_dir.file("ledger.db"), new: data_dir.file(NEW_LEDGER), old }
    }

    /// Does it; gives the name under which the old ledger is kept. `before` is asked before each step.
    pub(super) fn carry_out(
        &self,
        mut before: impl FnMut(Step) -> Result<(), RecoveryError>,
    ) -> Result<PathBuf, RecoveryError> {
        for path in [&self.ledger, &self.new] {
            is_closed(path)?;
        }
        before(Step::Keep)?;
        let kept = self.keep()?;
        before(Step::Replace)?;
        fs::rename(&self.new, &self.ledger).map_err(io_error("replace", &self.ledger))?;
        sync_folder(self.data_dir.path())?;
        before(Step::Done)?;
        Ok(kept)
    }

    fn keep(&self) -> Result<PathBuf, DataDirError> {
        let name = |number: u32| match number {
            1 => self.data_dir.file(&format!("ledger-{}.db", self.old)),
            _ => self.data_dir.file(&format!("ledger-{}-{number}.db", self.old)),
        };
        let is_free = |path: &PathBuf| path.symlink_metadata().is_err() || is_same(path, &self.ledger);
        let kept = (1..u32::MAX).map(name).find(is_free).unwrap_or_else(|| name(u32::MAX));
        if is_same(&kept, &self.ledger) {
            // A switch that was cut short has given it this name before.
            return Ok(kept);
        }
        if fs::hard_link(&self.ledger, &kept).is_err() {
            // Not every file system has two names for one file.
            let part = kept.with_extension("part");
            copy(&self.ledger, &part).map_err(io_error("copy", &part))?;
            fs::rename(&part, &kept).map_err(io_error("create", &kept))?;
        }
        sync_folder(self.data_dir.path())?;
        Ok(kept)
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    fs::File::open(to)?.sync_all()
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// A log that is left beside a closed ledger holds what the ledger lacks, and would be played into another one.
fn is_closed(ledger: &Path) -> Result<(), RecoveryError> {
    let mut log = ledger.as_os_str().to_owned();
    log.push("-wal");
    let log = PathBuf::from(log);
    match fs::metadata(&log) {
        Ok(metadata) if metadata.len() > 0 => Err(RecoveryError::InUse(log)),
        Ok(_) => Ok(fs::remove_file(&log).map_err(io_error("remove", &log))?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error("look at", &log)(error).into()),
    }
}
