//! One of four validators lies: what it can say, and what does not come of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod network;

use network::*;
use swift_chain::{
    consensus::{ConsensusMessage, Proposal, SignedProposal, SignedVote},
    *,
};

/// The replica of key 1, one of four validators.
struct Victim {
    peer: Peer,
}

impl Victim {
    fn new() -> Self {
        let mut peer = Peer::founder();
        for number in 2..=4 {
            peer.admit(number, Role::Admin);
        }
        // One block more, and the next round 0 is another's turn.
        peer.submit(add("a", 1)).unwrap();
        let weights = (2..=4).map(|number| submission(u64::from(number), weight(number, 1)));
        peer.step(weights.collect());
        peer.outputs.clear();
        assert_eq!(peer.replica.validators().len(), 4);
        assert_ne!(peer.proposer(0).id(), key(1).id());
        Self { peer }
    }

    fn next(&self) -> u64 {
        self.peer.replica.head().height + 1
    }

    /// An empty block of the proposer of a round, with a time so many milliseconds after the victim's clock.
    fn block(&self, round: u64, ahead_ms: u64) -> Block {
        let (key, reader) = (self.peer.proposer(round), self.peer.replica.reader());
        let time = self.peer.now_ms + ahead_ms;
        let draft = draft_block(&key, &reader.network(), &reader.state(), self.peer.replica.head(), time, []);
        draft.unwrap().block.block().clone()
    }

    fn proposal(&self, round: u32, block: &Block, valid_round: Option<u32>) -> ConsensusMessage {
        let key = self.peer.proposer(u64::from(round));
        let (height, hash) = (block.header.height, block.header.hash());
        let proposal = Proposal { height, round, block: hash, valid_round, proposer: key.id() };
        let signed = SignedProposal::sign(&key, &self.peer.replica.reader().network(), proposal);
        ConsensusMessage::Proposal(signed, Box::new(block.clone()))
    }

    fn vote(&self, key: &NodeKey, kind: VoteKind, block: Option<BlockHash>) -> ConsensusMessage {
        self.vote_in(0, key, kind, block)
    }

    fn vote_in(
        &self,
        round: u32,
        key: &NodeKey,
        kind: VoteKind,
        block: Option<BlockHash>,
    ) -> ConsensusMessage {
        let vote = Vote { kind, height: self.next(), round, block, validator: key.id() };
        ConsensusMessage::Vote(SignedVote::sign(key, &self.peer.replica.reader().network(), vote))
    }

    /// Others than the victim and the proposer of round 0.
    fn bystanders(&self) -> Vec<NodeKey> {
        let proposer = self.peer.proposer(0).id();
        (2..=4).map(key).filter(|key| key.id() != proposer).collect()
    }

    /// So many of the others are in a later round that the victim enters it.
    fn enter(&mut self, round: u32) {
        let votes = (2..=3).map(key);
        let votes = votes.map(|key| self.vote_in(round, &key, VoteKind::Prevote, None)).collect();
        self.hear(votes);
        assert_eq!(self.peer.replica.round(), Some(round));
    }

    /// Gives the victim messages, and returns its votes that come of it: kind and block.
    fn hear(&mut self, messages: Vec<ConsensusMessage>) -> Vec<(VoteKind, Option<BlockHash>)> {
        let from = key(2).id();
        self.peer.outputs.clear();
        self.peer.step(messages.into_iter().map(|message| Input::Consensus { from, message }).collect());
        let votes = self.peer.outputs.iter().filter_map(|output| match output {
            Output::Broadcast(message) => match &**message {
                ConsensusMessage::Vote(signed) => Some((signed.vote.kind, signed.vote.block)),
                _ => None,
            },
            _ => None,
        });
        votes.collect()
    }
}

/// A block of the year 287396 would be the last: no block can be later.
#[test]
fn a_time_far_ahead_is_not_made_right_by_claiming_an_earlier_quorum() {
    let mut victim = Victim::new();
    let block = victim.block(0, 1_000_000);
    let later = victim.proposal(4, &block, Some(0));
    let votes = victim.hear(vec![later, victim.proposal(0, &block, None)]);
    assert_eq!(votes, [(VoteKind::Prevote, None)]);
}

#[test]
fn a_body_that_is_not_the_headers_gets_no_verdict_so_the_true_one_is_accepted() {
    let mut victim = Victim::new();
    let block = victim.block(0, 10);
    let ConsensusMessage::Proposal(signed, whole) = victim.proposal(0, &block, None) else { panic!() };
    let mut spoilt = whole.clone();
    spoilt.signature = key(9).sign(&victim.peer.replica.reader().network(), &spoilt.header);
    let spoilt = ConsensusMessage::Proposal(signed.clone(), spoilt);
    assert_eq!(victim.hear(vec![spoilt]), []);
    let votes = victim.hear(vec![ConsensusMessage::Proposal(signed, whole)]);
    assert_eq!(votes, [(VoteKind::Prevote, Some(block.header.hash()))]);
}

#[test]
fn a_validator_that_votes_for_everything_fills_no_disk_with_evidence() {
    let mut victim = Victim::new();
    let liar = victim.bystanders().remove(0);
    for number in 0..50 {
        let vote = victim.vote(&liar, VoteKind::Prevote, Some(BlockHash::from_bytes([number; 32])));
        victim.hear(vec![vote]);
    }
    assert_eq!(victim.peer.replica.reader().evidence_count().unwrap(), 3);
}

/// The others have decided, but for one that lacks just this vote.
#[test]
fn the_vote_that_completes_a_quorum_here_is_sent_all_the_same() {
    let mut victim = Victim::new();
    let block = victim.block(0, 10);
    let hash = Some(block.header.hash());
    let (proposer, other) = (victim.peer.proposer(0), victim.bystanders().remove(0));
    let begun = vec![
        victim.proposal(0, &block, None),
        victim.vote(&proposer, VoteKind::Prevote, hash),
        victim.vote(&proposer, VoteKind::Precommit, hash),
        victim.vote(&other, VoteKind::Precommit, hash),
    ];
    victim.hear(begun);
    let last = victim.vote(&other, VoteKind::Prevote, hash);
    let height = victim.next();
    assert_eq!(victim.hear(vec![last]), [(VoteKind::Precommit, hash)]);
    assert_eq!(victim.peer.replica.head().height, height);
}

#[test]
fn late_votes_of_a_decided_height_begin_no_further_one() {
    let mut victim = Victim::new();
    let block = victim.block(0, 10);
    let hash = Some(block.header.hash());
    let mut messages = vec![victim.proposal(0, &block, None)];
    for kind in [VoteKind::Prevote, VoteKind::Precommit] {
        for number in 2..=4 {
            messages.push(victim.vote(&key(number), kind, hash));
        }
    }
    victim.hear(messages);
    assert_eq!(victim.peer.replica.head().hash, block.header.hash());
    assert_eq!(victim.peer.replica.round(), None);
}

#[test]
fn a_proposal_said_again_and_again_is_remembered_once() {
    let mut victim = Victim::new();
    let proposal = victim.proposal(0, &victim.block(0, 10), None);
    for _ in 0..20 {
        victim.hear(vec![proposal.clone()]);
    }
    let log = victim.peer.replica.store().wal().unwrap();
    let proposals = log.iter().filter(|entry| matches!(entry, consensus::WalEntry::Proposal(_)));
    assert_eq!(proposals.count(), 1);
    assert!(log.len() < 6, "{log:?}");
}

/// What it sent before keeps nobody from the block that the others take.
#[test]
fn a_proposer_that_sends_many_blocks_does_not_keep_the_one_with_a_quorum_from_being_judged() {
    let mut victim = Victim::new();
    let blocks = [10, 20, 30, 40].map(|ahead_ms| victim.block(0, ahead_ms));
    let [first, second, taken, further] = &blocks;
    let proposals = [first, second].map(|block| victim.proposal(0, block, None));
    assert_eq!(victim.hear(proposals.into()), [(VoteKind::Prevote, Some(first.header.hash()))]);
    let hash = Some(taken.header.hash());
    let others = (2..=4).map(key);
    let quorum = others.map(|key| victim.vote(&key, VoteKind::Prevote, hash)).collect();
    assert_eq!(victim.hear(quorum), []);
    let proposals = [further, taken].map(|block| victim.proposal(0, block, None));
    assert_eq!(victim.hear(proposals.into()), [(VoteKind::Precommit, hash)]);
    let log = victim.peer.replica.store().wal().unwrap();
    let blocks = log.iter().filter(|entry| matches!(entry, consensus::WalEntry::Block(_)));
    assert_eq!(blocks.count(), 3, "what no quorum takes is not judged beyond two");
}

/// Its proposal came in time, the votes for it a dozen rounds later.
#[test]
fn a_block_of_long_ago_is_decided_all_the_same() {
    let mut victim = Victim::new();
    let block = victim.block(0, 10);
    victim.hear(vec![victim.proposal(0, &block, None)]);
    for round in [8, 16] {
        victim.enter(round);
    }
    // Whoever comes later pushes out what no quorum was seen to take.
    let later = (17..).find(|round| victim.peer.proposer(u64::from(*round)).id() != key(1).id()).unwrap();
    victim.hear(vec![victim.proposal(later, &victim.block(u64::from(later), 20), None)]);
    // The log alone has it.
    let others = (2..=4).map(key);
    let votes = others.map(|key| victim.vote(&key, VoteKind::Precommit, Some(block.header.hash())));
    victim.hear(votes.collect());
    assert_eq!(victim.peer.replica.head().hash, block.header.hash());
}

/// Uplinks that are slow for a full block: the next rounds try smaller ones.
#[test]
fn a_proposer_drafts_smaller_blocks_in_later_rounds() {
    let mut victim = Victim::new();
    let name = |number: u64| format!("{}/{number}", vec!["n".repeat(240); 4].join("/"));
    for number in 0..60 {
        victim.peer.request(number, add(&name(number), 1));
    }
    let own = (5..).find(|round| victim.peer.proposer(u64::from(*round)).id() == key(1).id()).unwrap();
    victim.enter(own);
    let proposed = victim.peer.outputs.iter().find_map(|output| match output {
        Output::Broadcast(message) => match &**message {
            ConsensusMessage::Proposal(signed, block) => Some((signed.proposal.round, block.clone())),
            _ => None,
        },
        _ => None,
    });
    let (round, block) = proposed.unwrap();
    let (len, len_max) = (block.to_bytes().len(), limits::BLOCK_LEN_MAX >> own.min(6));
    assert_eq!(round, own);
    assert!(len <= len_max + 1024 && len > len_max / 2, "{len} bytes in round {own}");
}
