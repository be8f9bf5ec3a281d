//! What a follower accepts: every forged, torn or foreign block is refused with its reason, and nothing changes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod network;

use network::*;
use swift_chain::*;

type Alteration<T> = fn(&mut T);

/// A follower one block behind the founder, and that block.
fn follower_and_block() -> (Peer, Peer, SealedBlock) {
    let (mut founder, follower) = founder_and_member();
    founder.submit(add("a", 1)).unwrap();
    let block = founder.blocks(2).remove(0);
    (founder, follower, block)
}

/// Signs an altered header again as `signer`, with a certificate of the founder: all is in order but what was altered.
fn reseal(signer: &NodeKey, network: NetworkId, mut sealed: SealedBlock) -> SealedBlock {
    let header = sealed.block.header.clone();
    sealed.block = Block::sign(signer, &network, header, sealed.block.transactions);
    let (height, hash) = (sealed.block.header.height, sealed.block.header.hash());
    sealed.certificate = Certificate::sign_alone(&key(1), &network, height, hash);
    sealed
}

fn refusal(follower: &mut Peer, sealed: SealedBlock) -> String {
    let head = *follower.replica.head();
    let outcome = follower.follow(vec![sealed]);
    assert_eq!(*follower.replica.head(), head, "a refused block changed the head");
    outcome.expect_err("the block was accepted").to_string()
}

#[test]
fn the_true_block_is_accepted() {
    let (founder, mut follower, block) = follower_and_block();
    assert_eq!(follower.follow(vec![block]), Ok(2));
    assert_eq!(follower.replica.head(), founder.replica.head());
}

#[test]
fn a_header_field_changed_after_signing_is_noticed() {
    let (_, mut follower, block) = follower_and_block();
    let mut forged = block;
    forged.block.header.time_ms += 1;
    assert!(refusal(&mut follower, forged).contains("signature of block 2 is not its creator's"));
}

#[test]
fn a_block_by_a_member_who_is_no_validator_is_refused() {
    let (founder, mut follower, block) = follower_and_block();
    let network = founder.replica.reader().network();
    let mut forged = block;
    forged.block.header.creator = key(2).id();
    let forged = reseal(&key(2), network, forged);
    assert!(refusal(&mut follower, forged).contains("no validator"));
}

#[test]
fn a_block_by_a_stranger_with_a_valid_signature_is_refused() {
    let (founder, mut follower, block) = follower_and_block();
    let network = founder.replica.reader().network();
    let mut forged = block;
    forged.block.header.creator = key(66).id();
    let forged = reseal(&key(66), network, forged);
    assert!(refusal(&mut follower, forged).contains("no validator"));
}

#[test]
fn a_certificate_by_others_than_the_validators_is_refused() {
    let (founder, mut follower, block) = follower_and_block();
    let network = founder.replica.reader().network();
    let hash = block.block.header.hash();
    let certificate = Certificate::sign_alone(&key(2), &network, 2, hash);
    let forged = SealedBlock { certificate, ..block };
    assert!(refusal(&mut follower, forged).contains("is no validator at this height"));
}

#[test]
fn a_certificate_without_signatures_is_no_quorum() {
    let (_, mut follower, mut block) = follower_and_block();
    block.certificate.signatures.clear();
    assert!(refusal(&mut follower, block).contains("weight 0 of 1"));
}

#[test]
fn hashes_that_do_not_follow_from_the_transactions_are_refused() {
    let (founder, mut follower, block) = follower_and_block();
    let network = founder.replica.reader().network();
    let alterations: [(Alteration<Header>, &str); 3] = [
        (|header| header.transactions_root = hash(66), "transactions root"),
        (|header| header.next_validators = hash(66), "next validators"),
        (|header| header.state_hash = hash(66), "state hash"),
    ];
    for (alter, reason) in alterations {
        let mut forged = block.clone();
        alter(&mut forged.block.header);
        let text = refusal(&mut follower, reseal(&key(1), network, forged));
        assert!(text.contains(reason), "{text}");
    }
}

#[test]
fn time_runs_forward() {
    let (founder, mut follower, block) = follower_and_block();
    let network = founder.replica.reader().network();
    let mut forged = block;
    forged.block.header.time_ms = follower.replica.head().time_ms;
    assert!(refusal(&mut follower, reseal(&key(1), network, forged)).contains("not later"));
}

#[test]
fn a_transaction_signed_for_another_network_makes_its_block_invalid() {
    let (founder, mut follower, block) = follower_and_block();
    let network = founder.replica.reader().network();
    let mut foreign = block.block.transactions[0].transaction.clone();
    foreign.network = NetworkId::default();
    let forged = with_transactions(block, vec![SignedTransaction::sign(&key(1), foreign)]);
    let text = refusal(&mut follower, reseal(&key(1), network, forged));
    assert!(text.contains("transaction 0 of block 2: the transaction is for network"), "{text}");
}

#[test]
fn a_transaction_with_a_forged_signature_makes_its_block_invalid() {
    let (founder, mut follower, block) = follower_and_block();
    let network = founder.replica.reader().network();
    let by_another = SignedTransaction::sign(&key(2), block.block.transactions[0].transaction.clone());
    let forged = with_transactions(block, vec![by_another]);
    let text = refusal(&mut follower, reseal(&key(1), network, forged));
    assert!(text.contains("signature is not its author's"), "{text}");
}

/// Transactions that wait in a validator's pool were checked when they came. What counts as one of them is the very same
/// transaction, not one by the same author under the same number.
#[test]
fn what_waits_in_the_pool_vouches_for_nothing_but_itself() {
    let (_, follower, sealed) = follower_and_block();
    let (network, head) = (follower.replica.reader().network(), follower.replica.head());
    let check = |block: &Block, pool: &Mempool| {
        check_block(&network, &follower.replica.reader().state(), head, block.clone(), pool)
    };
    let mut pool = Mempool::default();
    pool.insert(sealed.block.transactions[0].clone().check(&network).unwrap()).unwrap();
    let valid = check(&sealed.block, &pool).unwrap();
    assert_eq!(valid, check(&sealed.block, &Mempool::default()).unwrap());

    let mut forged = sealed.block.transactions[0].clone();
    forged.signature = key(2).sign(&network, &forged.transaction);
    let forged = reseal(&key(1), network, with_transactions(sealed, vec![forged]));
    let refused = check(&forged.block, &pool).unwrap_err().to_string();
    assert!(refused.contains("signature is not its author's"), "{refused}");
}

#[test]
fn a_repeated_sequence_makes_its_block_invalid() {
    let (founder, mut follower, block) = follower_and_block();
    let network = founder.replica.reader().network();
    let mut repeated = block.block.transactions[0].transaction.clone();
    repeated.sequence = 1; // used by the founder's add_node in block 1
    let forged = with_transactions(block, vec![SignedTransaction::sign(&key(1), repeated)]);
    let text = refusal(&mut follower, reseal(&key(1), network, forged));
    assert!(text.contains("sequence 1 is used"), "{text}");
}

#[test]
fn a_sequence_far_ahead_or_a_lapsed_time_makes_its_block_invalid() {
    let (founder, mut follower, block) = follower_and_block();
    let network = founder.replica.reader().network();
    let alterations: [(Alteration<Transaction>, &str); 2] = [
        (|transaction| transaction.sequence = 3 + (1 << 20), "more than 1048576 above"),
        (|transaction| transaction.valid_until_ms = START_MS, "was valid until"),
    ];
    for (alter, reason) in alterations {
        let mut altered = block.block.transactions[0].transaction.clone();
        alter(&mut altered);
        let forged = with_transactions(block.clone(), vec![SignedTransaction::sign(&key(1), altered)]);
        let text = refusal(&mut follower, reseal(&key(1), network, forged));
        assert!(text.contains(reason), "{text}");
    }
}

#[test]
fn the_same_transaction_twice_in_a_block_is_refused() {
    let (founder, mut follower, block) = follower_and_block();
    let network = founder.replica.reader().network();
    let once = block.block.transactions[0].clone();
    let forged = with_transactions(block, vec![once.clone(), once]);
    let text = refusal(&mut follower, reseal(&key(1), network, forged));
    assert!(text.contains("transaction 1 of block 2"), "{text}");
}

#[test]
fn a_gap_is_named_and_known_blocks_are_skipped() {
    let (mut founder, mut follower, block) = follower_and_block();
    founder.submit(add("b", 2)).unwrap();
    let third = founder.blocks(3);
    assert_eq!(follower.follow(third.clone()), Err(FollowError::Gap { head: 1, first: 3 }));
    let all = [founder.blocks(1), vec![block], third].concat();
    assert_eq!(follower.follow(all), Ok(3));
}

#[test]
fn a_certified_block_on_another_branch_is_reported_as_a_fork() {
    let (founder, mut follower, block) = follower_and_block();
    let network = founder.replica.reader().network();
    let mut rival = block;
    let theirs = BlockHash::from_bytes([66; 32]);
    rival.block.header.previous = theirs;
    let ours = follower.replica.head().hash;
    let outcome = follower.follow(vec![reseal(&key(1), network, rival)]);
    assert_eq!(outcome, Err(FollowError::Fork { height: 1, ours, theirs }));
}

#[test]
fn two_certified_blocks_at_one_height_are_reported_as_a_fork() {
    let (founder, mut follower, block) = follower_and_block();
    let network = founder.replica.reader().network();
    follower.follow(vec![block.clone()]).unwrap();
    let mut rival = block.clone();
    rival.block.header.time_ms += 1;
    let rival = reseal(&key(1), network, rival);
    let (ours, theirs) = (block.block.header.hash(), rival.block.header.hash());
    assert_eq!(follower.follow(vec![rival]), Err(FollowError::Fork { height: 2, ours, theirs }));
}

fn with_transactions(mut sealed: SealedBlock, transactions: Vec<SignedTransaction>) -> SealedBlock {
    let leaves = SealedBlock { block: Block { transactions, ..sealed.block.clone() }, ..sealed.clone() };
    sealed.block.header.transactions_root = Block::transactions_root(&leaves.block.transactions);
    sealed.block.transactions = leaves.block.transactions;
    sealed
}
