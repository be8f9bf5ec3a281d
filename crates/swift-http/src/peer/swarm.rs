//! The swarm's part of what members say to each other: questions, announcements, manifests.

use std::io::Read;

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::stream;
use serde::Deserialize;
use swift_chunks::{FileId, ManifestHash, ManifestReader, StoreError};
use swift_p2p::keeping::{KEEP_REQUEST_BYTES_MAX, KeepRequest};
use swift_p2p::swarm::message::{HOLDINGS_BYTES_MAX, Holdings, Message, WhoHas};
use tokio::task;

use super::bare;
use crate::{
    access::{Access, Allowed, MembersOnly},
    conduct,
    problem::Problem,
    services::Services,
};

/// Bytes of a manifest that are read at a time.
const MANIFEST_PIECE_LEN: usize = 256 * 1024;

pub(super) fn router() -> Router<Services> {
    Router::new()
        .route("/who-has", post(who_has).layer(DefaultBodyLimit::max(HOLDINGS_BYTES_MAX)))
        .route("/announce", post(announce).layer(DefaultBodyLimit::max(HOLDINGS_BYTES_MAX)))
        .route("/keep", post(keep).layer(DefaultBodyLimit::max(KEEP_REQUEST_BYTES_MAX)))
        .route("/manifest", get(manifest))
}

/// Reads a member's message.
fn decode<M: Message>(bytes: &[u8]) -> Result<M, Problem> {
    M::decode(bytes).map_err(|error| Problem::bad_request(error.to_string()))
}

/// Reads one or several messages of a member.
pub(crate) fn decode_all<M: Message>(bytes: &[u8]) -> Result<Vec<M>, Problem> {
    M::decode_all(bytes).map_err(|error| Problem::bad_request(error.to_string()))
}

async fn who_has(
    _: Allowed<MembersOnly>,
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    body: Bytes,
) -> Result<Response, Problem> {
    let from = access.require_member()?;
    let who_has = decode::<WhoHas>(&body)?;
    conduct::charge(&services.conduct, from, who_has.asks.len())?;
    let holdings = services.swarm.who_has(from, who_has).await?;
    Ok(bare(holdings.encode()))
}

async fn announce(
    _: Allowed<MembersOnly>,
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let from = access.require_member()?;
    let holdings = decode::<Holdings>(&body)?;
    conduct::charge(&services.conduct, from, holdings.holdings.len())?;
    services.swarm.announced(from, holdings).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn keep(
    _: Allowed<MembersOnly>,
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    body: Bytes,
) -> Result<Response, Problem> {
    let from = access.require_member()?;
    let answer = services.keeping.asked(from, decode::<KeepRequest>(&body)?).await;
    Ok(bare(answer.encode()))
}

#[derive(Deserialize)]
struct Which {
    id: FileId,
    manifest: ManifestHash,
}

/// A file's manifest, as soon as it is here: its receiver checks it against the ledger.
async fn manifest(
    _: Allowed<MembersOnly>,
    State(services): State<Services>,
    query: Result<Query<Which>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(which) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let store = services.store.clone();
    let opened = task::spawn_blocking(move || {
        let reader = store.reader(which.id)?;
        if reader.content().manifest_hash != which.manifest {
            return Err(StoreError::ManifestMissing(which.id));
        }
        reader.manifest_reader()
    });
    let reader = match opened.await.map_err(|error| Problem::internal(&error))? {
        Err(StoreError::NotFound(_) | StoreError::ManifestMissing(_)) => {
            return Err(Problem::not_found("this manifest is not here"));
        }
        opened => opened?,
    };
    let headers = [(header::CONTENT_LENGTH, reader.len().to_string())];
    let state = (reader, services.limits.up().clone());
    let pieces = stream::try_unfold(state, |(reader, up)| async move {
        let len = up.piece_len().min(MANIFEST_PIECE_LEN);
        let read = task::spawn_blocking(move || piece(reader, len));
        let Some((piece, reader)) = read.await.map_err(std::io::Error::other)?? else { return Ok(None) };
        up.pass(piece.len()).await;
        Ok::<_, std::io::Error>(Some((piece, (reader, up))))
    });
    Ok((headers, Body::from_stream(pieces)).into_response())
}

fn piece(mut reader: ManifestReader, len: usize) -> std::io::Result<Option<(Bytes, ManifestReader)>> {
    let mut piece = vec![0; len];
    let len = reader.read(&mut piece)?;
    piece.truncate(len);
    Ok((len > 0).then(|| (piece.into(), reader)))
}
