//! An honest validator signs one thing in one step, whatever happened to it in between; who is none signs nothing.

use std::collections::BTreeMap;

use swift_chain::{BlockHash, NodeId, SealedBlock, VoteKind, consensus::ConsensusMessage};

use super::{Checked, Checker, Violation, weights::Weights};

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

    /// Whether all who signed something for a height were validators of it, by the blocks below it.
    pub(crate) fn check_voters(&self, founder: NodeId, chain: &[SealedBlock]) -> Checked {
        let mut of_height = BTreeMap::new();
        let mut weights = Weights::first(founder);
        for (height, sealed) in (1..).zip(chain) {
            of_height.insert(height, weights.clone());
            weights.pass(sealed);
        }
        of_height.insert(chain.len() as u64 + 1, weights);
        for (node, height, round, slot) in self.said.keys() {
            if of_height.get(height).and_then(|weights| weights.of(node)).is_none() {
                let what = format!(
                    "{} is no validator of height {height} and signed a {slot:?} in round {round}",
                    node.short()
                );
                return Err(Violation::new(Checker::Signing, what));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use swift_chain::{Vote, consensus::SignedVote};

    use super::*;
    use crate::ledger::checkers::made_up::{NETWORK, block, key, weigh};

    const HEIGHT: u64 = 2;

    fn vote(number: u8, kind: VoteKind, round: u32, block: Option<u8>) -> ConsensusMessage {
        let block = block.map(|number| BlockHash::from_bytes([number; 32]));
        let vote = Vote { kind, height: HEIGHT, round, block, validator: key(number).id() };
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

    #[test]
    fn a_vote_of_one_who_is_no_validator_of_the_height_is_noticed() {
        let (founder, promotion) = (key(1).id(), block(1, vec![weigh(1, 1, 2, 1)], &[1]));
        let demotion = block(1, vec![weigh(1, 1, 1, 0), weigh(1, 2, 2, 1)], &[1]);
        let mut signing = Signing::default();
        signing.sees(&vote(1, VoteKind::Prevote, 0, Some(7)), |_| true).unwrap();
        for chain in [vec![promotion.clone()], vec![promotion, block(2, Vec::new(), &[1, 2])]] {
            assert_eq!(signing.check_voters(founder, &chain), Ok(()));
        }
        assert_eq!(signing.check_voters(founder, &[demotion]).unwrap_err().checker, Checker::Signing);
        // Nobody can know yet who decides the height after the next.
        assert!(signing.check_voters(founder, &[]).is_err());
    }
}
