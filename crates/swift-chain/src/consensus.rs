//! Agreement on the next block: an engine without input or output of its own.
//!
//! The values it agrees on are block hashes; blocks travel beside it. Whoever drives it starts a height when there is a
//! valid transaction, answers [`Output::Propose`] with a block's hash, and commits what [`Output::Decide`] certifies.
//! Votes are signed over the bytes of [`Vote`](crate::Vote), which do not depend on the number of validators.
//!
//! This version of the engine decides with one validator, at once. [`supports`] says which sets it can decide with,
//! and a node does not ask its ledger for a set that it cannot.

use std::collections::VecDeque;

use crate::{
    certificate::Certificate,
    hash::{BlockHash, NetworkId},
    identity::NodeKey,
    validators::ValidatorSet,
};

/// What happens to the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// There is something to decide at this height.
    Start {
        /// The height after the head.
        height: u64,
        /// Who decides it.
        validators: ValidatorSet,
    },
    /// The block asked for by [`Output::Propose`].
    Proposal {
        /// For which height.
        height: u64,
        /// In which round.
        round: u32,
        /// The block.
        block: BlockHash,
    },
}

/// What the engine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// This node is to propose a block.
    Propose {
        /// At which height.
        height: u64,
        /// In which round.
        round: u32,
    },
    /// A block is final.
    Decide {
        /// A quorum's signatures for it.
        certificate: Certificate,
    },
}

/// A validator set the engine cannot decide with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this version of SwiftServe decides with one validator, the change would make {0}")]
pub struct UnsupportedSet(pub usize);

/// Whether the engine can decide with this set.
pub fn supports(validators: &ValidatorSet) -> Result<(), UnsupportedSet> {
    if validators.len() == 1 { Ok(()) } else { Err(UnsupportedSet(validators.len())) }
}

/// One validator's part in consensus.
#[derive(Debug)]
pub struct Engine {
    key: NodeKey,
    network: NetworkId,
    /// The height and round for which a proposal was asked.
    open: Option<(u64, u32)>,
    outputs: VecDeque<Output>,
}

impl Engine {
    /// An engine at rest.
    pub fn new(key: NodeKey, network: NetworkId) -> Self {
        Self { key, network, open: None, outputs: VecDeque::new() }
    }

    /// Takes one input. Drain [`Self::poll_output`] before the next.
    pub fn handle(&mut self, input: Input) {
        match input {
            Input::Start { height, validators } => {
                let alone = supports(&validators).is_ok() && validators.weight(&self.key.id()) > 0;
                if alone && self.open.is_none() {
                    self.open = Some((height, 0));
                    self.outputs.push_back(Output::Propose { height, round: 0 });
                }
            }
            Input::Proposal { height, round, block } => {
                if self.open == Some((height, round)) {
                    self.open = None;
                    let certificate = Certificate::sign_alone(&self.key, &self.network, height, block);
                    self.outputs.push_back(Output::Decide { certificate });
                }
            }
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sole_validator_decides_its_own_proposal() {
        let (key, network) = (NodeKey::from_seed([1; 32]), NetworkId::default());
        let validators = ValidatorSet::sole(key.id());
        let mut engine = Engine::new(key, network);
        engine.handle(Input::Start { height: 4, validators: validators.clone() });
        assert_eq!(engine.poll_output(), Some(Output::Propose { height: 4, round: 0 }));
        let block = BlockHash::from_bytes([7; 32]);
        engine.handle(Input::Proposal { height: 4, round: 0, block });
        let Some(Output::Decide { certificate }) = engine.poll_output() else { panic!("nothing decided") };
        assert_eq!(certificate.check(&network, &validators, 4, block), Ok(()));
    }

    #[test]
    fn others_neither_propose_nor_decide() {
        let (key, other) = (NodeKey::from_seed([1; 32]), NodeKey::from_seed([2; 32]));
        let mut engine = Engine::new(key.clone(), NetworkId::default());
        engine.handle(Input::Start { height: 1, validators: ValidatorSet::sole(other.id()) });
        assert_eq!(engine.poll_output(), None);
        let two = ValidatorSet::sole(key.id()).with_weight(other.id(), 1).unwrap();
        assert_eq!(supports(&two), Err(UnsupportedSet(2)));
        engine.handle(Input::Start { height: 1, validators: two });
        assert_eq!(engine.poll_output(), None);
    }

    #[test]
    fn a_proposal_nobody_asked_for_is_not_decided() {
        let mut engine = Engine::new(NodeKey::from_seed([1; 32]), NetworkId::default());
        engine.handle(Input::Proposal { height: 1, round: 0, block: BlockHash::default() });
        assert_eq!(engine.poll_output(), None);
    }
}
