//! Receipts: what they prove, what they do not, and that nothing else passes for one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod bytes;
mod chain;
mod forged;
#[path = "../network/mod.rs"]
mod network;

use chain::Chain;
use network::*;
use proptest::prelude::*;
use swift_chain::*;

#[test]
fn a_receipt_says_who_published_which_file_when() {
    let chain = Chain::with_changes();
    let record = chain.record("dir/last.bin");
    let proven = chain.receipt("dir/last.bin").verify(&chain.expected()).unwrap();
    assert_eq!(proven.network, chain.network);
    assert_eq!((proven.height, proven.time_ms), (7, record.time_ms));
    assert_eq!(Some(proven.block), chain.reader().block_hash(7).unwrap());
    assert_eq!((proven.author, proven.file()), (key(1).id(), Some(&record.entry)));
    assert_eq!(proven.on_behalf_of.unwrap().as_str(), "ci");
    let block = chain.reader().block(7).unwrap().unwrap().block;
    assert_eq!(proven.transaction, block.transactions[3].id());
    let mut signers = vec![key(3).id(), key(4).id(), key(5).id()];
    signers.sort();
    assert_eq!((proven.signers, proven.validators), (signers, chain.reader().validators().unwrap()));
    assert_eq!((proven.changes, proven.checkpoint), (4, CheckpointOutcome::NotGiven));
}

#[test]
fn a_receipt_has_the_changes_below_its_block_and_no_others() {
    let chain = Chain::with_changes();
    for (name, heights) in [("first.bin", &[2][..]), ("changing.bin", &[2, 4]), ("d", &[2, 4, 5, 6])] {
        let receipt = chain.receipt(name);
        let changes: Vec<_> = receipt.changes.iter().map(|change| change.header.height).collect();
        assert_eq!(changes, heights, "{name}");
        receipt.verify(&chain.expected()).unwrap();
    }
}

#[test]
fn a_network_with_one_validator_needs_no_changes() {
    let mut chain = Chain::founded();
    chain.block(&[1], vec![add("a", 1)]);
    let receipt = chain.receipt("a");
    assert_eq!((receipt.changes.len(), receipt.path.neighbours.len()), (0, 0));
    assert_eq!(receipt.verify(&chain.expected()).unwrap().height, 1);
    // The id is better known; without it the receipt says of which network it is.
    assert_eq!(receipt.verify(&Expectation::default()).unwrap().network, chain.network);
}

#[test]
fn any_transaction_has_a_receipt() {
    let chain = Chain::with_changes();
    let receipt = Receipt::of_transaction(chain.reader(), 2, 1).unwrap();
    let proven = receipt.verify(&chain.expected()).unwrap();
    assert_eq!((proven.action.clone(), proven.file()), (weight(3, 1), None));
    for (height, index) in [(0, 0), (2, 3), (8, 0), (u64::MAX, u32::MAX)] {
        let missing = Receipt::of_transaction(chain.reader(), height, index);
        assert!(matches!(missing, Err(ReceiptBuildError::NoTransaction { .. })), "{height} {index}");
    }
}

#[test]
fn of_several_equal_writes_in_one_block_the_last_is_the_live_one() {
    let mut chain = Chain::founded();
    chain.block(&[1], vec![add("a", 1), remove("a", 1), add("a", 1), add("b", 2)]);
    assert_eq!(chain.receipt("a").path.index, 2);
}

#[test]
fn a_file_that_no_block_of_the_network_published_has_no_receipt() {
    let chain = Chain::with_changes();
    let live = chain.record("first.bin");
    for (height, publisher) in
        [(0, live.publisher), (99, live.publisher), (4, live.publisher), (3, key(2).id())]
    {
        let foreign = FileRecord { height, publisher, ..live.clone() };
        let error = Receipt::of_file(chain.reader(), &foreign).unwrap_err();
        assert!(matches!(error, ReceiptBuildError::TakenOver { .. }), "{error}");
    }
}

#[test]
fn a_checkpoint_must_match_wherever_the_receipt_covers_its_height() {
    let chain = Chain::with_changes();
    let receipt = chain.receipt("dir/last.bin");
    let verify = |height, hash| {
        let checkpoint = Some(Checkpoint { height, hash });
        receipt.verify(&Expectation { checkpoint, ..chain.expected() })
    };
    let other = BlockHash::from_bytes([7; 32]);
    // The blocks in the receipt, and those that their headers name as the one before.
    for height in [0, 1, 2, 3, 4, 5, 6, 7] {
        let hash = chain.reader().block_hash(height).unwrap().unwrap();
        assert_eq!(verify(height, hash).unwrap().checkpoint, CheckpointOutcome::Matches, "{height}");
        let error = verify(height, other).unwrap_err();
        assert_eq!(error, ReceiptError::Checkpoint { height, expected: other, found: hash });
    }
    for height in [8, u64::MAX] {
        assert_eq!(verify(height, other).unwrap().checkpoint, CheckpointOutcome::NotCovered);
    }
    let early = Expectation { checkpoint: Some(Checkpoint { height: 1, hash: other }), ..chain.expected() };
    assert!(chain.receipt("first.bin").verify(&early).is_err());
}

/// A receipt grows with the changes of the validators, not with the chain, and there is an end to both.
#[test]
fn a_receipt_leads_through_as_many_changes_as_are_allowed_and_no_more() {
    let mut chain = Chain::founded();
    chain.db.begin().unwrap();
    for height in 1..=limits::RECEIPT_CHANGES_MAX {
        let heavier = 1 + u32::from(height % 2 == 1);
        chain.append(&[1], vec![weight(1, heavier)]);
    }
    chain.append(&[1], vec![add("within", 1), weight(1, 2)]);
    chain.append(&[1], vec![add("beyond", 2)]);
    chain.db.commit().unwrap();
    let receipt = chain.receipt("within");
    assert_eq!(receipt.changes.len(), limits::RECEIPT_CHANGES_MAX);
    let read = Receipt::from_bytes(&receipt.to_bytes()).unwrap();
    assert_eq!(read.verify(&chain.expected()).unwrap().changes, limits::RECEIPT_CHANGES_MAX);
    let error = Receipt::of_file(chain.reader(), &chain.record("beyond")).unwrap_err();
    assert!(error.to_string().contains("changed 4097 times"), "{error}");
}

/// Some history: who gets which weight, block by block.
fn history() -> impl Strategy<Value = Vec<Vec<(u8, u32)>>> {
    let changes = prop::collection::vec((1u8..=6, 0u32..4), 0..4);
    prop::collection::vec(changes, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever the validators were, each file's receipt proves its record, also as bytes.
    #[test]
    fn every_file_of_any_history_has_a_receipt_that_verifies(history in history()) {
        let mut chain = Chain::founded();
        let newcomers = (2..=6).map(|number| chain.join(number)).collect();
        chain.block(&[1], newcomers);
        for (number, changes) in (0u8..).zip(history) {
            let validators = chain.reader().validators().unwrap();
            let mut next = validators.clone();
            let mut actions = vec![add(&format!("file-{number}"), number)];
            for (node, new) in changes {
                let changed = next.with_weight(key(node).id(), new).unwrap();
                if changed != next && !changed.is_empty() {
                    next = changed;
                    actions.push(weight(node, new));
                }
            }
            let signers: Vec<u8> =
                (1..=6).filter(|number| validators.weight(&key(*number).id()) > 0).collect();
            chain.block(&signers, actions);
        }
        for record in chain.reader().files(&FileFilter { limit: 100, ..FileFilter::default() }).unwrap() {
            let receipt = Receipt::of_file(chain.reader(), &record).unwrap();
            let read = Receipt::from_bytes(&receipt.to_bytes()).unwrap();
            prop_assert_eq!(&read, &receipt);
            let proven = read.verify(&chain.expected()).unwrap();
            prop_assert_eq!(proven.file(), Some(&record.entry));
            prop_assert_eq!((proven.author, proven.height), (record.publisher, record.height));
            prop_assert_eq!(proven.time_ms, record.time_ms);
            prop_assert_eq!(proven.validators, chain.reader().validators_at(record.height).unwrap());
        }
    }
}
