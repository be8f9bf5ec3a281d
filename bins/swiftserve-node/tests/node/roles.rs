//! Changing what members may do, and who decides.

use serde_json::json;
use swift_chain::{NodeId, NodeKey};

use crate::{client::Answer, site::Site};

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
    let founder = Site::found().await;
    let member = Site::join(&founder.invite().await).await;
    let id = member.node.id();
    let _home = member.stop().await;
    crate::client::until(|| async {
        founder.client.get("/v1/status").await.ok().json()["peers_online"] == 0
    })
    .await;
    let reason = patch(&founder, id, "", json!({ "weight": 1 })).await.refused(409, "no_quorum_after");
    assert!(reason.contains(&format!("weight 1 of 2 can be reached, 2 is needed; away: {id}")), "{reason}");
    assert!(reason.contains("nothing was changed"), "{reason}");
    // Neither a role nor a removal of one that does not decide is held up by who is away.
    patch(&founder, id, "", json!({ "role": "reader" })).await.ok();
    founder.client.delete(&format!("/v1/nodes/{id}")).await.ok();
}
