//! Reading again what is stored: asked for, by itself, and what becomes of what has rotted.

use std::time::Duration;

use serde_json::{Value, json};
use swiftserve_node::NodeOptions;

use crate::{
    client::{Client, until},
    site::{Home, Site, content},
};

async fn scrub(client: &Client) -> Value {
    client.get("/v1/scrub").await.ok().json()
}

/// Has everything looked at, and waits for the end. What runs already began before the last content came.
async fn whole(client: &Client) -> Value {
    until(|| async { scrub(client).await["running"].is_null() }).await;
    let begun = client.post_json("/v1/scrub", &json!({"rate": "none"})).await.is(202).json();
    let started = begun["started_ms"].as_u64().unwrap();
    until(|| async {
        scrub(client).await["last"]["started_ms"].as_u64().is_some_and(|last| last >= started)
    })
    .await;
    scrub(client).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrub_finds_what_has_rotted_and_another_node_repairs_it() {
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    let (rotten, sound) = (content(9 << 20, 1), content(1000, 2));
    founder.client.put("dir/a", &rotten).await.ok();
    founder.client.put("b", &sound).await.ok();
    for name in ["dir/a", "b"] {
        member.completes(name).await;
    }
    let found = whole(&member.client).await;
    assert_eq!(
        (&found["running"], &found["unrepaired"], &found["rotten"]),
        (&json!(null), &json!(0), &json!([]))
    );
    assert_eq!((&found["last"]["contents"], &found["last"]["found_bad"]), (&json!(2), &json!(0)));

    member.home.rot(&rotten, 5 << 20);
    let found = whole(&member.client).await;
    assert_eq!((&found["last"]["contents"], &found["last"]["found_bad"]), (&json!(2), &json!(1)));
    let row = &found["rotten"][0];
    assert_eq!((&row["name"], &row["bad_chunks"]), (&json!("dir/a"), &json!(1)), "{found}");
    until(|| async { scrub(&member.client).await["rotten"][0]["repaired"] == true }).await;
    assert_eq!(scrub(&member.client).await["unrepaired"], 0);
    assert!(member.client.get("/v1/files/dir/a").await.is(200).body == rotten);
    assert!(std::fs::read(member.home.path("files/dir/a")).unwrap() == rotten);
    let status = member.client.get("/v1/status").await.ok().json();
    assert_eq!(status["scrub"]["last"]["found_bad"], 1);
    assert_eq!(status["scrub"]["rate_bytes_per_second"], 20 << 20);
    assert_eq!(status["scrub"]["interval_seconds"], 30 * 24 * 60 * 60);
    // What was repaired is no news to the next one.
    assert_eq!(whole(&member.client).await["rotten"], json!([]));
}

/// No scrub is under way: what a client comes upon is mended for its own sake. This test once passed without the fix that
/// it is about, because the swarm looks by itself what is missing, every half minute. Here nobody looks unasked.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_s_read_finds_rotten_is_fetched_again_at_once() {
    let founder = Site::found().await;
    let ticket = founder.invite().await.parse().unwrap();
    let unasked = |options: &mut NodeOptions| {
        options.config.join = Some(ticket);
        options.config.scrub.rate = None;
        options.look_every = Duration::MAX;
    };
    let member = Home::new().start_as(unasked).await;
    let bytes = content(13 << 20, 1);
    founder.client.put("a", &bytes).await.ok();
    member.completes("a").await;
    member.home.rot(&bytes, 9 << 20);
    let (status, got, is_whole) = member.client.received("/v1/files/a").await;
    assert_eq!((status, is_whole), (200, false), "it breaks off");
    assert!(got.len() <= 9 << 20 && bytes.starts_with(&got), "a wrong byte was sent");
    // Nobody reads it or asks for anything.
    until(|| async { member.client.record("a").await["complete"] == true }).await;
    assert!(member.client.get("/v1/files/a").await.is(200).body == bytes);
    assert!(std::fs::read(member.home.path("files/a")).unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_file_is_looked_at_and_what_nobody_else_has_stays_broken() {
    let site = Site::found().await;
    let (a, b) = (content(5 << 20, 1), content(5 << 20, 2));
    site.client.put("a", &a).await.ok();
    site.client.put("b", &b).await.ok();
    site.home.rot(&a, 7);
    site.home.rot(&b, 7);
    let begun = site.client.post_json("/v1/scrub", &json!({"file": "a"})).await.is(202).json();
    assert_eq!(begun["file"], "a");
    let file = || async { site.client.get("/v1/scrub?file=a").await.ok().json()["file"].clone() };
    until(|| async { file().await["waiting"] == false }).await;
    let looked = file().await;
    assert_eq!((&looked["rotten"]["bad_chunks"], &looked["rotten"]["repaired"]), (&json!(1), &json!(false)));
    assert!(looked["verified_ms"].as_u64() >= begun["started_ms"].as_u64(), "{looked}");
    // The other was not looked at, and no pass has ended.
    assert_eq!(site.client.record("b").await["complete"], true);
    let state = scrub(&site.client).await;
    assert_eq!((&state["unrepaired"], &state["last"]), (&json!(1), &json!(null)));
    // It heals by what it is given again.
    site.client.put("a", &a).await.ok();
    assert_eq!(file().await["rotten"]["repaired"], true);
    assert_eq!(scrub(&site.client).await["unrepaired"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrub_goes_on_where_a_restart_cut_it_short() {
    let site = Site::found().await;
    let (first, large) = (content(1000, 1), content(64 << 20, 2));
    site.client.put("first", &first).await.ok();
    site.client.put("large", &large).await.ok();
    // So slow that it does not come to an end.
    let slow = json!({"rate": "64KiB/s"});
    let begun = site.client.post_json("/v1/scrub", &slow).await.is(202).json();
    until(|| async {
        scrub(&site.client).await["running"]["done_bytes"].as_u64().is_some_and(|done| done > 4 << 20)
    })
    .await;
    let running = scrub(&site.client).await["running"].clone();
    assert_eq!((&running["started_ms"], &running["file"]), (&begun["started_ms"], &json!(null)));
    assert!(running["total_bytes"].as_u64().unwrap() > 64 << 20, "{running}");
    // The status tells it too, and a stop does not wait for it.
    assert_eq!(
        site.client.get("/v1/status").await.ok().json()["scrub"]["running"]["started_ms"],
        begun["started_ms"]
    );
    let home = site.stop().await;
    home.rot(&large, 7);
    let site = home
        .try_start(|config| config.scrub.rate = "1GiB/s".parse().ok())
        .await
        .map_err(|(error, _)| error)
        .unwrap();
    until(|| async { !scrub(&site.client).await["last"].is_null() }).await;
    let ended = scrub(&site.client).await;
    assert_eq!(
        (&ended["last"]["started_ms"], &ended["last"]["found_bad"]),
        (&begun["started_ms"], &json!(1))
    );
    assert_eq!(ended["rotten"][0]["name"], "large");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_is_looked_at_without_being_asked() {
    let home = Site::found_with(|config| config.scrub.rate = None).await;
    let bytes = content(5 << 20, 1);
    home.client.put("a", &bytes).await.ok();
    let state = scrub(&home.client).await;
    assert_eq!((&state["rate_bytes_per_second"], &state["running"]), (&json!(null), &json!(null)));
    let home = home.stop().await;
    home.rot(&bytes, 7);
    let due = |config: &mut swiftserve_node::Config| config.scrub.interval = Duration::ZERO;
    let site = home.try_start(due).await.map_err(|(error, _)| error).unwrap();
    until(|| async { scrub(&site.client).await["last"]["found_bad"] == 1 }).await;
    assert_eq!(site.client.record("a").await["complete"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrub_that_cannot_be_is_refused_with_the_reason() {
    let founder = Site::found().await;
    founder.client.post_json("/v1/scrub", &json!({"file": "a"})).await.refused(404, "not_found");
    founder.client.post_json("/v1/scrub", &json!({"rate": "fast"})).await.refused(400, "bad_request");
    founder.client.get("/v1/scrub?file=a").await.refused(404, "not_found");
    let reader = founder.client.scoped("reader", &["read"]).await;
    reader.get("/v1/scrub").await.ok();
    reader.post_json("/v1/scrub", &json!({})).await.refused(403, "forbidden");
}
