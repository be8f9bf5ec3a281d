//! Everything at once against the real program: what it takes of memory, and how soon an honest client is answered
//! meanwhile. The former is asserted, both are printed as a line of JSON (`--nocapture`).

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes},
    response::IntoResponse as _,
};
use futures_util::{future::join_all, stream};
use serde_json::json;
use swift_chunks::FileId;
use swift_p2p::swarm::message::{Confirm, Message as _, Offer};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpSocket, TcpStream},
};

use crate::{
    client::{Client, measured, soon},
    hostile::floods,
    liar::Liar,
    program::Program,
    site::Home,
};

const MEMORY_MAX: u64 = 256 << 20;

/// Connections whose first request never ends, from an address of their own.
async fn slow_connections(to: SocketAddr, count: usize) -> Vec<TcpStream> {
    let head = [&b"GET /healthz HTTP/1.1\r\nx: "[..], &[b'x'; 60 << 10]].concat();
    let mut held = Vec::new();
    for _ in 0..count {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 2], 0).into()).unwrap();
        let mut slow = soon(socket.connect(to)).await.unwrap();
        slow.write_all(&head).await.unwrap();
        held.push(slow);
    }
    held
}

fn serves_without_end(liar: &Liar) {
    for path in [
        "/response",
        "/webhook",
        "/download",
        "/getBlockDatas",
        "/peer/manifest",
        "/peer/who-has",
        "/peer/keep",
    ] {
        liar.answers(path, |_, _| {
            let zeros = Bytes::from_static(&[0; 64 << 10]);
            let endless = stream::repeat_with(move || Ok::<_, std::io::Error>(zeros.clone()));
            Body::from_stream(endless).into_response()
        });
    }
}

/// How long the status took, again and again until the attack is over.
async fn asked_meanwhile(client: &Client, attack: impl Future<Output = ()>) -> Vec<Duration> {
    let mut took = Vec::new();
    let mut attack = std::pin::pin!(attack);
    loop {
        let asked = Instant::now();
        client.get("/v1/status").await.ok();
        took.push(asked.elapsed());
        // tidy: sleep-ok because an honest client asks now and then, and an attack is what it is beside
        let pause = tokio::time::sleep(Duration::from_millis(5));
        tokio::select! {
            () = &mut attack => break,
            () = pause => {}
        }
    }
    took.sort_unstable();
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn under_attack_by_members_and_outsiders_the_program_stays_small_and_answers() {
    let program = Program::start(Home::new(), &[]).await;
    let (client, at) = (program.home.admin(), program.home.address());
    let liars = join_all((0..4).map(|_| Liar::enter(&client, at))).await;
    liars.iter().for_each(serves_without_end);
    let offers: Vec<Offer> = (0..64)
        .map(|file| Offer { file: FileId::from_bytes([file; 32]), slices: vec![1], take: 1, map: None })
        .collect();
    let confirms: Vec<Confirm> =
        (0..64).map(|slice| Confirm { file: FileId::from_bytes([1; 32]), slice }).collect();
    let attack = async {
        let held = slow_connections(at, 900).await;
        tokio::join!(
            floods(&liars[0], "/response", Offer::encode_all(&offers)),
            floods(&liars[1], "/webhook", Confirm::encode_all(&confirms)),
            // Bodies as long as may be, which are no blocks and no messages.
            floods(&liars[2], "/addBlock", vec![0xff; 7 << 20]),
            floods(&liars[3], "/peer/announce", vec![0xff; 1 << 20]),
        );
        drop(held);
    };
    let took = asked_meanwhile(&client, attack).await;
    let memory = program.peak_memory_bytes();
    let at = |share: usize| took[(took.len() - 1) * share / 100];
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    measured(
        "status_under_attack",
        &json!({
            "asked": took.len(), "median_ms": millis(at(50)), "p99_ms": millis(at(99)), "slowest_ms": millis(at(100)),
            "peak_memory_bytes": memory,
        }),
    );
    assert!(memory < MEMORY_MAX, "{} MiB", memory >> 20);
    let peers = client.get("/v1/peers").await.ok().json();
    for liar in &liars {
        let id = liar.key.id().to_string();
        let row = peers["peers"].as_array().unwrap().iter().find(|row| row["node_id"] == id).unwrap();
        assert!(row["isolations"].as_u64().unwrap() > 0, "{row}");
    }
    client.put("a", b"a").await.ok();
    program.terminate().await;
}
