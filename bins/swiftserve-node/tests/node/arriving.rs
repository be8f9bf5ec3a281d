//! Reading a file on a node to which it is still on its way.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::{
    client::{answered, soon, until},
    site::{Site, content},
};

const MIB: usize = 1 << 20;
const LEN: usize = 48 * MIB + 5;

/// A file that comes to the second node so slowly that it will not be there for a while.
async fn slowly() -> (Site, Site, Vec<u8>) {
    let founder = Site::found_with(|config| config.limits.up = Some("3MiB/s".parse().unwrap())).await;
    let joiner = Site::join(&founder.invite().await).await;
    let bytes = content(LEN, 1);
    founder.client.put("file", &bytes).await.ok();
    until(|| async { row(&joiner).await.is_some() }).await;
    (founder, joiner, bytes)
}

/// The file's row among what comes to a node.
async fn row(site: &Site) -> Option<Value> {
    let rows = site.client.get("/v1/transfers").await.ok().json();
    rows["transfers"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["direction"] == "in" && row["file"] == "file")
        .cloned()
}

async fn begin(site: &Site) -> Response {
    soon(site.client.request(Method::GET, "/v1/files/file").send()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_sent_a_file_in_order_while_it_arrives() {
    let (founder, joiner, bytes) = slowly().await;
    let mut response = begin(&joiner).await;
    assert_eq!((response.status().as_u16(), response.content_length()), (200, Some(LEN as u64)));
    let mut got = soon(response.chunk()).await.unwrap().unwrap().to_vec();
    assert_eq!(
        joiner.client.record("file").await["complete"],
        false,
        "it was here before its first bytes were sent"
    );
    assert_eq!(row(&joiner).await.unwrap()["readers"], 1);

    founder.client.patch("/v1/limits", &json!({ "up": "none" })).await.ok();
    while let Some(piece) = soon(response.chunk()).await.unwrap() {
        got.extend_from_slice(&piece);
    }
    assert!(got == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_it_comes_first_and_its_head_is_known_before() {
    let (_founder, joiner, bytes) = slowly().await;
    let head = answered(joiner.client.request(Method::HEAD, "/download?file=file")).await.is(200);
    assert_eq!(head.header("content-length"), LEN.to_string());
    let etag = head.header("etag").to_owned();
    let last = LEN - 10..LEN;
    let request = joiner.client.request(Method::GET, "/download?file=file");
    let request = request.header("range", "bytes=-10").header("if-range", &etag);
    let answer = answered(request).await.is(206);
    assert_eq!(answer.header("content-range"), format!("bytes {}-{}/{LEN}", last.start, last.end - 1));
    assert!(answer.body == bytes[last]);
    assert_eq!(joiner.client.record("file").await["complete"], false);
    let beyond =
        joiner.client.request(Method::GET, "/download?file=file").header("range", format!("bytes={LEN}-"));
    answered(beyond).await.is(416);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_takes_its_hurry_with_it() {
    let (_founder, joiner, _) = slowly().await;
    let mut response = begin(&joiner).await;
    soon(response.chunk()).await.unwrap().unwrap();
    assert_eq!(row(&joiner).await.unwrap()["readers"], 1);
    drop(response);
    until(|| async { row(&joiner).await.is_none_or(|row| row["readers"] == 0) }).await;
    assert_eq!(
        row(&joiner).await.map(|row| row["readers"].clone()),
        Some(json!(0)),
        "the file came too soon"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_cannot_be_finished_breaks_off() {
    let (founder, joiner, bytes) = slowly().await;
    let mut response = begin(&joiner).await;
    let mut got = soon(response.chunk()).await.unwrap().unwrap().to_vec();
    founder.client.delete("/v1/files/file").await.ok();
    let broke_off = loop {
        match soon(response.chunk()).await {
            Ok(Some(piece)) => got.extend_from_slice(&piece),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broke_off && got.len() < LEN && bytes.starts_with(&got));
}
