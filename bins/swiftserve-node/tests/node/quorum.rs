//! What clients hear while the validators cannot decide, and what becomes of what they asked for.
//!
//! In most of them the founder is the only validator: without it every other member is without a quorum.

use std::time::Duration;

use serde_json::json;
use swift_p2p::driver::{JoinError, Patience};
use swiftserve_node::StartError;

use crate::{
    client::{Client, until},
    site::{Home, Site, b3sum, content},
    validators::validators,
};

const LONG: Duration = Duration::from_secs(3600);
/// A caller is refused almost at once without a quorum, and waits as long as it takes with one.
const IMPATIENT: Patience = Patience { final_max: LONG, no_quorum_max: Duration::from_millis(20) };
const PATIENT: Patience = Patience { final_max: LONG, no_quorum_max: LONG };

/// A founder that is down and an admin that knows it. The file `known` is on both.
async fn without_a_validator(patience: Patience) -> (Home, Site) {
    let founder = Site::found().await;
    founder.client.put("known", b"known").await.ok();
    let member = Home::new().start_with(patience, Some(&founder.invite_as("admin").await)).await;
    member.completes("known").await;
    let founder = founder.stop().await;
    member.has_quorum(false).await;
    (founder, member)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_without_a_quorum_is_answered_in_time_and_becomes_final_by_itself() {
    let (founder, member) = without_a_validator(IMPATIENT).await;
    let (id, bytes) = (founder.key().id().to_string(), content(5 << 20, 1));
    for _ in 0..2 {
        let reason = member.client.put("a", &bytes).await.refused(504, "no_quorum");
        assert!(
            reason.contains(&format!("weight 0 of 1 can be reached, 1 is needed; away: {id}")),
            "{reason}"
        );
        assert!(reason.contains("repeating the request is safe"), "{reason}");
    }
    // The routes of the original service say it in their own shape.
    let legacy = member.client.upload("b", b"b").await.is(504);
    assert_eq!(legacy.header("content-type"), "application/json");
    let legacy = legacy.json();
    assert_eq!((&legacy["status"], &legacy["code"]), (&json!(false), &json!("no_quorum")));
    assert!(legacy["reason"].as_str().unwrap().contains(&id), "{legacy}");
    assert_eq!(member.client.height().await, 2);

    let founder = founder.start().await;
    // One block may take both.
    until(|| async { member.client.names().await == ["a", "b", "known"] }).await;
    founder.completes("a").await;
    assert!(founder.client.get("/v1/files/a").await.is(200).body == bytes);
    let height = founder.client.height().await;
    let again = member.client.put("a", &bytes).await.ok().json();
    assert_eq!((&again["already"], &again["file_id"]), (&json!(true), &json!(b3sum(&bytes))));
    assert_eq!(member.client.upload("b", b"b").await.ok().json()["status"], true);
    assert_eq!(founder.client.height().await, height);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_is_read_and_downloaded_without_a_quorum() {
    let (founder, member) = without_a_validator(IMPATIENT).await;
    assert_eq!(member.client.get("/v1/files/known").await.is(200).text(), "known");
    assert_eq!(member.client.get("/download?file=known").await.is(200).text(), "known");
    assert_eq!(member.client.names().await, ["known"]);
    for path in
        ["/v1/nodes", "/v1/blocks", "/v1/files/known?copies", "/v1/transfers", "/readyz", "/totalBlocks"]
    {
        member.client.get(path).await.is(200);
    }
    // These do not write to the ledger.
    member.invite().await;
    member.client.scoped("reader", &["read"]).await;
    assert_eq!(member.client.height().await, 2);
    drop(founder);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_says_who_is_away_and_that_nothing_becomes_final() {
    let (founder, member) = without_a_validator(IMPATIENT).await;
    let id = founder.key().id().to_string();
    let status = member.client.get("/v1/status").await.ok().json();
    let quorum = &status["quorum"];
    assert_eq!(
        (&quorum["total"], &quorum["needed"], &quorum["reachable"], &quorum["faults_tolerated"]),
        (&json!(1), &json!(1), &json!(0), &json!(0))
    );
    assert!(quorum["warning"].as_str().unwrap().contains(&id), "{quorum}");
    let expected = json!([{ "node_id": id, "weight": 1, "online": false, "signed_last": true }]);
    assert_eq!(status["validators"], expected);
    assert_eq!(status["last_certificate"], json!({ "height": 2, "round": 0, "signers": [id] }));
    assert_eq!(status["peers_online"], 0);

    let founder = founder.start().await;
    member.has_quorum(true).await;
    // One validator alone is how a network begins: nothing to warn of.
    let status = member.client.get("/v1/status").await.ok().json();
    assert_eq!((&status["quorum"]["reachable"], &status["quorum"]["warning"]), (&json!(1), &json!(null)));
    assert_eq!(status["validators"][0]["online"], true);
    let nodes = member.client.get("/v1/nodes").await.ok().json();
    assert!(nodes["nodes"].as_array().unwrap().iter().all(|node| node["online"] == true), "{nodes}");
    drop(founder);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_without_blocks_has_no_certificate_yet() {
    let founder = Site::found().await;
    let status = founder.client.get("/v1/status").await.ok().json();
    assert_eq!(status["last_certificate"], json!(null));
    assert_eq!(status["validators"][0]["signed_last"], false);
    assert_eq!(status["quorum"]["has_quorum"], true);
}

/// Retries of clients and of their users overlap: one write, and all of them hear of it.
#[tokio::test(flavor = "multi_thread")]
async fn uploads_of_the_same_file_while_it_waits_are_one_write() {
    let (founder, member) = without_a_validator(PATIENT).await;
    let mut uploads = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let client = member.client.clone();
        uploads.spawn(async move { client.put("a", b"same").await.ok().json() });
    }
    // Each of them is held by the store until its write is decided.
    until(|| async { member.home.path(&format!("content/objects/{}", b3sum(b"same"))).exists() }).await;
    let founder = founder.start().await;
    for answer in uploads.join_all().await {
        assert_eq!((&answer["block"], &answer["final"]), (&json!(3), &json!(true)), "{answer}");
    }
    assert_eq!(founder.client.height().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn removals_and_changes_of_members_wait_no_longer_than_uploads() {
    let (founder, member) = without_a_validator(IMPATIENT).await;
    let me = member.node.id();
    member.client.delete("/v1/files/known").await.refused(504, "no_quorum");
    member
        .client
        .patch(&format!("/v1/nodes/{me}"), &json!({ "role": "publisher" }))
        .await
        .refused(504, "no_quorum");
    assert_eq!(member.client.names().await, ["known"]);
    let founder = founder.start().await;
    until(|| async { founder.client.names().await.is_empty() }).await;
    until(|| async { member.client.get("/v1/status").await.ok().json()["role"] == "publisher" }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_want_to_wait_hears_that_the_write_is_queued() {
    let (founder, member) = without_a_validator(PATIENT).await;
    let queued = member.client.put("a?wait=none", b"a").await.is(202).json();
    assert_eq!(
        (&queued["status"], &queued["final"], &queued["block"]),
        (&json!(true), &json!(false), &json!(null))
    );
    assert_eq!((&queued["name"], &queued["file_id"]), (&json!("a"), &json!(b3sum(b"a"))));
    assert_eq!(member.client.delete("/v1/files/known?wait=none").await.is(202).json()["final"], false);
    let me = format!("/v1/nodes/{}?wait=none", member.node.id());
    assert_eq!(
        member.client.patch(&me, &json!({ "role": "publisher" })).await.is(202).json()["final"],
        false
    );
    member.client.put("a?wait=soon", b"a").await.refused(400, "bad_request");
    // It is durable: a node that stops here goes on with it.
    let member = member.stop().await.start_with(PATIENT, None).await;
    let founder = founder.start().await;
    until(|| async { founder.client.names().await == ["a"] }).await;
    // What the ledger decides at once needs no waiting.
    member.has_quorum(true).await;
    until(|| async { member.client.names().await == ["a"] }).await;
    let again = member.client.put("a?wait=none", b"a").await.is(200).json();
    assert_eq!((&again["final"], &again["already"]), (&json!(true), &json!(true)));
    member.client.put("a?wait=none", b"other").await.refused(409, "name_taken");
}

/// Two clients wanted one name while nothing could be decided, and neither waited: only the node's log said who lost.
#[tokio::test(flavor = "multi_thread")]
async fn who_did_not_wait_can_ask_later_what_was_refused() {
    let (founder, member) = without_a_validator(PATIENT).await;
    let other = member.client.scoped("other", &["publish", "read"]).await;
    member.client.put("a?wait=none", b"first").await.is(202);
    other.put("a?wait=none", b"second").await.is(202);
    let refusals = async |client: &Client| client.get("/v1/refusals").await.ok().json();
    assert_eq!(refusals(&member.client).await, json!({ "refusals": [], "next": null }));
    // Nobody waits any more, not even inside the node.
    let member = member.stop().await.start_with(PATIENT, None).await;
    let founder = founder.start().await;
    until(|| async { refusals(&other).await["refusals"].as_array().unwrap().len() == 1 }).await;
    let told = refusals(&other).await;
    let refusal = &told["refusals"][0];
    let file = &refusal["action"]["add_file"]["file"];
    assert_eq!((&file["name"], &file["file_id"]), (&json!("a"), &json!(b3sum(b"second"))));
    assert_eq!((&refusal["on_behalf_of"], &refusal["code"]), (&json!("other"), &json!("name_taken")));
    assert!(refusal["reason"].as_str().unwrap().contains("the name a is taken"), "{refusal}");
    assert!(refusal["refused_ms"].as_u64().is_some_and(|ms| ms > 0));
    assert_eq!(member.client.record("a").await["file_id"], b3sum(b"first"));
    assert_eq!(
        refusals(&founder.client).await,
        json!({ "refusals": [], "next": null }),
        "it is another node's write"
    );
    let unread = member.client.scoped("unread", &["remove"]).await;
    unread.get("/v1/refusals").await.refused(403, "forbidden");
    other.get("/v1/refusals?limit=x").await.refused(400, "bad_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_takes_too_long_with_a_quorum_says_so() {
    let founder = Site::found().await;
    let hasty = Patience { final_max: Duration::ZERO, no_quorum_max: LONG };
    let member = Home::new().start_with(hasty, Some(&founder.invite().await)).await;
    member.has_quorum(true).await;
    let reason = member.client.put("a", b"a").await.refused(504, "not_final");
    assert!(reason.contains("repeating the request is safe"), "{reason}");
    founder.completes("a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_without_a_quorum_is_answered_in_time_and_the_same_ticket_works_later() {
    let (founder, member) = without_a_validator(IMPATIENT).await;
    let ticket = member.invite().await;
    let (error, home) = Site::try_join(&ticket).await.err().expect("it joined without a validator");
    assert!(matches!(error, StartError::Join(JoinError::NotYet(_))), "{error}");
    assert!(error.to_string().contains(&founder.key().id().to_string()), "{error}");
    assert!(error.to_string().contains("start again with the same ticket"), "{error}");
    let founder = founder.start().await;
    until(|| async { founder.node.ledger().members().len() == 3 }).await;
    member.reaches(3).await;
    let joined = home.try_start(|config| config.join = Some(ticket.parse().unwrap())).await;
    let joined = joined.map_err(|(error, _)| error).unwrap();
    assert_eq!(joined.client.names().await, ["known"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_two_of_four_validators_away_writes_wait_and_are_final_when_one_returns() {
    let mut sites = validators(4).await;
    sites[0].client.put("known", b"known").await.ok();
    let (one, other) = (sites.pop().unwrap(), sites.pop().unwrap());
    let mut away = [one.node.id(), other.node.id()];
    away.sort();
    let (one, _other) = (one.stop().await, other.stop().await);
    let founder = sites.remove(0).stop().await.start_with(IMPATIENT, None).await;
    sites[0].completes("known").await;
    for site in [&founder, &sites[0]] {
        site.has_quorum(false).await;
    }
    // One of the two that are left was just started again; it finds the other before it is asked.
    until(|| async { founder.client.get("/v1/status").await.ok().json()["peers_online"] == 1 }).await;
    let reason = founder.client.put("a", b"a").await.refused(504, "no_quorum");
    let named = format!("weight 2 of 4 can be reached, 3 is needed; away: {}, {}", away[0], away[1]);
    assert!(reason.contains(&named), "{reason}");
    for site in [&founder, &sites[0]] {
        assert_eq!(site.client.get("/v1/files/known").await.is(200).text(), "known");
    }
    let height = founder.client.height().await;
    let one = one.start().await;
    until(|| async { founder.client.names().await == ["a", "known"] }).await;
    one.completes("a").await;
    let again = founder.client.put("a", b"a").await.ok().json();
    assert_eq!((&again["block"], &again["already"]), (&json!(height + 1), &json!(true)));
}
