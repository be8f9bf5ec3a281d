//! What this side cannot do: said, not lost, and made good.

use std::fs;

use swift_p2p::driver::TransferStage;

use crate::network::{C, Network, content, soon};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_for_which_there_is_no_room_is_blocked_and_comes_when_there_is() {
    let mut network = Network::of(2).await;
    network.stop(1).await;
    network.peers[1].set_quota(Some(C as u64));
    network.start(1).await;
    network.meet(0, 1);
    let small = network.publish("small.bin", b"fits").await;
    let bytes = content(3 * C, 9);
    let file = network.publish("large.bin", &bytes).await;
    let problem = soon(async {
        loop {
            if let Some(problem) = network.peers[1].swarm().problem() {
                return problem;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(problem.starts_with("disk full: "), "{problem}");
    let rows = soon(network.peers[1].swarm().transfers()).await.unwrap().incoming;
    let row = rows.iter().find(|row| row.file == file).unwrap();
    assert_eq!((row.stage, row.detail.as_ref()), (TransferStage::Blocked, Some(&problem)));
    network.copied(small, 1, 0).await;

    network.stop(1).await;
    network.lose(1);
    network.peers[1].set_quota(None);
    network.start(1).await;
    network.meet(0, 1);
    network.copied(file, 1, 0).await;
    assert_eq!(network.peers[1].swarm().problem(), None);
    assert!(fs::read(network.peers[1].file("large.bin")).unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_withdrawn_on_its_way_is_dropped() {
    let network = Network::of(2).await;
    network.meet(0, 1);
    network.peers[0].manners.hold_after(2);
    let file = network.publish("gone.bin", &content(6 * C, 10)).await;
    network.peers[0].manners.until(|seen| seen.confirms == 2).await;

    let file_id = swift_chain::Hash::from_bytes(*file.as_bytes());
    let action = swift_chain::Action::RemoveFile { name: "gone.bin".parse().unwrap(), file_id };
    soon(network.peers[0].ledger().submit(action, None)).await.unwrap();
    network.level(1).await;
    soon(async {
        while !network.peers[1].swarm().transfers().await.unwrap().incoming.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    network.peers[0].manners.release();
    assert_eq!(soon(network.peers[1].swarm().copies(file)).await.unwrap().complete, []);
}
