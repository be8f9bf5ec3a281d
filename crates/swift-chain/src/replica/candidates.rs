//! Blocks that were proposed for the height that is being decided, and follow the head by all rules.
//!
//! A height may take many rounds, and each may bring new blocks of up to 1 MiB. Those of long ago that no quorum was seen
//! to take are dropped: it is most unlikely that they are decided. Should one be, the log has it.

use std::collections::BTreeMap;

use crate::{execution::ValidBlock, hash::BlockHash};

/// Rounds behind the engine's own whose blocks are kept in any case.
const ROUNDS_KEPT: u32 = 10;

/// Blocks by hash, with the last round in which each was proposed.
#[derive(Debug, Default)]
pub(super) struct Candidates(BTreeMap<BlockHash, (u32, ValidBlock)>);

impl Candidates {
    pub(super) fn insert(&mut self, round: u32, block: ValidBlock) {
        self.0.insert(block.hash(), (round, block));
    }

    pub(super) fn contains(&self, hash: &BlockHash) -> bool {
        self.0.contains_key(hash)
    }

    pub(super) fn get(&self, hash: &BlockHash) -> Option<&ValidBlock> {
        self.0.get(hash).map(|(_, block)| block)
    }

    /// A block is proposed in a round. Whether it is here.
    pub(super) fn is_proposed(&mut self, hash: &BlockHash, round: u32) -> bool {
        let known = self.0.get_mut(hash);
        known.map(|(last, _)| *last = round.max(*last)).is_some()
    }

    /// Drops what was proposed long before the engine's round, but for what a quorum was seen to take: only that can be
    /// what this validator is locked on, or proposes again.
    pub(super) fn drop_old(&mut self, own_round: u32, has_polka: impl Fn(&BlockHash) -> bool) {
        let is_recent = |round: u32| round.saturating_add(ROUNDS_KEPT) >= own_round;
        self.0.retain(|hash, (round, _)| is_recent(*round) || has_polka(hash));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        execution::{Head, draft_block},
        genesis::{Genesis, GenesisBody, NetworkParams},
        identity::NodeKey,
        limits::PROTOCOL_VERSION,
        state::MemoryState,
    };

    /// Empty blocks with different times.
    fn blocks(count: u64) -> Vec<ValidBlock> {
        let key = NodeKey::from_seed([1; 32]);
        let body = GenesisBody {
            protocol_version: PROTOCOL_VERSION,
            nonce: [1; 16],
            time_ms: 1,
            founder: key.id(),
            address: "10.0.0.1:1".parse().unwrap(),
            params: NetworkParams::default(),
            origin: None,
        };
        let genesis = Genesis::sign(&key, body);
        let (state, head) = (MemoryState::new(&genesis), Head::of_genesis(&genesis));
        let draft = |time| draft_block(&key, &genesis.id(), &state, &head, time, []).unwrap().block;
        (1..=count).map(|number| draft(1_000 * number)).collect()
    }

    #[test]
    fn what_was_proposed_long_ago_is_dropped_unless_a_quorum_took_it_or_it_is_proposed_again() {
        let blocks = blocks(4);
        let [old, again, taken, recent] = [0, 1, 2, 3].map(|at| blocks[at].hash());
        let mut candidates = Candidates::default();
        for (block, round) in blocks.into_iter().zip([0, 0, 0, 5]) {
            candidates.insert(round, block);
        }
        assert!(candidates.is_proposed(&again, 7) && candidates.is_proposed(&again, 1));
        candidates.drop_old(10, |hash| *hash == taken);
        assert!(candidates.contains(&old), "ten rounds are kept");
        candidates.drop_old(11, |hash| *hash == taken);
        assert!(!candidates.contains(&old) && candidates.get(&old).is_none());
        assert!(!candidates.is_proposed(&old, 11), "it is not here any more");
        assert!([again, taken, recent].iter().all(|hash| candidates.contains(hash)));
    }
}
