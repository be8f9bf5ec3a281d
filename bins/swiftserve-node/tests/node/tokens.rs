//! Tokens, made and ended through the API.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::json;

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_made_listed_and_revoked() {
    let site = Site::found().await;
    let wanted = json!({ "label": "ci", "scopes": ["read", "publish"], "expires_s": 3600 });
    let made = site.client.post_json("/v1/tokens", &wanted).await.is(201).json();
    let secret = made["token"].as_str().unwrap();
    assert_eq!((&made["label"], &made["scopes"]), (&"ci".into(), &json!(["read", "publish"])));
    site.client.with_token(secret).put("a", b"a").await.ok();

    let listed = site.client.get("/v1/tokens").await.ok();
    let rows = listed.json()["tokens"].as_array().unwrap().clone();
    let labels: Vec<_> = rows.iter().map(|row| row["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["admin", "ci"]);
    assert_eq!(rows[1]["expires_ms"], made["expires_ms"]);
    for token in [secret, site.client.token()] {
        let bare = token.strip_prefix("sst_").unwrap();
        assert!(!listed.text().contains(bare), "the list shows a secret");
    }

    site.client.post_json("/v1/tokens", &wanted).await.refused(409, "conflict");
    site.client.delete("/v1/tokens/ci").await.ok();
    site.client.with_token(secret).get("/v1/files").await.refused(401, "unauthorized");
    site.client.delete("/v1/tokens/ci").await.refused(404, "not_found");
    // A file of that label would be the new token's: the ledger tells owners by labels.
    site.client.post_json("/v1/tokens", &wanted).await.refused(409, "conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_sense_is_not_made() {
    let site = Site::found().await;
    for wanted in [
        json!({ "label": "a", "scopes": [] }),
        json!({ "label": "a", "scopes": ["everything"] }),
        json!({ "label": "", "scopes": ["read"] }),
        json!({ "label": "x".repeat(65), "scopes": ["read"] }),
        json!({ "label": "a\nb", "scopes": ["read"] }),
        json!({ "label": "a" }),
        json!({ "label": "a", "scopes": ["read"], "expires": 5 }),
        json!("a"),
    ] {
        site.client.post_json("/v1/tokens", &wanted).await.refused(400, "bad_request");
    }
    assert_eq!(site.client.get("/v1/tokens").await.json()["tokens"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_outlive_a_restart_and_only_the_owner_can_read_the_first() {
    let site = Site::found().await;
    let reader = site.client.scoped("reader", &["read"]).await;
    let first = site.client.token().to_owned();
    let site = site.stop().await.start().await;
    assert_eq!(site.client.token(), first);
    reader.get("/v1/status").await.is(200);
    let mode = fs::metadata(site.home.path("admin-token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// The way back in for an operator who lost the token, or revoked it.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_admin_token_is_made_anew_at_the_next_start() {
    let site = Site::found().await;
    let lost = site.client.clone();
    let home = site.stop().await;
    fs::remove_file(home.path("admin-token")).unwrap();
    let site = home.start().await;
    assert_ne!(site.client.token(), lost.token());
    lost.get("/v1/status").await.refused(401, "unauthorized");
    site.client.get("/v1/status").await.is(200);
    site.client.delete("/v1/tokens/admin").await.ok();
    let site = site.stop().await.start().await;
    site.client.get("/v1/status").await.is(200);
}
