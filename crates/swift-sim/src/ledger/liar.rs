//! A validator that breaks the protocol: it says different things to different peers, proposes what is invalid, stays
//! silent, repeats itself. It is built around real replicas, so that what it says is as believable as can be.

use std::{collections::BTreeSet, sync::Arc};

use swift_chain::{
    Block, BlockHash, Header, LedgerStore, NetworkId, NodeId, NodeKey, Replica, SignedTransaction, Vote,
    consensus::{ConsensusMessage, Proposal, SignedProposal, SignedVote},
    draft_block,
};

use super::{
    census::{Census, Event},
    disk::Disk,
};
use crate::dice::Dice;

/// Messages of the past that it may repeat.
const MEMORY_LEN: usize = 64;

/// What the liar has beside its replicas.
#[derive(Debug)]
pub(crate) struct Liar {
    key: NodeKey,
    network: NetworkId,
    /// Messages in a thousand that it twists.
    twists: u32,
    first: usize,
    /// Where it lives a second time.
    twin: Option<usize>,
    /// Places that talk to its second life; all others talk to its first.
    second_side: BTreeSet<usize>,
    memory: Vec<Arc<ConsensusMessage>>,
}

impl Liar {
    pub(crate) fn new(
        key: NodeKey,
        network: NetworkId,
        twists: u32,
        (first, twin): (usize, Option<usize>),
    ) -> Self {
        let (second_side, memory) = (BTreeSet::new(), Vec::new());
        Self { key, network, twists, first, twin, second_side, memory }
    }

    pub(crate) fn id(&self) -> NodeId {
        self.key.id()
    }

    pub(crate) fn key(&self) -> &NodeKey {
        &self.key
    }

    /// Where it lives.
    pub(crate) fn places(&self) -> impl Iterator<Item = usize> {
        std::iter::once(self.first).chain(self.twin)
    }

    /// Divides the others anew between its two lives, if it has two.
    pub(crate) fn split(&mut self, dice: &mut Dice, census: &mut Census, places: usize) {
        self.face(census, (0..places).filter(|_| dice.chance(500)).collect());
    }

    /// Has its second life, if it has one, talk to these and nobody else.
    pub(crate) fn face(&mut self, census: &mut Census, second_side: BTreeSet<usize>) {
        if self.twin.is_some() {
            census.count(Event::SplitBrain);
            self.second_side = second_side;
        }
    }

    /// Whether two places talk to each other, as far as that is for the liar to decide.
    pub(crate) fn speaks(&self, from: usize, to: usize) -> bool {
        let Some(twin) = self.twin else { return true };
        let fits = |own: usize, other: usize| {
            if own == twin {
                self.second_side.contains(&other)
            } else {
                own != self.first || !self.second_side.contains(&other)
            }
        };
        fits(from, to) && fits(to, from)
    }

    /// What a recipient is sent instead of a message of the replica's.
    pub(crate) fn twist(
        &mut self,
        dice: &mut Dice,
        census: &mut Census,
        replica: &Replica<Disk>,
        message: &Arc<ConsensusMessage>,
    ) -> Vec<Arc<ConsensusMessage>> {
        let mut sent = Vec::new();
        if dice.chance(self.twists) {
            self.lie(dice, census, replica, message, &mut sent);
        } else {
            sent.push(message.clone());
        }
        if let Some(old) = self.memory.get(dice.index(2000)) {
            census.count(Event::Replayed);
            sent.push(old.clone());
        }
        let at = dice.index(MEMORY_LEN);
        match self.memory.get_mut(at) {
            Some(old) => *old = message.clone(),
            None => self.memory.push(message.clone()),
        }
        sent
    }

    fn lie(
        &self,
        dice: &mut Dice,
        census: &mut Census,
        replica: &Replica<Disk>,
        message: &Arc<ConsensusMessage>,
        sent: &mut Vec<Arc<ConsensusMessage>>,
    ) {
        if dice.chance(200) {
            census.count(Event::Withheld);
            return;
        }
        let twisted = match &**message {
            ConsensusMessage::Vote(signed) => {
                census.count(Event::TwistedVote);
                self.other_vote(dice, &signed.vote)
            }
            ConsensusMessage::Proposal(signed, block) => {
                self.other_proposal(dice, census, replica, &signed.proposal, block)
            }
            ConsensusMessage::Polka(polka) => {
                census.count(Event::JunkCertificate);
                let mut polka = polka.clone();
                match dice.index(3) {
                    0 => polka.block = BlockHash::from_bytes(dice.bytes()),
                    1 => polka.round += 1,
                    _ => polka.signatures.truncate(1),
                }
                ConsensusMessage::Polka(polka)
            }
            ConsensusMessage::Round(round) => {
                census.count(Event::JunkCertificate);
                let mut round = round.clone();
                match dice.index(3) {
                    0 => round.round += dice.number(1, 20),
                    1 => round.votes.truncate(1),
                    _ => round.votes.extend(round.votes.clone()),
                }
                ConsensusMessage::Round(round)
            }
        };
        // Now and then both, so that the recipient itself can tell.
        if dice.chance(400) {
            sent.push(message.clone());
        }
        sent.push(Arc::new(twisted));
    }

    /// A vote in the same step, or one far ahead, for something else.
    fn other_vote(&self, dice: &mut Dice, vote: &Vote) -> ConsensusMessage {
        let mut vote = *vote;
        let seen = self.memory.iter().find_map(|message| match &**message {
            ConsensusMessage::Proposal(signed, _) if signed.proposal.height == vote.height => {
                Some(signed.proposal.block)
            }
            _ => None,
        });
        vote.block = match vote.block {
            Some(_) if dice.chance(500) => None,
            _ => seen.or(Some(BlockHash::from_bytes(dice.bytes()))),
        };
        if dice.chance(150) {
            vote.round += dice.number(1, 12);
        }
        ConsensusMessage::Vote(SignedVote::sign(&self.key, &self.network, vote))
    }

    fn other_proposal(
        &self,
        dice: &mut Dice,
        census: &mut Census,
        replica: &Replica<Disk>,
        proposal: &Proposal,
        block: &Block,
    ) -> ConsensusMessage {
        let rival = dice.chance(500).then(|| self.rival(replica, block)).flatten();
        census.count(if rival.is_some() { Event::RivalProposal } else { Event::InvalidProposal });
        let block = rival.unwrap_or_else(|| self.broken(dice, block));
        let proposal = Proposal {
            block: block.header.hash(),
            proposer: self.id(),
            valid_round: proposal.valid_round.filter(|_| dice.chance(500)),
            ..*proposal
        };
        let signed = SignedProposal::sign(&self.key, &self.network, proposal);
        ConsensusMessage::Proposal(signed, Box::new(block))
    }

    /// Another valid block in the same place.
    pub(crate) fn rival(&self, replica: &Replica<Disk>, block: &Block) -> Option<Block> {
        let (head, state) = (replica.head(), replica.store().state());
        if head.height + 1 != block.header.height {
            return None;
        }
        let time_ms = block.header.time_ms + 1;
        let draft = draft_block(&self.key, &self.network, state, head, time_ms, []).ok()?;
        Some(draft.block.block().clone())
    }

    /// A block that breaks a rule and carries the liar's signature.
    fn broken(&self, dice: &mut Dice, block: &Block) -> Block {
        let mut header = Header { creator: self.id(), ..block.header.clone() };
        let mut transactions = block.transactions.clone();
        match dice.index(6) {
            0 => header.state_hash = swift_chain::Hash::from_bytes(dice.bytes()),
            1 => header.previous = BlockHash::from_bytes(dice.bytes()),
            2 => header.next_validators = swift_chain::Hash::from_bytes(dice.bytes()),
            3 => header.time_ms += 3_600_000,
            4 => {
                transactions.extend(transactions.clone());
                header.transactions_root = Block::transactions_root(&transactions);
            }
            _ => header.height += 1,
        }
        Block::sign(&self.key, &self.network, header, transactions)
    }
}

/// A transaction that breaks a rule, made of a good one.
pub(crate) fn junk_transaction(
    dice: &mut Dice,
    key: &NodeKey,
    network: &NetworkId,
    signed: &SignedTransaction,
) -> SignedTransaction {
    let mut junk = signed.clone();
    match dice.index(4) {
        0 => junk.transaction.sequence = junk.transaction.sequence.wrapping_add(1),
        1 => junk.signature = key.sign(network, &junk.transaction),
        2 => {
            junk.transaction.author = key.id();
            junk.transaction.sequence = u64::MAX;
            junk = SignedTransaction::sign(key, junk.transaction);
        }
        _ => {
            junk.transaction.author = key.id();
            junk.transaction.network = NetworkId::from_bytes(dice.bytes());
            junk = SignedTransaction::sign(key, junk.transaction);
        }
    }
    junk
}
