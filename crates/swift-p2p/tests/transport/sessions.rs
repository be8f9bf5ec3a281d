//! How a connection ends: with its node's membership, or with the listener.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body, routing::get};
use bytes::Bytes;
use futures_util::stream;
use swift_p2p::transport::*;
use tokio::{
    net::TcpStream,
    sync::{Semaphore, mpsc},
    time::Instant,
};

use super::harness::*;

/// Answers `/endless` with zeroes until the body is dropped, and says when that happens.
fn endless() -> (Router, mpsc::UnboundedReceiver<()>) {
    struct Dropped(mpsc::UnboundedSender<()>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            // The test may have ended.
            let _ = self.0.send(());
        }
    }
    let (sender, dropped) = mpsc::unbounded_channel();
    let body = move || async move {
        let zeroes = stream::unfold(Dropped(sender), |guard| async {
            Some((Ok::<_, Infallible>(Bytes::from_static(&[0; 65_536])), guard))
        });
        Body::from_stream(zeroes)
    };
    (Router::new().route("/endless", get(body)), dropped)
}

#[tokio::test]
async fn a_node_removed_during_a_transfer_loses_it_and_is_then_known_as_removed() {
    let (router, mut dropped) = endless();
    let server = Node::start_with(router, |config| config).await;
    let (id, client) = (key(2).id(), server.client(2));
    server.ledger.set(id, MEMBER);
    let mut transfer = soon(client.get("/endless").send()).await.unwrap();
    for _ in 0..8 {
        assert!(soon(transfer.chunk()).await.unwrap().is_some());
    }
    server.ledger.set(id, Standing::Removed);
    assert_eq!(server.sessions.close_former_members(), 1);
    soon(dropped.recv()).await;
    let error = soon(async {
        loop {
            if let Err(error) = transfer.chunk().await {
                break error;
            }
        }
    })
    .await;
    assert!(matches!(error, DialError::Interrupted(_)), "{error:?}");
    assert_eq!(ask(&client).await.unwrap(), node(2, Standing::Removed));
}

#[tokio::test]
async fn a_node_that_does_not_read_is_cut_all_the_same() {
    // Its socket's buffer is full and would be sent on for as long as it takes; zero linger throws it away.
    let (router, mut dropped) = endless();
    let server = Node::start_with(router, |config| config).await;
    server.ledger.set(key(2).id(), MEMBER);
    let client = server.client(2);
    let unread = soon(client.get("/endless").send()).await.unwrap();
    assert_eq!(server.sessions.close(&key(2).id()), 1);
    soon(dropped.recv()).await;
    let error = soon(unread.bytes()).await.unwrap_err();
    assert!(
        matches!(&error, DialError::Interrupted(reason) if reason.contains("reset by peer")),
        "{error:?}"
    );
    assert_eq!(server.sessions.counts(), SessionCounts::default());
}

#[tokio::test]
async fn closing_one_node_leaves_the_others_alone() {
    let server = Node::start().await;
    let clients = [2, 3, 4].map(|number| server.client(number));
    server.ledger.set(key(2).id(), MEMBER);
    server.ledger.set(key(3).id(), MEMBER);
    for client in &clients {
        ask(client).await.unwrap();
    }
    assert_eq!(server.sessions.counts(), SessionCounts { nodes: 3, sessions: 3 });
    assert_eq!(server.sessions.close_former_members(), 0, "a stranger may be about to join");
    server.ledger.set(key(3).id(), Standing::Removed);
    assert_eq!(server.sessions.close_former_members(), 1);
    assert_eq!(server.sessions.close(&key(7).id()), 0);
    assert_eq!(ask(&clients[0]).await.unwrap(), node(2, MEMBER));
    assert_eq!(ask(&clients[2]).await.unwrap(), node(4, Standing::Stranger));
    assert_eq!(server.sessions.count(&key(2).id()), 1);
}

/// Answers `/slow` once `go` has a permit, and says when a request has come in.
fn slow() -> (Router, mpsc::UnboundedReceiver<()>, Arc<Semaphore>) {
    let (sender, entered) = mpsc::unbounded_channel();
    let go = Arc::new(Semaphore::new(0));
    let wait = go.clone();
    let sender = Arc::new(Mutex::new(sender));
    let handler = move || async move {
        sender.lock().unwrap().send(()).unwrap();
        wait.acquire().await.unwrap().forget();
        "done"
    };
    (Router::new().route("/slow", get(handler)), entered, go)
}

#[tokio::test]
async fn a_stopping_listener_lets_running_requests_finish() {
    let (router, mut entered, go) = slow();
    let patient = Limits { header_deadline: Duration::from_secs(3600), ..Limits::default() };
    let server = Node::start_with(router, |config| config.with_limits(patient)).await;
    let (at, client) = (server.at, server.client(2));
    let mut idle = server.connect().await;
    ask_plainly(&mut idle, "/whoami", "}").await;
    let mut silent = server.connect().await;
    let running = tokio::spawn(async move { client.get("/slow").send().await?.text().await });
    soon(entered.recv()).await;

    let stopped = server.stop(Instant::now() + Duration::from_secs(3600));
    assert_eq!(until_closed(&mut idle).await, b"", "idle connections end at once");
    drop(idle);
    assert_eq!(until_closed(&mut silent).await, b"", "and those that have not said a word");
    // Nobody is let in any more; the port may be another test's by now, which knows no such path.
    if let Ok(mut late) = TcpStream::connect(at).await {
        let answer = exchange(&mut late, b"GET /slow HTTP/1.0\r\n\r\n").await;
        assert!(!answer.starts_with(b"HTTP/1.0 200"), "served while stopping");
    }

    go.add_permits(1);
    assert_eq!(soon(running).await.unwrap().unwrap(), "done");
    assert_eq!(soon(stopped).await.unwrap(), 0);
}

#[tokio::test]
async fn what_runs_beyond_the_deadline_is_cut() {
    let (router, mut entered, _go) = slow();
    let server = Node::start_with(router, |config| config).await;
    let client = server.client(2);
    let running = tokio::spawn(async move { client.get("/slow").send().await });
    soon(entered.recv()).await;
    let stopped = server.stop(Instant::now());
    assert_eq!(soon(stopped).await.unwrap(), 1);
    let error = soon(running).await.unwrap().unwrap_err();
    assert!(matches!(error, DialError::Interrupted(_)), "{error:?}");
}
