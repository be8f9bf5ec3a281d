//! Publishing: from bytes that are durable here to a block that says so.
//!
//! The order is what makes a crash harmless. The content is adopted together with a hold that carries what is to be
//! published; only then does the ledger hear of it; only when the write is decided is the hold released. At every
//! moment either nothing is promised, or the store knows what to finish after a restart.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use swift_chain::{Action, FileEntry, FileName, FileRecord, Hash, Label, Settled};
use swift_chunks::{Adoption, ContentRef, FileId, Hold, Staged, Store, StoreError};
use tokio::{
    task::{self, JoinHandle},
    time::timeout,
};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::{
    catalog::CatalogHandle,
    intake::Intake,
    ledger::{LedgerError, LedgerHandle, Queued},
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
    ending: Ending,
    tasks: TaskTracker,
}

/// What a write needs once it is queued. It does not keep the ledger alive: a write that waits must not keep a node from
/// stopping.
#[derive(Clone)]
struct Ending {
    catalog: CatalogHandle,
    store: Store,
    intake: Intake,
}

/// What is to be published.
enum Content {
    /// It is on its way into the store.
    Staged(Staged),
    /// It is there.
    Here(ContentRef),
}

impl Publisher {
    /// A publisher for one node's ledger and store.
    pub fn new(ledger: LedgerHandle, catalog: CatalogHandle, store: Store) -> Self {
        let tasks = TaskTracker::new();
        let intake = Intake::spawn(store.clone(), &tasks);
        Self { inner: Arc::new(Inner { ledger, ending: Ending { catalog, store, intake }, tasks }) }
    }

    /// The work that uses the store. It ends soon after the ledger has.
    pub fn tasks(&self) -> &TaskTracker {
        &self.inner.tasks
    }

    /// Begins to publish staged content under a name: when this returns, the file is durable here, and its write is
    /// decided or durable in this node's queue. Dropping the future gives up waiting; the write goes on.
    pub async fn publish(
        &self,
        staged: Staged,
        name: FileName,
        replaces: Option<Hash>,
        label: Option<Label>,
        hold_key: [u8; HOLD_KEY_LEN],
    ) -> Result<Publishing, PublishError> {
        self.begin(entry(name, &staged.key()), replaces, label, hold_key, Content::Staged(staged)).await
    }

    /// Begins to publish content that is whole here already, under a name that is free: what is in the trash. As
    /// [`Self::publish`] in everything else; none of its bytes is copied.
    pub async fn publish_again(
        &self,
        content: ContentRef,
        name: FileName,
        label: Option<Label>,
        hold_key: [u8; HOLD_KEY_LEN],
    ) -> Result<Publishing, PublishError> {
        self.begin(entry(name, &content), None, label, hold_key, Content::Here(content)).await
    }

    async fn begin(
        &self,
        file: FileEntry,
        replaces: Option<Hash>,
        label: Option<Label>,
        hold_key: [u8; HOLD_KEY_LEN],
        content: Content,
    ) -> Result<Publishing, PublishError> {
        let intent = Intent { action: Action::AddFile { file: file.clone(), replaces }, label };
        let inner = self.inner.clone();
        let work = self.inner.tasks.spawn(async move {
            let hold = inner.hold(hold_key, &intent, content).await?;
            let queued = inner.enqueue(intent).await?;
            let is_open = queued.is_open();
            // A task of its own from here on: it releases the hold, and the log hears of a refusal, whether or not
            // anybody still waits.
            let (name, ending) = (file.name.clone(), inner.ending.clone());
            let settling = inner.tasks.spawn(async move {
                let settled = ending.settle(hold, queued).await;
                if let Err(error) = &settled {
                    info!(name = name.as_str(), %error, "an upload was not published");
                }
                settled
            });
            Ok(Publishing { file, is_open, settling })
        });
        work.await.map_err(|_| PublishError::Stopping)?
    }

    /// Begins to withdraw a name.
    pub async fn withdraw(
        &self,
        record: &FileRecord,
        label: Option<Label>,
    ) -> Result<Withdrawing, LedgerError> {
        let (name, file_id) = (record.entry.name.clone(), record.entry.file_id);
        let queued = self.inner.ledger.enqueue(Action::RemoveFile { name, file_id }, label).await?;
        Ok(Withdrawing { queued, ending: self.inner.ending.clone() })
    }

    /// Takes up what a crash or stop left between the store and the ledger. Returns at once; the writes go on beside.
    pub async fn resume(&self) -> Result<(), PublishError> {
        let inner = self.inner.clone();
        let holds = task::spawn_blocking(move || inner.ending.store.holds()).await;
        for (file_id, hold) in holds.map_err(|_| PublishError::Stopping)?? {
            let inner = self.inner.clone();
            match postcard::from_bytes::<Intent>(&hold.payload) {
                Ok(intent) => {
                    let tasks = inner.tasks.clone();
                    tasks.spawn(async move { inner.finish_interrupted(file_id, hold, intent).await });
                }
                Err(error) => {
                    warn!(%file_id, %error, "an interrupted upload cannot be read; its content stays held");
                }
            }
        }
        Ok(())
    }
}

/// A file that is durable here and on its way into the ledger. Dropping it gives up waiting, not the write.
#[derive(Debug)]
pub struct Publishing {
    file: FileEntry,
    is_open: bool,
    settling: JoinHandle<Result<Settled, PublishError>>,
}

impl Publishing {
    /// As the ledger will have it.
    pub fn file(&self) -> &FileEntry {
        &self.file
    }

    /// Whether the ledger had not decided yet when the write was queued.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Waits until its block is final and the file is in the folder.
    pub async fn settled(self) -> Result<Published, PublishError> {
        let settled = self.settling.await.map_err(|_| PublishError::Stopping)??;
        Ok(Published { file: self.file, settled })
    }
}

/// A name on its way out of the ledger. Dropping it gives up waiting, not the write.
pub struct Withdrawing {
    queued: Queued,
    ending: Ending,
}

impl Withdrawing {
    /// Whether the ledger has not decided yet.
    pub fn is_open(&self) -> bool {
        self.queued.is_open()
    }

    /// Waits until that is final and the file is gone from the folder.
    pub async fn settled(self) -> Result<Settled, LedgerError> {
        let settled = self.queued.settled().await?;
        self.ending.followed(settled.height).await;
        Ok(settled)
    }
}

/// Content under a name, as the ledger has it.
fn entry(name: FileName, content: &ContentRef) -> FileEntry {
    FileEntry {
        name,
        size: content.len,
        file_id: Hash::from_bytes(*content.file_id.as_bytes()),
        manifest_hash: Hash::from_bytes(*content.manifest_hash.as_bytes()),
    }
}

impl Inner {
    /// Has the content held, with what is to be published: durable when this returns.
    async fn hold(
        &self,
        key: [u8; HOLD_KEY_LEN],
        intent: &Intent,
        content: Content,
    ) -> Result<Hold, PublishError> {
        // The ledger's types encode without failing; an empty payload would be noticed by `resume`.
        let payload = postcard::to_allocvec(intent).unwrap_or_default();
        let hold = Hold { key: key.to_vec(), payload };
        match content {
            Content::Staged(staged) => {
                let adoption = Adoption { staged, hold: Some(hold.clone()) };
                self.ending.intake.adopt(adoption).await.map_err(|_| PublishError::Stopping)??;
            }
            Content::Here(content) => {
                let (store, hold) = (self.ending.store.clone(), hold.clone());
                let held =
                    task::spawn_blocking(move || store.hold_again(&content, &hold, wall_clock_ms())).await;
                held.map_err(|_| PublishError::Stopping)??;
            }
        }
        Ok(hold)
    }

    async fn enqueue(&self, intent: Intent) -> Result<Queued, PublishError> {
        match self.ledger.enqueue(intent.action, intent.label).await {
            Err(LedgerError::Stopped | LedgerError::Read(_)) => Err(PublishError::Stopping),
            queued => Ok(queued?),
        }
    }

    async fn finish_interrupted(self: Arc<Self>, file_id: FileId, hold: Hold, intent: Intent) {
        let (queued, ending) = (self.enqueue(intent).await, self.ending.clone());
        drop(self);
        let settled = match queued {
            Ok(queued) => ending.settle(hold, queued).await,
            Err(error) => Err(error),
        };
        match settled {
            Ok(settled) => info!(%file_id, height = settled.height, "an interrupted upload is published"),
            Err(error) => warn!(%file_id, %error, "an interrupted upload was not published"),
        }
    }
}

impl Ending {
    /// Waits until the ledger has decided, and releases the hold then. When the ledger stops first, the hold stays.
    async fn settle(&self, hold: Hold, queued: Queued) -> Result<Settled, PublishError> {
        let outcome = queued.settled().await;
        if let Err(LedgerError::Stopped | LedgerError::Read(_)) = outcome {
            return Err(PublishError::Stopping);
        }
        if let Ok(settled) = &outcome {
            // The name must hold the content before the hold lets go of it. A store that cannot follow now keeps the
            // hold, and the caller hears that the block is final.
            if !self.followed(settled.height).await {
                return Ok(*settled);
            }
        }
        if let Ok(Err(error)) = self.intake.release(hold.key).await {
            // The ledger has decided all the same; the next start releases it.
            warn!(%error, "content stays held although its upload is decided");
        }
        Ok(outcome?)
    }

    /// Waits a while for the store to follow the ledger.
    async fn followed(&self, height: u64) -> bool {
        let reached = timeout(FOLDER_PATIENCE, self.catalog.reached(height)).await.is_ok();
        if !reached {
            warn!(height, "the store has not followed a final block yet");
        }
        reached
    }
}
