//! No two blocks at one height.

use std::collections::BTreeMap;

use swift_chain::BlockHash;

use super::{Checked, Checker, Violation};
use crate::ledger::message::short;

/// The one chain, as far as any honest node has come.
#[derive(Debug, Default)]
pub(crate) struct Agreement {
    /// By height: the block, and the node that had it first.
    blocks: BTreeMap<u64, (BlockHash, usize)>,
}

impl Agreement {
    /// An honest node holds a block to be final.
    pub(crate) fn has(&mut self, node: usize, height: u64, hash: BlockHash) -> Checked {
        let (agreed, first) = *self.blocks.entry(height).or_insert((hash, node));
        if agreed == hash {
            return Ok(());
        }
        let what = format!(
            "two final blocks at height {height}: {} on node {first}, {} on node {node}",
            short(&agreed),
            short(&hash)
        );
        Err(Violation::new(Checker::Agreement, what))
    }

    /// An honest node has stored this chain, from block 1 on.
    pub(crate) fn has_all(&mut self, node: usize, chain: impl Iterator<Item = BlockHash>) -> Checked {
        (1..).zip(chain).try_for_each(|(height, hash)| self.has(node, height, hash))
    }

    /// The height of the highest block that any honest node has had.
    pub(crate) fn height(&self) -> u64 {
        self.blocks.last_key_value().map_or(0, |(height, _)| *height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u8) -> BlockHash {
        BlockHash::from_bytes([number; 32])
    }

    #[test]
    fn one_chain_of_which_some_have_less_is_agreement() {
        let mut agreement = Agreement::default();
        assert_eq!(agreement.has_all(0, [hash(1), hash(2), hash(3)].into_iter()), Ok(()));
        assert_eq!(agreement.has_all(1, [hash(1), hash(2)].into_iter()), Ok(()));
        assert_eq!(agreement.height(), 3);
    }

    #[test]
    fn two_blocks_at_one_height_are_noticed() {
        let mut agreement = Agreement::default();
        agreement.has_all(0, [hash(1), hash(2)].into_iter()).unwrap();
        let error = agreement.has_all(1, [hash(1), hash(9)].into_iter()).unwrap_err();
        assert_eq!(error.checker, Checker::Agreement);
        assert!(error.what.contains("height 2"), "{error}");
    }
}
