//! Parts of chunks: passed on before their chunk is whole, raced, and judged again when it is.

use std::{collections::BTreeSet, fs, ops::Range, os::unix::fs::FileExt as _};

use swift_chain::NodeId;
use swift_chunks::{GrainTree, Manifest, ObjectState, Slice};
use swift_p2p::swarm::Config;

use crate::network::{C, Network, content, is_passed_on_early, small_slices, soon, whole_chunks};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_comes_over_in_slices_and_each_byte_of_it_once() {
    let network = Network::with(2, &small_slices()).await;
    network.meet(0, 1);
    let bytes = content(3 * C + 70_001, 21);
    let file = network.publish("sliced.bin", &bytes).await;
    network.copied(file, 1, 0).await;
    assert!(fs::read(network.peers[1].file("sliced.bin")).unwrap() == bytes);
    let sent = network.peers[0].manners.seen.borrow().sent.clone();
    assert!(sent.len() > 3 * 32, "{} slices", sent.len());
    let starts: BTreeSet<u64> = sent.iter().map(|(_, range)| range.start).collect();
    let total: u64 = sent.iter().map(|(_, range)| range.end - range.start).sum();
    assert_eq!((starts.len(), total), (sent.len(), bytes.len() as u64));
    network.peers[0].manners.until(|seen| seen.confirms == sent.len()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_passes_on_slices_of_a_chunk_before_it_has_the_whole_chunk() {
    // All of one size: two that came apart would else go on as one, and five would not be confirmed.
    let network = Network::with(3, &Config { slice_levels: (0, 0), ..Config::default() }).await;
    is_passed_on_early(&network, &content(C, 22), 5, |file| {
        for relayed_to in [1, 2] {
            let object = network.peers[relayed_to].store().object(file).unwrap().unwrap();
            assert_eq!((object.state, object.held_chunks), (ObjectState::Partial, 0));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_stops_half_way_fetches_nothing_again() {
    let mut network = Network::with(2, &small_slices()).await;
    network.meet(0, 1);
    network.peers[0].manners.hold_after(150);
    let bytes = content(5 * C + 77, 23);
    let file = network.publish("resumed.bin", &bytes).await;
    network.peers[0].manners.until(|seen| seen.confirms == 150).await;
    network.stop(1).await;
    let sent_before = bytes_in(&network.peers[0].manners.seen.borrow().sent);

    network.lose(1);
    network.peers[0].manners.release();
    network.start(1).await;
    network.level(1).await;
    assert_eq!(network.peers[1].store().object(file).unwrap().unwrap().durable_bytes, sent_before);
    network.meet(0, 1);
    network.copied(file, 1, 0).await;
    assert!(fs::read(network.peers[1].file("resumed.bin")).unwrap() == bytes);
    assert_eq!(bytes_in(&network.peers[0].manners.seen.borrow().sent), bytes.len() as u64);
    assert_eq!(network.peers[0].manners.seen.borrow().manifests, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_comes_back_passes_on_the_parts_of_chunks_that_it_had() {
    let mut network = Network::with(3, &small_slices()).await;
    network.meet(0, 1);
    network.peers[0].manners.hold_after(5);
    let bytes = content(C, 26);
    let file = network.publish("returned.bin", &bytes).await;
    network.peers[0].manners.until(|seen| seen.confirms == 5).await;
    network.stop(1).await;
    network.lose(1);
    network.start(1).await;
    network.level(1).await;
    // The source sends nothing more: what comes is from before the stop, and is judged by the tree from then.
    network.meet(1, 2);
    network.peers[1].manners.until(|seen| seen.confirms == 5).await;

    network.peers[0].manners.release();
    network.meet(0, 1);
    network.copied(file, 2, 1).await;
    assert!(fs::read(network.peers[2].file("returned.bin")).unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_lacked_only_its_check_when_the_node_was_killed_is_checked_and_not_fetched() {
    let mut network = Network::with(2, &small_slices()).await;
    let bytes = content(2 * C, 27);
    let file = network.publish("unchecked.bin", &bytes).await;
    network.stop(1).await;
    let manifest = Manifest::of(&bytes[..]).unwrap();
    let (layout, store) = (manifest.layout(), network.peers[1].open_store());
    let download = store.begin_download(file, manifest.hash(), bytes.len() as u64).unwrap();
    download.install_manifest(manifest.encoded()).unwrap();
    let chunk = layout.chunk(1).unwrap();
    let tree = GrainTree::of_chunk(layout, chunk, &bytes[C..]).unwrap();
    for grain in 0..64 {
        let slice = Slice::around(layout, chunk, grain, 0).unwrap();
        let range = slice.range(layout);
        let mut writer = download.slice_writer(slice, &tree).unwrap();
        writer
            .write(&bytes[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()])
            .unwrap();
        writer.finish().unwrap();
    }
    download.commit().unwrap();
    drop((download, store));

    network.start(1).await;
    network.meet(0, 1);
    network.copied(file, 1, 0).await;
    assert!(fs::read(network.peers[1].file("unchecked.bin")).unwrap() == bytes);
    let sent = network.peers[0].manners.seen.borrow().sent.clone();
    assert!(sent.iter().all(|(_, range)| range.end <= C as u64), "the second chunk was here");
    assert_eq!(bytes_in(&sent), C as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_rotted_while_the_node_was_off_costs_its_chunk_and_blames_nobody() {
    let mut network = Network::with(2, &small_slices()).await;
    network.meet(0, 1);
    network.peers[0].manners.hold_after(9);
    let bytes = content(2 * C, 28);
    let file = network.publish("rotten.bin", &bytes).await;
    network.peers[0].manners.until(|seen| seen.confirms == 9).await;
    network.stop(1).await;
    let sent = network.peers[0].manners.seen.borrow().sent.clone();
    let mut parts = fs::read_dir(network.peers[1].partial()).unwrap();
    let part = fs::OpenOptions::new().write(true).open(parts.next().unwrap().unwrap().path()).unwrap();
    part.write_all_at(&[!bytes[usize::try_from(sent[0].1.start).unwrap()]], sent[0].1.start).unwrap();

    network.lose(1);
    network.peers[0].manners.release();
    network.start(1).await;
    network.meet(0, 1);
    network.copied(file, 1, 0).await;
    assert!(fs::read(network.peers[1].file("rotten.bin")).unwrap() == bytes);
    let again = bytes_in(&network.peers[0].manners.seen.borrow().sent) - bytes.len() as u64;
    assert_eq!(again, C as u64);
}

fn bytes_in(sent: &[(NodeId, Range<u64>)]) -> u64 {
    sent.iter().map(|(_, range)| range.end - range.start).sum()
}

/// The source of a last piece stalls in the middle of it, so that its place is taken when another sends it.
async fn is_taken_over(config: &Config) {
    let network = Network::with(3, config).await;
    network.meet(0, 1);
    let bytes = content(C, 24);
    let file = network.publish("raced.bin", &bytes).await;
    network.copied(file, 1, 0).await;

    network.peers[0].manners.stall();
    network.meet(0, 2);
    let halves = network.peers[0].manners.seen.borrow().halves;
    network.peers[0].manners.until(|seen| seen.halves > halves).await;
    network.meet(1, 2);
    network.copied(file, 2, 1).await;
    assert!(fs::read(network.peers[2].file("raced.bin")).unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn slices_whose_source_stalls_half_way_are_taken_over_by_another() {
    is_taken_over(&small_slices()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_whose_source_stalls_half_way_is_taken_over_by_another() {
    is_taken_over(&whole_chunks()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_is_shown_on_both_sides() {
    let network = Network::with(2, &small_slices()).await;
    network.meet(0, 1);
    network.peers[0].manners.hold_after(40);
    let bytes = content(4 * C, 25);
    let file = network.publish("shown.bin", &bytes).await;
    network.peers[0].manners.until(|seen| seen.confirms == 40).await;
    let moved: u64 =
        network.peers[0].manners.seen.borrow().sent.iter().map(|(_, range)| range.end - range.start).sum();
    let (incoming, outgoing) = soon(async {
        loop {
            let (at_receiver, at_source) =
                (network.peers[1].swarm().transfers(), network.peers[0].swarm().transfers());
            let mut incoming = at_receiver.await.unwrap().incoming;
            let mut outgoing = at_source.await.unwrap().outgoing;
            if incoming.iter().any(|row| row.remaining.is_some())
                && outgoing.iter().any(|row| row.peers[0].bytes_per_second > 0)
            {
                return (incoming.remove(0), outgoing.remove(0));
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!((incoming.file, outgoing.file), (file, file));
    assert_eq!((incoming.done_bytes, incoming.total_bytes), (moved, bytes.len() as u64));
    assert_eq!(incoming.bytes_per_second, incoming.peers[0].bytes_per_second);
    assert_eq!(
        (incoming.peers[0].peer, outgoing.peers[0].peer),
        (network.peers[0].id(), network.peers[1].id())
    );
    assert_eq!(outgoing.peers[0].bytes, moved);
    network.peers[0].manners.release();
    network.copied(file, 1, 0).await;
}
