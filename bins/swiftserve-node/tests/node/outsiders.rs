//! Who has neither key nor token gets nothing, on any route, and keeps nobody else out.

use std::{fs, path::Path};

use reqwest::Method;
use swift_chain::NodeKey;
use tokio::{io::AsyncWriteExt as _, net::TcpSocket};

use crate::{
    client::{answered, soon},
    site::Site,
};

/// What anybody may ask.
const OPEN: [&str; 5] = ["/healthz", "/readyz", "/key", "/", "/openapi.json"];
/// The parts of the page for browsers, which hold nothing of this node.
const PARTS: &str = "/web/{part}";
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// Every path: what the node's document says, and the routes for members alone, found in their source. A new route is
/// found as well.
async fn all_paths(site: &Site) -> Vec<String> {
    let document = site.client.anonymous().get("/openapi.json").await.is(200).json();
    let mut paths: Vec<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/swift-http/src/peer");
    for entry in fs::read_dir(source).unwrap() {
        let path = entry.unwrap().path();
        for call in fs::read_to_string(&path).unwrap().split(".route(").skip(1) {
            let Some(literal) = call.trim_start().strip_prefix('"') else {
                panic!("{}: a route whose path is no literal cannot be checked", path.display());
            };
            paths.push(format!("/peer{}", literal.split('"').next().unwrap()));
        }
    }
    assert!(paths.len() >= 45, "only {} routes were found", paths.len());
    paths
}

/// Those that ask for a credential.
async fn guarded_paths(site: &Site) -> Vec<String> {
    let mut paths = all_paths(site).await;
    paths.retain(|path| !OPEN.contains(&path.as_str()) && path != PARTS);
    paths.iter().map(|path| filled(path)).collect()
}

/// A path in which the places for names and numbers are filled in.
fn filled(path: &str) -> String {
    let parts = path.split('/').map(|part| match part {
        "{height}" => "1",
        placeholder if placeholder.starts_with('{') => "a",
        part => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tells_of_the_program_answers_without_a_credential_and_nothing_else() {
    let site = Site::found().await;
    let stranger = site.client.anonymous();
    for path in guarded_paths(&site).await {
        let mut guarded = 0;
        for method in METHODS {
            let request = stranger.request(method.parse::<Method>().unwrap(), &path);
            let status = answered(request).await.status;
            if (method, path.as_str()) == ("POST", "/v1/sessions") {
                assert_eq!(status, 400, "a sign-in without a credential in its body");
                continue;
            }
            // What is asked in a way that the route does not know says nothing either.
            assert!(matches!(status, 401 | 403 | 405), "{method} {path}: {status}");
            guarded += usize::from(status != 405);
        }
        assert!(guarded > 0, "{path} takes no method that was tried");
    }
    for path in OPEN {
        stranger.get(path).await.is(200);
    }
    stranger.get("/web/app.js").await.is(200);
    stranger.get(&filled(PARTS)).await.is(404);
    assert_eq!(site.client.height().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_ledger_does_not_know_can_ask_to_join_and_nothing_else() {
    let site = Site::found().await;
    let stranger = site.seen_by(&NodeKey::from_seed([77; 32]));
    for path in guarded_paths(&site).await {
        for method in METHODS {
            let request = stranger.request(method.parse().unwrap(), &path);
            let status = soon(request.send()).await.unwrap().status().as_u16();
            if path == "/peer/join" && method == "POST" {
                assert_eq!(status, 400, "a request to join that is none");
            } else {
                assert!(matches!(status, 403 | 405), "{method} {path}: {status}");
            }
        }
    }
    assert_eq!(site.client.height().await, 0);
}

/// Silent connections, unfinished handshakes and unfinished heads, as many as one address may have, and then an honest
/// client from another.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_slow_connections_keep_no_honest_client_out() {
    let site = Site::found().await;
    let begun: [&[u8]; 4] = [
        b"",
        &[0x16, 3, 1, 2, 0, 1],
        b"GET /healthz HTT",
        b"POST /peer/join HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n1",
    ];
    let mut held = Vec::new();
    for number in 0..1_000_usize {
        // Elsewhere on this machine: an address has only so many places.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 2], 0).into()).unwrap();
        let mut slow = soon(socket.connect(site.home.address())).await.unwrap();
        slow.write_all(begun[number % begun.len()]).await.unwrap();
        held.push(slow);
    }
    site.client.anonymous().get("/healthz").await.is(200);
    site.client.put("a", b"a").await.ok();
    let joined = Site::join(&site.invite().await).await;
    joined.completes("a").await;
    assert_eq!(held.len(), 1_000);
}

/// A body that trickles in holds a place for good where nobody looks at the clock.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_refused_before_its_body_has_come() {
    let site = Site::found().await;
    for path in [
        "/peer/hello",
        "/peer/who-has",
        "/peer/announce",
        "/peer/keep",
        "/peer/join",
        "/response",
        "/webhook",
    ] {
        let mut wire = crate::wire::Wire::connect(site.home.address()).await;
        let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 30\r\n\r\n1");
        wire.send(head.as_bytes()).await;
        let answer = wire.answer().await;
        assert!(answer.starts_with("HTTP/1.1 401") || answer.starts_with("HTTP/1.1 403"), "{path}: {answer}");
    }
}
