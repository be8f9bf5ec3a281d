//! What is here of the chunks that are not durable as a whole, and who may write where.

mod parts;

pub(in crate::store) use parts::{Changes, PartClaim};

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::layout::ChunkIndex;
use crate::slice::Grains;

/// Belongs to a content; shared by its download, its writers and its readers. Taken before the lock of the content and
/// after that of the index, never the other way.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct SharedProgress(Arc<Mutex<Progress>>);

impl SharedProgress {
    pub(in crate::store) fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Two rules: a grain has one writer at a time, and a verified grain has none.
///
/// An **epoch** ends when a synchronisation fails: it may drop anything that was written before it and is not
/// durable, even if the bytes can still be read. So nothing that was begun in an earlier epoch counts.
///
/// What the index claims of a chunk stays verified, and so is not written to, until the index has taken it back.
#[derive(Debug, Default)]
pub(in crate::store) struct Progress {
    epoch: u64,
    /// How often something was verified and is not any more.
    losses: u64,
    /// No entry is idle. A few dozen bytes each.
    open: BTreeMap<ChunkIndex, OpenChunk>,
    /// Written chunks for the next commit.
    recorded: Vec<ChunkIndex>,
    /// Grain trees of open chunks that the index does not have.
    trees: BTreeMap<ChunkIndex, Vec<u8>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct OpenChunk {
    /// These stand in the file as they should.
    verified: Grains,
    /// Those of them that the index claims, or is about to.
    durable: Grains,
    /// These have a writer each, of slices.
    writing: Grains,
    /// Somebody has the whole chunk: writes it, checks it, or has written it. Nobody else touches it.
    is_taken: bool,
}

impl OpenChunk {
    fn is_idle(&self) -> bool {
        self.verified.is_empty() && self.writing.is_empty() && !self.is_taken
    }
}

/// Why a chunk is not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unready {
    Taken,
    Missing(Grains),
}

impl Progress {
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Takes over what the index claims of a chunk.
    pub(in crate::store) fn restore(&mut self, chunk: ChunkIndex, grains: Grains) {
        self.open.insert(chunk, OpenChunk { verified: grains, durable: grains, ..OpenChunk::default() });
    }

    pub(in crate::store) fn verified(&self, chunk: ChunkIndex) -> Grains {
        self.open.get(&chunk).map_or(Grains::NONE, |open| open.verified)
    }

    pub(in crate::store) fn durable(&self, chunk: ChunkIndex) -> Grains {
        self.open.get(&chunk).map_or(Grains::NONE, |open| open.durable)
    }

    /// The chunks that have verified grains, and which.
    pub(super) fn open(&self) -> Vec<(ChunkIndex, Grains)> {
        let open = self.open.iter().map(|(&chunk, open)| (chunk, open.verified));
        open.filter(|(_, verified)| !verified.is_empty()).collect()
    }

    /// Gives the whole chunk to one who will write it, unless somebody has some of it.
    pub(super) fn take_chunk(&mut self, chunk: ChunkIndex) -> bool {
        let is_free = !self.open.contains_key(&chunk);
        if is_free {
            self.open.insert(chunk, OpenChunk { is_taken: true, ..OpenChunk::default() });
        }
        is_free
    }

    /// Gives the whole chunk to one who will check it, if all its grains are verified.
    pub(super) fn take_verified(&mut self, chunk: ChunkIndex, all: Grains) -> Result<(), Unready> {
        let open = self.open.get_mut(&chunk).ok_or(Unready::Missing(all))?;
        let missing = all.without(open.verified);
        if open.is_taken {
            return Err(Unready::Taken);
        }
        if !missing.is_empty() {
            return Err(Unready::Missing(missing));
        }
        open.is_taken = true;
        Ok(())
    }

    /// Who has the chunk has written it. Nothing is noted if that was begun in another epoch.
    pub(super) fn chunk_written(&mut self, chunk: ChunkIndex, all: Grains, epoch: u64) {
        if let Some(open) = self.open.get_mut(&chunk).filter(|_| epoch == self.epoch) {
            open.verified = all;
        }
    }

    /// Who had the chunk lets go of it: of what was written only what the index claims counts.
    pub(super) fn release_chunk(&mut self, chunk: ChunkIndex) {
        let Some(open) = self.open.get_mut(&chunk) else { return };
        self.losses += u64::from(open.verified != open.durable);
        *open = OpenChunk { verified: open.durable, is_taken: false, ..*open };
        self.drop_idle(chunk);
    }

    /// The chunk is durable as a whole: that is what counts for it from now on.
    pub(super) fn close_chunk(&mut self, chunk: ChunkIndex) {
        self.open.remove(&chunk);
        self.trees.remove(&chunk);
    }

    /// The index claims nothing of the chunk any more, and nothing of it counts.
    pub(super) fn forget_chunk(&mut self, chunk: ChunkIndex) {
        let Some(open) = self.open.get_mut(&chunk) else { return };
        self.losses += 1;
        (open.verified, open.durable) = (Grains::NONE, Grains::NONE);
        self.drop_idle(chunk);
    }

    /// The index claims no part of any chunk any more.
    pub(in crate::store) fn forget_all(&mut self) {
        for open in self.open.values_mut() {
            open.durable = Grains::NONE;
        }
        self.end_epoch(Vec::new());
    }

    fn drop_idle(&mut self, chunk: ChunkIndex) {
        if self.open.get(&chunk).is_some_and(OpenChunk::is_idle) {
            self.close_chunk(chunk);
        }
    }

    /// Gives grains to one who will write them, unless somebody has one of them or it is verified.
    pub(super) fn take_grains(&mut self, chunk: ChunkIndex, grains: Grains) -> bool {
        let open = self.open.entry(chunk).or_default();
        let is_free = !open.is_taken && !open.verified.and(open.writing).meets(grains);
        if is_free {
            open.writing = open.writing.and(grains);
        }
        is_free
    }

    /// Who had the grains lets go of them; what was not verified is not.
    pub(super) fn release_grains(&mut self, chunk: ChunkIndex, grains: Grains) {
        let Some(open) = self.open.get_mut(&chunk) else { return };
        open.writing = open.writing.without(grains);
        self.drop_idle(chunk);
    }

    /// Who has the grains has written and verified them. Answers what is verified of the chunk now; nothing if that was
    /// begun in another epoch.
    pub(super) fn grains_written(&mut self, chunk: ChunkIndex, grains: Grains, epoch: u64) -> Option<Grains> {
        let open = self.open.get_mut(&chunk).filter(|_| epoch == self.epoch)?;
        open.verified = open.verified.and(grains);
        Some(open.verified)
    }

    /// Takes a written chunk into the next commit; refused if it was begun in another epoch.
    pub(super) fn record(&mut self, chunk: ChunkIndex, epoch: u64) -> bool {
        let is_current = epoch == self.epoch;
        if is_current {
            self.recorded.push(chunk);
        }
        is_current
    }

    pub(super) fn record_again(&mut self, chunks: Vec<ChunkIndex>) {
        self.recorded.extend(chunks);
    }

    /// Ends the epoch. Of what is not durable only who writes is remembered, so that nobody gets in their way.
    pub(super) fn end_epoch(&mut self, lost: Vec<ChunkIndex>) {
        self.epoch += 1;
        self.losses += 1;
        for chunk in lost.into_iter().chain(std::mem::take(&mut self.recorded)) {
            if let Some(open) = self.open.get_mut(&chunk) {
                open.is_taken = false;
            }
        }
        for open in self.open.values_mut() {
            open.verified = open.durable;
        }
        self.open.retain(|_, open| !open.is_idle());
        self.trees.retain(|chunk, _| self.open.contains_key(chunk));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(super) fn chunk() -> ChunkIndex {
        ChunkIndex::minted(7)
    }

    pub(super) fn grains(bits: u64) -> Grains {
        Grains::from_bits(bits)
    }

    #[test]
    fn what_was_begun_before_a_failed_synchronisation_does_not_count_after_it() {
        let mut progress = Progress::default();
        let (before, all) = (progress.epoch(), grains(0b111));
        assert!(progress.take_grains(chunk(), grains(0b001)) && progress.take_grains(chunk(), grains(0b010)));
        assert_eq!(progress.grains_written(chunk(), grains(0b001), before), Some(grains(0b001)));
        progress.release_grains(chunk(), grains(0b001));

        progress.end_epoch(Vec::new());
        assert_eq!(progress.verified(chunk()), Grains::NONE);
        assert!(!progress.take_grains(chunk(), grains(0b010)), "its writer is still there");
        assert_eq!(progress.grains_written(chunk(), grains(0b010), before), None);
        progress.release_grains(chunk(), grains(0b010));
        assert!(progress.open.is_empty());

        let now = progress.epoch();
        assert!(progress.take_grains(chunk(), all));
        assert_eq!(progress.grains_written(chunk(), all, now), Some(all));
        progress.release_grains(chunk(), all);
        assert_eq!(progress.take_verified(chunk(), all), Ok(()));
    }

    #[test]
    fn a_chunk_checked_or_written_before_a_failed_synchronisation_is_not_recorded() {
        let mut progress = Progress::default();
        let (before, all) = (progress.epoch(), grains(0b11));
        assert!(progress.take_chunk(chunk()));
        progress.chunk_written(chunk(), all, before);
        progress.end_epoch(Vec::new());
        assert_eq!(progress.verified(chunk()), Grains::NONE);
        assert!(!progress.record(chunk(), before));
        progress.chunk_written(chunk(), all, before);
        assert_eq!(progress.verified(chunk()), Grains::NONE);
        assert!(!progress.take_chunk(chunk()) && !progress.take_grains(chunk(), all), "it is still taken");
        progress.release_chunk(chunk());
        assert!(progress.take_chunk(chunk()));
    }

    #[test]
    fn a_failed_synchronisation_loses_what_was_recorded() {
        let mut progress = Progress::default();
        let other = ChunkIndex::minted(8);
        for chunk in [chunk(), other] {
            let epoch = progress.epoch();
            assert!(progress.take_chunk(chunk) && progress.record(chunk, epoch));
        }
        let in_flight = progress.take_changes().chunks;
        assert_eq!(in_flight, [chunk(), other]);
        progress.end_epoch(in_flight);
        assert!(progress.open.is_empty() && progress.take_changes().is_empty());
    }

    #[derive(Clone, Debug)]
    enum Step {
        TakeGrains(u64),
        TakeChunk,
        TakeVerified,
        Finish { who: usize, is_good: bool },
        EndEpoch,
    }

    fn step() -> impl Strategy<Value = Step> {
        let run = (0..4_u32, 0..16_u32).prop_map(|(level, at)| {
            let len = 1 << level;
            (u64::MAX >> (64 - len) << (at / len * len)) & 0xffff
        });
        prop_oneof![
            6 => run.prop_map(Step::TakeGrains),
            1 => Just(Step::TakeChunk),
            2 => Just(Step::TakeVerified),
            6 => (any::<usize>(), any::<bool>()).prop_map(|(who, is_good)| Step::Finish { who, is_good }),
            1 => Just(Step::EndEpoch),
        ]
    }

    proptest! {
        #[test]
        fn no_grain_has_two_writers_and_no_verified_grain_has_one(steps in prop::collection::vec(step(), 1..200)) {
            let all = grains(0xffff);
            let mut progress = Progress::default();
            // Grains, epoch, and whether it is the chunk as a whole.
            let mut holders: Vec<(Grains, u64, bool)> = Vec::new();
            for step in steps {
                let (epoch, verified) = (progress.epoch(), progress.verified(chunk()));
                let is_held = |grains| holders.iter().any(|(held, ..)| held.meets(grains));
                match step {
                    Step::TakeGrains(bits) => {
                        let (mine, is_free) = (grains(bits), !is_held(grains(bits)) && !verified.meets(grains(bits)));
                        prop_assert_eq!(progress.take_grains(chunk(), mine), is_free);
                        if is_free {
                            holders.push((mine, epoch, false));
                        }
                    }
                    Step::TakeChunk => {
                        let is_free = holders.is_empty() && verified.is_empty();
                        prop_assert_eq!(progress.take_chunk(chunk()), is_free);
                        if is_free {
                            holders.push((all, epoch, true));
                        }
                    }
                    Step::TakeVerified => {
                        let is_free = holders.is_empty() && verified == all;
                        prop_assert_eq!(progress.take_verified(chunk(), all).is_ok(), is_free);
                        if is_free {
                            holders.push((all, epoch, true));
                        }
                    }
                    Step::Finish { who, is_good } if !holders.is_empty() => {
                        let (mine, begun, is_whole) = holders.swap_remove(who % holders.len());
                        if is_whole {
                            progress.release_chunk(chunk());
                        } else {
                            let written = is_good.then(|| progress.grains_written(chunk(), mine, begun)).flatten();
                            prop_assert_eq!(written.is_some(), is_good && begun == epoch);
                            progress.release_grains(chunk(), mine);
                            prop_assert_eq!(progress.verified(chunk()).contains(mine), written.is_some());
                        }
                    }
                    Step::Finish { .. } => {}
                    Step::EndEpoch => {
                        progress.end_epoch(Vec::new());
                        prop_assert_eq!(progress.verified(chunk()), Grains::NONE);
                    }
                }
                prop_assert_eq!(progress.open.is_empty(), holders.is_empty() && progress.verified(chunk()).is_empty());
            }
        }
    }
}
