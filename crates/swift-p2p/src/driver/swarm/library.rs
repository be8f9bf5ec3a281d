//! What the ledger and the store say of files, looked up where blocking is allowed.

use std::collections::{BTreeMap, HashSet};

use swift_chain::{Action, DbError, FileRecord, Hash, LedgerReader, NodeId};
use swift_chunks::{
    ChunkIndex, ChunkLayout, ChunkSet, ContentRef, FileId, Grains, ManifestHash, ObjectState, Store,
    StoreError, Wanted,
};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::events::{Command, Event};
use crate::driver::ledger::LedgerReads;

/// Blocks that are looked at in one go.
const BLOCKS_MAX: u64 = 128;
/// Names of one content that are looked through for its manifest.
const SAME_CONTENT_MAX: usize = 1024;
/// Rows of the store's list that are read in one go.
const PAGE_LEN: usize = 256;

/// A file that was looked up.
pub(super) struct Found {
    pub(super) file: FileId,
    /// Nothing when no live name means it, or when its manifest is proven false.
    pub(super) live: Option<Live>,
}

/// A file that a live name means.
pub(super) struct Live {
    pub(super) publisher: NodeId,
    pub(super) content: ContentRef,
    pub(super) held: ChunkSet,
    /// Grains of other chunks that are durable.
    pub(super) parts: Vec<(ChunkIndex, Grains)>,
    /// Whole and in its place, not only all chunks.
    pub(super) is_complete: bool,
    /// Whether this node keeps it: what is missing is to be fetched.
    pub(super) is_kept: bool,
}

/// Looks things up. Cheap to clone.
#[derive(Clone)]
pub(super) struct Library {
    ledger: LedgerReads,
    pub(super) store: Store,
}

#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Ledger(#[from] DbError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Library {
    pub(super) fn new(ledger: LedgerReads, store: Store) -> Self {
        Self { ledger, store }
    }

    /// Looks files up for a command, and hands it back with them.
    pub(super) fn find(
        &self,
        files: Vec<FileId>,
        then: Command,
        work: &TaskTracker,
        events: &mpsc::UnboundedSender<Event>,
    ) {
        self.work(work, events, move |library| {
            let looked = library.ledger.with(|reader| Ok(library.look(reader, &files)))?;
            // The command is answered whatever became of the look-up: without files, it is about unknown ones.
            let found = looked.unwrap_or_else(|error| {
                tracing::warn!(%error, "files cannot be looked up");
                Vec::new()
            });
            Ok(Event::Found { found, then })
        });
    }

    /// Looks at the files that blocks from `next` on name.
    pub(super) fn follow(
        &self,
        next: u64,
        target: u64,
        work: &TaskTracker,
        events: &mpsc::UnboundedSender<Event>,
    ) {
        self.work(work, events, move |library| {
            let height = target.min(next.saturating_add(BLOCKS_MAX - 1));
            let found = library.ledger.with(|reader| {
                let files = named_in(reader, next, height)?;
                Ok(library.look(reader, &files))
            })??;
            Ok(Event::Followed { height, found })
        });
    }

    /// Up to `room` wanted files that are not `known` as such.
    pub(super) fn refill(
        &self,
        known: HashSet<FileId>,
        room: usize,
        work: &TaskTracker,
        events: &mpsc::UnboundedSender<Event>,
    ) {
        self.work(work, events, move |library| {
            let (mut found, mut after): (Vec<Found>, Option<Wanted>) = (Vec::new(), None);
            loop {
                let page = library.store.wanted(after.as_ref(), PAGE_LEN)?;
                let Some(&last) = page.last() else { return Ok(Event::Refilled { found, more: false }) };
                after = Some(last);
                let new = page.iter().filter(|wanted| !known.contains(&wanted.file_id));
                let looked = library.ledger.with(|reader| {
                    Ok(new.map(|wanted| library.look_wanted(reader, wanted)).collect::<Result<Vec<_>, _>>())
                })??;
                found.extend(looked.into_iter().flatten());
                if found.len() >= room {
                    return Ok(Event::Refilled { found, more: true });
                }
            }
        });
    }

    fn work(
        &self,
        work: &TaskTracker,
        events: &mpsc::UnboundedSender<Event>,
        look: impl FnOnce(&Self) -> Result<Event, LookError> + Send + 'static,
    ) {
        let (library, events) = (self.clone(), events.clone());
        work.spawn_blocking(move || {
            let event = look(&library).unwrap_or_else(|error| Event::LookFailed { error: error.to_string() });
            // Free the store before anybody can wait for that.
            drop(library);
            let _ = events.send(event);
        });
    }

    fn look(&self, reader: &LedgerReader, files: &[FileId]) -> Result<Vec<Found>, LookError> {
        files.iter().map(|&file| Ok(Found { file, live: self.look_one(reader, file)? })).collect()
    }

    /// What the store wants. It knows which manifests are proven false; the ledger may name the same bytes under several.
    fn look_wanted(&self, reader: &LedgerReader, wanted: &Wanted) -> Result<Option<Found>, LookError> {
        let (file, manifest_hash) = (wanted.file_id, wanted.manifest_hash);
        let records = reader.files_by_id(&Hash::from_bytes(*file.as_bytes()), SAME_CONTENT_MAX)?;
        let content = ContentRef { file_id: file, manifest_hash, len: wanted.len };
        // Who named it so is to blame if it is false; others may have named it rightly.
        let Some(record) = records.iter().find(|record| content_of(record) == content) else {
            return Ok(None);
        };
        let opened = if wanted.durable_bytes > 0 { Some(self.store.reader(file)?) } else { None };
        let (held, parts) = match opened.filter(|reader| reader.content() == content) {
            Some(reader) => (reader.held(), reader.open_chunks()),
            None => (ChunkSet::empty(ChunkLayout::new(content.len).map_err(StoreError::from)?), Vec::new()),
        };
        let live =
            Live { publisher: record.publisher, content, held, parts, is_complete: false, is_kept: true };
        Ok(Some(Found { file, live: Some(live) }))
    }

    fn look_one(&self, reader: &LedgerReader, file: FileId) -> Result<Option<Live>, LookError> {
        let Some(record) = reader.file_by_id(&Hash::from_bytes(*file.as_bytes()))? else { return Ok(None) };
        let content = content_of(&record);
        let nothing = ChunkSet::empty(ChunkLayout::new(content.len).map_err(StoreError::from)?);
        let is_kept = self.is_kept(&content, &record)?;
        let live = |content, held, is_complete| {
            let parts = Vec::new();
            Some(Live { publisher: record.publisher, content, held, parts, is_complete, is_kept })
        };
        let Some(object) = self.store.object(file)? else { return Ok(live(content, nothing, false)) };
        let is_same = object.manifest_hash == content.manifest_hash && object.len == content.len;
        Ok(match object.state {
            // It is the file, whatever others say of it.
            ObjectState::Complete => {
                let content =
                    ContentRef { file_id: file, manifest_hash: object.manifest_hash, len: object.len };
                live(content, self.store.reader(file)?.held(), true)
            }
            ObjectState::Partial if is_same && object.durable_bytes > 0 => {
                let reader = self.store.reader(file)?;
                let parts = reader.open_chunks();
                live(content, reader.held(), false).map(|live| Live { parts, ..live })
            }
            ObjectState::Partial => live(content, nothing, false),
            // What was changed from outside counts for nothing until it is verified; a false manifest never does.
            ObjectState::Suspect | ObjectState::ManifestFalse => None,
        })
    }

    /// Whether this node is to have a file. Of one that the store does not know yet, the rule alone says so.
    fn is_kept(&self, content: &ContentRef, record: &FileRecord) -> Result<bool, StoreError> {
        match self.store.object(content.file_id)? {
            Some(_) => self.store.is_kept(content.file_id),
            None => Ok(self.store.keep_rule().covers(record.entry.name.as_str())),
        }
    }

    /// Looks files up again, because what is kept has changed.
    pub(super) fn look_again(
        &self,
        files: Vec<FileId>,
        work: &TaskTracker,
        events: &mpsc::UnboundedSender<Event>,
    ) {
        self.work(work, events, move |library| {
            let found = library.ledger.with(|reader| Ok(library.look(reader, &files)))??;
            Ok(Event::LookedAgain { found })
        });
    }

    /// The same file under the next manifest that somebody published for it, if there is another.
    pub(super) fn find_other(
        &self,
        content: ContentRef,
        work: &TaskTracker,
        events: &mpsc::UnboundedSender<Event>,
    ) {
        self.work(work, events, move |library| {
            let hash = Hash::from_bytes(*content.file_id.as_bytes());
            let records = library.ledger.with(|reader| reader.files_by_id(&hash, SAME_CONTENT_MAX))?;
            let named = |record: &FileRecord| (content_of(record).manifest_hash, record.entry.size);
            let ours = (content.manifest_hash, content.len);
            let next =
                records.iter().filter(|record| named(record) > ours).min_by_key(|record| named(record));
            let next = next.or_else(|| records.iter().min_by_key(|record| named(record)));
            let Some(record) = next.filter(|record| named(record) != ours) else {
                return Ok(Event::NoOther);
            };
            let content = content_of(record);
            let held = ChunkSet::empty(ChunkLayout::new(content.len).map_err(StoreError::from)?);
            let is_kept = library.is_kept(&content, record)?;
            let (parts, publisher) = (Vec::new(), record.publisher);
            let live = Live { publisher, content, held, parts, is_complete: false, is_kept };
            Ok(Event::Other { found: Found { file: content.file_id, live: Some(live) } })
        });
    }
}

fn content_of(record: &FileRecord) -> ContentRef {
    ContentRef {
        file_id: FileId::from_bytes(*record.entry.file_id.as_bytes()),
        manifest_hash: ManifestHash::from_bytes(*record.entry.manifest_hash.as_bytes()),
        len: record.entry.size,
    }
}

/// The files that blocks add or remove, each once.
fn named_in(reader: &LedgerReader, from: u64, to: u64) -> Result<Vec<FileId>, DbError> {
    let mut files = BTreeMap::new();
    for height in from.max(1)..=to {
        let transactions = reader.block(height)?.map(|sealed| sealed.block.transactions).unwrap_or_default();
        for signed in transactions {
            let named = match signed.transaction.action {
                Action::AddFile { file, replaces } => [Some(file.file_id), replaces],
                Action::RemoveFile { file_id, .. } => [Some(file_id), None],
                _ => [None, None],
            };
            for hash in named.into_iter().flatten() {
                files.insert(FileId::from_bytes(*hash.as_bytes()), ());
            }
        }
    }
    Ok(files.into_keys().collect())
}
