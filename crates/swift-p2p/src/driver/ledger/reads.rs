//! Reading the ledger beside its thread.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use swift_chain::{DbError, LedgerReader};
use tokio::sync::watch;

/// Read connections kept open.
const READERS_KEPT: usize = 4;

/// Read connections to one ledger, lent one at a time.
#[derive(Clone, Debug)]
pub(in crate::driver) struct LedgerReads {
    path: PathBuf,
    idle: Arc<Mutex<Vec<LedgerReader>>>,
    /// What was found to be damaged first.
    damage: Arc<watch::Sender<Option<String>>>,
}

impl LedgerReads {
    /// Of the ledger at a path.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), idle: Arc::default(), damage: Arc::new(watch::Sender::new(None)) }
    }

    /// Reads on the caller's thread, which may block.
    pub(in crate::driver) fn with<T>(
        &self,
        look: impl FnOnce(&LedgerReader) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        self.try_with(look).inspect_err(|error| {
            if error.is_damage() {
                self.damage.send_if_modified(|found| {
                    let is_first = found.is_none();
                    found.get_or_insert_with(|| error.to_string());
                    is_first
                });
            }
        })
    }

    /// Waits until something that was read was damaged; what it was.
    pub(super) async fn damaged(&self) -> String {
        let mut damage = self.damage.subscribe();
        match damage.wait_for(Option::is_some).await {
            Ok(found) => found.clone().unwrap_or_default(),
            // The sender is this node's own.
            Err(_) => std::future::pending().await,
        }
    }

    fn try_with<T>(&self, look: impl FnOnce(&LedgerReader) -> Result<T, DbError>) -> Result<T, DbError> {
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
