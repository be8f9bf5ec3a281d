//! The ledger's part of what members say to each other: greetings, transactions, requests to join.

use std::net::{IpAddr, Ipv4Addr};

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use swift_chain::{Action, NodeId, Receipt, SignedTransaction};
use swift_p2p::{
    driver::{JOIN_OFFER_LEN_MAX, JoinOffer, JoinRefusal},
    gossip::{HELLO_LEN_MAX, Hello, consensus_frames},
    security::SecurityKind,
    transport::{Caller, RemoteAddress},
};

use super::bare;
use crate::{
    access::{Access, Allowed, MembersOnly, MembersOrRemoved, NodesOnly},
    problem::Problem,
    services::Services,
};

/// Bytes of transactions that one request may bring.
const TRANSACTIONS_LEN_MAX: usize = 512 * 1024;

pub(super) fn router() -> Router<Services> {
    Router::new()
        .route("/hello", post(hello).layer(DefaultBodyLimit::max(HELLO_LEN_MAX)))
        .route("/transactions", post(transactions).layer(DefaultBodyLimit::max(TRANSACTIONS_LEN_MAX)))
        .route("/consensus", post(consensus).layer(DefaultBodyLimit::max(consensus_frames::BODY_LEN_MAX)))
        .route("/join", post(join).layer(DefaultBodyLimit::max(JOIN_OFFER_LEN_MAX)))
}

/// A greeting. A node that was removed gets the block that says so, and nothing else ever.
async fn hello(
    _: Allowed<MembersOrRemoved>,
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    Extension(access): Extension<Access>,
    body: Bytes,
) -> Result<Response, Problem> {
    if let (Access::Outsider { removed: true }, Caller::Node { id, .. }) = (&access, caller) {
        return removal(&services, id).await;
    }
    let from = access.require_member()?;
    let hello = Hello::from_bytes(&body).map_err(|error| Problem::bad_request(error.to_string()))?;
    Ok(bare(services.gossip.greeted(from, hello).to_bytes()))
}

/// 410 with the receipt of the caller's removal: it proves itself, however long the caller was away.
async fn removal(services: &Services, node: NodeId) -> Result<Response, Problem> {
    let looked = services.ledger.read(move |reader| {
        let Some(height) = reader.removed_at(&node)? else { return Ok(None) };
        let Some(sealed) = reader.block(height)? else { return Ok(None) };
        let removes = |action: &Action| matches!(action, Action::RemoveNode { node: gone } if *gone == node);
        let mut transactions = sealed.block.transactions.iter();
        let index = transactions.position(|signed| removes(&signed.transaction.action));
        let index = index.and_then(|index| u32::try_from(index).ok());
        Ok(index.map(|index| Receipt::of_transaction(reader, height, index)))
    });
    let receipt = looked.await?.ok_or_else(|| Problem::forbidden("this node is no member"))?;
    Ok((StatusCode::GONE, receipt?.to_bytes()).into_response())
}

/// Transactions for a block. The batch is refused as a whole when one of them is forged: whoever brings it had to know.
async fn transactions(
    _: Allowed<MembersOnly>,
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let from = access.require_member()?;
    let transactions: Vec<SignedTransaction> =
        postcard::from_bytes(&body).map_err(|error| Problem::bad_request(error.to_string()))?;
    services.ledger.receive(from, transactions, body.len()).await?;
    Ok(StatusCode::ACCEPTED)
}

/// What another validator says about the next block. The ledger judges it, also whether it is from a validator: a block
/// that is not here yet may have made it one.
async fn consensus(
    _: Allowed<MembersOnly>,
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let from = access.require_member()?;
    let messages =
        consensus_frames::decode(&body).map_err(|error| Problem::bad_request(error.to_string()))?;
    services.ledger.agree(from, messages, body.len()).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn join(
    _: Allowed<NodesOnly>,
    State(services): State<Services>,
    Extension(caller): Extension<Caller>,
    remote: Option<Extension<RemoteAddress>>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let Caller::Node { id, .. } = caller else {
        return Err(Problem::forbidden("only a node asks to join, over TLS with its key"));
    };
    let offer = JoinOffer::from_bytes(&body).map_err(|error| Problem::bad_request(error.to_string()))?;
    let from = remote.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Extension(remote)| remote.0.ip());
    let admitted = services.desk.admit(id, from, offer).await.inspect_err(|refusal| {
        let detail = format_args!("from {from}: {refusal}");
        services.security.record_from(from, SecurityKind::JoinRefused, id, detail);
    });
    let settled = admitted.map_err(|refusal| match refusal {
        JoinRefusal::Ledger(error) => error.into(),
        JoinRefusal::NotFinal(error) => error.into(),
        JoinRefusal::Busy => Problem::unavailable(refusal.to_string()),
        JoinRefusal::TooOften => Problem::conflict("conflict", refusal.to_string()),
        JoinRefusal::OtherKey(_) | JoinRefusal::Loopback(_) | JoinRefusal::NotThere { .. } => {
            Problem::bad_request(refusal.to_string())
        }
    })?;
    Ok(Json(json!({ "status": true, "block": settled.height })))
}
