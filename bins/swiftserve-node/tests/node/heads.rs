//! What HTTP and TLS add to what members say to each other, counted on a connection. Small messages are many: the
//! figures are in docs/protocol.md and in the simulation.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use reqwest::header::RANGE;
use swift_chunks::FileId;
use swift_p2p::{
    driver::GRAINS_HEADER,
    swarm::message::{Answer, Confirm, Message as _, Offer},
    transport::{PeerClient, PeerRequest},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    client::soon,
    site::{Site, content},
};

/// Bytes that went to a node and came from it.
#[derive(Clone, Default)]
struct Count {
    there: Arc<AtomicUsize>,
    back: Arc<AtomicUsize>,
}

/// What one question took on the wire beside its content.
#[derive(Debug)]
struct Extra {
    request: usize,
    answer: usize,
}

impl Count {
    fn now(&self) -> (usize, usize) {
        (self.there.load(Ordering::SeqCst), self.back.load(Ordering::SeqCst))
    }

    /// Says something of `len` bytes, and gives what came back.
    async fn of(&self, request: PeerRequest, len: usize) -> (Extra, u16, Vec<u8>) {
        let before = self.now();
        let answer = soon(request.send()).await.unwrap();
        let status = answer.status().as_u16();
        let body = soon(answer.bytes()).await.unwrap().to_vec();
        let after = self.now();
        let extra = Extra { request: after.0 - before.0 - len, answer: after.1 - before.1 - body.len() };
        (extra, status, body)
    }
}

/// A way to `to` on which bytes are counted. A task per direction: both ends of it are on this machine.
async fn counted(to: SocketAddr) -> (SocketAddr, Count) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, count) = (listener.local_addr().unwrap(), Count::default());
    let counts = count.clone();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let (near_in, near_out) = near.into_split();
            let (far_in, far_out) = TcpStream::connect(to).await.unwrap().into_split();
            tokio::spawn(carry(near_in, far_out, counts.there.clone()));
            tokio::spawn(carry(far_in, near_out, counts.back.clone()));
        }
    });
    (at, count)
}

async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, count: Arc<AtomicUsize>) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(len @ 1..) = from.read(&mut buffer).await {
        // Before it arrives: whoever has the answer finds all of it counted.
        count.fetch_add(len, Ordering::SeqCst);
        if to.write_all(&buffer[..len]).await.is_err() {
            break;
        }
    }
}

fn slice_request(member: &PeerClient, id: FileId, (first, last): (u64, u64)) -> PeerRequest {
    member.get(&format!("/download?id={id}")).header(RANGE, format!("bytes={first}-{last}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_between_members_are_small() {
    let (founder, bytes) = (Site::found().await, content(5 << 20, 1));
    let joiner = Site::join(&founder.invite().await).await;
    founder.client.put("file.bin", &bytes).await.ok();
    let id = FileId::from_bytes(*blake3::hash(&bytes).as_bytes());
    let (at, count) = counted(founder.home.address()).await;
    let member = founder.seen_at(at, &joiner.home.key());
    assert_eq!(soon(member.get("/key").send()).await.unwrap().status(), 200);

    let offer = Offer { file: id, slices: vec![1, 2, 3], take: 1, map: None }.encode();
    let (offered, status, answer) = count.of(member.post("/response").body(offer.clone()), offer.len()).await;
    assert_eq!((status, Answer::decode(&answer).unwrap().verdicts.len()), (200, 3));

    let confirm = Confirm { file: id, slice: 1 }.encode();
    let request = member.post("/webhook").body(confirm.clone());
    let (confirmed, status, _) = count.of(request, confirm.len()).await;
    assert_eq!(status, 204);

    let (grain, status, body) = count.of(slice_request(&member, id, (65_536, 131_071)), 0).await;
    assert_eq!((status, &body[..]), (206, &bytes[65_536..131_072]));

    let request = slice_request(&member, id, (0, 65_535)).header(GRAINS_HEADER, "wanted");
    let (with_tree, status, _) = count.of(request, 0).await;
    assert_eq!(status, 206);

    let (chunk, status, body) = count.of(slice_request(&member, id, (0, (4 << 20) - 1)), 0).await;
    assert_eq!((status, body.len()), (206, 4 << 20));
    // How it falls into records depends on what the socket takes at once.
    assert!(chunk.answer < (4 << 20) / 500, "{chunk:?}");

    // Where content is, its records are counted as well: 22 bytes for each 16 KiB, five of them for a grain.
    let found = [
        ("offer", offered.request, offered.answer),
        ("confirmation", confirmed.request, confirmed.answer),
        ("grain", grain.request, grain.answer),
        ("grain and tree", with_tree.request, with_tree.answer),
    ];
    let known =
        [("offer", 77, 61), ("confirmation", 76, 49), ("grain", 151, 208), ("grain and tree", 170, 2953)];
    assert_eq!(found, known);
}
