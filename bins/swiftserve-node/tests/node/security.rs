//! What a node notes of those whom it refuses.

use serde_json::{Value, json};
use swift_chain::NodeKey;

use crate::site::Site;

/// Kind, who, and how often, the latest first.
async fn noted(site: &Site) -> Vec<(String, String, u64)> {
    let page = site.client.get("/v1/security").await.ok().json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = page["events"].as_array().unwrap();
    rows.iter().map(|row| (text(&row["kind"]), text(&row["who"]), row["count"].as_u64().unwrap())).collect()
}

fn row(kind: &str, who: &str, count: u64) -> (String, String, u64) {
    (kind.to_owned(), who.to_owned(), count)
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_tokens_are_counted_and_noted_also_for_the_next_start_without_the_token() {
    let site = Site::found().await;
    let secret = format!("sst_{}", "q7".repeat(26));
    for _ in 0..5 {
        site.client.with_token(&secret).get("/v1/status").await.refused(401, "unauthorized");
    }
    let ci = site.client.scoped("ci", &["read"]).await;
    ci.get("/v1/security").await.refused(403, "forbidden");
    site.client.delete("/v1/tokens/ci").await.ok();
    let expected =
        [row("token_revoked", "ci", 1), row("token_made", "ci", 1), row("bad_token", "127.0.0.1", 5)];
    assert_eq!(noted(&site).await, expected);
    let first = site.client.get("/v1/security?limit=1").await.ok().json();
    let next = first["next"].as_str().unwrap();
    let second = site.client.get(&format!("/v1/security?limit=9&after={next}")).await.ok().json();
    assert_eq!(second["events"].as_array().unwrap().len(), 2);
    site.client.get("/v1/security?after=x").await.refused(400, "bad_request");

    let home = site.stop().await;
    let file = std::fs::read_to_string(home.path("security.log")).unwrap();
    assert!(file.contains("bad_token") && !file.contains("q7q7") && !file.contains(ci.token()), "{file}");
    let site = home.start().await;
    assert_eq!(noted(&site).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_key_and_a_stranger_are_noted_with_what_they_asked_for() {
    let founder = Site::found().await;
    let stranger = NodeKey::from_seed([77; 32]);
    let answer = founder.seen_by(&stranger).get("/peer/head").send().await;
    assert!(!answer.unwrap().status().is_success());
    let joiner = Site::join(&founder.invite().await).await;
    let key = joiner.home.key();
    drop(joiner.stop().await);
    founder.client.delete(&format!("/v1/nodes/{}", key.id())).await.ok();
    let answer = founder.seen_by(&key).get("/download?file=a").send().await;
    assert!(!answer.unwrap().status().is_success());
    let page = founder.client.get("/v1/security").await.ok().json();
    let latest = &page["events"][0];
    assert_eq!(
        (&latest["kind"], &latest["who"], &latest["detail"]),
        (&json!("removed_key"), &json!(key.id().to_string()), &json!("asked for /download"))
    );
    assert!(noted(&founder).await.contains(&row("unknown_key", &stranger.id().to_string(), 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_to_join_is_noted_with_the_reason() {
    let founder = Site::found().await;
    let ticket = founder.invite().await;
    let member = Site::join(&ticket).await;
    assert_eq!(noted(&founder).await, [], "who was taken in is no event");
    let (_, home) = Site::try_join(&ticket).await.map(|_| "it joined twice").unwrap_err();
    let page = founder.client.get("/v1/security").await.ok().json();
    let latest = &page["events"][0];
    assert_eq!(
        (&latest["kind"], &latest["who"]),
        (&json!("join_refused"), &json!(home.key().id().to_string()))
    );
    assert!(latest["detail"].as_str().unwrap().contains("used"), "{latest}");
    drop(member);
}
