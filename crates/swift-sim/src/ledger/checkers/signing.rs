//! An honest validator signs one thing in one step, whatever happened to it in between.

use std::collections::BTreeMap;

use swift_chain::{BlockHash, NodeId, VoteKind, consensus::ConsensusMessage};

use super::{Checked, Checker, Violation};

/// What a signature can be given for once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Proposal,
    Prevote,
    Precommit,
}

/// What was signed in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Said {
    block: Option<BlockHash>,
    valid_round: Option<u32>,
}

/// All that honest validators have let others see.
#[derive(Debug, Default)]
pub(crate) struct Signing {
    said: BTreeMap<(NodeId, u64, u32, Slot), Said>,
}

impl Signing {
    /// A message with a valid signature was seen. `honest` says whether its signer is bound by its word.
    pub(crate) fn sees(&mut self, message: &ConsensusMessage, honest: impl Fn(&NodeId) -> bool) -> Checked {
        let (key, said) = match message {
            ConsensusMessage::Proposal(signed, _) => {
                let one = &signed.proposal;
                let key = (one.proposer, one.height, one.round, Slot::Proposal);
                (key, Said { block: Some(one.block), valid_round: one.valid_round })
            }
            ConsensusMessage::Vote(signed) => {
                let one = &signed.vote;
                let slot = match one.kind {
                    VoteKind::Prevote => Slot::Prevote,
                    VoteKind::Precommit => Slot::Precommit,
                };
                let key = (one.validator, one.height, one.round, slot);
                (key, Said { block: one.block, valid_round: None })
            }
            // Made of votes, which are seen by themselves.
            ConsensusMessage::Polka(_) | ConsensusMessage::Round(_) => return Ok(()),
        };
        if !honest(&key.0) {
            return Ok(());
        }
        let before = *self.said.entry(key).or_insert(said);
        if before == said {
            return Ok(());
        }
        let (node, height, round, slot) = key;
        let what = format!(
            "{} signed two things as {slot:?} of height {height}, round {round}: {before:?}, then {said:?}",
            node.short()
        );
        Err(Violation::new(Checker::Signing, what))
    }
}

#[cfg(test)]
mod tests {
    use swift_chain::{Vote, consensus::SignedVote};

    use super::*;
    use crate::ledger::checkers::made_up::{NETWORK, key};

    fn vote(number: u8, kind: VoteKind, round: u32, block: Option<u8>) -> ConsensusMessage {
        let block = block.map(|number| BlockHash::from_bytes([number; 32]));
        let vote = Vote { kind, height: 5, round, block, validator: key(number).id() };
        ConsensusMessage::Vote(SignedVote::sign(&key(number), &NETWORK, vote))
    }

    #[test]
    fn saying_the_same_again_and_other_things_in_other_steps_is_honest() {
        let mut signing = Signing::default();
        for message in [
            vote(1, VoteKind::Prevote, 0, Some(7)),
            vote(1, VoteKind::Prevote, 0, Some(7)),
            vote(1, VoteKind::Precommit, 0, None),
            vote(1, VoteKind::Prevote, 1, None),
            vote(2, VoteKind::Prevote, 0, None),
        ] {
            assert_eq!(signing.sees(&message, |_| true), Ok(()));
        }
    }

    #[test]
    fn two_votes_in_one_step_are_noticed_if_the_signer_is_honest() {
        let mut signing = Signing::default();
        signing.sees(&vote(1, VoteKind::Prevote, 3, Some(7)), |_| true).unwrap();
        let second = vote(1, VoteKind::Prevote, 3, None);
        assert_eq!(signing.sees(&second, |_| false), Ok(()));
        assert_eq!(signing.sees(&second, |_| true).unwrap_err().checker, Checker::Signing);
    }
}
