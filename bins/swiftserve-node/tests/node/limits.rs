//! Limits on what moves between members: set by whom, for how long.

use serde_json::{Value, json};
use swift_p2p::driver::ConnectionsAllowed;

use crate::{
    client::{soon, until},
    site::{Home, Site, content},
};

const MIB: u64 = 1 << 20;

async fn limits(site: &Site) -> Value {
    site.client.get("/v1/limits").await.ok().json()
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_set_live_by_an_admin_and_shown_to_all_who_may_read() {
    let site = Site::found_with(|config| config.limits.up = Some("50MiB/s".parse().unwrap())).await;
    let reader = site.client.scoped("reader", &["read"]).await;
    let shown = reader.get("/v1/limits").await.ok().json();
    assert_eq!(
        (&shown["up_bytes_per_second"], &shown["down_bytes_per_second"]),
        (&json!(50 * MIB), &json!(null))
    );
    reader.patch("/v1/limits", &json!({ "up": "none" })).await.refused(403, "forbidden");
    site.client.anonymous().get("/v1/limits").await.refused(401, "unauthorized");

    let change = json!({ "up": "10MiB/s", "down": 20 * MIB, "connections": 64 });
    let shown = site.client.patch("/v1/limits", &change).await.ok().json();
    assert_eq!(shown, limits(&site).await);
    assert_eq!(
        (&shown["up_bytes_per_second"], &shown["down_bytes_per_second"], &shown["connections"]),
        (&json!(10 * MIB), &json!(20 * MIB), &json!(64))
    );
    assert_eq!(shown["at_start"]["up_bytes_per_second"], 50 * MIB);
    // What is not named stays; null and none take a limit away; default goes back.
    let change = json!({ "up": "default", "down": null, "connections": "none" });
    let shown = site.client.patch("/v1/limits", &change).await.ok().json();
    assert_eq!(
        (&shown["up_bytes_per_second"], &shown["down_bytes_per_second"], &shown["connections"]),
        (&json!(50 * MIB), &json!(null), &json!(null))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_limit_is_refused_and_changes_nothing() {
    let site = Site::found().await;
    let before = limits(&site).await;
    for wrong in [
        json!({ "up": "fast" }),
        json!({ "down": "10B/s" }),
        json!({ "up": 0 }),
        json!({ "connections": 3 }),
        json!({ "connections": "lots" }),
        json!({ "sideways": "1MiB/s" }),
        json!({ "down": "1MiB/s", "up": -1 }),
        json!(5),
    ] {
        site.client.patch("/v1/limits", &wrong).await.refused(400, "bad_request");
    }
    assert_eq!(limits(&site).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_set_holds_after_a_restart_until_the_start_says_something_else() {
    let start = |home: Home, up: &str| {
        let up = up.parse().unwrap();
        home.try_start(move |config| config.limits.up = Some(up))
    };
    let (is, failed) =
        (|limits: Value| limits["up_bytes_per_second"].as_u64().unwrap() / MIB, "the node starts");
    let site = start(Home::new(), "50MiB/s").await.map_err(|_| failed).unwrap();
    site.client.patch("/v1/limits", &json!({ "up": "10MiB/s" })).await.ok();
    let site = start(site.stop().await, "50MiB/s").await.map_err(|_| failed).unwrap();
    assert_eq!(is(limits(&site).await), 10);
    let site = start(site.stop().await, "30MiB/s").await.map_err(|_| failed).unwrap();
    assert_eq!(is(limits(&site).await), 30);

    let home = site.stop().await;
    std::fs::write(home.path("limits.json"), "{\"up\": 5}").unwrap();
    let (error, _) = home.try_start(|_| {}).await.map(drop).unwrap_err();
    assert!(error.to_string().contains("limits.json"), "{error}");
}

/// Everybody asks for the same pieces; a limit on one side or both must neither lose nor spoil any of them.
#[tokio::test(flavor = "multi_thread")]
async fn content_arrives_whole_under_limits_on_both_sides() {
    let founder = Site::found_with(|config| config.limits.up = Some("8MiB/s".parse().unwrap())).await;
    let ticket = founder.invite().await.parse().unwrap();
    let joiner = Home::new().try_start(|config| {
        config.join = Some(ticket);
        config.limits.down = Some("6MiB/s".parse().unwrap());
    });
    let joiner = joiner.await.map_err(|(error, _)| error).unwrap();
    let bytes = content(9 << 20, 3);
    founder.client.put("file", &bytes).await.ok();
    joiner.completes("file").await;
    assert!(joiner.client.get("/v1/files/file").await.is(200).body == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn content_arrives_over_few_connections() {
    let founder =
        Site::found_with(|config| config.limits.connections = "8".parse::<ConnectionsAllowed>().unwrap().0)
            .await;
    let joiners = [Site::join(&founder.invite().await).await, Site::join(&founder.invite().await).await];
    let bytes = content(9 << 20, 4);
    founder.client.put("file", &bytes).await.ok();
    for joiner in &joiners {
        joiner.completes("file").await;
    }
    joiners[0].client.put("back", &bytes[1..]).await.ok();
    founder.completes("back").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_connections_are_in_use_content_is_refused_and_the_ledger_is_not() {
    let founder = Site::found_with(|config| {
        config.limits.connections = "8".parse::<ConnectionsAllowed>().unwrap().0;
        // What is begun does not end.
        config.limits.up = Some("10KiB/s".parse().unwrap());
    })
    .await;
    let member = Site::join(&founder.invite().await).await.stop().await.key();
    founder.client.put("file", &content(4 << 20, 5)).await.ok();
    let mut running = Vec::new();
    for _ in 0..4 {
        let answer = soon(founder.seen_by(&member).get("/download?file=file").send()).await.unwrap();
        assert_eq!(answer.status(), 200);
        running.push(answer);
    }
    let late = founder.seen_by(&member);
    let refused = soon(late.get("/download?file=file").send()).await.unwrap();
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["connection"]),
        (503, &"close".parse().unwrap())
    );
    let told: Value = serde_json::from_slice(&soon(refused.bytes()).await.unwrap()).unwrap();
    assert_eq!(told["code"], "too_many_connections");
    let height = soon(late.get("/topBlockNumber").send()).await.unwrap();
    assert_eq!(height.status(), 200);
    // Whoever is done makes room.
    drop(running);
    until(|| async {
        let again = soon(late.get("/download?file=file").send()).await.unwrap();
        again.status() == 200
    })
    .await;
}
