//! Members have as many connections as they may, and the rest is refused so that nothing important waits.

use std::sync::Arc;

use axum::{Extension, Router, routing::get};
use swift_p2p::transport::*;
use tokio::sync::Semaphore;

use super::harness::*;

/// What the caller of `/slow` does, and waits for.
#[derive(Clone)]
struct Gate {
    arrived: Arc<Semaphore>,
    leave: Arc<Semaphore>,
}

/// A node that lets members have two connections. `/slow` answers when it is let.
async fn node_with_two_places() -> (Node, Gate) {
    let gate = Gate { arrived: Arc::new(Semaphore::new(0)), leave: Arc::new(Semaphore::new(0)) };
    let slow = {
        let Gate { arrived, leave } = gate.clone();
        async move || {
            arrived.add_permits(1);
            leave.acquire().await.unwrap().forget();
            "done"
        }
    };
    let crowded = async |crowded: Option<Extension<Crowded>>| crowded.is_some().to_string();
    let router = Router::new().route("/slow", get(slow)).route("/is-crowded", get(crowded));
    let server = Node::start_with(router, |config| config).await;
    (2..=5).for_each(|number| server.ledger.set(key(number).id(), MEMBER));
    server.sessions.keep_at_most(Some(2));
    (server, gate)
}

async fn text(client: &PeerClient, path: &str) -> String {
    soon(soon(client.get(path).send()).await.unwrap().text()).await.unwrap()
}

async fn has(server: &Node, number: u8, connections: usize) {
    soon(async {
        while server.sessions.count(&key(number).id()) != connections {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_that_was_idle_longest_makes_room() {
    let (server, _gate) = node_with_two_places().await;
    let clients = [2, 3, 4].map(|number| server.client(number));
    assert_eq!(text(&clients[0], "/is-crowded").await, "false");
    assert_eq!(text(&clients[1], "/is-crowded").await, "false");
    assert_eq!(text(&clients[0], "/is-crowded").await, "false");
    assert_eq!(text(&clients[2], "/is-crowded").await, "false");
    has(&server, 3, 0).await;
    assert_eq!((server.sessions.count(&key(2).id()), server.sessions.count(&key(4).id())), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_all_are_in_use_one_more_is_told_so_and_ends_with_its_answer() {
    let (server, gate) = node_with_two_places().await;
    let busy: Vec<_> = [2, 3]
        .map(|number| {
            let client = server.client(number);
            tokio::spawn(async move { text(&client, "/slow").await })
        })
        .into();
    soon(gate.arrived.acquire_many(2)).await.unwrap().forget();
    let late = server.client(4);
    let answer = soon(late.get("/is-crowded").send()).await.unwrap();
    assert_eq!(answer.headers()["connection"], "close");
    assert_eq!(soon(answer.text()).await.unwrap(), "true");
    has(&server, 4, 0).await;
    gate.leave.add_permits(2);
    for task in busy {
        assert_eq!(soon(task).await.unwrap(), "done");
    }
    assert_eq!(text(&late, "/is-crowded").await, "false");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lower_limit_ends_what_is_idle_at_once() {
    let (server, _gate) = node_with_two_places().await;
    server.sessions.keep_at_most(None);
    let clients = [2, 3, 4, 5].map(|number| server.client(number));
    for client in &clients {
        assert_eq!(text(client, "/is-crowded").await, "false");
    }
    assert_eq!(server.sessions.counts().sessions, 4);
    server.sessions.keep_at_most(Some(1));
    for number in [2, 3, 4] {
        has(&server, number, 0).await;
    }
    assert_eq!(text(&clients[3], "/is-crowded").await, "false");
}

#[tokio::test]
async fn clients_beyond_the_number_to_keep_are_forgotten_those_first_that_rested_longest() {
    let ledger = Arc::new(Ledger::default());
    (2..=5).for_each(|number| ledger.locate(key(number).id(), "127.0.0.1:9".parse().unwrap()));
    let clients = PeerClients::new(Dialer::new(&key(1), network(), ledger).unwrap());
    for number in 2..=5 {
        clients.client(&key(number).id()).unwrap();
    }
    assert_eq!(clients.count(), 4);
    clients.keep_at_most(Some(2));
    for number in [2, 3, 2, 4, 2, 5] {
        clients.client(&key(number).id()).unwrap();
        assert!(clients.count() <= 2);
    }
    clients.keep_at_most(None);
    for number in 2..=5 {
        clients.client(&key(number).id()).unwrap();
    }
    assert_eq!(clients.count(), 4);
}
