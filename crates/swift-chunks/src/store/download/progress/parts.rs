//! From verified to durable, for grains of chunks that are not whole.

use std::collections::BTreeSet;

use super::Progress;
use crate::layout::ChunkIndex;
use crate::slice::Grains;
use crate::store::disk::Synced;

/// What the next commit is about: chunks that are written, and grains of others.
#[derive(Debug)]
pub(in crate::store) struct Changes {
    pub(in crate::store) chunks: Vec<ChunkIndex>,
    parts: Vec<(ChunkIndex, Grains)>,
    /// [`Progress::losses`] when this was so.
    losses: u64,
}

impl Changes {
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.parts.is_empty()
    }
}

/// What the index is to claim of one chunk that is not whole.
#[derive(Debug)]
pub(in crate::store) struct PartClaim {
    pub(in crate::store) chunk: ChunkIndex,
    pub(in crate::store) grains: Grains,
    /// The chunk's grain tree, if the index does not have it.
    pub(in crate::store) tree: Option<Vec<u8>>,
    before: Grains,
}

impl Progress {
    /// The grain tree of an open chunk, if the index does not have it.
    pub(in crate::store) fn tree(&self, chunk: ChunkIndex) -> Option<&Vec<u8>> {
        self.trees.get(&chunk)
    }

    /// Keeps the tree of a chunk of which a slice is about to be written, for the index.
    pub(in crate::store) fn keep_tree(&mut self, chunk: ChunkIndex, encode: impl FnOnce() -> Vec<u8>) {
        if self.open.get(&chunk).is_some_and(|open| open.durable.is_empty()) {
            self.trees.entry(chunk).or_insert_with(encode);
        }
    }

    /// The chunks of which the index claims grains, and which.
    pub(in crate::store) fn durable_parts(&self) -> Vec<(ChunkIndex, Grains)> {
        let open = self.open.iter().map(|(&chunk, open)| (chunk, open.durable));
        open.filter(|(_, durable)| !durable.is_empty()).collect()
    }

    /// Takes out what was recorded, and notes which grains of other chunks the index does not claim yet.
    pub(in crate::store) fn take_changes(&mut self) -> Changes {
        let chunks = std::mem::take(&mut self.recorded);
        let recorded: BTreeSet<ChunkIndex> = chunks.iter().copied().collect();
        let changed = self.open.iter().filter(|(chunk, open)| {
            open.verified != open.durable && !(open.is_taken && recorded.contains(chunk))
        });
        let parts = changed.map(|(&chunk, open)| (chunk, open.verified)).collect();
        Changes { chunks, parts, losses: self.losses }
    }

    /// What the index is to claim of chunks that are not whole, now that their bytes are on the disk itself. From now on
    /// it counts as claimed. If something was lost since, that is left to the next commit: what was written may have
    /// been written over.
    pub(in crate::store) fn claim_parts(
        &mut self,
        synced: &Synced<Changes>,
        is_held: impl Fn(ChunkIndex) -> bool,
    ) -> Vec<PartClaim> {
        let (changes, mut claims) = (synced.get(), Vec::new());
        for &(chunk, grains) in changes.parts.iter().filter(|_| changes.losses == self.losses) {
            let Some(open) = self.open.get_mut(&chunk).filter(|_| !is_held(chunk)) else { continue };
            let before = open.durable;
            open.durable = before.and(grains);
            claims.push(PartClaim { chunk, grains: open.durable, tree: self.trees.remove(&chunk), before });
        }
        claims
    }

    /// The index did not take it.
    pub(in crate::store) fn unclaim_parts(&mut self, claims: Vec<PartClaim>) {
        for PartClaim { chunk, grains, tree, before } in claims {
            if let Some(open) = self.open.get_mut(&chunk) {
                open.durable = open.durable.without(grains.without(before));
                self.trees.extend(tree.map(|tree| (chunk, tree)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{chunk, grains};
    use super::*;

    fn claimed(progress: &mut Progress) -> Vec<(ChunkIndex, Grains)> {
        let changes = Synced::assumed(progress.take_changes());
        progress
            .claim_parts(&changes, |_| false)
            .into_iter()
            .map(|claim| (claim.chunk, claim.grains))
            .collect()
    }

    fn write(progress: &mut Progress, chunk: ChunkIndex, bits: u64) {
        let epoch = progress.epoch();
        assert!(progress.take_grains(chunk, grains(bits)));
        assert!(progress.grains_written(chunk, grains(bits), epoch).is_some());
        progress.release_grains(chunk, grains(bits));
    }

    #[test]
    fn each_commit_is_about_the_chunks_that_changed_since_the_last() {
        let mut progress = Progress::default();
        let other = ChunkIndex::minted(8);
        write(&mut progress, chunk(), 0b1);
        write(&mut progress, other, 0b1);
        assert_eq!(claimed(&mut progress), [(chunk(), grains(0b1)), (other, grains(0b1))]);
        write(&mut progress, other, 0b100);
        assert_eq!(claimed(&mut progress), [(other, grains(0b101))]);
        assert!(progress.take_changes().is_empty());
    }

    #[test]
    fn a_claim_that_the_index_did_not_take_is_made_again() {
        let mut progress = Progress::default();
        write(&mut progress, chunk(), 0b1);
        assert_eq!(claimed(&mut progress), [(chunk(), grains(0b1))]);
        write(&mut progress, chunk(), 0b10);
        let changes = Synced::assumed(progress.take_changes());
        let claims = progress.claim_parts(&changes, |_| false);
        progress.unclaim_parts(claims);
        assert_eq!((progress.durable(chunk()), progress.verified(chunk())), (grains(0b1), grains(0b11)));
        assert_eq!(claimed(&mut progress), [(chunk(), grains(0b11))]);
    }

    #[test]
    fn a_failed_synchronisation_takes_back_what_is_not_durable_and_nothing_else() {
        let mut progress = Progress::default();
        write(&mut progress, chunk(), 0b1);
        claimed(&mut progress);
        write(&mut progress, chunk(), 0b10);
        progress.end_epoch(Vec::new());
        assert_eq!(progress.verified(chunk()), grains(0b1));
        assert!(!progress.take_grains(chunk(), grains(0b11)) && progress.take_grains(chunk(), grains(0b10)));
    }

    #[test]
    fn what_was_lost_and_written_again_while_the_data_was_synchronised_waits_for_the_next_commit() {
        let mut progress = Progress::default();
        write(&mut progress, chunk(), 0b11);
        let changes = Synced::assumed(progress.take_changes());
        progress.forget_chunk(chunk());
        write(&mut progress, chunk(), 0b11);
        assert!(progress.claim_parts(&changes, |_| false).is_empty());
        assert_eq!(claimed(&mut progress), [(chunk(), grains(0b11))]);
    }
}
