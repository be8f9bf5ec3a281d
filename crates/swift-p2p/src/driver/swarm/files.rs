//! What the owner knows of each file that the machine knows.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use swift_chain::NodeId;
use swift_chunks::{ChunkIndex, ChunkLayout, ContentRef, FileId};
use tokio::{sync::watch, time::Instant};

use super::{arriving::Readers, incoming::Incoming};

/// Wanted files that the machine is told of at once; the others wait in the store.
pub(super) const WANTED_MAX: usize = 8192;
/// Files at rest that the machine knows, complete ones and those that are not kept; those that have been known longest go
/// first.
const RESTING_MAX: usize = 8192;

/// All files the machine knows.
#[derive(Default)]
pub(super) struct Files {
    entries: HashMap<FileId, Entry>,
    /// In the order in which they came to rest.
    resting: VecDeque<FileId>,
}

/// One file.
pub(super) struct Entry {
    pub(super) publisher: NodeId,
    pub(super) content: ContentRef,
    pub(super) layout: ChunkLayout,
    pub(super) stage: Stage,
    /// Who reads it here while it is on its way, or did so of late.
    pub(super) readers: Arc<Readers>,
}

/// How far the file is here.
pub(super) enum Stage {
    /// Complete and durable.
    Stored,
    /// Chunks are missing, or not all are durable; of a file that is not kept, while somebody reads it.
    Receiving(Box<Receiving>),
    /// Chunks may be missing, and this node does not keep it: nothing is fetched.
    Unwanted,
    /// Its manifest is false.
    Abandoned,
}

/// A file on its way here.
pub(super) struct Receiving {
    pub(super) incoming: Arc<Incoming>,
    /// When it began to be on its way.
    pub(super) since: Instant,
    /// Whether this node is to have all of it; else it comes as far as it is read.
    pub(super) is_kept: bool,
    /// Tells those who read it that there is more; by going, that it is here, or will not be.
    pub(super) progress: watch::Sender<()>,
    /// Chunks that passed both hashes and are not durable.
    pub(super) pending: BTreeSet<ChunkIndex>,
    pub(super) pending_bytes: u64,
    /// Bytes in slices of other chunks that are verified and not durable.
    pub(super) pending_parts: u64,
    /// Since when something is pending.
    pub(super) pending_since: Option<Instant>,
    pub(super) disk: Disk,
    /// Whether every chunk is verified, so that the file is to be finished.
    pub(super) is_finish_due: bool,
    /// Whether it was taken in as a whole, so that there is nothing to finish.
    pub(super) is_stored: bool,
    /// Why nothing can be stored, if so.
    pub(super) blocked: Option<String>,
}

/// What a thread is doing with a file. One thing at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disk {
    Idle,
    Committing,
    Finishing,
    /// The last attempt to finish failed; it is tried again after a pause.
    Pausing,
}

impl Receiving {
    pub(super) fn new(incoming: Arc<Incoming>, is_kept: bool) -> Self {
        Self {
            incoming,
            since: Instant::now(),
            is_kept,
            progress: watch::Sender::new(()),
            pending: BTreeSet::new(),
            pending_bytes: 0,
            pending_parts: 0,
            pending_since: None,
            disk: Disk::Idle,
            is_finish_due: false,
            is_stored: false,
            blocked: None,
        }
    }
}

impl Entry {
    /// Complete, or not kept: nothing of it is fetched.
    pub(super) fn is_resting(&self) -> bool {
        matches!(self.stage, Stage::Stored | Stage::Unwanted)
    }

    pub(super) fn receiving(&self) -> Option<&Receiving> {
        match &self.stage {
            Stage::Receiving(receiving) => Some(receiving),
            _ => None,
        }
    }

    pub(super) fn receiving_mut(&mut self) -> Option<&mut Receiving> {
        match &mut self.stage {
            Stage::Receiving(receiving) => Some(receiving),
            _ => None,
        }
    }
}

impl Files {
    pub(super) fn get(&self, file: &FileId) -> Option<&Entry> {
        self.entries.get(file)
    }

    pub(super) fn get_mut(&mut self, file: &FileId) -> Option<&mut Entry> {
        self.entries.get_mut(file)
    }

    pub(super) fn receiving_mut(&mut self, file: &FileId) -> Option<&mut Receiving> {
        self.entries.get_mut(file).and_then(Entry::receiving_mut)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&FileId, &Entry)> {
        self.entries.iter()
    }

    pub(super) fn insert(&mut self, file: FileId, entry: Entry) {
        self.entries.insert(file, entry);
    }

    pub(super) fn remove(&mut self, file: &FileId) -> Option<Entry> {
        self.entries.remove(file)
    }

    /// Notes that nothing more is fetched of a file. Returns one that is too many now.
    pub(super) fn note_resting(&mut self, file: FileId) -> Option<FileId> {
        self.resting.push_back(file);
        while self.resting.len() > RESTING_MAX {
            let oldest = self.resting.pop_front()?;
            if oldest != file && self.get(&oldest).is_some_and(Entry::is_resting) {
                return Some(oldest);
            }
        }
        None
    }

    /// Files that are on their way.
    pub(super) fn receiving_len(&self) -> usize {
        self.entries.values().filter(|entry| entry.receiving().is_some()).count()
    }
}
