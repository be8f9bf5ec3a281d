//! Several validators decide together: who may be away, and what is remembered over a crash.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod network;

use std::collections::BTreeSet;

use network::{
    fleet::{Fleet, sent},
    *,
};
use swift_chain::{
    consensus::{ConsensusMessage, SignedVote},
    *,
};

#[test]
fn four_validators_decide_and_a_quorum_signs_each_block() {
    let mut fleet = Fleet::of(4);
    assert_eq!(fleet.peers[0].replica.validators().len(), 4);
    for (at, name) in [(0, "a"), (1, "b"), (2, "c"), (3, "d")] {
        fleet.write(at, 100, add(name, 1));
    }
    let block = fleet.peers[2].blocks(fleet.height(2)).remove(0);
    assert!(block.certificate.signatures.len() >= 3);
    let (chain, _) = fleet.peers[3].replica.reader().frames(0, usize::MAX).unwrap();
    let network = fleet.peers[3].replica.reader().network();
    let audit = Audit::read(chain.as_slice(), Some(network), |_| {}).unwrap();
    assert_eq!(audit.head(), fleet.peers[0].replica.head());
}

#[test]
fn whichever_of_four_is_away_writes_go_on_and_it_catches_up() {
    let mut fleet = Fleet::of(4);
    for away in 0..4 {
        fleet.away = BTreeSet::from([away]);
        for (request, writer) in (0..4).filter(|at| *at != away).enumerate() {
            let name = format!("{away}-{request}");
            fleet.write(writer, 1000 + 10 * away as u64 + request as u64, add(&name, 1));
        }
        fleet.away.clear();
        fleet.level();
        fleet.agree();
    }
}

#[test]
fn with_two_of_four_away_a_write_waits_and_is_finished_when_they_are_back() {
    let mut fleet = Fleet::of(4);
    let before = fleet.height(0);
    fleet.away = BTreeSet::from([2, 3]);
    fleet.submit(0, 100, add("a", 1));
    fleet.wait(30_000);
    assert_eq!(fleet.peers[0].outcome(100), None);
    assert_eq!(fleet.height(0), before);
    fleet.away.clear();
    fleet.wait(15_000);
    assert!(matches!(fleet.peers[0].outcome(100), Some(Ok(_))), "the write was lost");
    fleet.agree();
}

#[test]
fn nothing_to_write_makes_no_block() {
    let mut fleet = Fleet::of(4);
    let before = fleet.height(0);
    fleet.wait(60_000);
    assert_eq!(fleet.height(0), before);
    assert!(fleet.peers.iter().all(|peer| peer.replica.round().is_none()));
}

/// The story: a validator announces that it has something to decide and is cut off before it could say what.
#[test]
fn a_transaction_that_only_an_unreachable_validator_has_does_not_keep_the_others_busy() {
    let mut fleet = Fleet::of(4);
    // Everybody begins the height because of a vote of peer 3, whose transaction nobody gets.
    let (network, height) = (fleet.peers[0].replica.reader().network(), fleet.height(0) + 1);
    let vote = Vote { kind: VoteKind::Prevote, height, round: 0, block: None, validator: key(4).id() };
    let message = ConsensusMessage::Vote(SignedVote::sign(&key(4), &network, vote));
    fleet.away = BTreeSet::from([3]);
    for at in 0..3 {
        fleet.step(at, vec![Input::Consensus { from: key(4).id(), message: message.clone() }]);
        assert_eq!(fleet.peers[at].replica.round(), Some(0));
    }
    fleet.wait(60_000);
    assert!(fleet.height(0) <= height + 1, "blocks went on and on: {}", fleet.height(0));
    assert!(fleet.here().iter().all(|at| fleet.peers[*at].replica.round().is_none()));
}

#[test]
fn a_message_that_no_validator_signed_begins_nothing() {
    let mut fleet = Fleet::of(4);
    let (network, height) = (fleet.peers[0].replica.reader().network(), fleet.height(0) + 1);
    let vote = Vote { kind: VoteKind::Prevote, height, round: 0, block: None, validator: key(9).id() };
    let stranger = ConsensusMessage::Vote(SignedVote::sign(&key(9), &network, vote));
    let forged = Vote { validator: key(4).id(), ..vote };
    let forged = ConsensusMessage::Vote(SignedVote::sign(&key(9), &network, forged));
    for message in [stranger, forged] {
        fleet.step(0, vec![Input::Consensus { from: key(2).id(), message }]);
        assert_eq!(fleet.peers[0].replica.round(), None);
    }
}

/// Before and after a crash a validator gets what would make it vote for different blocks.
#[test]
fn a_validator_says_the_same_after_a_crash() {
    let mut fleet = Fleet::of(4);
    let turn = fleet.peers[0].proposer(0).id();
    let proposer = (0..4).find(|at| fleet.peers[*at].key.id() == turn).unwrap();
    fleet.away = (0..4).filter(|at| *at != proposer).collect();
    fleet.submit(proposer, 100, add("a", 1));
    let before = sent(&fleet.peers[proposer]);
    assert!(before.iter().any(|message| matches!(**message, ConsensusMessage::Proposal(..))));
    fleet.peers[proposer].reopen();
    // With another transaction beside the first, another block would be proposed.
    fleet.submit(proposer, 101, add("b", 1));
    fleet.wait(3_000);
    let after = sent(&fleet.peers[proposer]);
    assert!(!after.is_empty());
    let kind = |message: &ConsensusMessage| match message {
        ConsensusMessage::Proposal(signed, _) => {
            let proposal = &signed.proposal;
            Some(((proposal.height, proposal.round, None), Some(proposal.block)))
        }
        ConsensusMessage::Vote(SignedVote { vote, .. }) => {
            Some(((vote.height, vote.round, Some(vote.kind == VoteKind::Prevote)), vote.block))
        }
        _ => None,
    };
    for old in before.iter().filter_map(|message| kind(message)) {
        for new in after.iter().filter_map(|message| kind(message)) {
            assert!(old.0 != new.0 || old.1 == new.1, "{old:?}, then {new:?}");
        }
    }
    fleet.away.clear();
    fleet.wait(20_000);
    fleet.agree();
    assert!(fleet.peers[0].replica.reader().counts().unwrap().files == 2);
}

#[test]
fn validators_come_and_go_with_the_block_that_says_so() {
    let mut fleet = Fleet::of(5);
    let height = fleet.height(0) + 1;
    fleet.write(1, 100, weight(1, 0));
    let reader = fleet.peers[1].replica.reader();
    assert_eq!(reader.validators_at(height).unwrap().len(), 5);
    assert_eq!(reader.validators_at(height + 1).unwrap().len(), 4);
    assert_eq!(reader.validators_at(1).unwrap().len(), 1);
    // The founder has no vote any more and still writes.
    fleet.write(0, 101, add("a", 1));
    fleet.write(2, 102, Action::RemoveNode { node: key(5).id() });
    assert_eq!(fleet.peers[2].replica.validators().len(), 3);
}

/// It forgot what it had signed, and a block that it voted for may become final yet.
#[test]
fn a_validator_from_a_backup_lets_the_others_decide_what_it_may_have_signed_before() {
    let mut fleet = Fleet::of(4);
    fleet.write(0, 100, add("a", 1));
    let back = &mut fleet.peers[3];
    let copy = back.folder.path().join("copy.db");
    back.replica.reader().copy_to(&copy).unwrap();
    let restored = LedgerDb::open(&copy).unwrap().unwrap();
    restored.mark_restored().unwrap();
    fleet.write(0, 101, add("b", 1));
    let back = &mut fleet.peers[3];
    back.replica = Replica::new(key(4), restored).unwrap();
    back.outputs.clear();
    fleet.level();
    fleet.write(1, 102, add("c", 1));
    assert!(fleet.peers[3].replica.is_held());
    fleet.step(3, vec![Input::EndHold]);
    assert!(!fleet.peers[3].replica.is_held());
    // Not even over a restart.
    let height = fleet.height(3);
    let store = LedgerDb::open(&copy).unwrap().unwrap();
    assert_eq!(store.signs_from().unwrap(), height + 3);
    fleet.peers[3].replica = Replica::new(key(4), store).unwrap();
    fleet.write(0, 103, add("d", 1));
    // What it wants itself the others decide.
    fleet.write(3, 104, add("e", 1));
    assert!(sent(&fleet.peers[3]).is_empty(), "it signed before it could know");
    assert_eq!(fleet.height(3), height + 2);

    // From here on nothing of before can count. With another one away, nothing is final without it.
    assert!(!fleet.peers[3].replica.reader().is_restored().unwrap());
    fleet.away = BTreeSet::from([0]);
    fleet.write(1, 105, add("f", 1));
    assert!(!sent(&fleet.peers[3]).is_empty());
}
