//! Putting a ledger that was made anew into the place of the damaged one, which is kept.
//!
//! A crash leaves the damaged ledger, or the new one under a name that says that it is whole; then the next start, or the
//! next attempt, comes to the end of it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::data_dir::{DataDir, DataDirError, io_error, sync_folder};

/// The new ledger while it is made.
pub(super) const UNFINISHED: &str = "ledger.rebuilding";
/// The new ledger when it is whole, and not in its place yet.
const WHOLE: &str = "ledger.rebuilt";

/// Where the damaged ledger is now, if there was one.
pub(super) struct Kept(pub(super) Option<PathBuf>);

/// Puts the new ledger, which is closed, into its place.
pub(super) fn switch(data_dir: &DataDir) -> Result<Kept, DataDirError> {
    let (new, whole) = (data_dir.file(UNFINISHED), data_dir.file(WHOLE));
    fs::rename(&new, &whole).map_err(io_error("create", &whole))?;
    sync_folder(data_dir.path())?;
    finish(data_dir)
}

/// Ends a switch that was cut short; whether there was one.
pub(crate) fn finish_switch(data_dir: &DataDir) -> Result<bool, DataDirError> {
    if !data_dir.file(WHOLE).exists() {
        return Ok(false);
    }
    finish(data_dir)?;
    Ok(true)
}

fn finish(data_dir: &DataDir) -> Result<Kept, DataDirError> {
    let ledger = data_dir.file("ledger.db");
    // The log last: a ledger without it would be taken for one that is whole.
    let mut kept = None;
    if moves(&ledger)? {
        let path = free_name(data_dir, |path| !path.exists() && !beside(path, "-wal").exists());
        fs::rename(&ledger, &path).map_err(io_error("keep", &ledger))?;
        sync_folder(data_dir.path())?;
        kept = Some(path);
    }
    let log = beside(&ledger, "-wal");
    if moves(&log)? {
        let base = match &kept {
            Some(path) => path.clone(),
            // It was left behind when the ledger was moved.
            None => free_name(data_dir, |path| !beside(path, "-wal").exists()),
        };
        fs::rename(&log, beside(&base, "-wal")).map_err(io_error("keep", &log))?;
    }
    remove(&beside(&ledger, "-shm"))?;
    sync_folder(data_dir.path())?;
    fs::rename(data_dir.file(WHOLE), &ledger).map_err(io_error("create", &ledger))?;
    sync_folder(data_dir.path())?;
    Ok(Kept(kept))
}

fn free_name(data_dir: &DataDir, is_free: impl Fn(&Path) -> bool) -> PathBuf {
    let name = |number: u32| match number {
        1 => data_dir.file("ledger-damaged.db"),
        _ => data_dir.file(&format!("ledger-damaged-{number}.db")),
    };
    (1..u32::MAX).map(name).find(|path| is_free(path)).unwrap_or_else(|| name(u32::MAX))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn moves(path: &Path) -> Result<bool, DataDirError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io_error("look at", path)(error)),
    }
}

fn remove(path: &Path) -> Result<(), DataDirError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> (tempfile::TempDir, DataDir) {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(folder.path()).unwrap();
        for name in names {
            fs::write(folder.path().join(name), name).unwrap();
        }
        (folder, data_dir)
    }

    fn read(data_dir: &DataDir, name: &str) -> Option<String> {
        fs::read_to_string(data_dir.file(name)).ok()
    }

    #[test]
    fn the_damaged_ledger_and_its_log_are_kept_together() {
        let (_folder, data_dir) =
            folder(&["ledger.db", "ledger.db-wal", "ledger.db-shm", UNFINISHED, "ledger-damaged.db"]);
        let Kept(kept) = switch(&data_dir).unwrap();
        assert_eq!(kept, Some(data_dir.file("ledger-damaged-2.db")));
        assert_eq!(read(&data_dir, "ledger.db").as_deref(), Some(UNFINISHED));
        assert_eq!(read(&data_dir, "ledger-damaged.db").as_deref(), Some("ledger-damaged.db"));
        assert_eq!(read(&data_dir, "ledger-damaged-2.db").as_deref(), Some("ledger.db"));
        assert_eq!(read(&data_dir, "ledger-damaged-2.db-wal").as_deref(), Some("ledger.db-wal"));
        assert_eq!((read(&data_dir, "ledger.db-wal"), read(&data_dir, "ledger.db-shm")), (None, None));
    }

    #[test]
    fn a_switch_that_was_cut_short_anywhere_comes_to_its_end() {
        // Before anything was moved; with the ledger moved; with its log moved too.
        for left in [
            &["ledger.db", "ledger.db-wal"][..],
            &["ledger-damaged.db", "ledger.db-wal"],
            &["ledger-damaged.db", "ledger-damaged.db-wal"],
        ] {
            let (_folder, data_dir) = folder(left);
            fs::write(data_dir.file(WHOLE), "new").unwrap();
            assert!(finish_switch(&data_dir).unwrap());
            assert_eq!(read(&data_dir, "ledger.db").as_deref(), Some("new"), "{left:?}");
            assert_eq!(read(&data_dir, "ledger-damaged.db").as_deref(), Some(left[0]));
            assert_eq!(read(&data_dir, "ledger-damaged.db-wal").as_deref(), Some(left[1]));
            assert_eq!(read(&data_dir, "ledger.db-wal"), None);
            assert!(!finish_switch(&data_dir).unwrap());
        }
    }
}
