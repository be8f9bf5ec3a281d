//! The content index is damaged: what finds it, and what the documents say to do then.

use std::fs;

use serde_json::json;
use swift_chunks::{KeepRule, OpenError};
use swiftserve_node::{NodeFailure, StartError};
use tokio::net::TcpListener;

use crate::{
    client::{soon, until},
    site::{Home, Site, content},
};

/// Flips a bit of a name in the rows of a closed index, which only their sums can tell.
fn flip_in_a_row(home: &Home, name: &str) {
    let path = home.path("content/index.db");
    let mut bytes = fs::read(&path).unwrap();
    let found = bytes.windows(name.len()).position(|window| window == name.as_bytes());
    bytes[found.expect("no row has it")] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_content_index_is_named_at_the_start_and_the_documented_steps_bring_everything_back() {
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    let (shared, alone) = (content(5 << 20, 1), content(5 << 20, 2));
    founder.client.put("dir/shared", &shared).await.ok();
    member.completes("dir/shared").await;
    // Only the member has the other one.
    let rule = KeepRule::of_patterns(vec!["dir/**".into()]).unwrap();
    let founder = founder.stop().await.try_start(|config| config.keep = Some(rule)).await;
    let founder = founder.map_err(|(error, _)| error).unwrap();
    member.client.put("alone-on-one-node", &alone).await.ok();
    until(|| async { member.home.path("files/alone-on-one-node").exists() }).await;
    let home = member.stop().await;
    flip_in_a_row(&home, "alone-on-one-node");

    let Err((error, home)) = home.try_start(|_| {}).await else { panic!("it started") };
    let StartError::Store(OpenError::IndexDamaged { path, .. }) = &error else { panic!("{error}") };
    assert_eq!(path, &home.path("content/index.db"));
    assert!(error.to_string().contains("move the folder"), "{error}");

    // As in the documents.
    fs::rename(home.path("content"), home.path("content.damaged")).unwrap();
    fs::rename(home.path("files"), home.path("files.damaged")).unwrap();
    // The start that failed gives its port back a moment later: it has no process of its own that would end.
    until(|| async { TcpListener::bind(home.address()).await.is_ok() }).await;
    let member = home.start().await;
    member.completes("dir/shared").await;
    until(|| async { member.home.path("files/dir/shared").exists() }).await;
    assert!(fs::read(member.home.path("files/dir/shared")).unwrap() == shared);
    let mut names = member.client.names().await;
    names.sort();
    assert_eq!(names, ["alone-on-one-node", "dir/shared"], "no name is lost");
    assert_eq!(member.client.record("alone-on-one-node").await["complete"], false);
    let saved = fs::read(member.home.path("files.damaged/alone-on-one-node")).unwrap();
    member.client.put("alone-on-one-node", &saved).await.ok();
    member.completes("alone-on-one-node").await;
    assert!(member.client.get("/v1/files/alone-on-one-node").await.is(200).body == alone);
    drop(founder);
}

/// Rot on the disk below a running node is not read again for a long time, but by a scrub.
#[tokio::test(flavor = "multi_thread")]
async fn a_scrub_that_finds_the_index_damaged_stops_the_node_with_the_reason() {
    let site = Site::found().await;
    site.client.put("a-name-like-no-other", b"a").await.ok();
    let mut site = site.stop().await.start().await;
    flip_in_a_row(&site.home, "a-name-like-no-other");
    site.client.post_json("/v1/scrub", &json!({"rate": "none"})).await.is(202);
    let failure = soon(site.node.failed()).await;
    let NodeFailure::Store(reason) = &failure else { panic!("{failure}") };
    assert!(reason.contains("content/index.db is damaged"), "{reason}");
    site.client.put("b", b"b").await.is(500);
    let home = site.stop().await;
    let Err((error, _)) = home.try_start(|_| {}).await else { panic!("it started") };
    assert!(matches!(error, StartError::Store(OpenError::IndexDamaged { .. })), "{error}");
}
