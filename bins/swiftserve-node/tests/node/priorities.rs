//! Which of the files on their way to a node come first.

use serde_json::{Value, json};

use crate::{
    client::until,
    site::{Site, content},
};

const LEN: usize = 24 << 20;

async fn priorities(site: &Site) -> Vec<(String, String)> {
    let rows = site.client.get("/v1/priorities").await.ok().json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    rows["priorities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (text(&row["name"]), text(&row["priority"])))
        .collect()
}

async fn set(site: &Site, name: &str, priority: &str) {
    site.client.put_json(&format!("/v1/priorities/{name}"), &json!({ "priority": priority })).await.ok();
}

fn is(rows: &[(String, String)], expected: &[(&str, &str)]) -> bool {
    rows.iter().map(|(name, priority)| (name.as_str(), priority.as_str())).eq(expected.iter().copied())
}

/// A node to which two files are on their way that do not come any further for now.
async fn two_files() -> (Site, Site) {
    let founder = Site::found_with(|config| config.limits.up = Some("10KiB/s".parse().unwrap())).await;
    let joiner = Site::join(&founder.invite().await).await;
    for (name, seed) in [("first", 1), ("dir/second", 2)] {
        founder.client.put(name, &content(LEN, seed)).await.ok();
    }
    until(|| async {
        let rows = joiner.client.get("/v1/transfers").await.ok().json();
        rows["transfers"].as_array().unwrap().iter().filter(|row| row["direction"] == "in").count() == 2
    })
    .await;
    (founder, joiner)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_files_the_one_with_high_priority_is_complete_first_also_after_a_restart() {
    let (founder, joiner) = two_files().await;
    set(&joiner, "dir/second", "high").await;
    let joiner = joiner.stop().await.start().await;
    assert!(is(&priorities(&joiner).await, &[("dir/second", "high")]));

    founder.client.patch("/v1/limits", &json!({ "up": "8MiB/s" })).await.ok();
    joiner.completes("dir/second").await;
    assert_eq!(joiner.client.record("first").await["complete"], false);
    // A priority ends with what it was for.
    until(|| async { priorities(&joiner).await.is_empty() }).await;
    let set = json!({ "priority": "low" });
    joiner.client.put_json("/v1/priorities/dir/second", &set).await.refused(409, "not_arriving");
    founder.client.patch("/v1/limits", &json!({ "up": null })).await.ok();
    joiner.completes("first").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_are_told_in_pages() {
    let (_founder, joiner) = two_files().await;
    let page = async |query: &str| {
        let page = joiner.client.get(&format!("/v1/transfers?{query}")).await.ok().json();
        let files: Vec<Value> =
            page["transfers"].as_array().unwrap().iter().map(|row| row["file"].clone()).collect();
        (files, page["next"].clone())
    };
    let (all, end) = page("limit=2").await;
    assert_eq!((all.len(), end), (2, Value::Null));
    let (first, next) = page("limit=1").await;
    let (second, end) = page(&format!("limit=1&after={}", next.as_str().unwrap())).await;
    assert_eq!((first, second, end), (vec![all[0].clone()], vec![all[1].clone()], Value::Null));
    joiner.client.get("/v1/transfers?after=first").await.refused(400, "bad_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn priorities_are_set_by_an_admin_and_shown() {
    let (_founder, joiner) = two_files().await;
    set(&joiner, "first", "low").await;
    set(&joiner, "dir/second", "high").await;
    assert!(is(&priorities(&joiner).await, &[("dir/second", "high"), ("first", "low")]));
    let rows = joiner.client.get("/v1/transfers").await.ok().json();
    let row =
        rows["transfers"].as_array().unwrap().iter().find(|row| row["file"] == "first").unwrap().clone();
    assert_eq!(row["priority"], "low");
    set(&joiner, "first", "normal").await;
    assert!(is(&priorities(&joiner).await, &[("dir/second", "high")]));

    let (path, wrong) = ("/v1/priorities/first", json!({ "priority": "urgent" }));
    joiner.client.put_json(path, &wrong).await.refused(400, "bad_request");
    let high = json!({ "priority": "high" });
    joiner.client.put_json("/v1/priorities/nothing", &high).await.refused(404, "not_found");
    let publisher = joiner.client.scoped("publisher", &["read", "publish"]).await;
    publisher.put_json(path, &high).await.refused(403, "forbidden");
    publisher.get("/v1/priorities").await.ok();
    assert!(is(&priorities(&joiner).await, &[("dir/second", "high")]));
}
