//! Chunks that may be claimed.

use std::collections::BTreeSet;
use std::ops::Deref;

use crate::chunk_set::ChunkSet;
use crate::layout::{ChunkIndex, ChunkLayout};
use crate::store::disk::Synced;
use crate::store::download::Changes;

/// Chunks whose bytes are on the disk itself: known from a synchronisation, or from the index, which was told of one.
#[derive(Clone, Debug)]
pub(in crate::store) struct DurableChunks(ChunkSet);

impl DurableChunks {
    pub(in crate::store) fn none(layout: ChunkLayout) -> Self {
        Self(ChunkSet::empty(layout))
    }

    /// What the index says.
    pub(super) fn recorded(chunks: ChunkSet) -> Self {
        Self(chunks)
    }

    pub(in crate::store) fn synced(chunks: Synced<ChunkSet>) -> Self {
        Self(chunks.into_inner())
    }

    /// Adds chunks; answers the pages of the bitmap that changed.
    pub(in crate::store) fn extend(&mut self, synced: &Synced<Changes>) -> BTreeSet<u32> {
        let mut pages = BTreeSet::new();
        for &chunk in &synced.get().chunks {
            self.0.insert(chunk);
            pages.insert(ChunkSet::page_of(chunk));
        }
        pages
    }

    pub(in crate::store) fn remove(&mut self, chunk: ChunkIndex) {
        self.0.remove(chunk);
    }
}

impl Deref for DurableChunks {
    type Target = ChunkSet;

    fn deref(&self) -> &ChunkSet {
        &self.0
    }
}
