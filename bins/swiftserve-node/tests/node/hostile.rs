//! Members with valid keys that lie: nothing false is taken over, who lies is isolated and named, and the node goes on.

use std::net::SocketAddr;

use axum::{
    body::{Body, Bytes},
    http::{StatusCode, header::CONTENT_RANGE},
    response::{IntoResponse as _, Response},
};
use futures_util::{FutureExt as _, future::join_all, stream};
use serde_json::Value;
use swift_chunks::{FileId, Manifest};
use swift_p2p::swarm::message::{
    Confirm, Held, Holding, Holdings, Interest, Map, Message as _, Offer, Stamp,
};
use tokio::net::TcpListener;

use crate::{
    blame::serves,
    client::{answered, until},
    liar::Liar,
    site::{Home, Site, content},
};

const CHUNK: usize = 4 << 20;

/// What is published is on its way: the node wants it, and only the liar has it.
async fn lured(site: &Site, liar: &Liar, name: &str, chunks: usize, seed: u64) -> (FileId, Vec<u8>) {
    let bytes = content(chunks * CHUNK, seed);
    let file = liar.publishes(site, name, &bytes, None).await;
    // It takes offers from whom it reaches.
    until(|| async { liar.row(site).await["connected"] == true }).await;
    (file, bytes)
}

/// Answers with a part of something, whole chunks of it.
pub(crate) fn part(body: impl Into<Body>, range: &str) -> Response {
    let mut response = (StatusCode::PARTIAL_CONTENT, body.into()).into_response();
    response.headers_mut().insert(CONTENT_RANGE, range.parse().unwrap());
    response
}

/// Offers the file until the node has asked for it so often, or has nothing to do with the liar any more.
async fn press(site: &Site, liar: &Liar, file: FileId, slices: Vec<u32>) -> Value {
    until(|| async {
        liar.offers(file, slices.clone()).await;
        liar.row(site).await["isolated_until_ms"].is_u64()
    })
    .await;
    liar.row(site).await
}

/// The number of the slice that is a whole chunk.
pub(crate) fn whole_chunk(len: usize, chunk: u64) -> u32 {
    let layout = swift_chunks::ChunkLayout::new(len as u64).unwrap();
    swift_chunks::Slice::of_chunk(layout.chunk(chunk).unwrap()).number()
}

/// Serves whole chunks of other bytes than those asked for.
fn serve_other_bytes(liar: &Liar) {
    liar.answers("/download", |request, _| {
        let range = request.headers()["range"].to_str().unwrap().trim_start_matches("bytes=").to_owned();
        let (first, last) = range.split_once('-').unwrap();
        let len = last.parse::<usize>().unwrap() + 1 - first.parse::<usize>().unwrap();
        part(vec![7; len], &format!("bytes {range}/*"))
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_serves_wrong_bytes_is_isolated_and_shown_with_what_it_did() {
    let site = Site::found().await;
    let liar = Liar::join(&site).await;
    let (file, bytes) = lured(&site, &liar, "lure.bin", 3, 1).await;
    let manifest = Manifest::of(&bytes[..]).unwrap().encoded().to_vec();
    liar.answers("/peer/manifest", move |_, _| manifest.clone().into_response());
    serve_other_bytes(&liar);
    let slices = (0..3).map(|chunk| whole_chunk(bytes.len(), chunk)).collect();
    let row = press(&site, &liar, file, slices).await;
    assert!(row["offences"]["wrong_bytes"].as_u64().unwrap() >= 2, "{row}");
    assert_eq!(row["last_offence"]["kind"], "wrong_bytes");
    assert!(row["last_offence"]["detail"].as_str().unwrap().contains(&file.to_string()), "{row}");
    assert!(row["last_offence"]["at_ms"].as_u64().unwrap() < row["isolated_until_ms"].as_u64().unwrap());
    assert_eq!(row["isolations"], 1);
    assert!(row["received_bytes"].as_u64().unwrap() > 0 && row["message_bytes"].as_u64().unwrap() > 0);
    // Nothing of it was taken over, and nothing more is said to the liar but what the ledger needs.
    assert_eq!(site.client.record("lure.bin").await["held_bytes"], 0);
    let (status, refusal) = liar.offers(file, vec![1]).await;
    let refusal: Value = serde_json::from_slice(&refusal).unwrap();
    assert_eq!((status, &refusal["code"]), (403, &"isolated".into()));
    assert_eq!(liar.says("/getBlockDatas", "num=1").await.0, 200);
    // Others are served as before.
    site.client.put("other.bin", b"x").await.ok();
    let other = Site::join(&site.invite().await).await;
    other.completes("other.bin").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_serves_another_manifest_is_isolated() {
    let site = Site::found().await;
    let liar = Liar::join(&site).await;
    let (file, bytes) = lured(&site, &liar, "lure.bin", 2, 2).await;
    let other = Manifest::of(&content(2 * CHUNK, 3)[..]).unwrap().encoded().to_vec();
    liar.answers("/peer/manifest", move |_, _| other.clone().into_response());
    let row = press(&site, &liar, file, vec![whole_chunk(bytes.len(), 0), whole_chunk(bytes.len(), 1)]).await;
    assert!(row["offences"]["wrong_bytes"].as_u64().unwrap() >= 2, "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_an_end_is_left_and_its_sender_isolated() {
    let site = Site::found().await;
    let liar = Liar::join(&site).await;
    let (file, bytes) = lured(&site, &liar, "lure.bin", 2, 4).await;
    let endless = || {
        let zeros = Bytes::from_static(&[0; 64 << 10]);
        Body::from_stream(stream::repeat_with(move || Ok::<_, std::io::Error>(zeros.clone())))
    };
    liar.answers("/peer/manifest", move |_, _| endless().into_response());
    // What it says besides has no end either.
    for path in ["/response", "/webhook", "/peer/who-has", "/peer/announce", "/peer/keep"] {
        liar.answers(path, move |_, _| endless().into_response());
    }
    press(&site, &liar, file, vec![whole_chunk(bytes.len(), 0), whole_chunk(bytes.len(), 1)]).await;
    site.client.put("other.bin", b"x").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_offers_what_it_lacks_is_isolated() {
    let site = Site::found().await;
    let liar = Liar::join(&site).await;
    let (file, bytes) = lured(&site, &liar, "lure.bin", 1, 5).await;
    let manifest = Manifest::of(&bytes[..]).unwrap().encoded().to_vec();
    liar.answers("/peer/manifest", move |_, _| manifest.clone().into_response());
    liar.answers("/download", |_, _| StatusCode::NOT_FOUND.into_response());
    liar.offers(file, vec![whole_chunk(bytes.len(), 0)]).await;
    until(|| async { liar.row(&site).await["offences"]["not_there"].is_u64() }).await;
    // Once may be an accident.
    assert!(liar.row(&site).await["isolated_until_ms"].is_null());
}

/// One link that stalls proves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_answers_do_not_come_is_not_isolated() {
    let site = Site::found().await;
    let liar = Liar::join(&site).await;
    let (file, bytes) = lured(&site, &liar, "lure.bin", 1, 6).await;
    let manifest = Manifest::of(&bytes[..]).unwrap().encoded().to_vec();
    liar.answers("/peer/manifest", move |_, _| manifest.clone().into_response());
    let broken = || {
        let first = Ok(Bytes::from_static(&[0; 100]));
        let cut = Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        Body::from_stream(stream::iter([first, cut]))
    };
    liar.answers("/download", move |_, _| part(broken(), "bytes 0-4194303/*"));
    for path in ["/response", "/webhook", "/peer/who-has", "/peer/announce"] {
        liar.answers(path, move |_, _| broken().into_response());
    }
    for _ in 0..20 {
        liar.offers(file, vec![whole_chunk(bytes.len(), 0)]).await;
    }
    liar.was_asked("/download", 1).await;
    let row = liar.row(&site).await;
    assert!(row["isolated_until_ms"].is_null(), "{row}");
    assert!(row["offences"]["wrong_bytes"].is_null() && row["offences"]["malformed"].is_null(), "{row}");
}

/// Many requests at once, as fast as they are taken.
pub(crate) async fn floods(liar: &Liar, path: &str, body: Vec<u8>) -> Vec<u16> {
    let body = Bytes::from(body);
    let lane = async || {
        let mut answers = Vec::new();
        for _ in 0..60 {
            // Connections are cut in the moment of isolation.
            let Ok(answer) = liar.client.post(path).body(body.clone()).send().await else { continue };
            answers.push(answer.status().as_u16());
            if answers.last() == Some(&403) {
                break;
            }
        }
        answers
    };
    crate::client::soon(join_all((0..40).map(|_| lane()))).await.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_offers_is_refused_and_isolates() {
    let site = Site::found().await;
    let offer =
        |file: u8| Offer { file: FileId::from_bytes([file; 32]), slices: vec![1], take: 1, map: None };
    let liar = Liar::join(&site).await;
    // Files that do not exist: each costs a look into the ledger.
    let offers: Vec<Offer> = (0..64).map(offer).collect();
    let answers = floods(&liar, "/response", Offer::encode_all(&offers)).await;
    assert!(answers.contains(&200) && answers.contains(&403), "{answers:?}");
    let row = liar.is_isolated(&site).await;
    assert_eq!(row["last_offence"]["kind"], "flood", "{row}");
    site.client.put("a", b"a").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_questions_for_what_nobody_has_isolates() {
    let site = Site::found().await;
    let liar = Liar::join(&site).await;
    let path = format!("/download?id={}", "ab".repeat(32));
    let lane = async || {
        for _ in 0..100 {
            // Connections are cut in the moment of isolation.
            if liar.client.get(&path).send().await.is_ok_and(|answer| answer.status() == 403) {
                break;
            }
        }
    };
    crate::client::soon(join_all((0..40).map(|_| lane()))).await;
    assert_eq!(liar.is_isolated(&site).await["last_offence"]["kind"], "flood");
}

#[tokio::test(flavor = "multi_thread")]
async fn confirmations_of_what_was_never_sent_change_nothing() {
    let site = Site::found().await;
    let liar = Liar::join(&site).await;
    let file = site.client.put("a", &content(CHUNK, 7)).await.ok().json();
    let file: FileId = file["file_id"].as_str().unwrap().parse().unwrap();
    let confirms: Vec<Confirm> = (0..64).map(|slice| Confirm { file, slice }).collect();
    let body = Confirm::encode_all(&confirms);
    assert_eq!(liar.says("/webhook", body).await.0, 204);
    let unknown = Confirm { file: FileId::from_bytes([9; 32]), slice: u32::MAX };
    assert_eq!(liar.says("/webhook", unknown.encode()).await.0, 204);
    // It has confirmed nothing that counts as a copy.
    let copies = site.client.get("/v1/files/a?copies").await.ok().json();
    assert_eq!(copies["complete"].as_array().unwrap().len(), 1, "{copies}");
    assert!(liar.row(&site).await["isolated_until_ms"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_node_says_is_refused_on_every_route_and_isolates() {
    let site = Site::found().await;
    let file = site.client.put("a", &content(3 * CHUNK, 8)).await.ok().json();
    let file: FileId = file["file_id"].as_str().unwrap().parse().unwrap();
    // A length that claims as much as a number can say, where lists and texts begin.
    let huge = [&[0xff; 9][..], &[1]].concat();
    let stamp = Stamp { incarnation: 1, seq: 1 };
    let map = |held| Map { stamp, interest: Interest::Wanted, held, open: Vec::new(), ahead: Vec::new() };
    // Of a file with another size than the ledger's.
    let of_other_size = map(Held::All(vec![0xff; 1000]));
    let said = |map| Holdings { holdings: vec![Holding { file, map: Some(map) }] }.encode();
    let cases: [(&str, Vec<u8>); 10] = [
        ("/response", [&[1; 32][..], &huge].concat()),
        ("/webhook", vec![0xff; 64]),
        ("/peer/who-has", huge.clone()),
        ("/peer/announce", huge.clone()),
        ("/peer/keep", huge.clone()),
        ("/peer/hello", huge.clone()),
        ("/peer/transactions", huge.clone()),
        ("/peer/consensus", huge.clone()),
        ("/addBlock", [&[1], &[0xff; 4][..]].concat()),
        ("/response", vec![0; 2 << 20]),
    ];
    for (path, body) in cases {
        let liar = Liar::join(&site).await;
        for _ in 0..5 {
            // The last ones find it isolated, but for what the ledger needs.
            let status = liar.says(path, body.clone()).await.0;
            assert!(matches!(status, 0 | 400 | 403 | 413), "{path}: {status}");
        }
        let row = liar.is_isolated(&site).await;
        assert!(row["last_offence"]["detail"].as_str().unwrap().contains(path), "{row}");
    }
    let liar = Liar::join(&site).await;
    until(|| async { liar.row(&site).await["connected"] == true }).await;
    until(|| async {
        liar.says("/peer/announce", said(of_other_size.clone())).await;
        liar.row(&site).await["offences"]["malformed"].is_u64()
    })
    .await;
    site.client.put("b", b"b").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_and_long_names_are_refused_as_what_they_are() {
    let site = Site::found().await;
    let liar = Liar::join(&site).await;
    let deep = "a/".repeat(600) + "a";
    let long = "x".repeat(5_000);
    for name in [deep.as_str(), long.as_str(), "../etc/passwd", "a//b", "a%00b", "CON"] {
        let form = format!("filename={name}&chunk=1&total_chunks=1&start_byte=0&end_byte=0&sha1=x");
        for path in ["/response", "/webhook"] {
            let (status, answer) = liar.fills_in(path, &form).await;
            assert_eq!((status, &answer["status"]), (200, &false.into()), "{path} {name:.20}: {answer}");
        }
    }
    assert_eq!(site.client.height().await, 1);
}

/// The original service dialled whatever address stood in such a form.
#[tokio::test(flavor = "multi_thread")]
async fn no_address_that_a_message_names_is_ever_dialled() {
    let site = Site::found().await;
    let third = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let (ip, port) = (third.local_addr().unwrap().ip(), third.local_addr().unwrap().port());
    let liar = Liar::join(&site).await;
    let (_, bytes) = lured(&site, &liar, "lure.bin", 1, 9).await;
    let (manifest, served) = (Manifest::of(&bytes[..]).unwrap().encoded().to_vec(), bytes.clone());
    liar.answers("/peer/manifest", move |_, _| manifest.clone().into_response());
    liar.answers("/download", move |_, _| part(served.clone(), "bytes 0-4194303/4194304"));
    let form = format!(
        "filename=lure.bin&chunk=1&total_chunks=1&start_byte=0&end_byte=4194303&sha1=00&ip_address={ip}&port={port}"
    );
    let token = |path: &'static str| {
        let request = site.client.request(reqwest::Method::POST, path);
        request.header("content-type", "application/x-www-form-urlencoded").body(form.clone())
    };
    for path in ["/response", "/webhook"] {
        answered(token(path)).await.is(200);
        assert_eq!(liar.fills_in(path, &form).await.0, 200);
    }
    // Everything that follows from it has happened when the file is here: it came from the member.
    until(|| async {
        liar.fills_in("/response", &form).await;
        site.client.record("lure.bin").await["complete"] == true
    })
    .await;
    assert!(third.accept().now_or_never().is_none(), "a third address was dialled");
}

/// The term of an isolation was counted in tests of the machine alone. On a live node it has to end by itself as well, on
/// the routes and in the swarm.
#[tokio::test(flavor = "multi_thread")]
async fn when_an_isolation_is_over_the_member_is_dealt_with_again() {
    let brief = std::time::Duration::from_millis(500);
    let site = Home::new().start_as(|options| options.isolation_first = brief).await;
    let liar = Liar::join(&site).await;
    let (file, bytes) = lured(&site, &liar, "lure.bin", 2, 77).await;
    // Twice what no node says, or more if the connection was cut with the first answer.
    until(|| async {
        liar.says("/peer/who-has", vec![0xff; 100]).await;
        liar.row(&site).await["isolations"].as_u64().unwrap() > 0
    })
    .await;
    until(|| async { liar.row(&site).await["isolated_until_ms"].is_null() }).await;
    // It tells the truth now, and is heard: what it has is taken from it.
    let manifest = Manifest::of(&bytes[..]).unwrap().encoded().to_vec();
    serves(&liar, manifest, bytes.clone());
    let slices = vec![whole_chunk(bytes.len(), 0), whole_chunk(bytes.len(), 1)];
    until(|| async {
        liar.offers(file, slices.clone()).await;
        site.client.record("lure.bin").await["complete"] == true
    })
    .await;
    assert!(liar.row(&site).await["isolated_until_ms"].is_null());
}
