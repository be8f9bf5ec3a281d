//! Publishing: from bytes that are durable here to a block that says so.
//!
//! The order is what makes a crash harmless. The content is adopted together with a hold that carries what is to be
//! published; only then does the ledger hear of it; only when the write is decided is the hold released. At every
//! moment either nothing is promised, or the store knows what to finish after a restart.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use swift_chain::{Action, FileEntry, FileName, FileRecord, Hash, Label, Settled};
use swift_chunks::{FileId, Hold, Staged, Store, StoreError};
use tokio::{task, time::timeout};
use tracing::{info, warn};

use super::{
    catalog::{CatalogHandle, report},
    ledger::{LedgerError, LedgerHandle},
    wall_clock_ms,
};

/// How long a caller waits for the files folder once its block is final.
const FOLDER_PATIENCE: Duration = Duration::from_secs(10);
/// Bytes that name a hold.
const HOLD_KEY_LEN: usize = 16;

/// What a hold carries: enough to submit the same write again.
#[derive(Serialize, Deserialize)]
struct Intent {
    action: Action,
    label: Option<Label>,
}

/// A file that is in the ledger and durable here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// As the ledger has it.
    pub file: FileEntry,
    /// The block.
    pub settled: Settled,
}

/// Why a file was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The ledger said no, or gave no answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The node is stopping; what was adopted is finished after its next start.
    #[error("the node is stopping; it finishes this when it runs again")]
    Stopping,
}

/// Publishes content of this node. Cheap to clone.
#[derive(Clone)]
pub struct Publisher {
    inner: Arc<Inner>,
}

struct Inner {
    ledger: LedgerHandle,
    catalog: CatalogHandle,
    store: Store,
}

impl Publisher {
    /// A publisher for one node's ledger and store.
    pub fn new(ledger: LedgerHandle, catalog: CatalogHandle, store: Store) -> Self {
        Self { inner: Arc::new(Inner { ledger, catalog, store }) }
    }

    /// Publishes staged content under a name and waits until its block is final and the file is in the folder.
    /// Dropping the future gives up waiting; the write goes on.
    pub async fn publish(
        &self,
        staged: Staged,
        name: FileName,
        replaces: Option<Hash>,
        label: Option<Label>,
        hold_key: [u8; HOLD_KEY_LEN],
    ) -> Result<Published, PublishError> {
        let file = FileEntry {
            name,
            size: staged.len,
            file_id: Hash::from_bytes(*staged.file_id.as_bytes()),
            manifest_hash: Hash::from_bytes(*staged.manifest_hash.as_bytes()),
        };
        let intent = Intent { action: Action::AddFile { file: file.clone(), replaces }, label };
        let inner = self.inner.clone();
        let work = task::spawn(async move {
            let hold = inner.adopt(staged, hold_key, &intent).await?;
            let settled = inner.settle(hold, intent).await?;
            Ok(Published { file, settled })
        });
        work.await.map_err(|_| PublishError::Stopping)?
    }

    /// Withdraws a name and waits until that is final and the file is gone from the folder.
    pub async fn withdraw(&self, record: &FileRecord, label: Option<Label>) -> Result<Settled, LedgerError> {
        let (name, file_id) = (record.entry.name.clone(), record.entry.file_id);
        let settled = self.inner.ledger.submit(Action::RemoveFile { name, file_id }, label).await?;
        if timeout(FOLDER_PATIENCE, self.inner.catalog.reached(settled.height)).await.is_err() {
            warn!(height = settled.height, "the store has not followed a final block yet");
        }
        Ok(settled)
    }

    /// Takes up what a crash or stop left between the store and the ledger. Returns at once; the writes go on beside.
    pub async fn resume(&self) -> Result<(), PublishError> {
        let inner = self.inner.clone();
        let holds = task::spawn_blocking(move || inner.store.holds()).await;
        for (file_id, hold) in holds.map_err(|_| PublishError::Stopping)?? {
            let inner = self.inner.clone();
            match postcard::from_bytes::<Intent>(&hold.payload) {
                Ok(intent) => {
                    task::spawn(async move { inner.finish_interrupted(file_id, hold, intent).await });
                }
                Err(error) => {
                    warn!(%file_id, %error, "an interrupted upload cannot be read; its content stays held");
                }
            }
        }
        Ok(())
    }
}

impl Inner {
    async fn adopt(
        self: &Arc<Self>,
        staged: Staged,
        hold_key: [u8; HOLD_KEY_LEN],
        intent: &Intent,
    ) -> Result<Hold, PublishError> {
        // The ledger's types encode without failing; an empty payload would be noticed by `resume`.
        let payload = postcard::to_allocvec(intent).unwrap_or_default();
        let hold = Hold { key: hold_key.to_vec(), payload };
        let inner = self.clone();
        let adopted = task::spawn_blocking(move || {
            let visible = inner.store.adopt(staged, &hold, wall_clock_ms())?;
            report(&visible);
            Ok::<_, StoreError>(hold)
        });
        Ok(adopted.await.map_err(|_| PublishError::Stopping)??)
    }

    /// Submits, and releases the hold once the ledger has decided. When the ledger stops first, the hold stays.
    async fn settle(self: &Arc<Self>, hold: Hold, intent: Intent) -> Result<Settled, PublishError> {
        let outcome = self.ledger.submit(intent.action, intent.label).await;
        if let Err(LedgerError::Stopped | LedgerError::Read(_)) = outcome {
            return Err(PublishError::Stopping);
        }
        if let Ok(settled) = &outcome {
            // The name must hold the content before the hold lets go of it. A store that cannot follow now keeps the
            // hold, and the caller hears that the block is final.
            if timeout(FOLDER_PATIENCE, self.catalog.reached(settled.height)).await.is_err() {
                warn!(height = settled.height, "the store has not followed a final block yet");
                return Ok(*settled);
            }
        }
        let inner = self.clone();
        let released = task::spawn_blocking(move || inner.store.release_hold(&hold.key, wall_clock_ms()));
        if let Ok(Err(error)) = released.await {
            // The ledger has decided all the same; the next start releases it.
            warn!(%error, "content stays held although its upload is decided");
        }
        Ok(outcome?)
    }

    async fn finish_interrupted(self: Arc<Self>, file_id: FileId, hold: Hold, intent: Intent) {
        match self.settle(hold, intent).await {
            Ok(settled) => info!(%file_id, height = settled.height, "an interrupted upload is published"),
            Err(error) => warn!(%file_id, %error, "an interrupted upload was not published"),
        }
    }
}
