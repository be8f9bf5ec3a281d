//! Messages about heights after the one that is being decided: the others were a moment faster.

use crate::{consensus::ConsensusMessage, identity::NodeId};

/// How far ahead of the next height they may be. Whoever is further behind is told of blocks.
const HEIGHTS_AHEAD_MAX: u64 = 4;
/// Bytes kept in all.
const LEN_MAX: usize = 16 * 1024 * 1024;
/// Bytes kept of all members together that are no validators yet, as far as is known here.
const NEWCOMERS_LEN_MAX: usize = 2 * PER_SENDER_LEN_MAX;
/// Bytes kept of one member: a full block and some more.
const PER_SENDER_LEN_MAX: usize = ConsensusMessage::LEN_MAX + 64 * 1024;
/// Messages kept of one member: a proposal and what a few rounds bring.
const PER_SENDER_MAX: usize = 64;

/// Bounded in bytes and per sender, so that one cannot keep the others out, nor those who decide nothing the validators.
#[derive(Debug, Default)]
pub(super) struct EarlyMessages {
    messages: Vec<Early>,
}

#[derive(Debug)]
struct Early {
    from: NodeId,
    is_validator: bool,
    len: usize,
    message: ConsensusMessage,
}

impl EarlyMessages {
    /// Keeps a message that is so many heights ahead of the next one; what does not fit is lost, as on a bad link.
    pub(super) fn push(&mut self, from: NodeId, is_validator: bool, ahead: u64, message: ConsensusMessage) {
        if ahead > HEIGHTS_AHEAD_MAX {
            return;
        }
        let len = message.to_bytes().len();
        let (mut all, mut newcomers, mut own_count, mut own) = (len, len, 0, len);
        for early in &self.messages {
            all += early.len;
            newcomers += if early.is_validator { 0 } else { early.len };
            if early.from == from {
                own_count += 1;
                own += early.len;
            }
        }
        let fits_share = own_count < PER_SENDER_MAX && own <= PER_SENDER_LEN_MAX;
        if fits_share && all <= LEN_MAX && (is_validator || newcomers <= NEWCOMERS_LEN_MAX) {
            self.messages.push(Early { from, is_validator, len, message });
        }
    }

    /// Whether some are about the height after this head, or older.
    pub(super) fn is_due(&self, head: u64) -> bool {
        self.messages.iter().any(|early| early.message.height() <= head + 1)
    }

    /// Takes those about the height after this head out, in the order in which they came; older ones are dropped.
    pub(super) fn take_due(&mut self, head: u64) -> Vec<ConsensusMessage> {
        let is_due = |early: &mut Early| early.message.height() <= head + 1;
        let due = self.messages.extract_if(.., is_due).map(|early| early.message);
        due.filter(|message| message.height() == head + 1).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        block::{Block, Header},
        certificate::{Vote, VoteKind},
        consensus::{Proposal, SignedProposal, SignedVote},
        hash::{BlockHash, Hash, NetworkId},
        identity::NodeKey,
        limits::BLOCK_LEN_MAX,
        transaction::{Action, SignedTransaction, Transaction},
    };

    fn node(number: u8) -> NodeId {
        NodeId::from_bytes([number; 32])
    }

    fn vote(height: u64) -> ConsensusMessage {
        let key = NodeKey::from_seed([1; 32]);
        let vote = Vote { kind: VoteKind::Prevote, height, round: 0, block: None, validator: key.id() };
        ConsensusMessage::Vote(SignedVote::sign(&key, &NetworkId::default(), vote))
    }

    /// A proposal with about as many bytes as one may have.
    fn large(height: u64) -> ConsensusMessage {
        let (key, network) = (NodeKey::from_seed([1; 32]), NetworkId::default());
        let action = Action::RemoveFile { name: "n".repeat(240).parse().unwrap(), file_id: Hash::default() };
        let (author, sequence) = (key.id(), 1);
        let body = Transaction { network, author, sequence, valid_until_ms: 1, on_behalf_of: None, action };
        let signed = SignedTransaction::sign(&key, body);
        let count = BLOCK_LEN_MAX / signed.to_bytes().len() - 1;
        let header = Header {
            height,
            previous: BlockHash::default(),
            time_ms: 1,
            creator: author,
            transactions_root: Hash::default(),
            next_validators: Hash::default(),
            state_hash: Hash::default(),
        };
        let block = Block::sign(&key, &network, header, vec![signed; count]);
        let (block_hash, proposer) = (block.header.hash(), key.id());
        let proposal = Proposal { height, round: 0, block: block_hash, valid_round: None, proposer };
        ConsensusMessage::Proposal(SignedProposal::sign(&key, &network, proposal), Box::new(block))
    }

    #[test]
    fn members_that_decide_nothing_do_not_keep_the_validators_out() {
        let mut early = EarlyMessages::default();
        for number in 10..40 {
            early.push(node(number), false, 1, large(2));
        }
        assert_eq!(early.messages.len(), 2);
        for number in 1..10 {
            early.push(node(number), true, 1, large(2));
        }
        assert_eq!(early.messages.len(), 11);
        assert!(early.messages.iter().map(|one| one.len).sum::<usize>() <= LEN_MAX);
    }

    #[test]
    fn one_sender_has_a_share_and_what_is_far_ahead_is_not_kept() {
        let mut early = EarlyMessages::default();
        early.push(node(1), true, 5, vote(9));
        early.push(node(1), true, 1, large(2));
        early.push(node(1), true, 1, large(2));
        assert_eq!(early.messages.len(), 1);
        for _ in 0..100 {
            early.push(node(2), true, 1, vote(2));
        }
        assert_eq!(early.messages.len(), 1 + PER_SENDER_MAX);
    }

    #[test]
    fn each_is_due_at_its_height_and_dropped_when_that_is_over() {
        let mut early = EarlyMessages::default();
        for height in [2, 3, 4, 2] {
            early.push(node(1), true, height - 1, vote(height));
        }
        assert!(!early.is_due(0));
        assert_eq!(early.take_due(0), []);
        assert!(early.is_due(1));
        assert_eq!(early.take_due(1), [vote(2), vote(2)]);
        assert_eq!(early.take_due(3), [vote(4)]);
        assert!(early.messages.is_empty());
    }
}
