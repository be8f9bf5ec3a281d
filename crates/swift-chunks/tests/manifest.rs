//! A manifest is taken only if it is the one the ledger names.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "fixtures of tests fail by panicking"
)]

use proptest::prelude::*;
use swift_chunks::{CHUNK_LEN, Manifest, ManifestCheck, ManifestFault, ManifestHash};

fn content(len: u64) -> Vec<u8> {
    (0..len).map(|at| (at % 253) as u8).collect()
}

fn manifest(len: u64) -> Manifest {
    Manifest::of(&content(len)[..]).unwrap()
}

fn check(manifest: &Manifest) -> ManifestCheck {
    ManifestCheck::new(manifest.file_id(), manifest.hash(), manifest.layout().file_len()).unwrap()
}

fn sha256(bytes: &[u8]) -> ManifestHash {
    use sha2::Digest as _;
    ManifestHash::from_bytes(sha2::Sha256::digest(bytes).into())
}

#[test]
fn golden_bytes_of_version_1() {
    let empty = Manifest::of(&[][..]).unwrap();
    assert_eq!(empty.encoded(), b"swmani\x01\x00\0\0\0\0\0\0\0\0");
    assert_eq!(
        empty.file_id().to_string(),
        "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    );

    let abc = Manifest::of(&b"abc"[..]).unwrap();
    let encoded = data_encoding::HEXLOWER.encode(abc.encoded());
    let expected = [
        "73776d616e69",
        "0100",
        "0300000000000000",
        "a9993e364706816aba3e25717850c26c9cd0d89d",
        "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
    ];
    assert_eq!(encoded, expected.concat());
    assert_eq!(abc.file_id().to_string(), expected[4]);
    assert_eq!(abc.hash(), sha256(abc.encoded()));

    let two = manifest(CHUNK_LEN + 1);
    assert_eq!(two.encoded().len(), 16 + 2 * 52);
    assert_eq!(two.hash().to_string(), "39a53fb92ba870acacc753a8b8410320baf427e46088875828a0a05b1a7ec64e");
}

#[test]
fn the_manifest_of_every_length_passes_its_own_check() {
    for len in [0, 1, CHUNK_LEN - 1, CHUNK_LEN, CHUNK_LEN + 1, 5 * CHUNK_LEN + 9] {
        let manifest = manifest(len);
        let read = Manifest::read(manifest.encoded(), &check(&manifest)).unwrap();
        assert_eq!(read, manifest);
    }
}

#[test]
fn a_changed_cut_or_longer_manifest_blames_the_sender() {
    let manifest = manifest(2 * CHUNK_LEN);
    let check = check(&manifest);
    for at in [0, 6, 8, 16, 40, 119] {
        let mut changed = manifest.encoded().to_vec();
        changed[at] ^= 1;
        assert!(matches!(Manifest::read(&changed[..], &check), Err(ManifestFault::Content)), "byte {at}");
    }
    let cut = &manifest.encoded()[..119];
    assert!(matches!(Manifest::read(cut, &check), Err(ManifestFault::TooShort { expected: 120 })));
    let longer = [manifest.encoded(), &[0]].concat();
    assert!(matches!(Manifest::read(&longer[..], &check), Err(ManifestFault::TooLong { expected: 120 })));
}

#[test]
fn a_manifest_of_another_file_under_its_true_hash_blames_the_publisher() {
    let manifest = manifest(2 * CHUNK_LEN);
    let mut lie = manifest.encoded().to_vec();
    lie[16 + 20] ^= 1;
    let len = manifest.layout().file_len();
    let check = ManifestCheck::new(manifest.file_id(), sha256(&lie), len).unwrap();
    assert!(matches!(Manifest::read(&lie[..], &check), Err(ManifestFault::ManifestFalse)));

    let mut other_version = manifest.encoded().to_vec();
    other_version[6] = 2;
    let check = ManifestCheck::new(manifest.file_id(), sha256(&other_version), len).unwrap();
    assert!(matches!(Manifest::read(&other_version[..], &check), Err(ManifestFault::ManifestFalse)));
}

/// The ledger has the file's true manifest and a false length. Whoever sends the manifest holds the file.
#[test]
fn a_lie_about_the_length_blames_the_publisher() {
    let manifest = manifest(2 * CHUNK_LEN);
    let true_len = manifest.layout().file_len();
    for lie in [0, 1, CHUNK_LEN, true_len - 1, true_len + 1, 3 * CHUNK_LEN, 1 << 44] {
        let check = ManifestCheck::new(manifest.file_id(), manifest.hash(), lie).unwrap();
        let judged = Manifest::read(manifest.encoded(), &check);
        assert!(matches!(judged, Err(ManifestFault::ManifestFalse)), "{lie}");
        // More or fewer bytes, or others, are their sender's.
        let cut = &manifest.encoded()[..100];
        let longer = [manifest.encoded(), &[0]].concat();
        for other in [cut, &longer, &vec![7; 1_000]] {
            assert!(matches!(Manifest::read(other, &check), Err(ManifestFault::Content)), "{lie}");
        }
    }
}

proptest! {
    #[test]
    fn hostile_bytes_are_never_taken(chunks in 0u64..4, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let expected = Manifest::of(&b"something else"[..]).unwrap();
        let check = ManifestCheck::new(expected.file_id(), expected.hash(), chunks * CHUNK_LEN).unwrap();
        prop_assert!(Manifest::read(&bytes[..], &check).is_err());
    }
}
