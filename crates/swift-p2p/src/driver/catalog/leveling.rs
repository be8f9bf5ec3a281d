//! Bringing a store level with a ledger as a whole, where no blocks lead from what the store knows to what holds now.

use swift_chain::{DbError, FileFilter, FileName, FileRecord, LedgerReader};
use swift_chunks::{ContentRef, FileId, LiveName, ManifestHash, Store, StoreError};
use tracing::info;

use super::report;
use crate::driver::wall_clock_ms;

/// Names that are looked at in one go while a store is brought level.
const NAMES_PER_COMMIT: u32 = 256;

/// Why a store was not brought level with a ledger. It goes on from the beginning the next time.
#[derive(Debug, thiserror::Error)]
pub enum LevelError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] DbError),
    /// The store refuses.
    #[error("the store cannot be brought level with the ledger: {0}")]
    Store(#[from] StoreError),
}

/// Brings the names of a store level with a ledger that nobody writes meanwhile, whatever they were before: what a
/// network that was founded anew began with is in no block. Content that is here stays here.
pub fn bring_level(store: &Store, ledger: &LedgerReader) -> Result<(), LevelError> {
    let head = ledger.head()?;
    let mut after: Option<String> = None;
    // Those that go first: a name may have been freed for another that needs a folder in its place.
    loop {
        let names = store.list_names(after.as_deref(), NAMES_PER_COMMIT as usize)?;
        let Some(last) = names.last() else { break };
        after = Some(last.name.clone());
        let mut gone = Vec::new();
        for name in names.into_iter().map(|info| info.name) {
            let live =
                name.parse::<FileName>().ok().map(|name| ledger.file(&name.key())).transpose()?.flatten();
            if live.is_none_or(|live| live.entry.name.as_str() != name) {
                gone.push(name);
            }
        }
        report(&store.level(&[], &gone, wall_clock_ms())?);
    }
    let mut page = FileFilter { limit: NAMES_PER_COMMIT, ..FileFilter::default() };
    loop {
        let files = ledger.files(&page)?;
        let Some(last) = files.last() else { break };
        page.after = Some(last.entry.name.key());
        let live: Vec<LiveName> = files.into_iter().map(live_name).collect();
        report(&store.level(&live, &[], wall_clock_ms())?);
    }
    store.set_level(head.height)?;
    info!(height = head.height, "the files here are level with the ledger");
    Ok(())
}

fn live_name(record: FileRecord) -> LiveName {
    let FileRecord { entry, height, .. } = record;
    let content = ContentRef {
        file_id: FileId::from_bytes(*entry.file_id.as_bytes()),
        manifest_hash: ManifestHash::from_bytes(*entry.manifest_hash.as_bytes()),
        len: entry.size,
    };
    LiveName { name: entry.name.into(), content, height }
}
