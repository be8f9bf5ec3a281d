//! Several validators decide together: who may be away, what is remembered over a crash, and how a liar is caught.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod network;

use std::{collections::BTreeSet, sync::Arc};

use network::*;
use swift_chain::{
    consensus::{ConsensusMessage, Proposal, SignedProposal, SignedVote},
    *,
};

/// Validators on one switch: what one sends arrives at all others that are there, at once and in order.
struct Fleet {
    peers: Vec<Peer>,
    away: BTreeSet<usize>,
    now_ms: u64,
}

impl Fleet {
    /// Key `n` is peer `n - 1`; all have weight 1.
    fn of(count: u8) -> Self {
        let mut founder = Peer::founder();
        let mut peers = Vec::new();
        for number in 2..=count {
            peers.push(founder.admit(number, Role::Admin));
        }
        peers.insert(0, founder);
        let now_ms = peers[0].now_ms;
        let mut fleet = Self { peers, away: BTreeSet::new(), now_ms };
        fleet.level();
        for number in 2..=count {
            fleet.write(0, u64::from(number), weight(number, 1));
        }
        fleet
    }

    fn here(&self) -> Vec<usize> {
        (0..self.peers.len()).filter(|at| !self.away.contains(at)).collect()
    }

    /// Gives one peer inputs and carries around what comes of it until all rest.
    fn step(&mut self, at: usize, inputs: Vec<Input>) {
        let mut queue = vec![(at, inputs)];
        while let Some((at, inputs)) = (!queue.is_empty()).then(|| queue.remove(0)) {
            if self.away.contains(&at) {
                continue;
            }
            self.peers[at].now_ms = self.now_ms;
            let before = self.peers[at].outputs.len();
            self.peers[at].step(inputs);
            let from = self.peers[at].key.id();
            let outputs = self.peers[at].outputs.split_off(before);
            for output in &outputs {
                let input = match output {
                    Output::Broadcast(message) => Input::Consensus { from, message: (**message).clone() },
                    Output::Relay(transactions) => Input::Transactions(transactions.clone()),
                    _ => continue,
                };
                let validators = self.peers[at].replica.validators().clone();
                for other in self.here() {
                    if other != at && validators.weight(&self.peers[other].key.id()) > 0 {
                        queue.push((other, vec![input.clone()]));
                    }
                }
            }
            self.peers[at].outputs.extend(outputs);
        }
        self.level();
    }

    /// Those behind take the blocks of the one that is furthest.
    fn level(&mut self) {
        let here = self.here();
        let Some(highest) = here.iter().copied().max_by_key(|at| self.peers[*at].replica.head().height)
        else {
            return;
        };
        for at in here {
            let head = self.peers[at].replica.head().height;
            if head < self.peers[highest].replica.head().height {
                let blocks = self.peers[highest].blocks(head + 1);
                self.peers[at].now_ms = self.now_ms;
                self.peers[at].step(vec![Input::Blocks { request: RequestId(0), blocks }]);
            }
        }
    }

    /// Lets time pass until every timeout up to `ms` from now has come.
    fn wait(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        while self.now_ms < until {
            self.now_ms += 50;
            for at in self.here() {
                let now = std::time::Duration::from_millis(self.now_ms);
                if self.peers[at].replica.poll_timeout().is_some_and(|due| due <= now) {
                    self.step(at, Vec::new());
                }
                if self.now_ms.is_multiple_of(1000) {
                    self.step(at, vec![Input::Tick]);
                }
            }
        }
    }

    fn submit(&mut self, at: usize, request: u64, action: Action) {
        self.step(at, vec![Input::Submit { request: RequestId(request), action, on_behalf_of: None }]);
    }

    /// Submits and expects it to be final on everybody who is there, in the end.
    fn write(&mut self, at: usize, request: u64, action: Action) {
        self.submit(at, request, action);
        if self.peers[at].outcome(request).is_none() {
            self.wait(20_000);
        }
        assert!(matches!(self.peers[at].outcome(request), Some(Ok(_))), "request {request} is not final");
        self.agree();
    }

    /// Everybody who is there has the same head.
    fn agree(&self) {
        let heads: BTreeSet<_> = self.here().iter().map(|at| self.peers[*at].replica.head().hash).collect();
        assert_eq!(heads.len(), 1, "heads differ");
    }

    fn height(&self, at: usize) -> u64 {
        self.peers[at].replica.head().height
    }
}

fn weight(number: u8, weight: u32) -> Action {
    Action::UpdateNode { node: key(number).id(), change: NodeChange::ValidatorWeight(weight) }
}

fn sent(peer: &Peer) -> Vec<Arc<ConsensusMessage>> {
    let messages = peer.outputs.iter().filter_map(|output| match output {
        Output::Broadcast(message) => Some(message.clone()),
        _ => None,
    });
    messages.collect()
}

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
    fleet.away = BTreeSet::from([1, 2, 3]);
    let proposer = (0..4).find(|at| {
        let set = fleet.peers[0].replica.validators();
        let turn = (fleet.height(0) + 1) % set.len() as u64;
        set.iter().nth(usize::try_from(turn).unwrap()).unwrap().node == fleet.peers[*at].key.id()
    });
    let proposer = proposer.unwrap();
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
    let set = fleet.peers[at].replica.validators();
    let proposers = (0..4).map(|round| {
        let turn = usize::try_from((height + round) % 4).unwrap();
        (u32::try_from(round).unwrap(), set.iter().nth(turn).unwrap().node)
    });
    let (round, proposer) = proposers.into_iter().find(|(_, node)| *node != key(1).id()).unwrap();
    let key = (1..=4).map(key).find(|key| key.id() == proposer).unwrap();
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
    let creator = (1..=4).map(key).find(|key| key.id() == header.creator).unwrap();
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

/// A chain in which validators came and went, as bytes, and its network.
fn chain_with_changes() -> (NetworkId, Vec<SealedBlock>, Vec<u8>) {
    let mut fleet = Fleet::of(4);
    fleet.write(1, 100, add("a", 1));
    fleet.write(1, 101, weight(1, 0));
    fleet.write(2, 102, add("b", 1));
    let reader = fleet.peers[2].replica.reader();
    let (genesis, _) = reader.frames(0, 1).unwrap();
    (reader.network(), fleet.peers[2].blocks(1), genesis)
}

fn audit(network: NetworkId, genesis: &[u8], blocks: &[SealedBlock]) -> Result<Audit, AuditError> {
    let frames = blocks.iter().flat_map(|block| block_frame(&block.to_bytes()));
    let chain: Vec<u8> = genesis.iter().copied().chain(frames).collect();
    Audit::read(chain.as_slice(), Some(network), |_| {})
}

#[test]
fn an_audit_follows_the_validators_through_a_chain_and_finds_what_is_wrong() {
    let (network, blocks, genesis) = chain_with_changes();
    let whole = audit(network, &genesis, &blocks).unwrap();
    assert_eq!(whole.state().validators().unwrap().len(), 3);
    let last = blocks.len() - 1;

    let mut tampered = blocks.clone();
    tampered[last - 2].block.header.time_ms += 1;
    assert!(matches!(audit(network, &genesis, &tampered), Err(AuditError::Block(_))));

    let mut thinned = blocks.clone();
    thinned[last].certificate.signatures.truncate(2);
    let error = audit(network, &genesis, &thinned).unwrap_err().to_string();
    assert!(error.contains("weight 2 of 3"), "{error}");

    // The founder was a validator until the block before.
    let (height, hash) = (blocks[last].block.header.height, blocks[last].block.header.hash());
    let mut by_removed = blocks.clone();
    let own = Certificate::sign_alone(&key(1), &network, height, hash).signatures[0];
    let signatures = &mut by_removed[last].certificate.signatures;
    signatures.truncate(2);
    signatures.push(own);
    signatures.sort_by_key(|(node, _)| *node);
    let error = audit(network, &genesis, &by_removed).unwrap_err().to_string();
    assert!(error.contains("is no validator at this height"), "{error}");
}

/// The tables vanish under the running ledger: nothing is known of what is stored.
#[test]
fn a_replica_whose_storage_fails_says_why_and_takes_no_further_step() {
    let mut founder = Peer::founder();
    let path = founder.folder.path().join("ledger.db");
    let submit = |number: u8| Input::Submit {
        request: RequestId(u64::from(number)),
        action: add(&format!("{number}"), 1),
        on_behalf_of: None,
    };
    rusqlite::Connection::open(path).unwrap().execute_batch("DROP TABLE blocks").unwrap();
    let now = Now::at_ms(founder.now_ms);
    let error = founder.replica.step(now, vec![submit(1)]).unwrap_err();
    assert!(error.to_string().contains("no such table"), "{error}");
    assert_eq!(founder.replica.step(now, vec![submit(2)]).unwrap_err(), error);
    assert!(!founder.replica.has_work());
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
