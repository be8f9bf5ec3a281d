//! Changing what members may do, and who decides.

use std::time::Duration;

use serde_json::{Value, json};
use swift_chain::{NodeId, NodeKey};
use swift_p2p::driver::Patience;

use crate::{
    client::{Answer, until},
    site::{Home, Site},
    validators::validators_of,
};

/// A founder that refuses at once what takes machines that are away.
async fn impatient_founder() -> Site {
    let no_quorum_max = Duration::from_millis(20);
    Home::new().start_with(Patience { no_quorum_max, ..Patience::default() }, None).await
}

async fn patch(site: &Site, node: NodeId, query: &str, body: serde_json::Value) -> Answer {
    site.client.patch(&format!("/v1/nodes/{node}{query}"), &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_gets_another_role_and_asking_again_is_success() {
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    let id = member.node.id();
    let changed = patch(&founder, id, "", json!({ "role": "reader" })).await.ok().json();
    assert_eq!(
        changed,
        json!({ "status": true, "node_id": id, "role": "reader", "block": 2, "final": true, "already": false })
    );
    let again = patch(&founder, id, "", json!({ "role": "reader" })).await.ok().json();
    assert_eq!((&again["already"], founder.client.height().await), (&json!(true), 2));
    member.reaches(2).await;
    member.client.put("a", b"a").await.refused(403, "forbidden");
    patch(&founder, id, "", json!({ "role": "admin" })).await.ok();
    member.reaches(3).await;
    // An admin's node changes others, also the one that made it admin.
    let founder_id = founder.node.id();
    patch(&member, founder_id, "", json!({ "role": "publisher" })).await.ok();
    founder.reaches(4).await;
    patch(&founder, id, "", json!({ "role": "reader" })).await.refused(403, "forbidden");
    // The ledger says on whose behalf it was.
    let block = founder.client.get("/v1/blocks/4").await.ok().json();
    assert_eq!(block["transactions"][0]["on_behalf_of"], "admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_nobody_could_take_back_are_refused_with_the_reason() {
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    let (me, other) = (founder.node.id(), member.node.id());
    let stranger = NodeKey::from_seed([9; 32]).id();
    let height = founder.client.height().await;
    for force in ["", "?force"] {
        let last_admin =
            patch(&founder, me, force, json!({ "role": "reader" })).await.refused(409, "conflict");
        assert!(last_admin.contains("is the last admin"), "{last_admin}");
        let last = patch(&founder, me, force, json!({ "weight": 0 })).await.refused(409, "conflict");
        assert!(last.contains("is the last validator"), "{last}");
        for body in [json!({ "role": "reader" }), json!({ "weight": 1 })] {
            let reason = patch(&founder, stranger, force, body).await.refused(404, "not_found");
            assert!(reason.contains("no member"), "{reason}");
        }
        founder.client.delete(&format!("/v1/nodes/{stranger}{force}")).await.refused(404, "not_found");
        founder.client.delete(&format!("/v1/nodes/{me}{force}")).await.refused(409, "conflict");
    }
    for body in [json!({ "weight": 1_000_001 }), json!({}), json!({ "role": "reader", "weight": 1 })] {
        patch(&founder, other, "", body).await.refused(400, "bad_request");
    }
    founder.client.patch("/v1/nodes/nonsense", &json!({ "weight": 1 })).await.refused(400, "bad_request");
    // What it is already needs no block.
    let weight = patch(&founder, other, "", json!({ "weight": 0 })).await.ok().json();
    assert_eq!((&weight["already"], &weight["warning"]), (&json!(true), &json!(null)));
    assert_eq!(founder.client.height().await, height);

    founder.client.delete(&format!("/v1/nodes/{other}")).await.ok();
    for body in [json!({ "role": "reader" }), json!({ "weight": 1 })] {
        let reason = patch(&founder, other, "", body).await.refused(409, "conflict");
        assert!(reason.contains("a removed key never comes back"), "{reason}");
    }
    let again = founder.client.delete(&format!("/v1/nodes/{other}")).await.ok().json();
    assert_eq!(again["already"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_admin_token_of_an_admin_node_changes_members() {
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    let path = format!("/v1/nodes/{}", member.node.id());
    let body = json!({ "role": "admin" });
    for scope in ["read", "publish", "remove"] {
        let client = founder.client.scoped(scope, &[scope]).await;
        client.patch(&path, &body).await.refused(403, "forbidden");
    }
    founder.client.anonymous().patch(&path, &body).await.refused(401, "unauthorized");
    let reason = member.client.patch(&path, &body).await.refused(403, "forbidden");
    assert!(reason.contains("no admin"), "{reason}");
    assert_eq!(founder.client.height().await, 1);
}

/// The next block would need a validator that nobody reaches: there would be no way back.
#[tokio::test(flavor = "multi_thread")]
async fn a_set_without_a_quorum_within_reach_is_not_entered_unasked() {
    let founder = impatient_founder().await;
    let member = Site::join(&founder.invite().await).await;
    let id = member.node.id();
    let _home = member.stop().await;
    until(|| async { founder.client.get("/v1/status").await.ok().json()["peers_online"] == 0 }).await;
    let reason = patch(&founder, id, "", json!({ "weight": 1 })).await.refused(409, "no_quorum_after");
    assert!(reason.contains(&format!("weight 1 of 2 can be reached, 2 is needed; away: {id}")), "{reason}");
    assert!(reason.contains("nothing was changed"), "{reason}");
    // Neither a role nor a removal of one that does not decide is held up by who is away.
    patch(&founder, id, "", json!({ "role": "reader" })).await.ok();
    founder.client.delete(&format!("/v1/nodes/{id}")).await.ok();
}

/// Waits until a node reaches so many others; its quorum then.
async fn reaching(site: &Site, others: usize) -> Value {
    until(|| async { site.client.get("/v1/status").await.ok().json()["peers_online"] == others }).await;
    site.client.get("/v1/status").await.ok().json()["quorum"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_way_from_one_validator_to_four_each_fragile_set_is_warned_of() {
    let mut sites = vec![Site::found().await];
    for _ in 0..3 {
        sites.push(Site::join(&sites[0].invite().await).await);
    }
    let founder = &sites[0];
    reaching(founder, 3).await;
    let mut warnings = Vec::new();
    for (at, site) in sites.iter().enumerate().skip(1) {
        let answer = patch(founder, site.node.id(), "", json!({ "weight": 1 })).await.ok().json();
        assert_eq!((&answer["weight"], &answer["already"]), (&json!(1), &json!(false)), "{answer}");
        assert_eq!(answer["block"], 3 + at, "{answer}");
        warnings.push(answer["warning"].clone());
    }
    assert!(
        warnings[0].as_str().unwrap().starts_with("none of the 2 validators may be away"),
        "{warnings:?}"
    );
    assert!(warnings[0].as_str().unwrap().contains("Better: 1 validator alone"), "{warnings:?}");
    assert!(
        warnings[1].as_str().unwrap().starts_with("none of the 3 validators may be away"),
        "{warnings:?}"
    );
    assert_eq!(warnings[2], json!(null));
    // Every node sees the same.
    for site in &sites {
        site.reaches(6).await;
        let quorum = reaching(site, 3).await;
        let expected = json!({ "total": 4, "needed": 3, "reachable": 4, "has_quorum": true, "faults_tolerated": 1,
            "warning": null });
        assert_eq!(quorum, expected);
    }
    sites[3].client.put("a", b"a").await.ok();
    let status = sites[3].client.get("/v1/status").await.ok().json();
    let certificate = &status["last_certificate"];
    assert_eq!(certificate["height"], 7);
    let signers: Vec<_> = certificate["signers"].as_array().unwrap().clone();
    assert!((3..=4).contains(&signers.len()), "{certificate}");
    for row in status["validators"].as_array().unwrap() {
        assert_eq!(row["signed_last"], signers.contains(&row["node_id"]), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_weights_2_1_1_a_light_one_may_be_away_and_the_heavy_one_is_named() {
    let sites = validators_of(impatient_founder().await, 3).await;
    let heavy = sites[0].node.id();
    reaching(&sites[0], 2).await;
    let answer = patch(&sites[0], heavy, "", json!({ "weight": 2 })).await.ok().json();
    let warning = answer["warning"].as_str().unwrap();
    assert!(warning.starts_with(&format!("without validator {heavy} no write becomes final")), "{warning}");
    assert!(warning.contains("of the other 2 any 1 may be away"), "{warning}");
    let [first, second, third] = sites.try_into().unwrap_or_else(|_| panic!("three"));
    let _home = third.stop().await;
    let quorum = reaching(&first, 1).await;
    assert_eq!((&quorum["reachable"], &quorum["has_quorum"]), (&json!(3), &json!(true)));
    second.client.put("a", b"a").await.ok();
    // Back to equal weights none may be away, and one is.
    let reason = patch(&first, heavy, "", json!({ "weight": 1 })).await.refused(409, "no_quorum_after");
    assert!(reason.contains("weight 2 of 3 can be reached, 3 is needed"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_that_is_away_is_demoted_or_removed_and_one_that_is_there_is_kept() {
    let mut sites = validators_of(impatient_founder().await, 5).await;
    let (gone, also_gone) = (sites.pop().unwrap(), sites.pop().unwrap());
    let (gone_id, also_gone_id) = (gone.node.id(), also_gone.node.id());
    let _gone_home = gone.stop().await;
    let founder = &sites[0];
    let quorum = reaching(founder, 3).await;
    assert_eq!((&quorum["total"], &quorum["reachable"]), (&json!(5), &json!(4)));
    // Four of four decide without the one that is away.
    let answer = patch(founder, gone_id, "", json!({ "weight": 0 })).await.ok().json();
    assert_eq!(answer["warning"], json!(null));
    let _also_gone_home = also_gone.stop().await;
    reaching(founder, 2).await;
    // Without another that is there, two would be left of a set that needs three.
    let there = sites[2].node.id();
    let reason = patch(founder, there, "", json!({ "weight": 0 })).await.refused(409, "no_quorum_after");
    assert!(reason.contains(&format!("away: {also_gone_id}")), "{reason}");
    founder.client.delete(&format!("/v1/nodes/{there}")).await.refused(409, "no_quorum_after");
    // A removal takes the weight along; three equal ones are left, of whom none may be away.
    let removed = founder.client.delete(&format!("/v1/nodes/{also_gone_id}")).await.ok().json();
    assert!(removed["warning"].as_str().unwrap().starts_with("none of the 3"), "{removed}");
    assert_eq!(founder.node.ledger().members().validators().len(), 3);
    sites[1].client.put("a", b"a").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn force_enters_a_set_that_waits_for_who_is_away() {
    let mut sites = validators_of(impatient_founder().await, 4).await;
    let home = sites.pop().unwrap().stop().await;
    let away = home.key().id();
    let founder = &sites[0];
    reaching(founder, 2).await;
    let there = sites[2].node.id();
    patch(founder, there, "", json!({ "weight": 0 })).await.refused(409, "no_quorum_after");
    let answer = patch(founder, there, "?force", json!({ "weight": 0 })).await.ok().json();
    assert!(answer["warning"].as_str().unwrap().contains(&format!("away: {away}")), "{answer}");
    // Nothing becomes final now, until the missing one is back: then what waited does.
    let queued = founder.client.put("a?wait=none", b"a").await.is(202).json();
    assert_eq!(queued["final"], false);
    let status = founder.client.get("/v1/status").await.ok().json();
    assert_eq!(status["quorum"]["has_quorum"], false);
    // It has no weight, and will have one: what is wanted is neither so already nor changed.
    patch(founder, there, "?force&wait=none", json!({ "weight": 1 })).await.is(202);
    let reason = patch(founder, there, "?force", json!({ "weight": 0 })).await.refused(409, "conflict");
    assert!(reason.contains("waits for a block") && reason.contains("nothing was changed"), "{reason}");
    let back = home.start().await;
    until(|| async { founder.client.names().await == ["a"] }).await;
    back.reaches(founder.node.ledger().head().height).await;
}
