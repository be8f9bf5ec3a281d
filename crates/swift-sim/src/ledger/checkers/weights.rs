//! Who validates which height, worked out from the blocks alone.

use std::collections::BTreeMap;

use swift_chain::{Action, NodeChange, NodeId, SealedBlock};

/// The validators of one height, and their weights.
#[derive(Clone, Debug)]
pub(super) struct Weights(BTreeMap<NodeId, u64>);

impl Weights {
    /// Of block 1: the founder decides alone.
    pub(super) fn first(founder: NodeId) -> Self {
        Self(BTreeMap::from([(founder, 1)]))
    }

    /// Goes on to the next height: what a block changes counts from there on.
    pub(super) fn pass(&mut self, sealed: &SealedBlock) {
        for signed in &sealed.block.transactions {
            match &signed.transaction.action {
                Action::UpdateNode { node, change: NodeChange::ValidatorWeight(0) }
                | Action::RemoveNode { node } => {
                    self.0.remove(node);
                }
                Action::UpdateNode { node, change: NodeChange::ValidatorWeight(weight) } => {
                    self.0.insert(*node, u64::from(*weight));
                }
                _ => {}
            }
        }
    }

    /// A node's weight; none when it is no validator.
    pub(super) fn of(&self, node: &NodeId) -> Option<u64> {
        self.0.get(node).copied()
    }

    pub(super) fn total(&self) -> u64 {
        self.0.values().sum()
    }
}
