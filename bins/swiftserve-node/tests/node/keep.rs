//! What a node keeps: its rule, and its pins.

use data_encoding::HEXLOWER;
use serde_json::json;
use swift_chunks::KeepRule;
use swift_p2p::keeping::SignedPromise;

use crate::{
    client::{Client, until},
    program::Program,
    site::{Home, Site, b3sum, content},
};

/// A member that starts with a rule.
async fn join_keeping(founder: &Site, rule: KeepRule) -> Site {
    let ticket = founder.invite().await.parse().unwrap();
    let change = |config: &mut swiftserve_node::Config| {
        (config.join, config.keep) = (Some(ticket), Some(rule));
    };
    Home::new().try_start(change).await.map_err(|(error, _)| error).unwrap()
}

/// Publishes, and waits until another node's store knows the name.
async fn publish(founder: &Site, other: &Client, name: &str, bytes: &[u8]) {
    founder.client.put(name, bytes).await.ok();
    until(|| async { other.names().await.contains(&name.to_owned()) }).await;
}

/// Waits until a file stands in the folder.
async fn appears(home: &Home, name: &str, bytes: &[u8]) {
    let path = home.path("files").join(name);
    until(|| async { path.exists() }).await;
    assert!(std::fs::read(&path).unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_keeps_nothing_fetches_what_is_pinned_and_nothing_else() {
    let founder = Site::found().await;
    let member = join_keeping(&founder, KeepRule::None).await;
    let (pinned, other) = (content(9 << 20, 1), content(5 << 20, 2));
    publish(&founder, &member.client, "dir/pinned", &pinned).await;
    publish(&founder, &member.client, "other", &other).await;

    let answer = member.client.mark("/v1/pins/dir/pinned").await.ok().json();
    assert_eq!((&answer["status"], &answer["already"]), (&json!(true), &json!(false)));
    assert_eq!(member.client.mark("/v1/pins/dir/pinned").await.ok().json()["already"], true);
    member.completes("dir/pinned").await;
    appears(&member.home, "dir/pinned", &pinned).await;
    assert_eq!(member.client.record("other").await["held_bytes"], 0);
    assert!(!member.home.path("files/other").exists());
    let listed = member.client.get("/v1/pins").await.ok().json();
    assert_eq!(listed, json!({"pins": ["dir/pinned"], "next": null}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_outlives_a_crash() {
    let founder = Site::found().await;
    let ticket = founder.invite().await;
    let member = Program::start(Home::new(), &["--keep", "none", "--join", &ticket]).await;
    let client = member.home.admin();
    let bytes = content(9 << 20, 1);
    publish(&founder, &client, "a", &bytes).await;
    let founder = founder.stop().await;
    // Nobody has it who could be reached, so it does not come before the crash.
    client.mark("/v1/pins/a").await.ok();
    let member = Program::start(member.kill().await, &[]).await;
    let _founder = founder.start().await;
    until(|| async { client.record("a").await["complete"] == true }).await;
    appears(&member.home, "a", &bytes).await;
    // Without the flag the rule is the one that was set last.
    assert_eq!(client.get("/v1/keep").await.ok().json(), json!({"keep": "none", "set_at_start": null}));
    member.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_pinned_is_refused_with_the_reason() {
    let founder = Site::found().await;
    let client = &founder.client;
    client.put("a", b"a").await.ok();
    let reason = client.mark("/v1/pins/b").await.refused(404, "not_found");
    assert_eq!(reason, "no file has the name \"b\"");
    client.delete("/v1/pins/b").await.refused(404, "not_found");
    client.mark("/v1/pins/a%2F..%2Fb").await.refused(400, "bad_name");
    assert_eq!(client.delete("/v1/pins/a").await.ok().json()["already"], true);
    client.scoped("publisher", &["publish"]).await.mark("/v1/pins/a").await.refused(403, "forbidden");

    // A node that reaches nobody may be behind, and says so.
    let member = Site::join(&founder.invite().await).await;
    let home = founder.stop().await;
    until(|| async { member.client.get("/v1/status").await.ok().json()["peers_online"] == 0 }).await;
    let reason = member.client.mark("/v1/pins/b").await.refused(404, "not_found");
    assert!(reason.contains("reaches no other member"), "{reason}");
    drop(home);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rule_can_be_changed_while_the_node_runs_and_stays_changed() {
    let founder = Site::found().await;
    let member = join_keeping(&founder, KeepRule::None).await;
    publish(&founder, &member.client, "a.iso", b"iso").await;
    publish(&founder, &member.client, "b.txt", b"txt").await;
    let set = member.client.set("/v1/keep", &json!({"keep": ["*.iso"]})).await.ok().json();
    let expected = json!({"status": true, "keep": ["*.iso"], "set_at_start": "none", "already": false});
    assert_eq!(set, expected);
    member.completes("a.iso").await;
    publish(&founder, &member.client, "c.iso", b"later").await;
    member.completes("c.iso").await;
    assert_eq!(member.client.record("b.txt").await["complete"], false);

    let member = member.stop().await.start().await;
    assert_eq!(member.client.get("/v1/keep").await.ok().json()["keep"], json!(["*.iso"]));
    member.client.set("/v1/keep", &json!({"keep": "all"})).await.ok();
    member.completes("b.txt").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_makes_no_sense_changes_nothing() {
    let founder = Site::found().await;
    let many: Vec<String> = (0..65).map(|number| number.to_string()).collect();
    for (keep, says) in [
        (json!("some"), "neither \"all\" nor \"none\""),
        (json!([]), "there is no pattern"),
        (json!(["a["]), "cannot be used"),
        (json!([""]), "it is empty"),
        (json!(["x".repeat(257)]), "257 bytes"),
        (json!(many), "65 patterns"),
        (json!(7), ""),
    ] {
        let reason =
            founder.client.set("/v1/keep", &json!({ "keep": keep })).await.refused(400, "bad_request");
        assert!(reason.contains(says), "{reason}");
    }
    assert_eq!(founder.client.get("/v1/keep").await.ok().json()["keep"], "all");
    let reader = founder.client.scoped("reader", &["read"]).await;
    reader.get("/v1/keep").await.ok();
    reader.set("/v1/keep", &json!({"keep": "none"})).await.refused(403, "forbidden");
}

/// Whether a node has the file in its folder and in its store.
fn has(site: &Site, name: &str, bytes: &[u8]) -> (bool, bool) {
    let object = site.home.path("content/objects").join(b3sum(bytes));
    (site.home.path("files").join(name).exists(), object.exists())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unpinned_goes_when_another_promises_to_keep_it() {
    let founder = Site::found().await;
    let member = join_keeping(&founder, KeepRule::None).await;
    let bytes = content(9 << 20, 1);
    publish(&founder, &member.client, "a", &bytes).await;
    member.client.mark("/v1/pins/a").await.ok();
    member.completes("a").await;
    assert_eq!(member.client.delete("/v1/pins/a").await.ok().json()["already"], false);
    until(|| async { has(&member, "a", &bytes) == (false, false) }).await;
    assert_eq!(has(&founder, "a", &bytes), (true, true));

    // It comes back when it is wanted again.
    member.client.mark("/v1/pins/a").await.ok();
    member.completes("a").await;
    assert!(member.client.get("/v1/files/a").await.is(200).body == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_copy_stays_and_of_two_one_goes() {
    let founder = Site::found_with(|config| config.keep = Some(KeepRule::None)).await;
    let bytes = content(5 << 20, 1);
    founder.client.put("a", &bytes).await.ok();
    let member = join_keeping(&founder, KeepRule::All).await;
    // The only copy is the publisher's, which does not keep it: it stays until another has it, and goes then.
    member.completes("a").await;
    until(|| async { has(&founder, "a", &bytes) == (false, false) }).await;
    assert_eq!(has(&member, "a", &bytes), (true, true));

    let held = founder.client.get("/v1/promises").await.ok().json();
    assert_eq!((&held["held"][0]["by"], &held["given"]), (&json!(member.node.id()), &json!([])));
    let promise = HEXLOWER.decode(held["held"][0]["promise"].as_str().unwrap().as_bytes()).unwrap();
    let signed = SignedPromise::from_record(&promise).unwrap();
    assert!(signed.is_genuine(&founder.node.network()) && signed.promise.asker == founder.node.id());

    // Now the other is bound by its promise, also when its rule changes and after a restart.
    let member = member.stop().await.start().await;
    founder.client.mark("/v1/pins/a").await.ok();
    founder.completes("a").await;
    let given = member.client.get("/v1/promises").await.ok().json();
    assert_eq!(
        (&given["given"][0]["to"], &given["given"][0]["file"]),
        (&json!(founder.node.id()), &json!("a"))
    );
    // What may go besides goes, so this node has looked at all it has.
    member.client.put("b", b"b").await.ok();
    founder.client.set("/v1/keep", &json!({"keep": "all"})).await.ok();
    founder.completes("b").await;
    member.client.set("/v1/keep", &json!({"keep": "none"})).await.ok();
    until(|| async { has(&member, "b", b"b") == (false, false) }).await;
    assert_eq!(has(&member, "a", &bytes), (true, true));
    assert!(member.client.get("/v1/files/a").await.is(200).body == bytes);
}

/// Both want to let go at the same moment, so both refuse the other at first.
#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_that_keep_nothing_any_more_end_with_one_copy() {
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    let bytes = content(5 << 20, 1);
    founder.client.put("a", &bytes).await.ok();
    member.completes("a").await;
    let none = json!({"keep": "none"});
    let (one, two) =
        tokio::join!(founder.client.set("/v1/keep", &none), member.client.set("/v1/keep", &none));
    one.ok();
    two.ok();
    let copies = || [&founder, &member].into_iter().filter(|site| has(site, "a", &bytes).1).count();
    until(|| async { copies() == 1 }).await;
    let keeper = if has(&founder, "a", &bytes).1 { &founder } else { &member };
    assert!(keeper.client.get("/v1/files/a").await.is(200).body == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_counted_and_what_has_no_second_one_is_named() {
    let founder = Site::found().await;
    let keeper = Site::join(&founder.invite().await).await;
    let other = join_keeping(&founder, KeepRule::None).await;
    until(|| async { founder.client.get("/v1/status").await.ok().json()["peers_online"] == 2 }).await;
    founder.client.put("a", b"some bytes").await.ok();
    keeper.completes("a").await;
    let mut complete = [founder.node.id(), keeper.node.id()];
    complete.sort();
    until(|| async {
        let copies = founder.client.get("/v1/files/a?copies").await.ok().json();
        copies["complete"] == json!(complete) && copies["not_keeping"] == json!([other.node.id()])
    })
    .await;
    for site in [&founder, &keeper, &other] {
        until(|| async {
            let listed = site.client.get("/v1/files?copies").await.ok().json();
            listed["files"][0]["copies"] == 2
        })
        .await;
        let status = site.client.get("/v1/status?copies").await.ok().json();
        assert_eq!(status["at_risk"], json!({"count": 0, "looked_at": 1, "files": []}));
    }
    assert_eq!(founder.client.get("/v1/status").await.ok().json()["at_risk"], json!(null));

    // With one of the two away there is no second copy that can be reached.
    let home = keeper.stop().await;
    let lone = json!({"count": 1, "looked_at": 1, "files": [{"name": "a", "size": 10, "copies": 1}]});
    for site in [&founder, &other] {
        until(|| async { site.client.get("/v1/status?copies").await.ok().json()["at_risk"] == lone }).await;
    }
    let keeper = home.start().await;
    until(|| async { founder.client.get("/v1/status?copies").await.ok().json()["at_risk"]["count"] == 0 })
        .await;
    drop(keeper);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_tells_what_it_holds_and_keeps() {
    let founder = Site::found().await;
    let member = join_keeping(&founder, "*.iso".parse().unwrap()).await;
    founder.client.put("a.iso", &[7; 1000]).await.ok();
    founder.client.put("b", &[8; 100]).await.ok();
    member.completes("a.iso").await;
    let row = |node: swift_chain::NodeId, files: u64, bytes: u64, keeps: &str| {
        let rows = json!({"node_id": node, "holds": {"files": files, "bytes": bytes}, "keeps": keeps});
        move |shown: &serde_json::Value| {
            let mut shown = shown["nodes"].as_array().unwrap().iter();
            shown.any(|shown| rows.as_object().unwrap().iter().all(|(key, value)| shown[key] == *value))
        }
    };
    let (first, second) = (row(founder.node.id(), 2, 1100, "all"), row(member.node.id(), 1, 1000, "some"));
    for site in [&founder, &member] {
        until(|| async {
            let shown = site.client.get("/v1/nodes").await.ok().json();
            first(&shown) && second(&shown)
        })
        .await;
    }
}
