//! Which nodes hold how much of a file, as a client is told.

use serde_json::{Value, json};
use swift_chunks::KeepRule;
use swiftserve_node::Config;

use crate::{
    client::until,
    site::{Site, content},
};

const MIB: usize = 1 << 20;

/// What is told of a node.
fn of(answer: &Value, node: &str) -> Value {
    let rows = answer["holders"].as_array().unwrap();
    rows.iter().find(|row| row["node_id"] == node).unwrap_or_else(|| panic!("{node} in {answer}")).clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_node_says_which_nodes_hold_a_file_and_which_do_not_want_it() {
    let founder = Site::found().await;
    let holder = Site::join(&founder.invite().await).await;
    let ticket = founder.invite().await.parse().unwrap();
    let change = |config: &mut Config| (config.join, config.keep) = (Some(ticket), Some(KeepRule::None));
    let other = Site::found_with(change).await;
    let ids = [&founder, &holder, &other].map(|site| site.node.id().to_string());
    founder.client.put("a/b.bin", &vec![7; 5 * MIB]).await.ok();
    holder.completes("a/b.bin").await;
    for site in [&founder, &holder, &other] {
        until(async || {
            let answer = site.client.get("/v1/files/a/b.bin?holders").await;
            // A node that has not heard of the block yet knows no such file.
            if answer.status == 404 {
                return false;
            }
            let answer = answer.is(200).json();
            assert_eq!(answer["size"], 5 * MIB);
            let told = ids.each_ref().map(|id| of(&answer, id));
            let all = json!(5 * MIB);
            told[0]["holding"] == "complete"
                && told[1]["holding"] == "complete"
                && told[1]["held_bytes"] == all
                && told[2]["holding"] == "not_keeping"
                && told[2]["held_bytes"] == 0
        })
        .await;
    }
    let gone = holder.stop().await;
    until(async || {
        let answer = founder.client.get("/v1/files/a/b.bin?holders").await.is(200).json();
        let told = of(&answer, &ids[1]);
        told["holding"] == "absent" && told["held_bytes"].is_null()
    })
    .await;
    drop(gone);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_file_spreads_it_is_told_which_parts_are_where() {
    let founder = Site::found().await;
    founder.client.patch("/v1/limits", &json!({ "up": "1MiB/s" })).await.ok();
    let member = Site::join(&founder.invite().await).await;
    let id = member.node.id().to_string();
    let len = 12 * MIB;
    founder.client.put("big", &content(len, 1)).await.ok();
    for site in [&founder, &member] {
        until(async || {
            let answer = site.client.get("/v1/files/big?holders").await;
            if answer.status == 404 {
                return false;
            }
            let told = of(&answer.is(200).json(), &id);
            let held = told["held_bytes"].as_u64().unwrap_or(0);
            let parts = told["parts"].as_array().map_or(0, Vec::len);
            told["holding"] == "partial" && 0 < held && held < len as u64 && parts == 3
        })
        .await;
    }
    founder.client.patch("/v1/limits", &json!({ "up": "none" })).await.ok();
    member.completes("big").await;
    until(async || {
        let answer = founder.client.get("/v1/files/big?holders").await.is(200).json();
        let told = of(&answer, &id);
        told["holding"] == "complete" && told["held_bytes"] == len && told["parts"].is_null()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_says_how_far_the_others_are_and_when_it_heard_of_them() {
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    let (me, id) = (founder.node.id().to_string(), member.node.id().to_string());
    until(async || {
        let rows = founder.client.get("/v1/nodes").await.ok().json();
        let row = |id: &str| {
            rows["nodes"].as_array().unwrap().iter().find(|row| row["node_id"] == id).unwrap().clone()
        };
        let (mine, told) = (row(&me), row(&id));
        // They looked at their disks by then.
        let can_take = |row: &serde_json::Value| row["available_bytes"].as_u64() > Some(0);
        assert_eq!(mine["version"], env!("CARGO_PKG_VERSION"));
        mine["height"] == 1
            && (&told["height"], &told["version"]) == (&mine["height"], &mine["version"])
            && told["heard_ms"].as_u64() > Some(0)
            && can_take(&mine)
            && can_take(&told)
    })
    .await;
    let _gone = member.stop().await;
    until(async || {
        let rows = founder.client.get("/v1/nodes").await.ok().json();
        let told = rows["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["node_id"] == id.as_str())
            .unwrap()
            .clone();
        told["online"] == false && told["height"].is_null() && told["heard_ms"].as_u64() > Some(0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_comes_with_its_picture_where_that_is_asked_for() {
    let founder = Site::found().await;
    let plain = founder.client.post("/v1/invites", "").await.ok().json();
    assert!(plain.get("qr").is_none());
    let drawn = founder.client.post("/v1/invites?qr", "").await.ok().json();
    let rows = drawn["qr"].as_array().unwrap();
    assert!(rows.len() > 20 && rows.iter().all(|row| row.as_str().unwrap().len() == rows.len()));
}
