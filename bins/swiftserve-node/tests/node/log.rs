//! Who did what, as a node tells it.

use serde_json::{Value, json};

use crate::site::Site;

/// What a page says was done: kind of action and label, newest first.
fn told(page: &Value) -> Vec<(String, String)> {
    let kind = |row: &Value| row["action"].as_object().unwrap().keys().next().unwrap().clone();
    let rows = page["transactions"].as_array().unwrap();
    rows.iter().map(|row| (kind(row), row["on_behalf_of"].as_str().unwrap_or("-").to_owned())).collect()
}

fn row(kind: &str, label: &str) -> (String, String) {
    (kind.to_owned(), label.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_what_a_name_meant_and_who_gave_it_its_meanings() {
    let site = Site::found().await;
    let ci = site.client.scoped("ci", &["publish", "read"]).await;
    ci.put("dir/a", b"one").await.ok();
    site.client.put("b", b"other").await.ok();
    site.client.put("dir/a?replace", b"two").await.ok();
    site.client.delete("/v1/files/dir/a").await.ok();

    let all = ci.get("/v1/transactions").await.ok().json();
    let (added, removed) = (|label| row("add_file", label), row("remove_file", "admin"));
    assert_eq!(told(&all), [removed.clone(), added("admin"), added("admin"), added("ci")]);
    assert_eq!(all["next"], json!(null));
    let newest = &all["transactions"][0];
    assert_eq!((&newest["height"], &newest["author"]), (&json!(4), &json!(site.node.id().to_string())));
    let of_name = ci.get("/v1/transactions?name=DIR/A").await.ok().json();
    assert_eq!(told(&of_name), [removed, added("admin"), added("ci")]);

    let first = ci.get("/v1/transactions?name=dir/a&limit=1").await.ok().json();
    let next = first["next"].as_str().unwrap();
    let second = ci.get(&format!("/v1/transactions?name=dir/a&limit=5&after={next}")).await.ok().json();
    assert_eq!((told(&second), &second["next"]), (told(&of_name)[1..].to_vec(), &json!(null)));
    let since = newest["time_ms"].as_u64().unwrap();
    let late = ci.get(&format!("/v1/transactions?since_ms={since}")).await.ok().json();
    assert_eq!(late["transactions"], json!([newest]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_node_has_what_it_did_and_what_was_done_to_it() {
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    member.client.put("a", b"mine").await.ok();
    founder.client.put("b", b"not mine").await.ok();
    let id = member.node.id();
    let role = json!({"role": "reader"});
    let height = founder.client.patch(&format!("/v1/nodes/{id}"), &role).await.ok().json()["block"].clone();
    member.reaches(height.as_u64().unwrap()).await;
    let log = member.client.get(&format!("/v1/transactions?node={id}")).await.ok().json();
    assert_eq!(told(&log), [row("update_node", "admin"), row("add_file", "admin"), row("add_node", "-")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_looked_for_is_refused_with_the_reason() {
    let site = Site::found().await;
    for query in ["name=../a", "node=me", "after=7", "limit=many"] {
        site.client.get(&format!("/v1/transactions?{query}")).await.is(400);
    }
    site.client.anonymous().get("/v1/transactions").await.refused(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_beyond_the_head_is_before_all_that_there_is() {
    let site = Site::found().await;
    site.client.put("a", b"a").await.ok();
    for after in ["2.0", "999999.0", "999999999999.65535"] {
        let log = site.client.get(&format!("/v1/transactions?after={after}")).await.ok().json();
        assert_eq!(told(&log).len(), 1, "{after}");
    }
    site.client.get("/v1/status").await.ok();
}
