//! Validators that sign what excludes each other are caught, and nobody else is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod network;

use network::{fleet::Fleet, *};
use swift_chain::{
    consensus::{ConsensusMessage, Proposal, SignedProposal, SignedVote},
    *,
};

#[test]
fn a_validator_that_votes_twice_is_caught_and_the_proof_stands_alone() {
    let mut fleet = Fleet::of(4);
    let (network, height) = (fleet.peers[0].replica.reader().network(), fleet.height(0) + 1);
    for block in [None, Some(BlockHash::from_bytes([7; 32]))] {
        let vote = Vote { kind: VoteKind::Prevote, height, round: 0, block, validator: key(4).id() };
        let message = ConsensusMessage::Vote(SignedVote::sign(&key(4), &network, vote));
        fleet.peers[0].step(vec![Input::Consensus { from: key(4).id(), message }]);
    }
    let caught = fleet.peers[0].outputs.iter().find_map(|output| match output {
        Output::Caught(evidence) => Some(evidence.clone()),
        _ => None,
    });
    let evidence = caught.expect("not caught");
    assert_eq!(evidence.offenders(), [key(4).id()]);
    let again = Evidence::from_bytes(&evidence.to_bytes()).unwrap();
    assert_eq!(again.verify(&network), Ok(()));
    assert!(again.verify(&NetworkId::default()).is_err());
    let file = evidence.to_file(&network);
    assert_eq!(Evidence::from_file(&file), Ok((network, again.clone())));
    for at in 0..file.len() {
        let mut spoilt = file.clone();
        spoilt[at] ^= 1;
        assert!(Evidence::from_file(&spoilt).is_err(), "changed at {at}");
        assert!(Evidence::from_file(&file[..at]).is_err(), "cut at {at}");
    }
    let stored = fleet.peers[0].replica.reader().evidence(10).unwrap();
    assert_eq!(stored[0].1, again);
    assert_eq!(fleet.peers[0].replica.reader().evidence_count().unwrap(), 1);
}

/// The story: a validator proposed two blocks in one round, the first with a time too far ahead. When that time had come
/// the first proposal came once more, and was kept as proof against its proposer beside itself.
#[test]
fn a_proposal_that_comes_again_when_its_time_has_come_is_no_proof_by_itself() {
    let mut fleet = Fleet::of(4);
    let (at, height) = (0, fleet.height(0) + 1);
    let mut proposers = (0..4_u32).map(|round| (round, fleet.peers[at].proposer(u64::from(round))));
    let (round, key) = proposers.find(|(_, proposer)| proposer.id() != key(1).id()).unwrap();
    let proposer = key.id();
    let (network, now_ms) = (fleet.peers[at].replica.reader().network(), fleet.now_ms);
    let propose = |time_ms| {
        let replica = &fleet.peers[at].replica;
        let draft = draft_block(&key, &network, &replica.store().state(), replica.head(), time_ms, []);
        let block = draft.unwrap().block.block().clone();
        let hash = block.header.hash();
        let proposal = Proposal { height, round, block: hash, valid_round: None, proposer };
        let signed = SignedProposal::sign(&key, &network, proposal);
        let message = ConsensusMessage::Proposal(signed, Box::new(block));
        Input::Consensus { from: proposer, message }
    };
    let (too_early, good) = (propose(now_ms + 60_000), propose(now_ms));
    for (ms, input) in [(0, too_early.clone()), (0, good), (60_000, too_early)] {
        fleet.peers[at].now_ms += ms;
        fleet.peers[at].step(vec![input]);
    }
    let evidence = fleet.peers[at].replica.reader().evidence(10).unwrap();
    assert!(!evidence.is_empty(), "not caught");
    for (_, one) in evidence {
        assert_eq!(one.verify(&network), Ok(()), "{one:?}");
    }
}

#[test]
fn two_final_blocks_at_one_height_are_kept_as_proof() {
    let mut fleet = Fleet::of(4);
    fleet.write(0, 100, add("a", 1));
    let own = fleet.peers[0].blocks(fleet.height(0)).remove(0);
    let network = fleet.peers[0].replica.reader().network();
    let header = Header { time_ms: own.block.header.time_ms + 1, ..own.block.header.clone() };
    let creator = key_of(header.creator);
    let rival = Block::sign(&creator, &network, header, own.block.transactions.clone());
    let hash = rival.header.hash();
    let mut signatures: Vec<_> = (1..=3)
        .flat_map(|number| {
            Certificate::sign_alone(&key(number), &network, own.block.header.height, hash).signatures
        })
        .collect();
    signatures.sort_by_key(|(node, _)| *node);
    let certificate = Certificate { height: own.block.header.height, round: 0, block: hash, signatures };
    let outcome = fleet.peers[0].follow(vec![SealedBlock { block: rival, certificate }]);
    assert!(matches!(outcome, Err(FollowError::Fork { .. })), "{outcome:?}");
    let (_, evidence) = fleet.peers[0].replica.reader().evidence(1).unwrap().remove(0);
    assert_eq!(evidence.verify(&network), Ok(()));
    assert!(!evidence.offenders().is_empty());
}
