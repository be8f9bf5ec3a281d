//! Reading the ledger beside its thread.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use swift_chain::{DbError, LedgerReader};

/// Read connections kept open.
const READERS_KEPT: usize = 4;

/// Read connections to one ledger, lent one at a time.
#[derive(Clone, Debug)]
pub(in crate::driver) struct LedgerReads {
    path: PathBuf,
    idle: Arc<Mutex<Vec<LedgerReader>>>,
}

impl LedgerReads {
    /// Of the ledger at a path.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), idle: Arc::default() }
    }

    /// Reads on the caller's thread, which may block.
    pub(in crate::driver) fn with<T>(
        &self,
        look: impl FnOnce(&LedgerReader) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reader = match idle {
            Some(reader) => reader,
            None => LedgerReader::open(&self.path)?,
        };
        let looked = look(&reader)?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < READERS_KEPT {
            idle.push(reader);
        }
        Ok(looked)
    }
}
