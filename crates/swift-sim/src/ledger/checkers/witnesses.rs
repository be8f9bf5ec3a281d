//! Who is deciding a round and hears a validator contradict itself in it keeps the proof.

use std::collections::BTreeMap;

use swift_chain::{BlockHash, Evidence, Input, MemoryLedger, NetworkId, NodeId, Replica, Vote, consensus};

use super::{Checked, Checker, Violation};
use crate::ledger::disk::Disk;

type Step = (NodeId, u32, bool);

/// By node: the height it is deciding, and what it was told by whom in which round, prevote or precommit.
#[derive(Debug, Default)]
pub(crate) struct Witnesses(BTreeMap<usize, (u64, BTreeMap<Step, Option<BlockHash>>)>);

/// Votes that a node takes in with one step.
#[derive(Debug)]
pub(crate) struct Heard {
    height: u64,
    round: u32,
    votes: Vec<Vote>,
}

impl Heard {
    /// What counts of a step's inputs: sound votes for the round that is being decided. What is ahead of the node it may
    /// never look at, and what was said before a round in which it has bound itself it forgets.
    pub(crate) fn of(replica: &Replica<Disk>, network: &NetworkId, inputs: &[Input]) -> Self {
        let (height, round) = (replica.head().height + 1, replica.round().unwrap_or(0));
        let weight = |node: &NodeId| replica.validators().weight(node);
        let vote = |input: &Input| match input {
            Input::Consensus { from, message: consensus::ConsensusMessage::Vote(signed) } => {
                let vote = signed.vote;
                let is_due = (vote.height, vote.round) == (height, round);
                let is_sound = weight(from) > 0 && weight(&vote.validator) > 0;
                (is_due && is_sound && signed.verify(network)).then_some(vote)
            }
            _ => None,
        };
        Self { height, round, votes: inputs.iter().filter_map(vote).collect() }
    }

    /// Whether the node still decides this round after the step: else it need not have looked at all of it.
    pub(crate) fn is_open(&self, replica: &Replica<Disk>) -> bool {
        (replica.head().height + 1, replica.round()) == (self.height, Some(self.round))
    }
}

impl Witnesses {
    /// A node starts anew and has forgotten what it heard.
    pub(crate) fn forgets(&mut self, node: usize) {
        self.0.remove(&node);
    }

    /// A node has taken votes in, and goes on deciding their round. Of each contradiction it must have a proof.
    pub(crate) fn takes(&mut self, node: usize, heard: &Heard, ledger: &MemoryLedger) -> Checked {
        let (height, said) = self.0.entry(node).or_default();
        if *height != heard.height {
            (*height, *said) = (heard.height, BTreeMap::new());
        }
        for vote in &heard.votes {
            let step = (vote.validator, vote.round, vote.kind == swift_chain::VoteKind::Prevote);
            let before = *said.entry(step).or_insert(vote.block);
            if before != vote.block && !has_proof(ledger, vote) {
                let what = format!(
                    "node {node} heard {} contradict itself at height {height}, round {}, and keeps no proof",
                    vote.validator.short(),
                    vote.round
                );
                return Err(Violation::new(Checker::Evidence, what));
            }
        }
        Ok(())
    }
}

/// One for each height is enough to convict.
fn has_proof(ledger: &MemoryLedger, vote: &Vote) -> bool {
    let convicts = |one: &Evidence| one.height() == vote.height && one.offenders().contains(&vote.validator);
    ledger.evidence().any(convicts)
}

#[cfg(test)]
mod tests {
    use swift_chain::{Genesis, LedgerStore, VoteKind, consensus::SignedVote};

    use super::*;
    use crate::ledger::checkers::made_up::{NETWORK, genesis, key};

    fn vote(round: u32, block: Option<u8>) -> SignedVote {
        let block = block.map(|number| BlockHash::from_bytes([number; 32]));
        let vote = Vote { kind: VoteKind::Prevote, height: 1, round, block, validator: key(4).id() };
        SignedVote::sign(&key(4), &NETWORK, vote)
    }

    fn heard(votes: &[SignedVote]) -> Heard {
        Heard { height: 1, round: 0, votes: votes.iter().map(|signed| signed.vote).collect() }
    }

    #[test]
    fn a_contradiction_without_a_proof_is_noticed() {
        let mut ledger = MemoryLedger::new(&Genesis::sign(&key(1), genesis()));
        let (first, second) = (vote(0, None), vote(0, Some(7)));
        let mut witnesses = Witnesses::default();
        assert_eq!(witnesses.takes(0, &heard(&[first, first, vote(1, Some(7))]), &ledger), Ok(()));
        let mut forgetful = Witnesses::default();
        forgetful.takes(0, &heard(&[first]), &ledger).unwrap();
        forgetful.forgets(0);
        assert_eq!(forgetful.takes(0, &heard(&[second]), &ledger), Ok(()));
        let error = witnesses.takes(0, &heard(&[second]), &ledger).unwrap_err();
        assert_eq!(error.checker, Checker::Evidence);
        ledger.keep_evidence(&Evidence::DoubleVote { first, second }, 0).unwrap();
        assert_eq!(witnesses.takes(0, &heard(&[second]), &ledger), Ok(()));
    }
}
