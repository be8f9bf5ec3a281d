//! Checking a chain offline: every kind of damage is found and named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod network;

use std::sync::OnceLock;

use network::{fleet::Fleet, *};
use proptest::prelude::*;
use swift_chain::*;

fn sample_chain() -> (NetworkId, Vec<u8>) {
    static CHAIN: OnceLock<(NetworkId, Vec<u8>)> = OnceLock::new();
    CHAIN.get_or_init(build_chain).clone()
}

fn build_chain() -> (NetworkId, Vec<u8>) {
    let mut founder = Peer::founder();
    founder.admit(2, Role::Publisher);
    founder.submit(add("a", 1)).unwrap();
    founder.submit(replace("a", 2, 1)).unwrap();
    let (chain, next) = founder.replica.reader().frames(0, usize::MAX).unwrap();
    assert_eq!(next, ChainPosition::Block { height: 4 });
    (founder.replica.reader().network(), chain)
}

fn error(chain: &[u8], network: Option<NetworkId>) -> AuditError {
    Audit::read(chain, network, |_| {}).expect_err("the chain was accepted")
}

#[test]
fn a_true_chain_passes_and_every_block_is_seen() {
    let (network, chain) = sample_chain();
    let mut seen = Vec::new();
    let audit =
        Audit::read(chain.as_slice(), Some(network), |block| seen.push(block.as_head().height)).unwrap();
    assert_eq!(seen, [1, 2, 3]);
    assert_eq!((audit.transactions(), audit.state().files().count()), (3, 1));
}

#[test]
fn the_chain_of_another_network_is_named_as_such() {
    let (network, chain) = sample_chain();
    let error = error(&chain, Some(NetworkId::default()));
    assert!(matches!(error, AuditError::OtherNetwork { found, .. } if found == network));
}

#[test]
fn a_chain_without_its_beginning_or_cut_short_is_refused() {
    let (_, chain) = sample_chain();
    let genesis_len = 5 + u32::from_le_bytes(chain[1..5].try_into().unwrap()) as usize;
    assert!(matches!(error(&chain[genesis_len..], None), AuditError::Genesis));
    assert!(matches!(error(&[], None), AuditError::Genesis));
    let cut = error(&chain[..chain.len() - 1], None);
    assert!(matches!(cut, AuditError::Stream(StreamError::CutShort { index: 3 })), "{cut}");
    let doubled = [&chain[..genesis_len], &chain[..]].concat();
    assert!(matches!(error(&doubled, None), AuditError::Genesis));
}

#[test]
fn absurd_frames_are_refused_before_anything_is_allocated() {
    let kind = error(&[7, 0, 0, 0, 0], None);
    assert!(matches!(kind, AuditError::Stream(StreamError::Kind { index: 0, kind: 7 })));
    let len = error(&[1, 0xff, 0xff, 0xff, 0xff], None);
    assert!(matches!(len, AuditError::Stream(StreamError::TooLong { index: 0, .. })));
}

#[test]
fn a_chain_may_come_in_pieces_of_any_size() {
    let (network, chain) = sample_chain();
    for piece_len in [1, 3, 1000] {
        let mut decoder = FrameDecoder::default();
        let mut frames = 0;
        for piece in chain.chunks(piece_len) {
            decoder.push(piece);
            while decoder.next_frame().unwrap().is_some() {
                frames += 1;
            }
        }
        decoder.finish().unwrap();
        assert_eq!(frames, 4);
    }
    assert!(Audit::read(chain.as_slice(), Some(network), |_| {}).is_ok());
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// No bit of a chain can be flipped unnoticed.
    #[test]
    fn any_flipped_bit_is_found(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let (network, mut chain) = sample_chain();
        let at = at.index(chain.len());
        chain[at] ^= 1 << bit;
        let outcome = Audit::read(chain.as_slice(), Some(network), |_| {});
        prop_assert!(outcome.is_err());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Audit::read(bytes.as_slice(), None, |_| {});
        let _ = SignedTransaction::from_bytes(&bytes);
        let _ = SealedBlock::from_bytes(&bytes);
        let _ = Certificate::from_bytes(&bytes);
        let _ = Genesis::from_bytes(&bytes);
    }
}
