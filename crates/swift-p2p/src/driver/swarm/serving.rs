//! How a member's request for bytes is served: from what is whole here, or from what is on its way and verified.

use std::{ops::Range, sync::Arc};

use swift_chain::NodeId;
use swift_chunks::{ChunkIndex, ContentReader, FileId, GrainTree, ReadError, Slice, Store, StoreError};

use super::{
    files::Stage,
    incoming::Incoming,
    owner::Owner,
    sends::SendGuard,
    trees::{self, Trees},
};
use crate::swarm::Input;

/// What the swarm says to a member's request.
pub struct Serving {
    guard: Option<SendGuard>,
    file: FileId,
    /// The file is on its way here.
    incoming: Option<Arc<Incoming>>,
    trees: Arc<Trees>,
    is_given_up: bool,
}

impl Serving {
    /// Whether the file was given up, because its manifest is false: nothing of it is served.
    pub fn is_given_up(&self) -> bool {
        self.is_given_up
    }

    /// What reads the file, also what is verified of it and not durable yet. Blocks.
    pub fn reader(&self, store: &Store) -> Result<ContentReader, StoreError> {
        match self.incoming.as_ref().and_then(|incoming| incoming.download()) {
            Some(download) => Ok(download.part_reader()),
            None => store.reader(self.file),
        }
    }

    /// The grain tree of a chunk, of which the asker gets a slice, as [`GRAINS_HEADER`](super::GRAINS_HEADER) says it.
    /// Reads the whole chunk if it was not served of late. Blocks.
    pub fn grains(&self, reader: &ContentReader, chunk: ChunkIndex) -> Result<String, ReadError> {
        Ok(trees::encode(&*self.tree(reader, chunk)?))
    }

    /// Goes with the body; there is none if the bytes are no part of the swarm's traffic.
    pub fn into_guard(self) -> Option<SendGuard> {
        self.guard
    }

    fn tree(&self, reader: &ContentReader, chunk: ChunkIndex) -> Result<Arc<GrainTree>, ReadError> {
        let coming = self.incoming.as_ref().and_then(|incoming| incoming.tree(chunk));
        if let Some(tree) = coming.or_else(|| self.trees.find(self.file, chunk)) {
            return Ok(tree);
        }
        let tree = Arc::new(reader.grain_tree(chunk)?);
        self.trees.keep(self.file, tree.clone());
        Ok(tree)
    }
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serving")
            .field("file", &self.file)
            .field("guard", &self.guard)
            .finish_non_exhaustive()
    }
}

impl Owner {
    /// A member's request is about to be served: if it is one for a slice, the machine is told.
    pub(super) fn serve(&mut self, to: NodeId, file: FileId, range: &Range<u64>) -> Serving {
        let entry = self.files.get(&file);
        let is_given_up = entry.is_some_and(|entry| matches!(entry.stage, Stage::Abandoned));
        let incoming = entry.and_then(|entry| entry.receiving()).map(|receiving| receiving.incoming.clone());
        let slice = entry.and_then(|entry| Some((Slice::of_range(entry.layout, range)?, entry.layout)));
        let guard = slice.filter(|_| !is_given_up).map(|(slice, layout)| {
            let guard = self.sends.begin(to, file, (slice, slice.len(layout)), &self.events);
            self.tell(Input::SendStarted { to, file, slice });
            guard
        });
        Serving { guard, file, incoming, trees: self.trees.clone(), is_given_up }
    }
}
