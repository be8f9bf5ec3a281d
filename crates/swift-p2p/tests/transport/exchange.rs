//! Requests to a peer and their answers: which connection they take, and what happens when it ends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::DefaultBodyLimit,
    routing::{any, get, post},
};
use futures_util::stream;
use swift_p2p::transport::*;
use tokio::sync::mpsc;

use super::harness::*;

/// More than any buffer on the way holds.
const LONG: usize = 40 << 20;

fn pattern(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}

#[tokio::test]
async fn long_bodies_arrive_as_they_were_sent_in_both_directions() {
    let router = Router::new()
        .route("/there", post(async |body: Bytes| (body == pattern(LONG)).to_string()))
        .route("/back", get(async || pattern(LONG)))
        .layer(DefaultBodyLimit::disable());
    let server = Node::start_with(router, |config| config).await;
    let client = server.client(2);
    let there = soon(client.post("/there").body(pattern(LONG)).send()).await.unwrap();
    assert_eq!(soon(there.text()).await.unwrap(), "true");
    let back = soon(client.get("/back").send()).await.unwrap();
    assert!(soon(back.bytes()).await.unwrap() == pattern(LONG));
    assert_eq!(server.sessions.count(&key(2).id()), 1, "over one connection");
}

#[tokio::test]
async fn a_body_of_unknown_length_ends_where_it_ends() {
    let body = async || {
        let pieces = ["a", "", "bc"].map(|piece| Ok::<_, std::convert::Infallible>(Bytes::from(piece)));
        Body::from_stream(stream::iter(pieces))
    };
    let server = Node::start_with(Router::new().route("/pieces", get(body)), |config| config).await;
    let client = server.client(2);
    for _ in 0..3 {
        let answer = soon(client.get("/pieces").send()).await.unwrap();
        assert_eq!(soon(answer.text()).await.unwrap(), "abc");
    }
    assert_eq!(server.sessions.count(&key(2).id()), 1, "over one connection");
}

#[tokio::test]
async fn what_nobody_reads_is_not_fetched() {
    let made = Arc::new(AtomicUsize::new(0));
    let count = made.clone();
    let (sender, mut stuck) = mpsc::unbounded_channel();
    let body = move || async move {
        Body::from_stream(stream::unfold((count, sender), |(count, sender)| async {
            count.fetch_add(1 << 16, Ordering::Relaxed);
            sender.send(()).unwrap();
            Some((Ok::<_, std::convert::Infallible>(Bytes::from_static(&[0; 1 << 16])), (count, sender)))
        }))
    };
    let server = Node::start_with(Router::new().route("/endless", get(body)), |config| config).await;
    let client = server.client(2);
    let mut answer = soon(client.get("/endless").send()).await.unwrap();
    // A second without another piece: the buffers of both sockets are full.
    while tokio::time::timeout(Duration::from_secs(1), stuck.recv()).await.is_ok() {}
    let before = made.load(Ordering::Relaxed);
    assert!(before < LONG, "{before} bytes were made for a reader that reads nothing");
    let mut read = 0;
    while read <= before {
        read += soon(answer.chunk()).await.unwrap().unwrap().len();
    }
    assert!(made.load(Ordering::Relaxed) > before, "it goes on when somebody reads");
}

#[tokio::test]
async fn as_many_connections_stay_as_are_kept_for_their_next_use() {
    let server = Node::start().await;
    let client = server.client(2);
    let asking: Vec<_> = (0..10).map(|_| ask(&client)).collect();
    for answer in futures_util::future::join_all(asking).await {
        answer.unwrap();
    }
    soon(async {
        while server.sessions.count(&key(2).id()) > 4 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(client);
    soon(async {
        while server.sessions.count(&key(2).id()) > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_the_other_side_closed_is_not_picked() {
    let server =
        Node::start_limited(Limits { header_deadline: Duration::from_millis(20), ..Limits::default() }).await;
    let client = server.client(2);
    for _ in 0..3 {
        ask(&client).await.unwrap();
        soon(async {
            while server.sessions.count(&key(2).id()) > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

/// Cuts the connection over which the second request to `/cut` comes, and answers all others with their number.
async fn cutting() -> (Node, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let (count, sessions) = (asked.clone(), Arc::new(std::sync::OnceLock::<Sessions>::new()));
    let own = sessions.clone();
    let cut = move || async move {
        let number = count.fetch_add(1, Ordering::Relaxed);
        if number == 1 {
            own.get().unwrap().close(&key(2).id());
            std::future::pending::<()>().await;
        }
        number.to_string()
    };
    let server = Node::start_with(Router::new().route("/cut", any(cut)), |config| config).await;
    assert!(sessions.set(server.sessions.clone()).is_ok());
    (server, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_over_a_connection_that_just_ends_is_asked_once_again() {
    let (server, asked) = cutting().await;
    let client = server.client(2);
    for expected in ["0", "2"] {
        let answer = soon(client.get("/cut").send()).await.unwrap();
        assert_eq!(soon(answer.text()).await.unwrap(), expected);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_been_done_is_not_done_again() {
    let (server, asked) = cutting().await;
    let client = server.client(2);
    let answer = soon(client.post("/cut").body("x").send()).await.unwrap();
    assert_eq!(soon(answer.text()).await.unwrap(), "0");
    let error = soon(client.post("/cut").body("x").send()).await.unwrap_err();
    assert!(matches!(error, DialError::Interrupted(_)), "{error:?}");
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let router = Router::new()
        .route("/never", get(async || std::future::pending::<()>().await))
        .route("/begins", get(async || Body::from_stream(begins())));
    let server = Node::start_with(router, |config| config).await;
    let client = server.client(2);
    let soon_over = Duration::from_millis(50);
    let error = soon(client.get("/never").timeout(soon_over).send()).await.unwrap_err();
    assert_eq!(error, DialError::TimedOut);
    let answer = soon(client.get("/begins").timeout(Duration::from_millis(500)).send()).await.unwrap();
    assert_eq!(soon(answer.text()).await.unwrap_err(), DialError::TimedOut);
}

/// A body that begins and does not go on.
fn begins() -> impl futures_util::Stream<Item = Result<Bytes, std::convert::Infallible>> {
    use futures_util::StreamExt as _;
    stream::iter([Ok(Bytes::from_static(b"a"))]).chain(stream::pending())
}
