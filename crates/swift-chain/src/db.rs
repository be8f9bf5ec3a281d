//! The ledger on disk: blocks, the state they add up to, what this node signed and has not decided, evidence, and the
//! node's own transactions that wait.
//!
//! One SQLite file with write-ahead log and `synchronous=FULL`: what is committed survives a power cut. One writer, any
//! number of readers beside it.

mod backup;
mod founding;
mod history;
mod listing;
mod reader;
mod recheck;
mod salvage;
mod snapshot;
mod state;
mod sums;
mod writer;

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

pub use founding::LedgerBuilder;
pub use history::{HistoryEntry, HistoryFilter, HistoryPage, HistoryPlace};
pub use listing::{Direction, FileOrder, FilePage, FilePlace, FileSearch};
pub use reader::{FileFilter, LedgerCounts, LedgerReader};
pub use recheck::{Flaw, RecheckError, Rechecked};
pub use salvage::{Readable, Wreck};
pub use state::SqlState;
pub use writer::LedgerDb;

use crate::{encoding::DecodeError, genesis::GenesisError, snapshot::SnapshotError};

/// Tells SQLite files of ours from others: "SwLg".
const APPLICATION_ID: i32 = 0x5377_4c67;
/// Version of the tables.
const SCHEMA_VERSION: i32 = 5;

const SCHEMA: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE blocks (
    height INTEGER PRIMARY KEY, hash BLOB NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE TABLE members (node BLOB PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE removed (node BLOB PRIMARY KEY, height INTEGER NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE authors (node BLOB PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE files (
    key TEXT PRIMARY KEY, file_id BLOB NOT NULL, size INTEGER NOT NULL, record BLOB NOT NULL
) WITHOUT ROWID, STRICT;
CREATE INDEX files_by_id ON files (file_id);
CREATE TABLE invitations (nonce BLOB PRIMARY KEY) WITHOUT ROWID, STRICT;
CREATE TABLE outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, signed BLOB NOT NULL) STRICT;
";

/// Version 3 is made of the tables of version 2 by [`sums::add`], version 4 of these by [`sums::add_to_blocks`], and version
/// 5 of these by [`listing::add`]. What version 2 added: validator sets by the first height they certify, the write-ahead log of the height that is
/// being decided, evidence against validators, and the imported state of a recovered network as it travels.
const SCHEMA_2: &str = "
CREATE TABLE validator_sets (height INTEGER PRIMARY KEY, validators BLOB NOT NULL) STRICT;
CREATE TABLE wal (id INTEGER PRIMARY KEY, entry BLOB NOT NULL) STRICT;
CREATE TABLE evidence (
    id BLOB PRIMARY KEY, height INTEGER NOT NULL, found_ms INTEGER NOT NULL, proof BLOB NOT NULL
) WITHOUT ROWID, STRICT;
CREATE TABLE snapshot (frame INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
";

/// The ledger's file cannot be used. A node whose ledger says so must stop: it cannot know what it stored.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// SQLite reports an error: disk full, file damaged, no permission.
    #[error("ledger database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file is not a ledger.
    #[error("{} is not a SwiftServe ledger", .path.display())]
    NotALedger {
        /// Which file.
        path: PathBuf,
    },
    /// The file was written by a newer program.
    #[error("{} has tables of version {found}, this program knows {SCHEMA_VERSION}: use a newer one", .path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: i32,
    },
    /// The tables of an older program could not be brought up to date. They are as they were.
    #[error(
        "{} has tables of version {found} and could not be brought up to date: {error}; it is as it was. That takes up to \
         {needed_bytes} bytes on its disk for a while: make room if it is full, then start again", .path.display()
    )]
    NotUpgraded {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: i32,
        /// What it takes on the disk at most, about.
        needed_bytes: u64,
        /// Why.
        error: Box<rusqlite::Error>,
    },
    /// A record that this crate wrote does not read back: the file is damaged.
    #[error("the ledger database is damaged: {what}: {error}")]
    Damaged {
        /// Which record.
        what: &'static str,
        /// Why.
        error: DecodeError,
    },
    /// SQLite finds pages that do not fit together: the file is damaged.
    #[error("the ledger database is damaged: {0}")]
    Pages(String),
    /// The genesis block in the file cannot be followed.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The state that the network begins with is not the one its genesis block names. Nothing was stored.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Something that must be there is not: the file is damaged.
    #[error("the ledger database is damaged: {0} is missing")]
    Missing(&'static str),
}

impl DbError {
    /// Whether the file holds what nobody wrote, or gives back no bytes: no attempt to use it again will help. Not so when
    /// the disk is full, or something else is in the way.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Sqlite(error) => is_damage(error),
            Self::NotALedger { .. }
            | Self::Damaged { .. }
            | Self::Pages(_)
            | Self::Genesis(_)
            | Self::Missing(_) => true,
            Self::Newer { .. } | Self::NotUpgraded { .. } | Self::Snapshot(_) => false,
        }
    }

    /// What SQLite says while tables are brought up to date, unless it says that they are damaged.
    fn not_upgraded(path: &Path, found: i32, error: Self) -> Self {
        match error {
            Self::Sqlite(error) if !is_damage(&error) => {
                // Every table is written anew beside the old one, and then once more from the log into the file.
                let needed_bytes = std::fs::metadata(path).map_or(0, |file| file.len()).saturating_mul(3);
                Self::NotUpgraded { path: path.to_owned(), found, needed_bytes, error: Box::new(error) }
            }
            error => error,
        }
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::{Error, ffi};
    match error {
        Error::SqliteFailure(failure, _) => match failure.code {
            // What SQLite says of a table, a column or a statement that is not as this crate made it, and of a row that is
            // there although it cannot be.
            ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::Unknown
            | ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch => true,
            ErrorCode::SystemIoFailure => matches!(
                failure.extended_code,
                ffi::SQLITE_IOERR_READ | ffi::SQLITE_IOERR_SHORT_READ | ffi::SQLITE_IOERR_CORRUPTFS
            ),
            _ => false,
        },
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..)
        | Error::Utf8Error(..)
        | Error::SqlInputError { .. }
        | Error::QueryReturnedNoRows => true,
        _ => false,
    }
}
