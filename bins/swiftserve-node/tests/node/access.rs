//! Who may ask what.

use reqwest::Method;

use crate::{client::answered, site::Site, wire::Wire};

/// Every route but those that anyone may ask, with a method that it takes.
const GUARDED: [(&str, &str); 37] = [
    ("GET", "/metrics"),
    ("GET", "/getHash?num=0"),
    ("GET", "/topBlockNumber"),
    ("GET", "/totalBlocks"),
    ("GET", "/download?file=a"),
    ("POST", "/addBlock"),
    ("POST", "/getBlockDatas"),
    ("POST", "/overwriteBlockchain"),
    ("POST", "/upload"),
    ("POST", "/response"),
    ("POST", "/webhook"),
    ("GET", "/v1/status"),
    ("GET", "/v1/files"),
    ("GET", "/v1/files/a"),
    ("GET", "/v1/files/a?meta"),
    ("HEAD", "/v1/files/a"),
    ("PUT", "/v1/files/a"),
    ("DELETE", "/v1/files/a"),
    ("GET", "/v1/nodes"),
    ("DELETE", "/v1/nodes/a"),
    ("POST", "/v1/invites"),
    ("GET", "/v1/blocks"),
    ("GET", "/v1/blocks/1"),
    ("GET", "/v1/transfers"),
    ("GET", "/v1/keep"),
    ("PUT", "/v1/keep"),
    ("GET", "/v1/pins"),
    ("PUT", "/v1/pins/a"),
    ("DELETE", "/v1/pins/a"),
    ("GET", "/v1/promises"),
    ("GET", "/v1/tokens"),
    ("POST", "/v1/tokens"),
    ("DELETE", "/v1/tokens/admin"),
    ("GET", "/v1/sessions"),
    ("POST", "/v1/dashboard"),
    ("POST", "/peer/hello"),
    ("POST", "/peer/keep"),
];

fn method(name: &str) -> Method {
    name.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_sees_health_and_the_key_and_nothing_else() {
    let site = Site::found().await;
    let stranger = site.client.anonymous();
    assert_eq!(stranger.get("/healthz").await.is(200).text(), "ok\n");
    assert_eq!(stranger.get("/readyz").await.is(200).text(), "ready\n");
    let pem = stranger.get("/key").await.is(200).text();
    assert_eq!(pem, site.node.id().to_pem().unwrap());
    for (name, path) in GUARDED {
        let answer = answered(stranger.request(method(name), path)).await;
        assert_eq!(answer.status, 401, "{name} {path}");
        assert_eq!(answer.header("www-authenticate"), "Bearer", "{name} {path}");
    }
    assert_eq!(site.client.height().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_revoked_or_expired_token_lets_nobody_in() {
    let site = Site::found_with(|config| config.clients.requests.failures = None).await;
    let unknown = site.client.with_token("sst_unknown");
    let revoked = site.client.scoped("revoked", &["admin"]).await;
    revoked.get("/v1/status").await.is(200);
    site.client.delete("/v1/tokens/revoked").await.ok();
    // It has ended in the moment it begins.
    let made = serde_json::json!({ "label": "expired", "scopes": ["admin"], "expires_s": 0 });
    let made = site.client.post_json("/v1/tokens", &made).await.ok().json();
    let expired = site.client.with_token(made["token"].as_str().unwrap());
    for client in [unknown, revoked, expired] {
        for (name, path) in GUARDED {
            let answer = answered(client.request(method(name), path)).await;
            assert_eq!(answer.status, 401, "{name} {path}");
            assert_eq!(answer.header("www-authenticate"), "Bearer", "{name} {path}");
        }
    }
    let basic = site.client.anonymous().request(Method::GET, "/v1/status").basic_auth("admin", Some("x"));
    answered(basic).await.refused(401, "unauthorized");
}

/// A script written for the original service looks at `status` in the body alone: 401 there would read as success.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_on_a_route_of_the_original_service_says_status_false() {
    let site = Site::found().await;
    for client in [site.client.anonymous(), site.client.with_token("sst_unknown")] {
        for (name, path) in [("GET", "/topBlockNumber"), ("POST", "/upload"), ("GET", "/download?file=a")] {
            let answer = answered(client.request(method(name), path)).await.is(401).json();
            assert_eq!(answer["status"], false, "{name} {path}");
            assert!(answer["reason"].is_string(), "{name} {path}");
        }
    }
    let foreign = site.client.request(Method::POST, "/upload").header("origin", "https://evil.example");
    assert_eq!(answered(foreign).await.is(403).json()["status"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_what_its_scopes_say_and_no_more() {
    let site = Site::found().await;
    site.client.put("a", b"a").await.ok();
    let reads = [
        ("GET", "/getHash?num=0"),
        ("GET", "/topBlockNumber"),
        ("GET", "/totalBlocks"),
        ("GET", "/download?file=a"),
        ("GET", "/v1/status"),
        ("GET", "/v1/files"),
        ("GET", "/v1/files/a"),
        ("GET", "/v1/nodes"),
        ("GET", "/v1/blocks"),
        ("GET", "/v1/blocks/1"),
        ("GET", "/v1/transfers"),
        ("GET", "/v1/keep"),
        ("GET", "/v1/pins"),
        ("GET", "/v1/promises"),
    ];
    let administers = [
        ("POST", "/addBlock"),
        ("POST", "/overwriteBlockchain"),
        ("DELETE", "/v1/nodes/a"),
        ("POST", "/v1/invites"),
        ("GET", "/v1/tokens"),
        ("POST", "/v1/tokens"),
        ("DELETE", "/v1/tokens/admin"),
    ];
    for scope in ["read", "publish", "remove"] {
        let client = site.client.scoped(scope, &[scope]).await;
        for (name, path) in reads {
            let expected = if scope == "read" { 200 } else { 403 };
            let answer = answered(client.request(method(name), path)).await;
            assert_eq!(answer.status, expected, "{scope}: {name} {path}");
        }
        for (name, path) in administers {
            answered(client.request(method(name), path)).await.refused(403, "forbidden");
        }
        if scope != "publish" {
            client.put("b", b"b").await.refused(403, "forbidden");
            client.upload("b", b"b").await.refused(403, "forbidden");
        }
        if scope != "remove" {
            client.delete("/v1/files/a").await.refused(403, "forbidden");
        }
    }
    assert_eq!(site.client.names().await, ["a"]);
    assert_eq!(site.client.height().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_changes_only_what_it_published_itself() {
    let site = Site::found().await;
    let owner = site.client.scoped("owner", &["publish", "remove"]).await;
    let other = site.client.scoped("other", &["publish", "remove"]).await;
    let first = owner.put("a", b"first").await.ok().json();

    other.put("a?replace", b"other").await.refused(403, "forbidden");
    other.delete("/v1/files/a").await.refused(403, "forbidden");
    assert_eq!(site.client.record("a").await["file_id"], first["file_id"]);
    assert_eq!(site.client.height().await, 1);

    owner.put("a?replace", b"second").await.ok();
    assert_eq!(site.client.get("/v1/files/a").await.ok().body, b"second");
    // From then on it is what the admin published.
    site.client.put("a?replace", b"third").await.ok();
    owner.put("a?replace", b"fourth").await.refused(403, "forbidden");
    owner.delete("/v1/files/a").await.refused(403, "forbidden");

    owner.put("b", b"b").await.ok();
    owner.delete("/v1/files/b").await.ok();
    other.put("c", b"c").await.ok();
    site.client.delete("/v1/files/c").await.ok();
    assert_eq!(site.client.names().await, ["a"]);
}

/// A page can give its own name the address of a node (DNS rebinding) and then talk to it as to its own origin.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_answers_only_to_its_own_names() {
    let site = Site::found().await;
    let ask =
        |host: &'static str| answered(site.client.request(Method::GET, "/v1/status").header("host", host));
    for host in ["localhost", "localhost:80", "127.0.0.1", "[::1]:8000", "10.1.2.3"] {
        assert_eq!(ask(host).await.status, 200, "{host}");
    }
    for host in ["evil.example", "evil.example:8000", "localhost.evil.example", ""] {
        assert_eq!(ask(host).await.status, 403, "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_changes_nothing() {
    let site = Site::found().await;
    let own = format!("http://{}", site.home.address());
    let put = |origin: &str| {
        answered(site.client.request(Method::PUT, "/v1/files/a").header("origin", origin).body("a"))
    };
    for origin in ["https://evil.example", "null", "http://localhost:1"] {
        put(origin).await.refused(403, "forbidden");
    }
    assert_eq!(site.client.height().await, 0);
    put(&own).await.ok();
    let get = site.client.request(Method::GET, "/v1/status").header("origin", "https://evil.example");
    answered(get).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_under_v1_is_a_problem_with_a_code() {
    let site = Site::found().await;
    for (name, path, status) in [
        ("GET", "/v1/nothing", 404),
        ("PATCH", "/v1/status", 405),
        ("GET", "/v1/files/none", 404),
        ("GET", "/v1/files?limit=many", 400),
        ("GET", "/v1/blocks/none", 400),
        ("GET", "/v1/blocks/7", 404),
        ("GET", "/v1/blocks?from=-1", 400),
        ("DELETE", "/v1/nodes/none", 400),
        ("DELETE", "/v1/tokens/none", 404),
        ("POST", "/v1/tokens", 400),
        ("GET", "/v1/files/%FF", 400),
    ] {
        let answer = answered(site.client.request(method(name), path)).await;
        assert_eq!(answer.status, status, "{name} {path}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{name} {path}");
        assert_eq!(answer.json()["status"], status, "{name} {path}");
        assert!(answer.json()["code"].is_string() && answer.json()["detail"].is_string(), "{name} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_its_limit_is_refused_as_what_it_is() {
    let site = Site::found().await;
    let long = vec![b' '; 3 << 20];
    site.client.post("/v1/invites", long.clone()).await.refused(413, "too_large");
    let legacy = site.client.post("/getBlockDatas", long).await;
    assert_eq!(legacy.json()["status"], false);
    legacy.refused(413, "too_large");
}

/// Otherwise the client's next request on the connection, which is as good as any, is lost.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_before_his_body_came_is_told_that_the_connection_ends() {
    let site = Site::found().await;
    for (path, token) in [("/v1/files/..%2Fx", site.client.token()), ("/v1/files/a", "sst_unknown")] {
        let mut wire = Wire::connect(site.home.address()).await;
        let head = format!(
            "PUT {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
             content-length: 1000000\r\n\r\n"
        );
        wire.send(head.as_bytes()).await;
        let answer = wire.answer().await.to_ascii_lowercase();
        assert!(answer.starts_with("http/1.1 4"), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
}

/// Bodies were read before their sender was known: with a few connections anybody could fill the node's memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_without_the_right_is_refused_before_its_body_is_read() {
    let site = Site::found().await;
    for path in ["/addBlock", "/overwriteBlockchain", "/peer/transactions", "/v1/invites", "/v1/tokens"] {
        let mut wire = Wire::connect(site.home.address()).await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 300000\r\n\r\n"
        );
        // Of the body nothing is ever sent.
        wire.send(head.as_bytes()).await;
        let answer = wire.answer().await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{path}: {answer:?}");
    }
    site.stop().await;
}
