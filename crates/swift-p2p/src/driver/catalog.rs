//! Keeps the store level with the ledger: names that blocks add appear, names that they remove go.
//!
//! The store remembers the height it has applied, so after a crash the catalog goes on where it was. It reads blocks
//! back from the ledger instead of being told of each: being slow costs it nothing but time.

mod leveling;

use std::time::Duration;

use swift_chain::{Action, DbError, LedgerReader};
use swift_chunks::{ChangedBy, FileId, ManifestHash, NameChange, Store, VisibleChanges};
use tokio::{
    sync::{oneshot, watch},
    task,
};
use tracing::{info, warn};

pub use leveling::{LevelError, bring_level};

use super::{ledger::LedgerHandle, wall_clock_ms};

/// Blocks that one commit of the store takes.
const BLOCKS_PER_COMMIT: u64 = 128;
/// Pause after the store refused, a full disk for example.
const RETRY: Duration = Duration::from_secs(2);

/// What the owner of a running catalog holds.
#[derive(Debug)]
pub struct CatalogTask {
    /// For those who wait for a height.
    pub handle: CatalogHandle,
    /// Resolves when the catalog ends: with an error when the ledger cannot be read.
    pub ended: oneshot::Receiver<Result<(), CatalogError>>,
}

/// Why the catalog ended.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] DbError),
    /// A block that the height says is there is not.
    #[error("block {0} is missing in the ledger")]
    Missing(u64),
}

/// Tells how far the store is. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CatalogHandle {
    applied: watch::Receiver<u64>,
}

impl CatalogTask {
    /// Starts the catalog. It ends when every handle of the ledger but its own is gone.
    pub fn spawn(ledger: &LedgerHandle, store: Store) -> Self {
        let (applied_out, applied) = watch::channel(0);
        let (ended_out, ended) = oneshot::channel();
        let (ledger, head) = (ledger.weak(), ledger.watch_head());
        task::spawn(async move {
            let catalog = Catalog { ledger, store, applied: applied_out };
            // Nobody may be left to hear how it ended.
            drop(ended_out.send(catalog.run(head).await));
        });
        Self { handle: CatalogHandle { applied }, ended }
    }
}

impl CatalogHandle {
    /// Waits until the store has applied a height; false when the catalog ended before.
    pub async fn reached(&self, height: u64) -> bool {
        self.applied.clone().wait_for(|applied| *applied >= height).await.is_ok()
    }

    /// The height the store has applied.
    pub fn applied(&self) -> u64 {
        *self.applied.borrow()
    }

    /// Tells of every height that the store has applied.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.applied.clone()
    }
}

struct Catalog {
    ledger: super::ledger::LedgerReads,
    store: Store,
    applied: watch::Sender<u64>,
}

impl Catalog {
    async fn run(mut self, mut head: watch::Receiver<swift_chain::Head>) -> Result<(), CatalogError> {
        loop {
            let target = head.borrow_and_update().height;
            let work = task::spawn_blocking(move || {
                let outcome = self.advance(target);
                (self, outcome)
            });
            // The task is never cancelled, and a panic in it was reported.
            let Ok((catalog, outcome)) = work.await else { return Ok(()) };
            self = catalog;
            match outcome? {
                Advance::Level => {
                    if head.changed().await.is_err() {
                        return Ok(());
                    }
                }
                Advance::Refused => tokio::time::sleep(RETRY).await,
            }
        }
    }

    /// Applies blocks up to a height.
    fn advance(&self, target: u64) -> Result<Advance, CatalogError> {
        let mut next = match self.store.applied_height() {
            Ok(applied) => applied.map_or(0, |applied| applied + 1),
            Err(error) => return Ok(refused(&error)),
        };
        while next <= target {
            let last = target.min(next + BLOCKS_PER_COMMIT - 1);
            let changes = match self.ledger.with(|reader| Ok(name_changes(reader, next, last))) {
                Ok(changes) => changes?,
                Err(error) => return Ok(refused(&error)),
            };
            match self.store.apply(last, &changes, wall_clock_ms()) {
                Ok(visible) => report(&visible),
                Err(error) => return Ok(refused(&error)),
            }
            self.applied.send_replace(last);
            next = last + 1;
        }
        self.applied.send_replace(target);
        Ok(Advance::Level)
    }
}

/// How an attempt to come level ended.
enum Advance {
    Level,
    Refused,
}

fn refused(error: &dyn std::fmt::Display) -> Advance {
    warn!(%error, "the store cannot follow the ledger; trying again");
    Advance::Refused
}

/// What blocks do to names. Every transaction of a final block has its effect, so the actions say it all.
fn name_changes(reader: &LedgerReader, from: u64, to: u64) -> Result<Vec<NameChange>, CatalogError> {
    let mut changes = Vec::new();
    for height in from.max(1)..=to {
        let sealed = reader.block(height)?.ok_or(CatalogError::Missing(height))?;
        let time_ms = sealed.block.header.time_ms;
        for signed in sealed.block.transactions {
            let transaction = signed.transaction;
            let by = ChangedBy {
                member: Some(transaction.author.to_string()),
                client: transaction.on_behalf_of.map(String::from),
                time_ms,
            };
            match transaction.action {
                Action::AddFile { file, .. } => changes.push(NameChange::Put {
                    name: file.name.into(),
                    file_id: FileId::from_bytes(*file.file_id.as_bytes()),
                    manifest_hash: ManifestHash::from_bytes(*file.manifest_hash.as_bytes()),
                    len: file.size,
                    by,
                }),
                Action::RemoveFile { name, .. } => changes.push(NameChange::Remove { name: name.into(), by }),
                _ => {}
            }
        }
    }
    Ok(changes)
}

/// Tells the operator what happened in the files folder.
pub(super) fn report(visible: &VisibleChanges) {
    for name in &visible.shown {
        info!(%name, "file is complete");
    }
    for name in &visible.removed {
        info!(%name, "file is gone from the folder");
    }
    for edit in &visible.kept {
        warn!(name = %edit.name, kept_as = %edit.kept_as, "somebody changed the file; the change was kept");
    }
    for problem in &visible.problems {
        warn!(name = %problem.name, error = %problem.error, "the file cannot be shown in the folder");
    }
}
