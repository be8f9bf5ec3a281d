//! Putting a backup back.

use std::{fmt, path::Path};

use swift_chain::{Action, LedgerDb, LedgerStore};
use swift_chunks::forget_content;

use super::{Backup, BackupError, FILES, Manifest, Staging, key_in, read_if_there};

/// What was put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// What the backup said of itself.
    pub manifest: Manifest,
    /// Uploads that had not been answered, whose content is lost.
    pub uploads_lost: u64,
}

impl Backup {
    /// Puts it back as a data folder, at a place where nothing is. Durable when this returns; nothing is at that place
    /// before.
    ///
    /// The node may have made blocks since that it does not know of now. Therefore its ledger is marked: it makes none
    /// until it knows what others have.
    pub fn restore(&self, data_dir: &Path) -> Result<Restored, BackupError> {
        let staging = Staging::beside(data_dir)?;
        let mixed = |what| BackupError::Mixed { path: self.path.clone(), what };
        for name in FILES {
            if let Some(content) = read_if_there(&self.path.join(name))? {
                staging.write(name, &content)?;
            }
        }
        if key_in(staging.path())?.id() != self.manifest.node_id {
            return Err(mixed("key"));
        }
        staging.copy(&self.path.join("ledger.db"), "ledger.db")?;
        let queued_lost = {
            let mut ledger = LedgerDb::open(&staging.file("ledger.db"))?.ok_or_else(|| mixed("ledger"))?;
            ledger.check_file()?;
            let (reader, manifest) = (ledger.reader(), &self.manifest);
            let head = reader.head()?;
            if (reader.network(), head.height, head.hash)
                != (manifest.network_id, manifest.height, manifest.head_hash)
            {
                return Err(mixed("ledger"));
            }
            ledger.mark_restored()?;
            forget_uploads(&mut ledger)?
        };
        if self.path.join("tokens.db").exists() {
            staging.copy(&self.path.join("tokens.db"), "tokens.db")?;
        }
        let mut held_lost = 0;
        if self.path.join("index.db").exists() {
            staging.make_dir("content")?;
            staging.copy(&self.path.join("index.db"), "content/index.db")?;
            held_lost = forget_content(&staging.file("content/index.db"))?;
        }
        staging.finish()?;
        // An upload that waits is held by the store, and soon after queued by the ledger as well.
        let uploads_lost = queued_lost.max(held_lost);
        Ok(Restored { manifest: self.manifest.clone(), uploads_lost })
    }
}

/// Takes writes out of the queue that would publish content which is nowhere any more. Nobody was told that these are
/// final.
fn forget_uploads(ledger: &mut LedgerDb) -> Result<u64, BackupError> {
    let mut lost = 0;
    for entry in ledger.outbox()? {
        if matches!(entry.signed.transaction.action, Action::AddFile { .. }) {
            ledger.dequeue(entry.id)?;
            lost += 1;
        }
    }
    Ok(lost)
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Manifest { node_id, network_id, height, .. } = &self.manifest;
        writeln!(f, "Restored node {node_id}")?;
        writeln!(f, "  network  {network_id}")?;
        writeln!(f, "  height   {height}")?;
        if self.uploads_lost > 0 {
            writeln!(f, "  lost     {} uploads that were not final yet", self.uploads_lost)?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "The node it was copied from must never run again. Start this one as that was started: it fetches"
        )?;
        writeln!(
            f,
            "what it missed and its files from the others, and makes no blocks before it has heard from every"
        )?;
        write!(f, "member.")
    }
}
