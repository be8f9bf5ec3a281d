//! Offers and confirmations: from members as messages of the swarm, and in the form of the original service.
//!
//! The form has `filename chunk total_chunks start_byte end_byte sha1 ip_address port`. Only the name and the number of
//! the chunk, counted from 1, are used: an address in it is not dialled, and no hash in it is believed.

use axum::{
    Extension, Form, Json,
    body::Bytes,
    extract::{FromRequest, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};
use swift_chunks::FileId;
use swift_p2p::swarm::message::{Confirm, Message, Offer, Verdict};

use super::files::named;
use crate::{access::Access, peer::decode, problem::Problem, services::Services, tokens::Scope};

/// What is read of the original's form.
#[derive(Deserialize)]
struct Fields {
    filename: String,
    chunk: u32,
}

/// A body of either kind.
enum Exchange<M> {
    Message(M),
    Form(Fields),
}

impl<M: Message> Exchange<M> {
    async fn read(request: Request) -> Result<Self, Problem> {
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let is_form = content_type.and_then(|value| value.to_str().ok()).is_some_and(|value| {
            value.split(';').next().is_some_and(|kind| kind.trim() == "application/x-www-form-urlencoded")
        });
        if is_form {
            let form = Form::<Fields>::from_request(request, &()).await;
            let Form(fields) = form.map_err(|error| Problem::bad_request(error.body_text()))?;
            return Ok(Self::Form(fields));
        }
        let bytes = Bytes::from_request(request, &()).await;
        let bytes = bytes.map_err(|error| Problem::bad_request(error.body_text()))?;
        decode(&bytes).map(Self::Message)
    }
}

/// Steps 1 and 2: an offer is answered at once. From a client it is a hint that the file can be had.
pub(super) async fn offer(
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    request: Request,
) -> Result<Response, Problem> {
    access.require_member_or(Scope::Publish)?;
    let fields = match Exchange::<Offer>::read(request).await? {
        Exchange::Message(offer) => {
            let answer = services.swarm.offer(access.require_member()?, offer).await?;
            let content_type = [(header::CONTENT_TYPE, "application/octet-stream")];
            return Ok((content_type, answer.encode()).into_response());
        }
        Exchange::Form(fields) => fields,
    };
    let (file, unit) = match resolve(&services, &fields).await {
        Ok(found) => found,
        Err(problem) => return Ok(verdict(false, &problem.detail).into_response()),
    };
    let Some(member) = access.member() else {
        services.swarm.hint(file).await?;
        return Ok(verdict(true, "the members that can be reached are asked for the file").into_response());
    };
    let answer = services.swarm.offer(member, Offer { file, units: vec![unit], map: None }).await?;
    Ok(match answer.verdicts.first() {
        Some(Verdict::Accept) => verdict(true, "the chunk is queued and will be requested from you"),
        Some(Verdict::Have) => verdict(true, "the chunk is here or on its way"),
        Some(Verdict::Busy) => verdict(false, "busy; offer it again in a moment"),
        Some(Verdict::Declined) => verdict(false, "the chunk is not wanted from you"),
        Some(Verdict::Unknown) | None => verdict(false, "the file or this node's peer is not known yet"),
    }
    .into_response())
}

/// Step 5: a confirmation frees a place for the next offer. One that fits no open offer has no effect.
pub(super) async fn confirm(
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    request: Request,
) -> Result<Response, Problem> {
    access.require_member_or(Scope::Publish)?;
    let fields = match Exchange::<Confirm>::read(request).await? {
        Exchange::Message(confirm) => {
            services.swarm.confirmed(access.require_member()?, confirm).await?;
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        Exchange::Form(fields) => fields,
    };
    let (file, unit) = match resolve(&services, &fields).await {
        Ok(found) => found,
        Err(problem) => return Ok(verdict(false, &problem.detail).into_response()),
    };
    let Some(member) = access.member() else {
        return Ok(verdict(true, "nothing was offered to a client, so nothing changes").into_response());
    };
    services.swarm.confirmed(member, Confirm { file, unit }).await?;
    Ok(verdict(true, "noted").into_response())
}

async fn resolve(services: &Services, fields: &Fields) -> Result<(FileId, u32), Problem> {
    let record = named(services, &fields.filename).await?;
    let unit = fields.chunk.checked_sub(1).ok_or_else(|| Problem::bad_request("chunks count from 1"))?;
    Ok((FileId::from_bytes(*record.entry.file_id.as_bytes()), unit))
}

fn verdict(status: bool, reason: &str) -> Json<Value> {
    Json(json!({ "status": status, "reason": reason }))
}
