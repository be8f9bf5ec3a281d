//! The bytes of a receipt file.

use std::sync::OnceLock;

use proptest::prelude::*;
use sha2::{Digest, Sha256};
use swift_chain::*;

use crate::{chain::Chain, network::*};

/// A short receipt with everything in it: one change of the validators, two signatures, a path of two hashes.
fn sample() -> &'static (Receipt, Expectation) {
    static SAMPLE: OnceLock<(Receipt, Expectation)> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let mut chain = Chain::founded();
        let newcomer = chain.join(2);
        chain.block(&[1], vec![newcomer, weight(2, 1)]);
        chain.block(&[1, 2], vec![add("a", 1), add("dir/ø.txt", 2), add("c", 3)]);
        (chain.receipt("dir/ø.txt"), chain.expected())
    })
}

/// Gives bytes a checksum that fits, as a forger would.
fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    let content_len = bytes.len() - 4;
    let sum = Sha256::new().chain_update(b"swiftserve/receipt/1\0").chain_update(&bytes[8..content_len]);
    bytes[content_len..].copy_from_slice(&sum.finalize()[..4]);
    bytes
}

#[test]
fn a_receipt_has_these_bytes() {
    let (receipt, expected) = sample();
    let bytes: String = receipt.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(bytes, include_str!("golden.hex").trim_end());
    assert!(receipt.verify(expected).is_ok());
}

#[test]
fn no_byte_of_a_receipt_can_be_changed_lost_or_added() {
    let (receipt, _) = sample();
    let bytes = receipt.to_bytes();
    assert_eq!(Receipt::from_bytes(&bytes).as_ref(), Ok(receipt));
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            assert!(Receipt::from_bytes(&changed).is_err(), "bit {bit} of byte {at}");
        }
        assert!(Receipt::from_bytes(&bytes[..at]).is_err(), "cut at {at}");
    }
    assert_eq!(Receipt::from_bytes(&[&bytes[..], &[0]].concat()), Err(ReceiptFormatError::Damaged));
}

/// The checksum keeps nobody from forging. What lies under it does: of all bytes only the number of leaves, of which
/// nothing is claimed, can be one that was not there, where the path is the same for both.
#[test]
fn no_byte_can_be_forged_even_with_a_checksum_that_fits() {
    let (receipt, expected) = sample();
    let (bytes, proven) = (receipt.to_bytes(), receipt.verify(expected).unwrap());
    let mut harmless = 0;
    for at in 8..bytes.len() - 4 {
        for mask in [0x01, 0x07, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= mask;
            let Ok(forged) = Receipt::from_bytes(&with_checksum(changed)) else { continue };
            if let Ok(still) = forged.verify(expected) {
                assert_eq!(still, proven, "byte {at}");
                let path = MerklePath { leaf_count: receipt.path.leaf_count, ..forged.path.clone() };
                assert_eq!(&Receipt { path, ..forged }, receipt, "byte {at}");
                harmless += 1;
            }
        }
    }
    assert_eq!(harmless, 1, "three leaves or four: the second one's path is the same");
}

#[test]
fn what_is_no_receipt_is_told_apart() {
    let bytes = sample().0.to_bytes();
    assert_eq!(Receipt::from_bytes(b""), Err(ReceiptFormatError::NotAReceipt));
    assert_eq!(Receipt::from_bytes(b"swmani\x01\0"), Err(ReceiptFormatError::NotAReceipt));
    assert_eq!(Receipt::from_bytes(b"swrcpt"), Err(ReceiptFormatError::Damaged));
    assert_eq!(Receipt::from_bytes(b"swrcpt\x01\0\0"), Err(ReceiptFormatError::Damaged));
    let mut newer = bytes.clone();
    newer[6] = 2;
    assert_eq!(Receipt::from_bytes(&newer), Err(ReceiptFormatError::Version(2)));
    let mut idle = bytes.clone();
    idle.insert(bytes.len() - 4, 0);
    assert!(matches!(
        Receipt::from_bytes(&with_checksum(idle)),
        Err(ReceiptFormatError::Content(DecodeError::NotCanonical { .. }))
    ));
    let mut unsigned = bytes;
    let genesis_len = sample().0.genesis.to_bytes().len();
    unsigned[8 + 2 + genesis_len - 1] ^= 1;
    assert_eq!(
        Receipt::from_bytes(&with_checksum(unsigned)),
        Err(ReceiptFormatError::Genesis(GenesisError::Signature))
    );
}

#[test]
fn lists_have_their_limits() {
    let (receipt, _) = sample();
    let refused = |receipt: &Receipt| match Receipt::from_bytes(&receipt.to_bytes()) {
        Err(ReceiptFormatError::TooMany { what, count, count_max }) => (what, count, count_max),
        other => panic!("{other:?}"),
    };
    let mut long = receipt.clone();
    long.changes = vec![receipt.changes[0].clone(); limits::RECEIPT_CHANGES_MAX + 1];
    assert_eq!(refused(&long), ("changes of the validators", 4097, 4096));
    let mut long = receipt.clone();
    long.changes[0].certificate.signatures = vec![receipt.certificate.signatures[0]; 129];
    assert_eq!(refused(&long), ("signatures in one certificate", 129, 128));
    let mut long = receipt.clone();
    long.path.neighbours = vec![hash(1); 11];
    assert_eq!(refused(&long), ("hashes in its path", 11, 10));
    let mut long = receipt.clone();
    long.path.leaf_count = 1001;
    assert_eq!(refused(&long), ("transactions in its block", 1001, 1000));
    let len = limits::RECEIPT_LEN_MAX + 1;
    assert_eq!(Receipt::from_bytes(&vec![0; len]), Err(ReceiptFormatError::TooLong { len }));
    // A list that claims to be endless is not believed.
    let genesis = postcard::to_allocvec(&receipt.genesis.to_bytes()).unwrap();
    let claim = [b"swrcpt\x01\0".as_slice(), &genesis, &[0xff; 9], &[0x01], &[0; 4]].concat();
    assert!(matches!(Receipt::from_bytes(&with_checksum(claim)), Err(ReceiptFormatError::Content(_))));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Receipt::from_bytes(&bytes).is_err());
        let dressed = with_checksum([b"swrcpt\x01\0", &bytes[..], &[0; 4]].concat());
        prop_assert!(Receipt::from_bytes(&dressed).is_err());
    }

    /// Pieces of a true receipt in any arrangement either do not read or do not verify.
    #[test]
    fn a_receipt_put_together_from_pieces_never_panics(
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        noise in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let (receipt, expected) = sample();
        let mut bytes = receipt.to_bytes();
        let original = bytes.clone();
        for cut in cuts {
            let at = 8 + cut.index(bytes.len() - 12);
            let end = (at + noise.len()).min(bytes.len() - 4);
            bytes.splice(at..end, noise.iter().copied());
        }
        prop_assume!(bytes != original);
        if let Ok(read) = Receipt::from_bytes(&with_checksum(bytes)) {
            prop_assert!(read.verify(expected).is_err());
        }
    }
}
