//! Servers that lie: what they send is never held, and comes from elsewhere.

use std::fs;

use swift_chunks::{Manifest, ManifestHash, ObjectState};
use swift_p2p::driver::{TransferStage, TransferState};
use swift_p2p::swarm::Config;

use crate::{
    manners::Lie,
    network::{C, Network, content, small_slices, soon, whole_chunks},
};

/// Node 1 holds the file honestly and then lies to node 2, which sees it and, held up until the lie was told, node 0.
async fn lied_to(lie: Lie, config: &Config) {
    let network = Network::with(3, config).await;
    network.meet(0, 1);
    let bytes = content(12 * C, 5);
    let file = network.publish("wanted.bin", &bytes).await;
    network.copied(file, 1, 0).await;

    *network.peers[1].manners.lie.lock().unwrap() = Some(lie);
    network.peers[0].manners.hold_after(0);
    network.meet(0, 2);
    network.meet(1, 2);
    // The second time it is out for this file.
    let liar = network.peers[1].manners.until(|seen| seen.sent.len() >= 2).await;
    assert!(network.peers[2].store().reader(file).is_ok_and(|reader| reader.held().is_empty()), "{lie:?}");
    network.peers[0].manners.release();
    network.copied(file, 2, 0).await;
    assert!(fs::read(network.peers[2].file("wanted.bin")).unwrap() == bytes, "{lie:?}");
    assert_eq!(liar.confirms, 0, "{lie:?}");
    assert_eq!(network.peers[1].manners.seen.borrow().confirms, 0, "{lie:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_is_never_held_and_the_chunk_comes_from_elsewhere() {
    lied_to(Lie::FlippedBit, &whole_chunks()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_one_byte_short_is_never_held() {
    lied_to(Lie::OneByteShort, &whole_chunks()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_one_byte_long_is_never_held() {
    lied_to(Lie::OneByteLong, &whole_chunks()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_with_a_flipped_bit_is_never_held_and_comes_from_elsewhere() {
    lied_to(Lie::FlippedBit, &small_slices()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_one_byte_short_is_never_held() {
    lied_to(Lie::OneByteShort, &small_slices()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_one_byte_long_is_never_held() {
    lied_to(Lie::OneByteLong, &small_slices()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_with_another_tree_is_never_held() {
    lied_to(Lie::OtherTree, &small_slices()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_without_the_tree_that_was_asked_for_is_never_held() {
    lied_to(Lie::NoTree, &small_slices()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_is_another_is_refused_and_comes_from_elsewhere() {
    let network = Network::of(3).await;
    network.meet(0, 1);
    let bytes = content(3 * C, 6);
    let file = network.publish("wanted.bin", &bytes).await;
    network.copied(file, 1, 0).await;

    let other = Manifest::of(&content(3 * C, 7)[..]).unwrap();
    *network.peers[1].manners.manifest.lock().unwrap() = Some(other.encoded().to_vec());
    network.meet(1, 2);
    // Asked again after a pause, so what followed from the first answer is over.
    network.peers[1].manners.until(|seen| seen.manifests >= 2).await;
    assert!(
        network.peers[1].manners.seen.borrow().sent.is_empty(),
        "nothing is asked of it without a manifest"
    );
    network.meet(0, 2);
    network.copied(file, 2, 0).await;
    assert!(fs::read(network.peers[2].file("wanted.bin")).unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_manifest_stops_the_file_and_is_blamed_on_its_publisher() {
    is_stopped_by_a_false_manifest(&whole_chunks()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_manifest_is_found_in_a_chunk_that_came_in_slices() {
    let network = is_stopped_by_a_false_manifest(&small_slices()).await;
    // Every slice of the chunk was verified and confirmed, and nobody who sent is to blame: more is taken from it.
    let confirms = network.peers[0].manners.seen.borrow().confirms;
    assert!(confirms >= 32, "{confirms} slices were confirmed");
    let true_one = network.publish("true.bin", &content(C, 12)).await;
    network.copied(true_one, 1, 0).await;
}

async fn is_stopped_by_a_false_manifest(config: &Config) -> Network {
    let network = Network::with(2, config).await;
    let bytes = content(2 * C, 8);
    let manifest = Manifest::of(&bytes[..]).unwrap();
    let file = manifest.file_id();
    // The same bytes under a manifest whose SHA-1 of the second chunk is not its SHA-1.
    let mut forged = manifest.encoded().to_vec();
    let entry = forged.len() - 52;
    forged[entry] ^= 1;
    let hash = ManifestHash::from_bytes(sha256(&forged));
    network.publish_forged("false.bin", &bytes, hash).await;
    *network.peers[0].manners.manifest.lock().unwrap() = Some(forged);
    network.meet(0, 1);

    // The other chunk may be told of first: it could not be kept any more.
    let publisher = network.peers[0].id().to_string();
    let is_blamed = |row: &TransferState| {
        row.stage == TransferStage::Blocked
            && row.detail.as_ref().is_some_and(|detail| detail.contains(&publisher))
    };
    soon(async {
        while !network.peers[1].swarm().transfers().await.unwrap().incoming.iter().any(is_blamed) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let object = network.peers[1].store().object(file).unwrap().unwrap();
    assert_eq!((object.state, object.held_chunks), (ObjectState::ManifestFalse, 0));
    assert!(!network.peers[1].file("false.bin").exists());
    let asked = network.peers[1].swarm().serve(network.peers[0].id(), file, 0..C as u64);
    assert!(soon(asked).await.unwrap().is_given_up(), "nobody else gets it from here");
    *network.peers[0].manners.manifest.lock().unwrap() = None;
    network
}

/// Anybody may publish bytes that others published, under a manifest that nobody has.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_manifest_for_the_same_bytes_does_not_get_in_the_way_of_the_true_one() {
    let network = Network::of(2).await;
    let bytes = content(2 * C, 11);
    for (name, invented) in [("before.bin", [0; 32]), ("between.bin", [255; 32])] {
        network.publish_forged(name, &bytes, ManifestHash::from_bytes(invented)).await;
    }
    network.meet(0, 1);
    let file = network.publish("true.bin", &bytes).await;
    network.copied(file, 1, 0).await;
    assert!(fs::read(network.peers[1].file("true.bin")).unwrap() == bytes);
    assert!(!network.peers[1].file("before.bin").exists());
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}
