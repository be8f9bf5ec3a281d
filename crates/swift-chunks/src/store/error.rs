//! What can go wrong in the store, and what the caller may still rely on.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::ErrorCode;

use crate::id::FileId;
use crate::keep::KeepRuleError;
use crate::layout::FileTooLong;
use crate::manifest::ManifestFault;
use crate::slice::Slice;
use crate::verify::{ChunkFault, SliceFault};

/// Why the store cannot be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the lock on the directory.
    #[error("{} is in use by another process: stop that one, or choose another data folder", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The index was written by a newer version of this program.
    #[error(
        "{} has format {found} and this program knows formats up to {known}: use the newer program",
        path.display()
    )]
    NewerFormat {
        /// The index file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format known here.
        known: i64,
    },
    /// The index cannot be read. The content beside it is as it was.
    #[error(
        "the content index {} is damaged: {reason}; move the folder {} away and start again, then names come back from \
         the ledger and content from other nodes, and what only this node had is in the moved folder",
        path.display(), path.parent().unwrap_or(path).display()
    )]
    IndexDamaged {
        /// The index file.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// Anything else.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OpenError {
    /// What SQLite says of an index that is just being opened: if it is not the disk, it is the file.
    pub(super) fn of_index(path: &Path, error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::NoSpace { needed: 0, available: 0 }.into(),
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::DatabaseBusy
                | ErrorCode::OutOfMemory
                | ErrorCode::PermissionDenied
                | ErrorCode::SystemIoFailure,
            ) => {
                let reason = std::io::Error::other(error.to_string());
                StoreError::io("open the content index", path)(reason).into()
            }
            _ => Self::IndexDamaged { path: path.to_path_buf(), reason: error.to_string() },
        }
    }
}

/// Why an operation of the store failed. What was acknowledged before still stands, and the store goes on.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The quota, the free-space floor or the disk itself leaves no room. Nothing was lost.
    #[error(
        "no space: {needed} bytes are needed and {available} are available; free some space or raise the quota"
    )]
    NoSpace {
        /// Bytes that were asked for.
        needed: u64,
        /// Bytes that could have been had.
        available: u64,
    },
    /// The system refused something.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A synchronisation failed, so nobody knows what of the latest writes is on the disk; or the index is damaged. The
    /// store does nothing any more, and reads nothing; opened again, it goes on from what was durable before.
    #[error("the store has stopped: {0}; check the disk, then start again")]
    Stopped(Arc<str>),
    /// It failed for several contents that were taken in together.
    #[error(transparent)]
    Together(Arc<StoreError>),
    /// The index refused something.
    #[error("the content index failed: {0}")]
    Index(#[source] rusqlite::Error),
    /// The index holds what nobody wrote.
    #[error("the content index is damaged: {0}; start again to see what to do")]
    IndexDamaged(#[source] rusqlite::Error),
    /// The index holds a rule of what to keep that this program does not understand.
    #[error("the stored rule of what to keep cannot be used: {0}")]
    KeepRule(#[source] KeepRuleError),
    /// A file beyond the limit.
    #[error(transparent)]
    FileTooLong(#[from] FileTooLong),
    /// A name that could lead out of the files folder. Nothing of the change was applied.
    #[error("the name {name:?} is refused: {reason}")]
    NameRefused {
        /// The name.
        name: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// The store knows no such content.
    #[error("{0} is not in the store")]
    NotFound(FileId),
    /// The content is already being downloaded.
    #[error("{0} is already being downloaded")]
    Busy(FileId),
    /// The content's file was changed from outside; it counts for nothing until it was verified.
    #[error("the stored file of {0} was changed from outside: verify it first")]
    Suspect(FileId),
    /// The manifest is proven false, so the content cannot be had under it.
    #[error("the manifest that names {0} is false: its publisher lied")]
    ManifestFalse(FileId),
    /// The manifest has not been installed yet.
    #[error("the manifest of {0} is not here yet")]
    ManifestMissing(FileId),
    /// The download lacks chunks.
    #[error("{missing} chunks of {file_id} are still missing")]
    Incomplete {
        /// The content.
        file_id: FileId,
        /// Chunks that are not durable here.
        missing: u32,
    },
    /// The chunk is held already, or another writer is at it.
    #[error("chunk {chunk} of {file_id} is held or being written already")]
    ChunkTaken {
        /// The content.
        file_id: FileId,
        /// The chunk, counted from 0.
        chunk: u32,
    },
    /// A grain of the slice is verified already, or another writer is at it or at the chunk.
    #[error(
        "some of the {} grains from {} on of chunk {} of {file_id} are held or being written already",
        1 << slice.level(), slice.first_grain(), slice.chunk().get()
    )]
    SliceTaken {
        /// The content.
        file_id: FileId,
        /// The slice.
        slice: Slice,
    },
    /// The slice is not of this file, or the grain tree not of the slice's chunk.
    #[error("the slice, or the grain tree to judge it by, is not of chunk {chunk} of {file_id}")]
    ForeignSlice {
        /// The content.
        file_id: FileId,
        /// The chunk that the slice says it is of, counted from 0.
        chunk: u32,
    },
    /// The chunk lacks grains, so it cannot be checked yet.
    #[error("{missing} grains of chunk {chunk} of {file_id} are still missing")]
    GrainsMissing {
        /// The content.
        file_id: FileId,
        /// The chunk, counted from 0.
        chunk: u32,
        /// Grains that are not verified.
        missing: u32,
    },
    /// The bytes were verified and written, and are others when read: this machine's disk or memory fails.
    #[error(
        "chunk {chunk} of {file_id} is not on disk as it was verified and written: fetch it again, check the disk"
    )]
    ReadBackDiffers {
        /// The content.
        file_id: FileId,
        /// The chunk, counted from 0.
        chunk: u32,
    },
    /// The chunk was written before a failed synchronisation, which may have dropped it: fetch it again.
    #[error("chunk {chunk} of {file_id} was lost by a failed synchronisation: fetch it again")]
    ChunkLost {
        /// The content.
        file_id: FileId,
        /// The chunk, counted from 0.
        chunk: u32,
    },
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::NoSpace { needed: 0, available: 0 },
            // The last is what SQLite says of tables that are not as this program made them, and of rows that are not
            // what their sums say.
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown) => {
                Self::IndexDamaged(error)
            }
            _ => Self::Index(error),
        }
    }
}

impl StoreError {
    /// The same error for one more of those who hear of it: as it is where it says what its receiver can do.
    pub fn shared(error: &Arc<Self>) -> Self {
        match &**error {
            Self::NoSpace { needed, available } => Self::NoSpace { needed: *needed, available: *available },
            Self::Stopped(reason) => Self::Stopped(Arc::clone(reason)),
            _ => Self::Together(Arc::clone(error)),
        }
    }

    /// Wraps a failed system call; a full disk or quota becomes [`StoreError::NoSpace`].
    pub(super) fn io(doing: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                let available = path.as_ref().parent().and_then(|dir| rustix::fs::statvfs(dir).ok());
                let available = available.map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
                Self::NoSpace { needed: 0, available }
            }
            // The disk refuses everything once a synchronisation has failed.
            _ => match source.downcast::<Self>() {
                Ok(stopped) => stopped,
                Err(source) => Self::Io { doing, path: path.as_ref().to_path_buf(), source },
            },
        }
    }
}

/// Why a received chunk was not written.
#[derive(Debug, thiserror::Error)]
pub enum ChunkWriteError {
    /// The bytes are not the chunk, or prove the manifest false.
    #[error(transparent)]
    Fault(#[from] ChunkFault),
    /// This side failed; the sender is not to blame.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a received slice was not written.
#[derive(Debug, thiserror::Error)]
pub enum SliceWriteError {
    /// The bytes are not the slice.
    #[error(transparent)]
    Fault(#[from] SliceFault),
    /// This side failed; the sender is not to blame.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a manifest was not installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The bytes are not the manifest, or it is proven false; see [`ManifestFault`] for whom that blames.
    #[error(transparent)]
    Manifest(ManifestFault),
    /// This side failed; the sender is not to blame.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why content was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The chunk is not held here (any more).
    #[error("chunk {chunk} of {file_id} is not held here")]
    NotHeld {
        /// The content.
        file_id: FileId,
        /// The chunk, counted from 0.
        chunk: u32,
    },
    /// The stored bytes are not the chunk any more. It was quarantined: it counts as missing from now on.
    #[error("chunk {chunk} of {file_id} has rotted on disk; it was quarantined and must be fetched again")]
    Rotten {
        /// The content.
        file_id: FileId,
        /// The chunk, counted from 0.
        chunk: u32,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
