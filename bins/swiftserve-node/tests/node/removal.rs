//! A member is removed while it is in the middle of something: every node is done with it as soon as it has the block.

use std::time::Instant;

use axum::{
    body::{Body, Bytes},
    http::{StatusCode, header::CONTENT_RANGE},
    response::IntoResponse as _,
};
use futures_util::{StreamExt as _, future::join_all, stream};
use serde_json::json;
use swift_chain::{Expectation, Receipt};
use swift_chunks::Manifest;
use tokio::sync::mpsc;

use crate::{
    client::{measured, soon, until},
    hostile::whole_chunk,
    liar::Liar,
    site::{Site, content},
};

const CHUNK: usize = 4 << 20;

async fn remove(site: &Site, member: &Liar) {
    site.client.delete(&format!("/v1/nodes/{}", member.key.id())).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_removed_member_is_being_sent_ends_on_every_node() {
    let founder = Site::found().await;
    let second = Site::join(&founder.invite().await).await;
    let file = founder.client.put("large.bin", &content(12 * CHUNK, 31)).await.ok().json();
    second.completes("large.bin").await;
    let member = Liar::join(&founder).await;
    second.reaches(3).await;
    let mut readings = Vec::new();
    for site in [&founder, &second] {
        let client = site.seen_by(&member.key);
        let request = client.get(&format!("/download?id={}", file["file_id"].as_str().unwrap()));
        let mut reading = soon(request.send()).await.unwrap();
        assert_eq!(reading.status(), 200);
        assert!(soon(reading.chunk()).await.unwrap().is_some());
        // It reads no further, so the rest waits on the other side: more than all buffers hold.
        readings.push((client, reading));
    }
    remove(&founder, &member).await;
    // The request is answered when the block is final.
    let is_final = Instant::now();
    let (clients, mut readings): (Vec<_>, Vec<_>) = readings.into_iter().unzip();
    let ends = join_all(readings.iter_mut().map(|reading| async move {
        let mut len = 0;
        while let Ok(Some(piece)) = reading.chunk().await {
            len += piece.len();
        }
        (len, is_final.elapsed().as_secs_f64() * 1e3)
    }));
    let ends = soon(ends).await;
    let after_ms: Vec<f64> = ends.iter().map(|(_, after_ms)| *after_ms).collect();
    measured("sessions_closed_after_a_removal_is_final", &json!({ "after_ms": after_ms }));
    second.reaches(4).await;
    for (site, (client, (rest, _))) in [&founder, &second].into_iter().zip(clients.into_iter().zip(ends)) {
        assert!(rest < 11 * CHUNK, "{rest} bytes came after the removal");
        for path in ["/response", "/webhook", "/peer/announce", "/peer/who-has", "/peer/keep", "/addBlock"] {
            let refused = soon(client.post(path).body("x").send()).await.unwrap();
            assert_eq!(refused.status(), 403, "{path}");
        }
        let refused = soon(client.get("/download?file=large.bin").send()).await.unwrap();
        assert_eq!(refused.status(), 403);
        // It is told why, with the proof.
        let told = soon(client.post("/peer/hello").body("x").send()).await.unwrap();
        assert_eq!(told.status(), 410);
        let receipt = Receipt::from_bytes(&soon(told.bytes()).await.unwrap()).unwrap();
        let expected = Expectation { network: Some(site.node.network()), checkpoint: None };
        assert_eq!(receipt.verify(&expected).unwrap().height, 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_from_a_removed_member_is_broken_off() {
    let site = Site::found().await;
    let member = Liar::join(&site).await;
    let bytes = content(2 * CHUNK, 32);
    let file = member.publishes(&site, "lure.bin", &bytes, None).await;
    let manifest = Manifest::of(&bytes[..]).unwrap().encoded().to_vec();
    member.answers("/peer/manifest", move |_, _| manifest.clone().into_response());
    let (ended_in, mut ended) = mpsc::unbounded_channel();
    member.answers("/download", move |_, _| {
        // Told when the answer is dropped before its end.
        let guard = Ended(ended_in.clone());
        let begun = stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![0; 1_000]))]);
        let rest = begun.chain(stream::pending()).map(move |piece| {
            let _held = &guard;
            piece
        });
        let mut response = (StatusCode::PARTIAL_CONTENT, Body::from_stream(rest)).into_response();
        response.headers_mut().insert(CONTENT_RANGE, "bytes 0-4194303/*".parse().unwrap());
        response
    });
    until(|| async { member.row(&site).await["connected"] == true }).await;
    until(|| async {
        member.offers(file, vec![whole_chunk(bytes.len(), 0)]).await;
        site.client.get("/v1/transfers").await.ok().text().contains("lure.bin")
    })
    .await;
    member.was_asked("/download", 1).await;
    remove(&site, &member).await;
    soon(ended.recv()).await.unwrap();
    // Its offers are nobody's.
    assert_eq!(member.offers(file, vec![whole_chunk(bytes.len(), 1)]).await.0, 403);
    let peers = site.client.get("/v1/peers").await.ok().json();
    assert_eq!(peers["peers"], serde_json::json!([]));
}

struct Ended(mpsc::UnboundedSender<()>);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}
