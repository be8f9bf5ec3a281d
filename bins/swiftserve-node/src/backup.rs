//! Backups of what a node cannot get back from others: its key, its tokens, its settings; and of its ledger and the
//! index of its store. Content is not in them; it comes from other nodes again.
//!
//! A backup is a folder:
//!
//! ```text
//! backup.json      whose it is, and how far its ledger goes
//! node.key, admin-token, network, limits.json, swiftserve.toml
//! ledger.db, tokens.db, index.db     each as it was at one moment
//! ```
//!
//! The databases are copied one after the other while the node goes on. The index comes first: what the ledger has
//! beyond it, the node applies to it when it starts.

mod restore;
mod staging;

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use swift_chain::{BlockHash, DbError, LedgerReader, NetworkId, NodeId, NodeKey, NodeKeyError};
use swift_chunks::{OpenError, StoreError, copy_index};
use swift_http::{TokenError, Tokens};

pub use restore::Restored;
use staging::Staging;

use crate::data_dir::{DataDirError, io_error};

/// The form of a backup.
const FORMAT: u32 = 1;
const MANIFEST: &str = "backup.json";
/// Bytes of a manifest, generously.
const MANIFEST_LEN_MAX: u64 = 64 * 1024;
/// Small files that are taken as they are, where they are there.
const FILES: [&str; 5] = ["node.key", "admin-token", "network", "limits.json", "swiftserve.toml"];
/// Bytes of one of these.
const FILE_LEN_MAX: u64 = 1024 * 1024;

/// Why a backup was not made or not put back. Nothing is at the place where it was to be.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A folder or file.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// A ledger.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The store's index.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The index in the backup.
    #[error(transparent)]
    Index(#[from] OpenError),
    /// Tokens.
    #[error(transparent)]
    Tokens(#[from] TokenError),
    /// The system has no random numbers.
    #[error("no random numbers from the system: {0}")]
    Random(getrandom::Error),
    /// Something is where the result is to be.
    #[error("{} exists and is not an empty folder; choose another place", .0.display())]
    Occupied(PathBuf),
    /// A place that has no folder around it.
    #[error("{} is no place for a folder", .0.display())]
    NoPlace(PathBuf),
    /// It is no backup, or not one of this version.
    #[error("{} is no backup that this program knows: {reason}", .path.display())]
    NotABackup {
        /// Which folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The parts of the backup are not of one node.
    #[error("the backup {} is damaged or mixed: its {what} is not that of its manifest", .path.display())]
    Mixed {
        /// Which folder.
        path: PathBuf,
        /// Which part.
        what: &'static str,
    },
    /// The key in it is none.
    #[error("the key in the backup: {0}")]
    Key(#[from] NodeKeyError),
}

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of the backup.
    format: u32,
    /// The program that made it.
    pub version: String,
    /// The network.
    pub network_id: NetworkId,
    /// Whose it is.
    pub node_id: NodeId,
    /// How far its ledger goes.
    pub height: u64,
    /// The last block of that.
    pub head_hash: BlockHash,
    /// When it was made, in milliseconds since 1970.
    pub time_ms: u64,
}

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Where it is.
    pub path: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
}

impl Backup {
    /// Makes a backup of a data folder, whether a node runs on it or not, at a place where nothing is. Durable when this
    /// returns; nothing is at that place before.
    pub fn make(data_dir: &Path, path: &Path, time_ms: u64) -> Result<Self, BackupError> {
        for missing in ["node.key", "ledger.db"] {
            if !data_dir.join(missing).is_file() {
                let path = data_dir.to_owned();
                return Err(DataDirError::NotANode { path, missing }.into());
            }
        }
        let staging = Staging::beside(path)?;
        copy_index(&data_dir.join("content"), &staging.file("index.db"))?;
        Tokens::copy(&data_dir.join("tokens.db"), &staging.file("tokens.db"))?;
        let ledger = staging.file("ledger.db");
        LedgerReader::copy_file(&data_dir.join("ledger.db"), &ledger)?;
        for name in FILES {
            if let Some(content) = read_if_there(&data_dir.join(name))? {
                staging.write(name, &content)?;
            }
        }
        let copy = LedgerReader::open(&ledger)?;
        let head = copy.head()?;
        let manifest = Manifest {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            network_id: copy.network(),
            node_id: key_in(staging.path())?.id(),
            height: head.height,
            head_hash: head.hash,
            time_ms,
        };
        drop(copy);
        // Numbers and short texts: nothing that JSON could not hold.
        let mut json = serde_json::to_vec_pretty(&manifest).unwrap_or_default();
        json.push(b'\n');
        staging.write(MANIFEST, &json)?;
        staging.finish()?;
        Ok(Self { path: path.to_owned(), manifest })
    }

    /// Looks at a backup.
    pub fn open(path: &Path) -> Result<Self, BackupError> {
        let refused = |reason: String| BackupError::NotABackup { path: path.to_owned(), reason };
        let file = path.join(MANIFEST);
        let json = match fs::File::open(&file) {
            Ok(file) => {
                let mut json = Vec::new();
                let read = file.take(MANIFEST_LEN_MAX).read_to_end(&mut json);
                read.map(|_| json).map_err(io_error("read", &path.join(MANIFEST)))?
            }
            Err(error) => return Err(refused(format!("{MANIFEST} in it: {error}"))),
        };
        let manifest: Manifest =
            serde_json::from_slice(&json).map_err(|error| refused(format!("{MANIFEST} in it: {error}")))?;
        if manifest.format != FORMAT {
            return Err(refused(format!("it has form {}, this program knows {FORMAT}", manifest.format)));
        }
        Ok(Self { path: path.to_owned(), manifest })
    }
}

fn key_in(folder: &Path) -> Result<NodeKey, BackupError> {
    let path = folder.join("node.key");
    let pem = fs::read_to_string(&path).map_err(io_error("read", &path))?;
    Ok(NodeKey::from_pem(&pem)?)
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, BackupError> {
    match fs::File::open(path) {
        Ok(file) => {
            let mut content = Vec::new();
            let read = file.take(FILE_LEN_MAX + 1).read_to_end(&mut content);
            read.map_err(io_error("read", path))?;
            if content.len() as u64 > FILE_LEN_MAX {
                let source = io::ErrorKind::FileTooLarge.into();
                return Err(DataDirError::Io { doing: "copy", path: path.to_owned(), source }.into());
            }
            Ok(Some(content))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("open", path)(error).into()),
    }
}
