//! The routes of the swarm, in as few lines as serve a test.

use std::{ops::Range, sync::Arc};

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Query, State},
    http::{HeaderMap, StatusCode, header::RANGE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::stream;
use serde::Deserialize;
use swift_chain::NodeId;
use swift_chunks::{CHUNK_LEN, FileId, ManifestHash, Store};
use swift_p2p::{
    driver::{GRAINS_HEADER, SwarmHandle},
    swarm::message::{Answer, Confirm, Holdings, Interest, Message, Offer, WhoHas},
    transport::Caller,
};

use crate::manners::{Lie, Manners};

#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) swarm: SwarmHandle,
    pub(crate) store: Store,
    pub(crate) manners: Arc<Manners>,
}

pub(crate) fn router(served: Served) -> Router {
    Router::new()
        .route("/response", post(offer))
        .route("/webhook", post(confirm))
        .route("/peer/who-has", post(who_has))
        .route("/peer/announce", post(announce))
        .route("/peer/manifest", get(manifest))
        .route("/download", get(download))
        .layer(DefaultBodyLimit::disable())
        .with_state(served)
}

fn member(caller: Caller) -> NodeId {
    match caller {
        Caller::Node { id, standing } if standing.is_member() => id,
        other => panic!("{other:?} calls"),
    }
}

async fn offer(State(served): State<Served>, Extension(caller): Extension<Caller>, body: Bytes) -> Vec<u8> {
    let offers = Offer::decode_all(&body).unwrap();
    served.manners.saw(|seen| seen.offers = (seen.offers.0 + offers.len(), seen.offers.1 + 1));
    Answer::encode_all(&served.swarm.offers(member(caller), offers).await.unwrap())
}

async fn confirm(State(served): State<Served>, Extension(caller): Extension<Caller>, body: Bytes) {
    let confirms = Confirm::decode_all(&body).unwrap();
    served.manners.saw(|seen| seen.confirms += confirms.len());
    served.swarm.confirmed(member(caller), confirms).await.unwrap();
}

async fn who_has(State(served): State<Served>, Extension(caller): Extension<Caller>, body: Bytes) -> Vec<u8> {
    served.swarm.who_has(member(caller), WhoHas::decode(&body).unwrap()).await.unwrap().encode()
}

async fn announce(State(served): State<Served>, Extension(caller): Extension<Caller>, body: Bytes) {
    let (from, holdings) = (member(caller), Holdings::decode(&body).unwrap());
    let complete = holdings
        .holdings
        .iter()
        .filter(|holding| holding.map.as_ref().is_some_and(|map| map.interest == Interest::Complete));
    let complete: Vec<_> = complete.map(|holding| (from, holding.file)).collect();
    served.swarm.announced(from, holdings).await.unwrap();
    served.manners.saw(|seen| seen.complete.extend(complete));
}

#[derive(Deserialize)]
struct Which {
    id: FileId,
    manifest: Option<ManifestHash>,
}

async fn manifest(State(served): State<Served>, Query(which): Query<Which>) -> Result<Vec<u8>, StatusCode> {
    let mut encoded = Vec::new();
    let forged = served.manners.manifest.lock().unwrap().clone();
    if forged.is_none() {
        let reader = served.store.reader(which.id).map_err(|_| StatusCode::NOT_FOUND)?;
        if Some(reader.content().manifest_hash) != which.manifest {
            return Err(StatusCode::NOT_FOUND);
        }
        let reader = reader.manifest_reader();
        std::io::Read::read_to_end(&mut reader.map_err(|_| StatusCode::NOT_FOUND)?, &mut encoded).unwrap();
    }
    served.manners.saw(|seen| seen.manifests += 1);
    Ok(forged.unwrap_or(encoded))
}

async fn download(
    State(served): State<Served>,
    Extension(caller): Extension<Caller>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Response {
    let (to, range) = (member(caller), range(&headers));
    served.manners.gate.acquire().await.unwrap().forget();
    let serving = served.swarm.serve(to, which.id, range.clone()).await.unwrap();
    if serving.is_given_up() {
        return StatusCode::CONFLICT.into_response();
    }
    let Ok(reader) = serving.reader(&served.store) else { return StatusCode::NOT_FOUND.into_response() };
    let mut bytes = vec![0; (range.end - range.start) as usize];
    if reader.read_at(range.start, &mut bytes).is_err() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let lie = *served.manners.lie.lock().unwrap();
    let chunk = reader.layout().chunk(range.start / CHUNK_LEN).unwrap();
    let wants_grains = headers.contains_key(GRAINS_HEADER);
    let grains = wants_grains.then(|| serving.grains(&reader, chunk).unwrap());
    let grains = match lie {
        Some(Lie::NoTree) => None,
        // Base64 of other bytes, and still base64.
        Some(Lie::OtherTree) => grains.map(|tree| tree.chars().rev().skip_while(|it| *it == '=').collect()),
        _ => grains,
    };
    match lie {
        Some(Lie::FlippedBit) => bytes[100] ^= 4,
        Some(Lie::OneByteShort) => bytes.truncate(bytes.len() - 1),
        Some(Lie::OneByteLong) => bytes.push(0),
        Some(Lie::OtherTree | Lie::NoTree) | None => {}
    }
    served.manners.saw(|seen| seen.sent.push((to, range)));
    let second = bytes.split_off(bytes.len() / 2);
    let manners = served.manners;
    // The guard goes with the bytes and ends with them.
    let state = (vec![second, bytes], serving.into_guard(), manners);
    let body = stream::unfold(state, |(mut pieces, guard, manners)| async move {
        let piece = pieces.pop()?;
        if pieces.is_empty() {
            manners.saw(|seen| seen.halves += 1);
            manners.rest.acquire().await.unwrap().forget();
        }
        if let Some(guard) = &guard {
            guard.sent(piece.len());
        }
        Some((Ok::<_, std::io::Error>(piece), (pieces, guard, manners)))
    });
    let mut response = (StatusCode::PARTIAL_CONTENT, Body::from_stream(body)).into_response();
    if let Some(grains) = grains {
        response.headers_mut().insert(GRAINS_HEADER, grains.parse().unwrap());
    }
    response
}

fn range(headers: &HeaderMap) -> Range<u64> {
    let (first, last) =
        headers[RANGE].to_str().unwrap().strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    first.parse().unwrap()..last.parse::<u64>().unwrap() + 1
}
