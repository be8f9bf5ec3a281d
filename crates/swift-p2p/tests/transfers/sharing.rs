//! Files arrive: at all nodes, late, through others, and after a stop.

use std::{collections::BTreeSet, fs};

use crate::network::{C, Network, Peer, content, is_passed_on_early, soon};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_forty_mebibytes_comes_over_and_each_chunk_of_it_once() {
    let network = Network::of(2).await;
    network.meet(0, 1);
    let bytes = content(10 * C + 5, 1);
    let file = network.publish("big.bin", &bytes).await;
    network.copied(file, 1, 0).await;
    assert!(fs::read(network.peers[1].file("big.bin")).unwrap() == bytes);

    let seen = network.peers[0].manners.until(|seen| seen.confirms == 11).await;
    let ranges: BTreeSet<u64> = seen.sent.iter().map(|(_, range)| range.start).collect();
    assert_eq!((seen.sent.len(), ranges.len(), seen.manifests), (11, 11, 1));
    let both: BTreeSet<_> = network.peers.iter().map(Peer::id).collect();
    for peer in &network.peers {
        assert_eq!(soon(peer.swarm().transfers()).await.unwrap().incoming, []);
        let copies = soon(peer.swarm().copies(file)).await.unwrap().complete;
        assert_eq!(BTreeSet::from_iter(copies), both);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_no_byte_one_byte_and_about_one_chunk_come_over() {
    let network = Network::of(2).await;
    network.meet(0, 1);
    for len in [0, 1, C - 1, C, C + 1] {
        let bytes = content(len, len as u64 + 1);
        let name = format!("{len}.bin");
        let file = network.publish(&name, &bytes).await;
        // Nobody need be told of an empty file: the block says it all.
        let copies = async {
            while !soon(network.peers[1].swarm().copies(file))
                .await
                .unwrap()
                .complete
                .contains(&network.peers[1].id())
            {
                tokio::task::yield_now().await;
            }
        };
        soon(copies).await;
        assert!(fs::read(network.peers[1].file(&name)).unwrap() == bytes, "{len}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_late_gets_everything_from_another_though_the_source_has_left() {
    let mut network = Network::of(3).await;
    network.stop(2).await;
    network.meet(0, 1);
    let (first, second) = (content(3 * C + 1, 1), content(2 * C, 2));
    let first_id = network.publish("first.bin", &first).await;
    let second_id = network.publish("second.bin", &second).await;
    network.copied(first_id, 1, 0).await;
    network.copied(second_id, 1, 0).await;

    network.start(2).await;
    network.level(2).await;
    network.stop(0).await;
    network.lose(0);
    network.meet(1, 2);
    network.copied(first_id, 2, 1).await;
    network.copied(second_id, 2, 1).await;
    assert!(fs::read(network.peers[2].file("first.bin")).unwrap() == first);
    assert!(fs::read(network.peers[2].file("second.bin")).unwrap() == second);
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_are_passed_on_before_the_file_is_whole() {
    let network = Network::of(3).await;
    is_passed_on_early(&network, &content(6 * C, 3), 3, |_| {
        assert!(!network.peers[1].file("relayed.bin").exists());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_stops_half_way_goes_on_without_fetching_a_chunk_twice() {
    let mut network = Network::of(2).await;
    network.meet(0, 1);
    network.peers[0].manners.hold_after(4);
    let bytes = content(9 * C + 77, 4);
    let file = network.publish("resumed.bin", &bytes).await;
    network.peers[0].manners.until(|seen| seen.confirms == 4).await;
    network.stop(1).await;

    network.lose(1);
    network.peers[0].manners.release();
    network.start(1).await;
    network.level(1).await;
    let held = network.peers[1].store().reader(file).unwrap().held().len();
    assert!(held >= 4, "{held} chunks survived the stop");
    network.meet(0, 1);
    network.copied(file, 1, 0).await;
    assert!(fs::read(network.peers[1].file("resumed.bin")).unwrap() == bytes);

    // A request that the stop cut off may be answered to nobody; what was confirmed before it never comes again.
    let sent = network.peers[0].manners.seen.borrow().sent.clone();
    let (before, after) = sent.split_at(4);
    assert!(before.iter().all(|sent| !after.contains(sent)), "{sent:?}");
    assert_eq!(network.peers[0].manners.seen.borrow().manifests, 1);
}

/// Ten thousand files of 10 KiB took as many manifests, offers, confirmations and synchronisations, and 4 ms each.
#[tokio::test(flavor = "multi_thread")]
async fn many_small_files_come_without_manifests_and_several_are_offered_in_one_request() {
    const FILES: usize = 40;
    let network = Network::of(2).await;
    let mut files = Vec::new();
    for number in 0..FILES {
        let bytes = content(10_000 + number, number as u64 + 1);
        files.push((network.publish(&format!("{number}.bin"), &bytes).await, bytes));
    }
    network.meet(0, 1);
    for (number, (file, bytes)) in files.iter().enumerate() {
        network.copied(*file, 1, 0).await;
        assert!(fs::read(network.peers[1].file(&format!("{number}.bin"))).unwrap() == *bytes);
    }
    let seen = network.peers[0].manners.until(|seen| seen.confirms == FILES).await;
    assert_eq!((seen.sent.len(), seen.manifests), (FILES, 0));
    let (offers, requests) = network.peers[1].manners.seen.borrow().offers;
    assert!(requests < FILES && offers >= FILES, "{offers} offers in {requests} requests");
}
