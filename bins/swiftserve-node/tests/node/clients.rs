//! How clients come to a node: rates, names, pages, proxies, and what they show.

use reqwest::Method;
use serde_json::json;
use swift_http::RequestLimits;

use crate::{
    client::{Answer, Client, answered},
    site::Site,
    wire::Wire,
};

fn limits(per_token: &str, per_address: &str, failures: &str) -> RequestLimits {
    RequestLimits {
        per_token: per_token.parse().ok(),
        per_address: per_address.parse().ok(),
        failures: failures.parse().ok(),
    }
}

/// Asks until it is too much; what was answered then. Nothing that is limited in a test lets more than 500 pass.
async fn until_limited(client: &Client, path: &str) -> Answer {
    for _ in 0..500 {
        let answer = client.get(path).await;
        if answer.status == 429 {
            return answer;
        }
    }
    panic!("nothing was too much");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_that_asks_too_much_waits_and_others_do_not() {
    let site = Site::found_with(|config| config.clients.requests = limits("1/min", "none", "none")).await;
    let (greedy, other) =
        (site.client.scoped("greedy", &["read"]).await, site.client.scoped("other", &["read"]).await);
    let refused = until_limited(&greedy, "/v1/files").await;
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    refused.refused(429, "rate_limited");
    assert_eq!(greedy.get("/topBlockNumber").await.json()["status"], false, "in the shape of the old routes");
    other.get("/v1/files").await.is(200);
    greedy.anonymous().get("/healthz").await.is(200);
}

/// Who shares an address with somebody who asks too much, or wrongly, is not kept out.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_asks_too_much_without_a_token_waits_and_a_token_from_it_does_not() {
    let site = Site::found_with(|config| config.clients.requests = limits("none", "1/min", "none")).await;
    until_limited(&site.client.anonymous(), "/healthz").await.refused(429, "rate_limited");
    until_limited(&site.client.with_token("sst_wrong"), "/v1/status").await.refused(429, "rate_limited");
    site.client.get("/v1/status").await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_tokens_are_refused_sooner_than_other_requests() {
    let site = Site::found_with(|config| config.clients.requests = limits("none", "none", "1/min")).await;
    let refused = until_limited(&site.client.with_token("sst_wrong"), "/v1/status").await;
    assert!(!refused.header("retry-after").is_empty());
    refused.refused(429, "rate_limited");
    let wrong = json!({ "secret": "wrong" });
    site.client.anonymous().post_json("/v1/sessions", &wrong).await.refused(429, "rate_limited");
    site.client.anonymous().get("/healthz").await.is(200);
    site.client.get("/v1/status").await.is(200);
}

/// Asked bare: no HTTP library sends such requests.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_names_one_host_and_that_is_this_node() {
    let site = Site::found_with(|config| config.clients.host_names = vec!["files.example".to_owned()]).await;
    for (target, hosts, status) in [
        ("/healthz", "host: localhost\r\n", 200),
        ("/healthz", "host: files.example:80\r\n", 200),
        ("/healthz", "host: other.example\r\n", 403),
        ("/healthz", "", 400),
        ("/healthz", "host: localhost\r\nhost: localhost\r\n", 400),
        ("/healthz", "host: localhost\r\nhost: evil.example\r\n", 400),
        ("http://localhost/healthz", "host: localhost\r\n", 200),
        ("http://evil.example/healthz", "host: localhost\r\n", 400),
        ("http://evil.example/healthz", "host: evil.example\r\n", 403),
    ] {
        let mut wire = Wire::connect(site.home.address()).await;
        wire.send(format!("GET {target} HTTP/1.1\r\n{hosts}connection: close\r\n\r\n").as_bytes()).await;
        let answer = wire.answer().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{target} {hosts}: {answer}");
    }
}

/// A proxy on this machine that is trusted stands for the outside: what it says is where a request comes from.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_from_elsewhere_is_taken_over_tls_only_unless_the_operator_says_otherwise() {
    let proxied = |site: &Site, scheme: &'static str| {
        let request = site.client.request(Method::GET, "/v1/status").header("x-forwarded-for", "192.0.2.1");
        answered(request.header("x-forwarded-proto", scheme))
    };
    let trust = |config: &mut swiftserve_node::Config| {
        config.clients.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    };
    let site = Site::found_with(trust).await;
    let says = proxied(&site, "http").await.refused(403, "forbidden");
    assert!(says.contains("--allow-plain-http") && says.contains("ID@HOST:PORT"), "{says}");
    proxied(&site, "https").await.is(200);
    site.client.get("/v1/status").await.is(200);
    let open = Site::found_with(|config| {
        trust(config);
        config.clients.allow_plain_http = true;
    })
    .await;
    proxied(&open, "http").await.is(200);
    // Without such trust the same headers are nobody's word.
    let plain = Site::found().await;
    proxied(&plain, "http").await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_listed_as_such_and_a_revoked_label_owns_nothing_again() {
    let site = Site::found().await;
    let make = |label: &str, expires_s: u64| json!({ "label": label, "scopes": ["publish"], "expires_s": expires_s });
    site.client.post_json("/v1/tokens", &make("old", 0)).await.is(201);
    site.client.post_json("/v1/tokens", &make("new", 3600)).await.is(201);
    let rows = site.client.get("/v1/tokens").await.json()["tokens"].clone();
    let expired: Vec<_> =
        rows.as_array().unwrap().iter().map(|row| (row["label"].clone(), row["expired"].clone())).collect();
    assert_eq!(
        expired,
        [(json!("admin"), json!(false)), (json!("new"), json!(false)), (json!("old"), json!(true))]
    );

    site.client.delete("/v1/tokens/new").await.ok();
    let says = site.client.post_json("/v1/tokens", &make("new", 3600)).await.refused(409, "conflict");
    assert!(says.contains("another label"), "{says}");
    let home = site.stop().await;
    let site = home.start().await;
    site.client.post_json("/v1/tokens", &make("new", 3600)).await.refused(409, "conflict");
    site.client.post_json("/v1/tokens", &make("dashboard", 3600)).await.refused(409, "conflict");
}
