//! `GET /v1/verify`: the chain is checked again while somebody watches.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};
use swift_chain::{LedgerDb, LedgerReader};
use swiftserve_node::NodeFailure;

use crate::{
    client::{Client, soon, until},
    site::{Home, Site},
};

/// Types and data of all events.
async fn verified(client: &Client) -> Vec<(String, Value)> {
    let answer = client.get("/v1/verify").await.is(200);
    assert_eq!(answer.header("content-type"), "text/event-stream");
    let text = answer.text();
    let events = text.split_terminator("\n\n").map(|event| {
        let (kind, data) = event.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
        (kind.to_owned(), serde_json::from_str(data).unwrap())
    });
    events.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_chain_is_told_to_be_sound_with_all_that_was_checked() {
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    founder.client.put("a", b"a").await.ok();
    founder.client.put("b", b"b").await.ok();
    founder.client.delete("/v1/files/a").await.ok();
    member.reaches(4).await;
    let hash = json!(founder.node.ledger().head().hash);
    for site in [&founder, &member] {
        let events = verified(&site.client).await;
        let (last, progress) = events.split_last().unwrap();
        assert!(progress.iter().all(|(kind, data)| kind == "progress" && data["head"] == 4), "{events:?}");
        assert_eq!(progress[0].1["height"], 0);
        // Of the genesis block; of each block, its certificate and its transaction; of who invited, and of who joined.
        let all = json!({"height": 4, "hash": hash, "blocks": 5, "transactions": 4, "signatures": 15});
        assert_eq!(last, &("done".to_owned(), all));
    }
    founder.client.scoped("up", &["publish"]).await.get("/v1/verify").await.refused(403, "forbidden");
}

/// Changes one bit of a block in the file of a node that is down.
fn flip(home: &Home, height: u64) {
    let path = home.path("ledger.db");
    drop(LedgerDb::open(&path).unwrap());
    let block = LedgerReader::open(&path).unwrap().block(height).unwrap().unwrap().to_bytes();
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(block.len()).position(|window| window == block).unwrap();
    bytes[at + block.len() / 2] ^= 1;
    fs::write(&path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_in_which_a_bit_flipped_is_named_and_then_the_node_stops() {
    let site = Site::found().await;
    for name in ["a", "b", "c"] {
        site.client.put(name, name.as_bytes()).await.ok();
    }
    let home = site.stop().await;
    flip(&home, 2);
    let mut site = home.start().await;
    let events = verified(&site.client).await;
    let (kind, data) = events.last().unwrap();
    assert_eq!((kind.as_str(), &data["height"]), ("broken", &json!(2)), "{data}");
    let failure = soon(site.node.failed()).await;
    assert!(matches!(failure, NodeFailure::LedgerDamaged(_)), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_at_a_time_is_served_and_who_hangs_up_makes_room() {
    let site = Site::found().await;
    let publish = (0..300).map(|number| {
        let client = site.client.clone();
        tokio::spawn(async move { client.put(&format!("{number}?wait=none"), b"x").await.ok() })
    });
    for published in publish.collect::<Vec<_>>() {
        published.await.unwrap();
    }
    until(|| async { site.client.get("/v1/files?limit=1").await.ok().json()["total"] == 300 }).await;
    // The first may end before the second asks; then it is tried again.
    let (first, second) = soon(async {
        loop {
            let first = site.client.request(Method::GET, "/v1/verify").send().await.unwrap();
            let second = site.client.get("/v1/verify").await;
            if second.status != 200 {
                break (first, second);
            }
        }
    })
    .await;
    assert!(!second.header("retry-after").is_empty());
    second.refused(429, "verifying");
    drop(first);
    until(|| async { site.client.get("/v1/verify").await.status == 200 }).await;
}
