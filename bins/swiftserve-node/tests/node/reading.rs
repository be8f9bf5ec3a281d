//! Reading a file on a node that does not keep it.

use std::time::{Duration, Instant};

use reqwest::{Method, Response};
use serde_json::{Value, json};
use swift_chunks::KeepRule;
use swiftserve_node::Config;

use crate::{
    client::{Answer, answered, soon, until},
    site::{Home, Site, b3sum, content},
};

const MIB: usize = 1 << 20;
/// What is fetched ahead of a reader.
const AHEAD: usize = 64 * MIB;

/// A network of a node that has everything, and one that keeps nothing.
async fn two() -> (Site, Site) {
    two_with(|_| {}).await
}

async fn two_with(change: impl FnOnce(&mut Config)) -> (Site, Site) {
    let founder = Site::found().await;
    let reader = join_keeping_nothing(&founder, change).await;
    (founder, reader)
}

async fn join_keeping_nothing(founder: &Site, change: impl FnOnce(&mut Config)) -> Site {
    let ticket = founder.invite().await.parse().unwrap();
    let started = Home::new().try_start(|config| {
        (config.join, config.keep) = (Some(ticket), Some(KeepRule::None));
        change(config);
    });
    started.await.map_err(|(error, _)| error).unwrap()
}

/// Publishes a file, and waits until the other node knows its name.
async fn publish(founder: &Site, reader: &Site, len: usize) -> Vec<u8> {
    let bytes = content(len, 1);
    founder.client.put("dir/file", &bytes).await.ok();
    until(|| async { reader.client.names().await.contains(&"dir/file".to_owned()) }).await;
    bytes
}

fn part(site: &Site, first: usize, end: usize) -> reqwest::RequestBuilder {
    let request = site.client.request(Method::GET, "/v1/files/dir/file");
    request.header("range", format!("bytes={first}-{}", end - 1))
}

async fn begin(site: &Site) -> Response {
    soon(site.client.request(Method::GET, "/v1/files/dir/file").send()).await.unwrap()
}

/// Reads on to the end.
async fn rest(mut response: Response, mut got: Vec<u8>) -> Vec<u8> {
    while let Some(piece) = soon(response.chunk()).await.unwrap() {
        got.extend_from_slice(&piece);
    }
    got
}

/// Content that a node has fetched since it started.
async fn fetched(site: &Site) -> u64 {
    site.client.get("/v1/status").await.ok().json()["traffic"]["received_bytes"].as_u64().unwrap()
}

async fn held(site: &Site) -> u64 {
    site.client.record("dir/file").await["held_bytes"].as_u64().unwrap()
}

/// The file's row among what comes to a node.
async fn row(site: &Site) -> Option<Value> {
    let rows = site.client.get("/v1/transfers").await.ok().json();
    rows["transfers"].as_array().unwrap().iter().find(|row| row["direction"] == "in").cloned()
}

/// Whether anything of the file's content lies on a node's disk.
fn has_any(site: &Site, bytes: &[u8]) -> bool {
    let id = b3sum(bytes);
    let begins = |name: &String| name.starts_with(&id);
    site.home.listed("content/partial").iter().chain(&site.home.listed("content/objects")).any(begins)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_serves_a_whole_file_that_it_does_not_keep_and_lets_go_of_it() {
    let (founder, reader) = two().await;
    let bytes = publish(&founder, &reader, 13 * MIB + 5).await;
    let answer = reader.client.get("/v1/files/dir/file").await.is(200);
    assert_eq!(answer.header("etag"), format!("\"{}\"", b3sum(&bytes)));
    assert_eq!(answer.header("content-length"), bytes.len().to_string());
    assert!(answer.body == bytes);

    // Neither rule nor pin keeps it, so it goes when it was not read for a while; and it can be read again.
    until(|| async { !has_any(&reader, &bytes) }).await;
    assert!(reader.client.get("/download?file=dir/file").await.is(200).body == bytes);
    assert!(founder.client.get("/v1/files/dir/file").await.is(200).body == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_range_in_a_large_file_little_more_is_fetched_and_nothing_twice() {
    let (founder, reader) = two().await;
    let bytes = publish(&founder, &reader, 200 * MIB).await;
    let (first, end) = (90 * MIB + 7, 100 * MIB + 7);
    let answer = answered(part(&reader, first, end)).await.is(206);
    assert_eq!(answer.header("content-range"), format!("bytes {first}-{}/{}", end - 1, bytes.len()));
    assert!(answer.body == bytes[first..end]);
    // The chunks that the range touches.
    let touched = (104 - 88) * MIB as u64;
    let after_one = fetched(&reader).await;
    assert!(after_one < touched + MIB as u64, "{after_one} bytes were fetched for {}", end - first);

    // While it is here it is not fetched again.
    until(|| async { held(&reader).await == touched }).await;
    assert!(answered(part(&reader, first, end)).await.is(206).body == bytes[first..end]);
    assert_eq!(fetched(&reader).await, after_one);

    // The part that was read goes as whole files do, and its room with it.
    until(|| async { !has_any(&reader, &bytes) }).await;
    until(|| async { reader.client.get("/v1/status").await.ok().json()["store"]["bytes"] == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_ranges_come_in_one_answer_and_what_is_known_is_not_fetched() {
    let (founder, reader) = two().await;
    let bytes = publish(&founder, &reader, 40 * MIB).await;
    let etag = format!("\"{}\"", b3sum(&bytes));
    let get = || reader.client.request(Method::GET, "/v1/files/dir/file");
    let head = answered(reader.client.request(Method::HEAD, "/v1/files/dir/file")).await.is(200);
    assert_eq!(head.header("content-length"), bytes.len().to_string());
    assert_eq!(head.header("etag"), etag);
    answered(get().header("if-none-match", &etag)).await.is(304);
    answered(get().header("range", format!("bytes={}-", bytes.len()))).await.is(416);
    assert_eq!((fetched(&reader).await, row(&reader).await), (0, None));

    let ranges = get().header("range", "bytes=0-9,-10").header("if-range", &etag);
    let answer = answered(ranges).await.is(206);
    assert!(answer.header("content-type").starts_with("multipart/byteranges"));
    let contains = |part: &[u8]| answer.body.windows(part.len()).any(|window| window == part);
    assert!(contains(&bytes[..10]) && contains(&bytes[bytes.len() - 10..]));
    assert!(fetched(&reader).await < 9 * MIB as u64);
}

/// One at the beginning and one near the end: each gets what it comes to next.
#[tokio::test(flavor = "multi_thread")]
async fn two_who_read_at_different_places_share_what_comes() {
    let (founder, reader) = two().await;
    founder.client.patch("/v1/limits", &json!({ "up": "8MiB/s" })).await.ok();
    let bytes = publish(&founder, &reader, 160 * MIB).await;
    let mut first = begin(&reader).await;
    let mut got = soon(first.chunk()).await.unwrap().unwrap().to_vec();
    let far = 150 * MIB;
    assert!(answered(part(&reader, far, far + 2 * MIB)).await.is(206).body == bytes[far..far + 2 * MIB]);
    // The first has not read so far, and has not been fetched so far.
    assert!(fetched(&reader).await < far as u64);
    let shown = row(&reader).await.unwrap();
    assert_eq!((&shown["readers"], &shown["state"]), (&json!(1), &json!("reading")));
    founder.client.patch("/v1/limits", &json!({ "up": "none" })).await.ok();
    got = rest(first, got).await;
    assert!(got == bytes);
    assert!(fetched(&reader).await <= bytes.len() as u64 + 8 * MIB as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_reader_hangs_up_nothing_more_comes() {
    let (founder, reader) = two_with(|config| config.limits.down = Some("8MiB/s".parse().unwrap())).await;
    let bytes = publish(&founder, &reader, 64 * MIB).await;
    let mut response = begin(&reader).await;
    let got = soon(response.chunk()).await.unwrap().unwrap();
    assert!(bytes.starts_with(&got));
    drop(response);
    until(|| async { row(&reader).await.is_none() }).await;
    // What was on the wire may still be counted; then it stands still until all of it is let go of.
    until(|| async { !has_any(&reader, &bytes) }).await;
    let after = fetched(&reader).await;
    assert!(after < AHEAD as u64 / 2, "{after}");
    assert_eq!(reader.client.get("/v1/status").await.ok().json()["store"]["bytes"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_holder_the_answer_is_503_with_the_reason_until_one_is_back() {
    let (founder, reader) = two().await;
    let bytes = publish(&founder, &reader, 9 * MIB).await;
    let home = founder.stop().await;
    let begun = Instant::now();
    let reason = reader.client.get("/v1/files/dir/file").await.refused(503, "unavailable");
    assert!(reason.contains("does not keep") && reason.contains("nobody can be reached"), "{reason}");
    assert!(begun.elapsed() < Duration::from_secs(40), "a client is not kept waiting");

    // Who waits when it comes back is served.
    let waiting = tokio::spawn({
        let client = reader.client.clone();
        async move { client.get("/v1/files/dir/file").await }
    });
    until(|| async { row(&reader).await.is_some_and(|row| row["readers"] == 1) }).await;
    let _founder = home.start().await;
    let answer: Answer = waiting.await.unwrap();
    assert!(answer.is(200).body == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_fetched_for_a_reader_is_there_for_others() {
    let (founder, reader) = two().await;
    let other = join_keeping_nothing(&founder, |_| {}).await;
    let bytes = publish(&founder, &reader, 40 * MIB).await;
    until(|| async { other.client.names().await.contains(&"dir/file".to_owned()) }).await;
    let (first, end) = (17 * MIB, 19 * MIB);
    answered(part(&reader, first, end)).await.is(206);
    let home = founder.stop().await;
    // Nobody is there who has all of it.
    assert!(answered(part(&other, first, end)).await.is(206).body == bytes[first..end]);
    assert!(fetched(&other).await < 5 * MIB as u64);
    drop(home);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_pinned_while_it_is_read_is_fetched_whole() {
    let (founder, reader) = two_with(|config| config.limits.down = Some("8MiB/s".parse().unwrap())).await;
    let bytes = publish(&founder, &reader, 64 * MIB).await;
    let mut response = begin(&reader).await;
    let got = soon(response.chunk()).await.unwrap().unwrap().to_vec();
    reader.client.mark("/v1/pins/dir/file").await.ok();
    until(|| async { row(&reader).await.is_some_and(|row| row["state"] != "reading") }).await;
    reader.client.patch("/v1/limits", &json!({ "down": "none" })).await.ok();
    assert!(rest(response, got).await == bytes);
    reader.completes("dir/file").await;
    // It is complete a moment before it is shown.
    let shown = reader.home.path("files/dir/file");
    until(|| async { shown.exists() }).await;
    assert!(std::fs::read(shown).unwrap() == bytes);
    assert!(fetched(&reader).await <= bytes.len() as u64 + 8 * MIB as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_unpinned_while_it_is_read_is_read_to_its_end() {
    let (founder, reader) = two_with(|config| config.limits.down = Some("16MiB/s".parse().unwrap())).await;
    let bytes = publish(&founder, &reader, 256 * MIB).await;
    reader.client.mark("/v1/pins/dir/file").await.ok();
    let mut response = begin(&reader).await;
    let got = soon(response.chunk()).await.unwrap().unwrap().to_vec();
    reader.client.delete("/v1/pins/dir/file").await.ok();
    until(|| async { row(&reader).await.is_some_and(|row| row["state"] == "reading") }).await;
    reader.client.patch("/v1/limits", &json!({ "down": "none" })).await.ok();
    assert!(rest(response, got).await == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_withdrawn_ends_its_readers() {
    let (founder, reader) = two_with(|config| config.limits.down = Some("4MiB/s".parse().unwrap())).await;
    let bytes = publish(&founder, &reader, 48 * MIB).await;
    let mut response = begin(&reader).await;
    let mut got = soon(response.chunk()).await.unwrap().unwrap().to_vec();
    founder.client.delete("/v1/files/dir/file").await.ok();
    let broke_off = loop {
        match soon(response.chunk()).await {
            Ok(Some(piece)) => got.extend_from_slice(&piece),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broke_off && got.len() < bytes.len() && bytes.starts_with(&got));
    reader.client.get("/v1/files/dir/file").await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_the_answer_says_how_much_is_missing() {
    let (founder, reader) = two_with(|config| config.quota_bytes = Some(20 * MIB as u64)).await;
    publish(&founder, &reader, 30 * MIB).await;
    let reason = reader.client.get("/v1/files/dir/file").await.refused(507, "no_space");
    assert!(reason.contains("bytes"), "{reason}");
    assert_eq!(row(&reader).await, None);
    // Nothing was set aside for it.
    let small = content(9 * MIB, 2);
    founder.client.put("small", &small).await.ok();
    until(|| async { reader.client.names().await.contains(&"small".to_owned()) }).await;
    assert!(reader.client.get("/v1/files/small").await.is(200).body == small);
}

/// Room for all of a large file was set aside for a little of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_a_file_that_is_larger_than_the_room_takes_the_room_of_the_range() {
    let (founder, reader) = two_with(|config| config.quota_bytes = Some(20 * MIB as u64)).await;
    let bytes = publish(&founder, &reader, 60 * MIB).await;
    let (first, end) = (17 * MIB, 23 * MIB);
    assert!(answered(part(&reader, first, end)).await.is(206).body == bytes[first..end]);
    until(|| async { held(&reader).await == 8 * MIB as u64 }).await;
    // What is left is there for others.
    let own = content(9 * MIB, 2);
    reader.client.put("own", &own).await.ok();
    // More than fits is refused before anything of it comes.
    until(|| async { !has_any(&reader, &bytes) }).await;
    let reason = answered(part(&reader, 0, 30 * MIB)).await.refused(507, "no_space");
    assert!(reason.contains("bytes"), "{reason}");
    assert!(answered(part(&reader, first, end)).await.is(206).body == bytes[first..end]);
}

/// A client that takes its time: the file is whole here long before its last byte has left.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_not_let_go_of_under_a_reader_that_is_slow() {
    let (founder, reader) = two().await;
    let bytes = publish(&founder, &reader, 28 * MIB).await;
    let (mut response, mut got) = (begin(&reader).await, Vec::new());
    // So far that all the rest is ahead of it, and too much to lie between the two.
    while got.len() < 9 * MIB {
        got.extend_from_slice(&soon(response.chunk()).await.unwrap().unwrap());
    }
    reader.completes("dir/file").await;
    // What may go besides goes, so it was looked for what may go.
    reader.client.put("other", b"other").await.ok();
    founder.completes("other").await;
    until(|| async { !reader.home.path("files/other").exists() }).await;
    assert!(rest(response, got).await == bytes);
    until(|| async { !has_any(&reader, &bytes) }).await;
}
