//! Blocks: asking for them and handing them over.

use axum::{
    Extension, Json,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, FromRequest, Query, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use http_body::Body as _;
use serde::Deserialize;
use serde_json::{Value, json};
use swift_chain::{ChainFrame, ChainPosition, FollowError, FrameDecoder, SealedBlock, SnapshotCheck};

use super::{CHAIN_BODY_LEN_MAX, CHAIN_OF_MEMBER_LEN_MAX};
use crate::{
    access::{Access, Allowed, MembersOrAdmin, MembersOrRead},
    problem::Problem,
    services::Services,
    tokens::Scope,
};

/// Bytes of blocks read from the ledger at a time.
const FRAMES_LEN: usize = 1024 * 1024;

pub(super) async fn key(State(services): State<Services>) -> Result<String, Problem> {
    services.key.id().to_pem().map_err(|error| Problem::internal(&error))
}

#[derive(Deserialize)]
pub(super) struct Number {
    num: u64,
}

pub(super) async fn hash(
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    query: Result<Query<Number>, axum::extract::rejection::QueryRejection>,
) -> Result<String, Problem> {
    access.require_member_or(Scope::Read)?;
    let Query(Number { num }) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let hash = services.ledger.read(move |reader| reader.block_hash(num)).await?;
    Ok(hash.map(|hash| hash.to_string()).unwrap_or_default())
}

pub(super) async fn top_block_number(
    State(services): State<Services>,
    Extension(access): Extension<Access>,
) -> Result<String, Problem> {
    access.require_member_or(Scope::Read)?;
    Ok(services.ledger.head().height.to_string())
}

pub(super) async fn total_blocks(
    State(services): State<Services>,
    Extension(access): Extension<Access>,
) -> Result<String, Problem> {
    access.require_member_or(Scope::Read)?;
    Ok((services.ledger.head().height + 1).to_string())
}

/// A chain stream from block `num` on, as long as it is; read from the ledger as the caller takes it.
pub(super) async fn blocks(
    _: Allowed<MembersOrRead>,
    State(services): State<Services>,
    body: Bytes,
) -> Result<Response, Problem> {
    let from = first_block(&body)?;
    let end = services.ledger.head().height + 1;
    let pieces = stream::try_unfold(ChainPosition::from(from), move |next| {
        let ledger = services.ledger.clone();
        async move {
            if matches!(next, ChainPosition::Block { height } if height >= end) {
                return Ok::<_, swift_p2p::driver::LedgerError>(None);
            }
            let (frames, next) = ledger.read(move |reader| reader.frames(next, FRAMES_LEN)).await?;
            Ok((!frames.is_empty()).then(|| (Bytes::from(frames), next)))
        }
    });
    let content_type = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((content_type, Body::from_stream(pieces)).into_response())
}

/// `num=N` as a form sends it, or just the number.
fn first_block(body: &[u8]) -> Result<u64, Problem> {
    let text = std::str::from_utf8(body).unwrap_or_default().trim();
    let number = text.strip_prefix("num=").unwrap_or(text);
    number.parse().map_err(|_| Problem::bad_request("the body is num=N, the first block wanted"))
}

pub(super) async fn add_block(
    _: Allowed<MembersOrAdmin>,
    State(services): State<Services>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let blocks = decode(&body, |frame| match frame {
        ChainFrame::Block(sealed) => Ok(Some(*sealed)),
        ChainFrame::Genesis(_) | ChainFrame::Snapshot(_) => {
            Err(Problem::bad_request("the beginning of a chain is not added to one"))
        }
    })?;
    follow(&services, blocks, body.len()).await
}

pub(super) async fn overwrite(
    _: Allowed<MembersOrAdmin>,
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    // Before the body is read: it may be long, and is of use only once.
    if services.ledger.head().height > 0 {
        let detail = "this chain has blocks already; a chain is never overwritten, only continued";
        return Err(Problem::conflict("conflict", detail));
    }
    let len_max =
        if matches!(access, Access::Member { .. }) { CHAIN_OF_MEMBER_LEN_MAX } else { CHAIN_BODY_LEN_MAX };
    let body = chain_of(request, len_max).await?;
    let network = services.ledger.network();
    // What the network began with is here already; what came is looked at all the same, and then left.
    let mut beginning = None;
    let bad = |error: swift_chain::SnapshotError| Problem::bad_request(error.to_string());
    let blocks = decode(&body, |frame| match (frame, &mut beginning) {
        (ChainFrame::Block(sealed), _) => Ok(Some(*sealed)),
        (ChainFrame::Genesis(genesis), _) if genesis.id() == network => {
            beginning = Some(SnapshotCheck::new(&genesis));
            Ok(None)
        }
        (ChainFrame::Genesis(genesis), _) => {
            let detail = format!("this is the chain of network {}, not of {network}", genesis.id());
            Err(Problem::conflict("conflict", detail))
        }
        (ChainFrame::Snapshot(frame), Some(check)) => check.push(&frame).map(|()| None).map_err(bad),
        (ChainFrame::Snapshot(_), None) => Err(Problem::bad_request("a chain begins with its genesis block")),
    })?;
    beginning.map_or(Ok(()), SnapshotCheck::finish).map_err(bad)?;
    follow(&services, blocks, body.len()).await
}

async fn chain_of(mut request: Request, len_max: usize) -> Result<Bytes, Problem> {
    let too_long = || {
        let detail = format!(
            "a chain in one piece has at most {CHAIN_BODY_LEN_MAX} bytes, from a member {CHAIN_OF_MEMBER_LEN_MAX}; a node \
             fetches a longer one by itself, from any member"
        );
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    };
    if request.body().size_hint().lower() > len_max as u64 {
        return Err(too_long());
    }
    DefaultBodyLimit::max(len_max).apply(&mut request);
    let body = Bytes::from_request(request, &()).await;
    body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_long(),
        _ => Problem::bad_request(error.body_text()),
    })
}

fn decode(
    body: &[u8],
    mut take: impl FnMut(ChainFrame) -> Result<Option<SealedBlock>, Problem>,
) -> Result<Vec<SealedBlock>, Problem> {
    let mut decoder = FrameDecoder::default();
    decoder.push(body);
    let mut blocks = Vec::new();
    let bad = |error: swift_chain::StreamError| Problem::bad_request(error.to_string());
    while let Some(frame) = decoder.next_frame().map_err(bad)? {
        blocks.extend(take(frame)?);
    }
    decoder.finish().map_err(bad)?;
    Ok(blocks)
}

async fn follow(services: &Services, blocks: Vec<SealedBlock>, len: usize) -> Result<Json<Value>, Problem> {
    match services.ledger.follow(blocks, len).await? {
        Ok(height) => Ok(Json(json!({ "status": true, "reason": format!("the head is block {height}") }))),
        Err(error @ FollowError::Invalid(_)) => Err(Problem::bad_request(error.to_string())),
        Err(error) => Err(Problem::conflict("conflict", error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_block_comes_as_a_form_field_or_a_plain_number() {
        assert_eq!(first_block(b"num=7"), Ok(7));
        assert_eq!(first_block(b" 12\n"), Ok(12));
        for body in [&b""[..], b"num=", b"num=-1", b"x=3", b"\xff"] {
            assert!(first_block(body).is_err(), "{body:?}");
        }
    }
}
