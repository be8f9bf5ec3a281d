//! The first height of a new validator: what is said of it before the block is there that makes it one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod network;

use network::*;
use swift_chain::{consensus::ConsensusMessage, *};

/// The messages that a peer has for the other validators, as they arrive there.
fn said(peer: &mut Peer) -> Vec<Input> {
    let from = peer.key.id();
    let messages = peer.outputs.drain(..).filter_map(|output| match output {
        Output::Broadcast(message) => Some(Input::Consensus { from, message: (*message).clone() }),
        _ => None,
    });
    messages.collect()
}

/// The blocks that these are prevotes for, each with its round.
fn prevotes(said: &[Input]) -> Vec<(u32, Option<BlockHash>)> {
    let votes = said.iter().filter_map(|input| match input {
        Input::Consensus { message: ConsensusMessage::Vote(signed), .. } => Some(signed.vote),
        _ => None,
    });
    votes.filter(|vote| vote.kind == VoteKind::Prevote).map(|vote| (vote.round, vote.block)).collect()
}

/// A founder and two members that its last block makes validators; they do not have that block yet. The turn of the next
/// height is `proposer`'s.
fn before_their_block(proposer: usize) -> [Peer; 3] {
    let mut founder = Peer::founder();
    let mut others = [founder.admit(2, Role::Admin), founder.admit(3, Role::Admin)];
    let mut keys: Vec<_> = (1..=3).map(|number| key(number).id()).collect();
    let first = keys[proposer];
    keys.sort();
    let turn = keys.iter().position(|one| *one == first).unwrap() as u64;
    for number in 0.. {
        // The block after the next one is the first of all three.
        if (founder.replica.head().height + 2) % 3 == turn {
            break;
        }
        founder.submit(add(&format!("{number}"), 1)).unwrap();
    }
    for other in &mut others {
        other.catch_up(&founder);
    }
    founder.step(vec![submission(1, weight(2, 1)), submission(2, weight(3, 1))]);
    assert_eq!(founder.replica.validators().len(), 3);
    founder.outputs.clear();
    let [second, third] = others;
    [founder, second, third]
}

fn last_block(peer: &Peer) -> Input {
    Input::Blocks { request: RequestId(0), blocks: peer.blocks(peer.replica.head().height) }
}

#[test]
fn a_new_validator_votes_in_round_0_for_what_came_before_its_block() {
    let [mut founder, mut second, _] = before_their_block(0);
    founder.step(vec![submission(3, add("first", 1))]);
    let proposed = said(&mut founder);
    let proposal = prevotes(&proposed);
    assert!(matches!(proposal[..], [(0, Some(_))]), "{proposal:?}");
    second.step(proposed);
    assert_eq!(second.replica.round(), None);
    second.step(vec![last_block(&founder)]);
    assert_eq!(prevotes(&said(&mut second)), proposal);
}

/// The one is a block ahead of the other, who takes it for a member that decides nothing.
#[test]
fn a_new_validators_own_proposal_reaches_those_who_do_not_know_that_it_is_one() {
    let [mut founder, mut second, mut third] = before_their_block(1);
    second.step(vec![last_block(&founder)]);
    second.step(vec![submission(3, add("first", 1))]);
    let proposed = said(&mut second);
    let proposal = prevotes(&proposed);
    assert!(matches!(proposal[..], [(0, Some(_))]), "{proposal:?}");
    third.step(proposed.clone());
    third.step(vec![last_block(&founder)]);
    assert_eq!(prevotes(&said(&mut third)), proposal);
    founder.step(proposed);
    assert_eq!(prevotes(&said(&mut founder)), proposal);
}

/// An operator promotes, loses patience, and demotes: that it is so already would be no answer.
#[test]
fn what_a_waiting_change_will_undo_is_not_said_to_be_so_already() {
    let [mut founder, second, _] = before_their_block(1);
    // Three validators now, of whom one is there: nothing becomes final.
    let second_id = second.key.id();
    founder.request(10, weight(2, 5));
    assert_eq!(founder.outcome(10), None);
    founder.request(11, weight(2, 1));
    let refusal = founder.outcome(11).unwrap().unwrap_err();
    assert_eq!(refusal, SubmitError::ChangeWaits { node: second_id });
    assert!(refusal.to_string().contains("waits for a block"), "{refusal}");
    // Of another member, or of another kind, it is so.
    founder.request(12, weight(1, 1));
    let change = NodeChange::Role(Role::Admin);
    founder.request(13, Action::UpdateNode { node: second_id, change });
    assert!([12, 13].iter().all(|request| matches!(founder.outcome(*request), Some(Ok(_)))));
    assert!(matches!(founder.submit(weight(9, 0)), Err(SubmitError::Rejected(_))));
    // The same again joins what waits.
    founder.request(14, weight(2, 5));
    assert_eq!(founder.outcome(14), None);
}
