//! Every kind of forgery has its own refusal.

use swift_chain::*;

use crate::{
    chain::{Chain, certificate},
    network::*,
};

/// A chain whose receipt for `dir/last.bin` leads through the changes of blocks 2, 4, 5 and 6 to block 7.
fn sample() -> (Chain, Receipt) {
    let chain = Chain::with_changes();
    let receipt = chain.receipt("dir/last.bin");
    (chain, receipt)
}

#[test]
fn a_receipt_of_another_network_is_named_as_such() {
    let (chain, receipt) = sample();
    let expected = NetworkId::from_bytes([6; 32]);
    let verdict = receipt.verify(&Expectation { network: Some(expected), checkpoint: None });
    assert_eq!(verdict, Err(ReceiptError::OtherNetwork { expected, found: chain.network }));
}

#[test]
fn a_history_of_another_network_does_not_pass_under_the_right_genesis() {
    let (chain, receipt) = sample();
    // The same founder and the same writes, in a network of another nonce.
    let body = GenesisBody { nonce: [8; 16], ..chain.genesis().body().clone() };
    let other = Chain::of(&Genesis::sign(&key(1), body));
    let forged = Receipt { genesis: other.genesis().clone(), ..receipt };
    let Err(ReceiptError::Certificate { height: 2, error }) = forged.verify(&other.expected()) else {
        panic!("the certificates of one network hold in another")
    };
    assert_eq!(error, CertificateError::Signature(key(1).id()));
}

#[test]
fn a_change_that_is_left_out_is_missed() {
    let (chain, receipt) = sample();
    // Without block 2 the founder is alone, without block 5 nobody knows 5.
    for (left_out, stopped_at) in [(0, 4), (2, 6)] {
        let mut forged = receipt.clone();
        forged.changes.remove(left_out);
        let error = chain.refusal(&forged);
        assert!(matches!(error, ReceiptError::Certificate { height, .. } if height == stopped_at), "{error}");
    }
    let none = Receipt { changes: Vec::new(), ..receipt };
    let error = chain.refusal(&none);
    assert!(matches!(error, ReceiptError::Certificate { height: 7, .. }), "{error}");
}

/// What no receipt can show: headers do not say who certifies them. It takes a quorum of those whom the reader has to
/// believe anyway, and what is proved is the same.
#[test]
fn a_change_that_is_left_out_is_not_missed_when_those_before_it_had_a_quorum_too() {
    let (chain, receipt) = sample();
    let proven = receipt.verify(&chain.expected()).unwrap();
    let mut shorter = receipt;
    shorter.changes.remove(3); // 2 steps down; 3, 4 and 5 had four fifths of the weight before as well
    let still = shorter.verify(&chain.expected()).unwrap();
    assert_eq!((still.transaction, still.block, still.changes), (proven.transaction, proven.block, 3));
}

#[test]
fn a_thinned_certificate_is_no_quorum() {
    let (chain, receipt) = sample();
    let mut thinned = receipt.clone();
    thinned.certificate.signatures.retain(|(node, _)| *node != key(5).id());
    let error = CertificateError::NoQuorum { weight: 2, total: 4 };
    assert_eq!(chain.refusal(&thinned), ReceiptError::Certificate { height: 7, error });
    let mut thinned = receipt;
    thinned.changes[1].certificate.signatures.pop();
    let error = CertificateError::NoQuorum { weight: 2, total: 4 };
    assert_eq!(chain.refusal(&thinned), ReceiptError::Certificate { height: 4, error });
}

#[test]
fn a_certificate_by_validators_who_were_relieved_does_not_count() {
    let (chain, receipt) = sample();
    for relieved in [1, 2] {
        let mut forged = receipt.clone();
        forged.certificate = certificate(&[3, 4, 5, relieved], &chain.network, &receipt.header);
        let error = CertificateError::NotAValidator(key(relieved).id());
        assert_eq!(chain.refusal(&forged), ReceiptError::Certificate { height: 7, error });
    }
}

#[test]
fn a_certificate_of_another_block_does_not_count() {
    let (chain, receipt) = sample();
    let mut forged = receipt.clone();
    forged.certificate = receipt.changes[3].certificate.clone();
    let error = chain.refusal(&forged);
    let ReceiptError::Certificate { height: 7, error: CertificateError::OtherBlock { height: 6, .. } } =
        error
    else {
        panic!("{error}")
    };
}

#[test]
fn changes_stand_in_their_order_and_below_the_block() {
    let (chain, receipt) = sample();
    let mut swapped = receipt.clone();
    swapped.changes.swap(0, 1);
    assert!(matches!(chain.refusal(&swapped), ReceiptError::Certificate { height: 4, .. }));
    let mut swapped = receipt.clone();
    swapped.changes.swap(2, 3);
    assert!(matches!(chain.refusal(&swapped), ReceiptError::Certificate { height: 6, .. }));
    // Also when those who sign are the right ones.
    let mut twice = receipt.clone();
    twice.changes.insert(1, receipt.changes[0].clone());
    assert_eq!(chain.refusal(&twice), ReceiptError::Order { height: 2, below: 2 });
    let mut genesis_again = receipt.clone();
    genesis_again.changes[0].header.height = 0;
    assert_eq!(chain.refusal(&genesis_again), ReceiptError::Order { height: 0, below: 0 });
    let early = Receipt { header: receipt.changes[0].header.clone(), ..receipt };
    assert_eq!(chain.refusal(&early), ReceiptError::Order { height: 2, below: 6 });
}

#[test]
fn the_validators_must_be_those_that_the_header_names() {
    let (chain, receipt) = sample();
    for at in 0..receipt.changes.len() {
        let mut forged = receipt.clone();
        let set = &mut forged.changes[at].validators;
        *set = set.with_weight(key(66).id(), 1_000_000).unwrap();
        let height = receipt.changes[at].header.height;
        assert_eq!(chain.refusal(&forged), ReceiptError::Validators { height });
    }
}

#[test]
fn a_block_that_changes_no_validators_is_no_change() {
    let (chain, mut receipt) = sample();
    let sealed = chain.reader().block(3).unwrap().unwrap();
    let validators = receipt.changes[0].validators.clone();
    let idle = ValidatorChange { header: sealed.block.header, certificate: sealed.certificate, validators };
    receipt.changes.insert(1, idle);
    assert_eq!(chain.refusal(&receipt), ReceiptError::Unchanged { height: 3 });
}

/// The keys of a whole set were stolen, and a block is made anew: it must at least fit those beside it.
#[test]
fn a_block_must_follow_the_one_directly_below_it() {
    let (chain, mut receipt) = sample();
    let (true_one, other) = (receipt.header.previous, BlockHash::from_bytes([7; 32]));
    receipt.header.previous = other;
    receipt.certificate = certificate(&[3, 4, 5], &chain.network, &receipt.header);
    assert_eq!(chain.refusal(&receipt), ReceiptError::Link { height: 7, expected: true_one, found: other });
    let mut first = Chain::founded();
    first.block(&[1], vec![add("a", 1)]);
    let mut receipt = first.receipt("a");
    receipt.header.previous = other;
    receipt.certificate = certificate(&[1], &first.network, &receipt.header);
    assert!(matches!(first.refusal(&receipt), ReceiptError::Link { height: 1, .. }));
}

#[test]
fn another_transaction_is_not_in_the_block() {
    let (chain, receipt) = sample();
    let others = [
        Receipt::of_transaction(chain.reader(), 7, 2).unwrap().transaction,
        chain.receipt("first.bin").transaction,
        {
            let mut body = receipt.transaction.transaction.clone();
            body.on_behalf_of = None;
            SignedTransaction::sign(&key(1), body)
        },
        SignedTransaction { signature: Signature::from_bytes([1; 64]), ..receipt.transaction.clone() },
    ];
    for transaction in others {
        let forged = Receipt { transaction, ..receipt.clone() };
        assert_eq!(chain.refusal(&forged), ReceiptError::Path { height: 7 });
    }
}

#[test]
fn the_path_of_another_leaf_leads_elsewhere() {
    let (chain, receipt) = sample();
    for index in [0, 1, 2, 4] {
        let path = Receipt::of_transaction(chain.reader(), 7, index).unwrap().path;
        let forged = Receipt { path, ..receipt.clone() };
        assert_eq!(chain.refusal(&forged), ReceiptError::Path { height: 7 }, "{index}");
    }
    let alterations: [fn(&mut MerklePath); 5] = [
        |path| path.index ^= 1,
        |path| path.leaf_count = 3,
        |path| path.leaf_count = 0,
        |path| path.neighbours.truncate(2),
        |path| path.neighbours.push(hash(1)),
    ];
    for alter in alterations {
        let mut forged = receipt.clone();
        alter(&mut forged.path);
        assert_eq!(chain.refusal(&forged), ReceiptError::Path { height: 7 });
    }
}

/// Validators that lie can certify what no rule allows; even they cannot sign for somebody else.
#[test]
fn a_quorum_cannot_make_up_what_an_author_said() {
    let (chain, receipt) = sample();
    let said = receipt.transaction.transaction.clone();
    let by_another = SignedTransaction::sign(&key(3), said.clone());
    let elsewhere = SignedTransaction::sign(&key(1), Transaction { network: NetworkId::default(), ..said });
    for (transaction, expected) in [
        (by_another, TransactionError::Signature { author: key(1).id() }),
        (elsewhere, TransactionError::OtherNetwork { expected: chain.network, found: NetworkId::default() }),
    ] {
        let mut forged = receipt.clone();
        forged.header.transactions_root = Block::transactions_root(std::slice::from_ref(&transaction));
        forged.path = MerklePath { index: 0, leaf_count: 1, neighbours: Vec::new() };
        forged.certificate = certificate(&[3, 4, 5], &chain.network, &forged.header);
        forged.transaction = transaction;
        assert_eq!(chain.refusal(&forged), ReceiptError::Transaction(expected));
    }
}

/// What the documentation admits: with the keys of a former quorum another history can be made, and only something
/// that is known from elsewhere tells it from the true one.
#[test]
fn another_history_by_stolen_keys_is_found_out_by_a_checkpoint() {
    let chain = Chain::with_changes();
    let mut other = Chain::founded();
    let newcomers = (2..=5).map(|number| other.join(number)).collect();
    other.block(&[1], newcomers);
    other.block(&[1], vec![add("dir/last.bin", 99)]);
    let receipt = other.receipt("dir/last.bin");
    assert!(receipt.verify(&chain.expected()).is_ok());
    let hash = chain.reader().block_hash(2).unwrap().unwrap();
    let known = Expectation { checkpoint: Some(Checkpoint { height: 2, hash }), ..chain.expected() };
    assert!(matches!(receipt.verify(&known), Err(ReceiptError::Checkpoint { height: 2, .. })));
}
