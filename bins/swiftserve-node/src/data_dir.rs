//! A node's data folder: who uses it, its key, and the small files beside ledger and content.
//!
//! ```text
//! lock           held while a node runs
//! node.key       Ed25519 private key, PKCS#8 PEM, mode 0600
//! admin-token    the first token, mode 0600
//! node.json      where the running node can be reached
//! ledger.db      the ledger (SQLite)
//! network        id of the network that the content is from
//! ledger.joining a ledger that is still being fetched
//! ledger.recovering a ledger that is still being made
//! ledger-<network>.db the ledger of a network that was founded anew
//! ledger.rebuilding a ledger that is being made anew; ledger.rebuilt when it is whole
//! ledger-damaged.db a ledger that was damaged and made anew (-2 and so on where that is taken)
//! recovery-<network>.chain tells the other operators of it
//! tokens.db      hashes of tokens (SQLite)
//! limits.json    limits that were set while the node ran
//! swiftserve.toml settings, if there are any
//! content/       the store
//! files/         the files people see
//! ```

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use swift_chain::{NodeKey, NodeKeyError};

/// Why a data folder cannot be used. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// The system refused something.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Another node runs on it.
    #[error("the data folder {} is in use by another node: stop that one, or choose another --data-dir", .path.display())]
    InUse {
        /// Which folder.
        path: PathBuf,
    },
    /// It is not the folder of a node.
    #[error("{} is not the data folder of a node: there is no {missing} in it", .path.display())]
    NotANode {
        /// Which folder.
        path: PathBuf,
        /// What a node has.
        missing: &'static str,
    },
    /// Others than the owner can read the key.
    #[error("the key file {} can be read by others (mode {mode:04o}): chmod 600 it, and if it was copied, replace the node", .path.display())]
    KeyReadable {
        /// Which file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The key file holds no key.
    #[error("the key file {}: {error}", .path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: NodeKeyError,
    },
    /// The system has no random numbers.
    #[error("no random numbers from the system: {0}")]
    Random(getrandom::Error),
}

/// A data folder that this process holds.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Held, not read: the lock goes with it.
    _lock: File,
}

impl DataDir {
    /// Makes the folder if need be and locks it.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error("create", path))?;
        let lock_path = path.join("lock");
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let lock = options.open(&lock_path).map_err(io_error("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(io_error("lock", &lock_path)(source)),
        }
    }

    /// Locks a folder in which a node has run; makes nothing.
    pub fn open_existing(path: &Path) -> Result<Self, DataDirError> {
        Self::open_having(path, &["node.key", "ledger.db"])
    }

    /// The same, where no more of a node must be there than these files.
    pub(crate) fn open_having(path: &Path, files: &[&'static str]) -> Result<Self, DataDirError> {
        for &missing in files {
            if !path.join(missing).is_file() {
                return Err(DataDirError::NotANode { path: path.to_owned(), missing });
            }
        }
        Self::open(path)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Reads the node's key, or makes one.
    pub fn key(&self) -> Result<NodeKey, DataDirError> {
        let path = self.file("node.key");
        match fs::metadata(&path) {
            Ok(metadata) => {
                let mode = metadata.permissions().mode() & 0o7777;
                if mode & 0o077 != 0 {
                    return Err(DataDirError::KeyReadable { path, mode });
                }
                let pem = fs::read_to_string(&path).map_err(io_error("read", &path))?;
                NodeKey::from_pem(&pem).map_err(|error| DataDirError::Key { path, error })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut seed = [0; 32];
                getrandom::fill(&mut seed).map_err(DataDirError::Random)?;
                let key = NodeKey::from_seed(seed);
                let pem = key.to_pem().map_err(|error| DataDirError::Key { path, error })?;
                self.write("node.key", pem.as_bytes())?;
                Ok(key)
            }
            Err(error) => Err(io_error("look at", &path)(error)),
        }
    }

    /// Writes a file that only its owner can read. Whole and durable when this returns; never half.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), DataDirError> {
        write_file(&self.path, name, content)
    }
}

/// See [`DataDir::write`].
pub(crate) fn write_file(folder: &Path, name: &str, content: &[u8]) -> Result<(), DataDirError> {
    let (path, temporary) = (folder.join(name), folder.join(format!("{name}.new")));
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true).mode(0o600);
    let mut file = options.open(&temporary).map_err(io_error("create", &temporary))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(io_error("write", &temporary))?;
    fs::rename(&temporary, &path).map_err(io_error("create", &path))?;
    sync_folder(folder)
}

/// Makes what was created, renamed or removed in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), DataDirError> {
    let folder = File::open(path).map_err(io_error("open", path))?;
    folder.sync_all().map_err(io_error("sync", path))
}

pub(crate) fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DataDirError {
    let path = path.to_owned();
    move |source| DataDirError::Io { doing, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(folder.path()).unwrap();
        let key = data_dir.key().unwrap();
        assert_eq!(data_dir.key().unwrap().id(), key.id());
        let mode = fs::metadata(data_dir.file("node.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_key_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(folder.path()).unwrap();
        data_dir.key().unwrap();
        fs::set_permissions(data_dir.file("node.key"), fs::Permissions::from_mode(0o644)).unwrap();
        let error = data_dir.key().unwrap_err();
        assert!(matches!(error, DataDirError::KeyReadable { mode: 0o644, .. }), "{error}");
    }

    #[test]
    fn a_damaged_key_is_named_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(folder.path()).unwrap();
        data_dir.write("node.key", b"no key").unwrap();
        assert!(matches!(data_dir.key(), Err(DataDirError::Key { .. })));
        assert_eq!(fs::read(data_dir.file("node.key")).unwrap(), b"no key");
    }

    #[test]
    fn a_folder_serves_one_node_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataDir::open(folder.path()).unwrap();
        assert!(matches!(DataDir::open(folder.path()), Err(DataDirError::InUse { .. })));
        drop(first);
        DataDir::open(folder.path()).unwrap();
    }
}
