//! What callers that prove nothing can make a node hold is bounded.

use std::time::Duration;

use axum::{Extension, Router};
use swift_p2p::transport::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::harness::*;

const AT_ONCE: Duration = Duration::from_millis(20);

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let server = Node::start_limited(Limits { handshake_deadline: AT_ONCE, ..Limits::default() }).await;
    assert_eq!(until_closed(&mut server.connect().await).await, b"");
}

#[tokio::test]
async fn an_unfinished_handshake_is_closed() {
    let server = Node::start_limited(Limits { handshake_deadline: AT_ONCE, ..Limits::default() }).await;
    // A record header that promises a ClientHello which never comes.
    assert_eq!(exchange(&mut server.connect().await, &[0x16, 3, 1, 2, 0, 1]).await, b"");
}

#[tokio::test]
async fn an_unfinished_header_is_closed() {
    let server = Node::start_limited(Limits { header_deadline: AT_ONCE, ..Limits::default() }).await;
    let answer = exchange(&mut server.connect().await, b"GET /whoami HTTP/1.1\r\nhost: ").await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = Node::start_limited(Limits { header_deadline: AT_ONCE, ..Limits::default() }).await;
    let mut tcp = server.connect().await;
    let answer = exchange(&mut tcp, b"GET /whoami HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn callers_beyond_the_limits_are_told_in_plain_http() {
    let by_address = Limits { connections_from_loopback_max: 1, ..Limits::default() };
    let in_all = Limits { connections_max: 1, ..Limits::default() };
    for limits in [by_address, in_all] {
        let server = Node::start_limited(limits).await;
        let mut first = server.connect().await;
        ask_plainly(&mut first, "/whoami", "}").await;
        let answer = exchange(&mut server.connect().await, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.ends_with("\r\n\r\ntoo many connections\n"), "{answer}");
        assert_eq!(exchange(&mut server.connect().await, &[0x16, 3, 1]).await, b"", "TLS is just closed");
        ask_plainly(&mut first, "/whoami", "}").await;
    }
}

#[tokio::test]
async fn strangers_have_few_seats_and_members_need_none() {
    let server = Node::start_limited(Limits { strangers_max: 1, ..Limits::default() }).await;
    server.ledger.set(key(4).id(), MEMBER);
    let (first, second) = (server.client(2), server.client(3));
    assert_eq!(ask(&first).await.unwrap(), node(2, Standing::Stranger));
    let busy = DialError::Refused(hyper::StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ask(&second).await.unwrap_err(), busy);
    assert_eq!(ask(&server.client(4)).await.unwrap(), node(4, MEMBER));

    // Once the first has joined, its seat is free, on the same connection.
    server.ledger.set(key(2).id(), MEMBER);
    assert_eq!(ask(&first).await.unwrap(), node(2, MEMBER));
    assert_eq!(ask(&second).await.unwrap(), node(3, Standing::Stranger));
}

#[tokio::test]
async fn a_refusal_arrives_although_its_caller_is_still_sending() {
    // The service answers without reading the body. Closing then would reset the connection, and with it goes whatever
    // of the answer the caller has not read yet.
    let server = Node::start().await;
    let mut tcp = server.connect().await;
    let head = "POST /nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n";
    tcp.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    soon(tcp.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 404");
    for _ in 0..10 {
        tcp.write_all(&[0; 50_000]).await.unwrap();
    }
    tcp.shutdown().await.unwrap();
    soon(tcp.read_to_end(&mut answer)).await.expect("an end, and no reset");
}

/// An answer without an end, to somebody who does not read it, kept its connection for ever.
#[tokio::test]
async fn a_service_can_hang_up_on_a_client_that_does_not_read() {
    let (told, mut hung_up) = tokio::sync::mpsc::channel(1);
    let endless = axum::routing::get(async move |Extension(hang_up): Extension<HangUp>| {
        told.send(hang_up).await.unwrap();
        let piece = || Ok::<_, std::io::Error>(vec![0_u8; 1 << 16]);
        axum::body::Body::from_stream(futures_util::stream::repeat_with(piece))
    });
    let server = Node::start_with(Router::new().route("/endless", endless), |config| config).await;
    let mut tcp = server.connect().await;
    tcp.write_all(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    soon(hung_up.recv()).await.unwrap().now();
    // What was sent before may still be read; then there is an end, or a reset.
    let mut sink = Vec::new();
    let _: std::io::Result<usize> = soon(tcp.read_to_end(&mut sink)).await;
    assert!(!sink.ends_with(b"0\r\n\r\n"), "the answer has no end");
}
