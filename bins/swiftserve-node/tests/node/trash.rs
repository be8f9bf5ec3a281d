//! The trash: what names meant before, and how it comes back.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    client::until,
    site::{Home, Site, b3sum, content},
};

async fn trash(site: &Site) -> Vec<Value> {
    site.client.get("/v1/trash").await.ok().json()["trash"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_file_comes_back_under_its_name_on_every_node() {
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    let bytes = content(5 << 20, 1);
    let uploader = founder.client.scoped("uploader", &["publish", "remove", "read"]).await;
    uploader.put("dir/a", &bytes).await.ok();
    member.completes("dir/a").await;
    uploader.delete("/v1/files/dir/a").await.ok();
    until(|| async { trash(&member).await.len() == 1 }).await;
    let listed = trash(&member).await.remove(0);
    for (field, value) in [
        ("name", json!("dir/a")),
        ("size", json!(bytes.len())),
        ("file_id", json!(b3sum(&bytes))),
        ("complete", json!(true)),
        ("used", json!(false)),
        ("removed_by", json!(founder.node.id())),
        ("on_behalf_of", json!("uploader")),
    ] {
        assert_eq!(listed[field], value, "{listed}");
    }
    let (removed, expires) = (listed["removed_ms"].as_u64().unwrap(), listed["expires_ms"].as_u64().unwrap());
    assert!(expires >= removed + 7 * 24 * 60 * 60 * 1000, "{listed}");

    // Not from the one that has it published: another node publishes its own copy.
    let answer = member.client.post_json("/v1/trash", &json!({"name": "dir/a"})).await.ok().json();
    assert_eq!((&answer["name"], &answer["final"]), (&json!("dir/a"), &json!(true)));
    for site in [&founder, &member] {
        site.completes("dir/a").await;
        assert!(site.client.get("/v1/files/dir/a").await.is(200).body == bytes);
        assert_eq!(trash(site).await, Vec::<Value>::new());
    }
    assert_eq!(founder.client.record("dir/a").await["publisher"], json!(member.node.id()));
    // What moved is a name: no byte came over the network again.
    assert_eq!(founder.client.get("/v1/status").await.ok().json()["traffic"]["received_bytes"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_replaced_comes_back_under_another_name() {
    let site = Site::found().await;
    for (turn, bytes) in [b"first", b"other", b"third"].into_iter().enumerate() {
        let how = if turn == 0 { "a" } else { "a?replace" };
        site.client.put(how, bytes).await.ok();
    }
    let refused = site.client.post_json("/v1/trash", &json!({"name": "a"})).await.refused(409, "name_taken");
    assert!(refused.ends_with("restore it under another name"), "{refused}");
    let restored = json!({"name": "a", "as": "b"});
    let answer = site.client.post_json("/v1/trash", &restored).await.ok().json();
    assert_eq!((&answer["name"], &answer["was"]), (&json!("b"), &json!("a")));
    assert_eq!(site.client.get("/v1/files/b").await.is(200).body, b"other");
    let by_id = json!({"name": "a", "as": "c", "file_id": b3sum(b"first")});
    site.client.post_json("/v1/trash", &by_id).await.ok();
    assert_eq!(site.client.get("/v1/files/c").await.is(200).body, b"first");
    assert_eq!(site.client.get("/v1/files/a").await.is(200).body, b"third");
    // Asking again for what is so already is success.
    assert_eq!(site.client.post_json("/v1/trash", &restored).await.ok().json()["already"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_restored_is_refused_with_the_reason() {
    let founder = Site::found().await;
    let member = Home::new()
        .try_start({
            let ticket = founder.invite().await.parse().unwrap();
            |config| (config.join, config.keep) = (Some(ticket), Some(swift_chunks::KeepRule::None))
        })
        .await
        .map_err(|(error, _)| error)
        .unwrap();
    founder.client.put("a", b"some bytes").await.ok();
    until(|| async { member.client.names().await == ["a"] }).await;
    founder.client.delete("/v1/files/a").await.ok();
    until(|| async { member.client.names().await.is_empty() }).await;
    until(|| async { member.client.post_json("/v1/trash", &json!({"name": "a"})).await.status == 409 }).await;
    let ask = |site: &Site, body: Value| {
        let client = site.client.clone();
        async move { client.post_json("/v1/trash", &body).await }
    };
    let reason = ask(&member, json!({"name": "a"})).await.refused(409, "not_whole");
    assert!(reason.contains("only 0 of the 10 bytes"), "{reason}");
    assert!(trash(&member).await.is_empty());
    let reason = ask(&founder, json!({"name": "b"})).await.refused(404, "not_found");
    assert!(reason.contains("remembers no content"), "{reason}");
    let id = b3sum(b"others");
    ask(&founder, json!({"name": "a", "file_id": id})).await.refused(404, "not_found");
    ask(&founder, json!({"name": "a", "as": "../b"})).await.refused(400, "bad_name");
    ask(&founder, json!({"nam": "a"})).await.refused(400, "bad_request");
    founder.client.get("/v1/trash?after=x").await.refused(400, "bad_request");
    // The admin removed it, so a client that may publish does not bring it back, and may not empty the trash.
    let publisher = founder.client.scoped("publisher", &["publish"]).await;
    publisher.post_json("/v1/trash", &json!({"name": "a"})).await.refused(403, "forbidden");
    publisher.delete("/v1/trash").await.refused(403, "forbidden");
    publisher.get("/v1/trash").await.refused(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trash_is_listed_in_pages_and_emptied() {
    let site = Site::found().await;
    for name in ["a", "b", "c"] {
        site.client.put(name, name.repeat(1000).as_bytes()).await.ok();
        site.client.delete(&format!("/v1/files/{name}")).await.ok();
    }
    site.client.put("kept", "c".repeat(1000).as_bytes()).await.ok();
    let (mut names, mut next) = (Vec::new(), String::new());
    loop {
        let page = site.client.get(&format!("/v1/trash?limit=2{next}")).await.ok().json();
        names.extend(page["trash"].as_array().unwrap().iter().map(|row| row["name"].clone()));
        let Some(cursor) = page["next"].as_str() else { break };
        next = format!("&after={cursor}");
    }
    assert_eq!(names, ["a", "b", "c"]);
    let emptied = site.client.delete("/v1/trash").await.ok().json();
    assert_eq!(emptied, json!({"status": true, "contents": 2, "bytes": 2000}));
    assert!(trash(&site).await.is_empty());
    assert_eq!(site.client.get("/v1/status").await.ok().json()["store"]["trashed_bytes"], 0);
    assert_eq!(site.client.get("/v1/files/kept").await.is(200).body, "c".repeat(1000).as_bytes());
    site.client.post_json("/v1/trash", &json!({"name": "a"})).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_may_keep_no_trash() {
    let site = Site::found_with(|config| config.trash_keep = Duration::ZERO).await;
    site.client.put("a", b"a").await.ok();
    site.client.delete("/v1/files/a").await.ok();
    until(|| async { site.home.listed("content/objects").is_empty() }).await;
    assert!(trash(&site).await.is_empty());
}
