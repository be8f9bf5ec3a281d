//! Files: out by `/download`, in by `/upload`.

use std::collections::HashMap;

use axum::{
    Extension, Json,
    extract::{Multipart, Query, State},
    http::{HeaderMap, Method, StatusCode},
    response::Response,
};
use serde::Deserialize;
use serde_json::{Value, json};
use swift_chain::{FileName, FileRecord, Hash, NodeId};
use swift_p2p::offences::UNKNOWN_COST;

use crate::{
    access::Access,
    conduct, content,
    ingest::{IfTaken, Ingest, Ingested, content_length},
    problem::Problem,
    services::Services,
    tokens::Scope,
    v1::{Expected, in_store},
    wait::Wait,
};

/// What a form may have around its file: with more than this beside it, it is refused by its length a little early.
const FORM_LEN_MAX: u64 = 64 * 1024;

#[derive(Deserialize)]
pub(super) struct Which {
    file: Option<String>,
    id: Option<Hash>,
}

pub(super) async fn download(
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    query: Result<Query<Which>, axum::extract::rejection::QueryRejection>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    access.require_member_or(Scope::Read)?;
    let Query(which) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let record = find(&services, which, access.member()).await?;
    content::send(&services, &record, &method, &headers, access.member()).await
}

/// The live file with a name.
pub(super) async fn named(services: &Services, name: &str) -> Result<FileRecord, Problem> {
    let name = FileName::normalized(name)?;
    let key = name.key();
    let found = services.ledger.read(move |reader| reader.file(&key)).await?;
    let found = found.filter(|record| record.entry.name == name);
    found.ok_or_else(|| Problem::not_found(format!("no file has the name {:?}", name.as_str())))
}

/// What is asked for. A member that asks by id may have a ledger that is behind, and was offered the file before it was removed
/// here: it is told so, and does not take this node for one that offers what it lacks.
async fn find(services: &Services, which: Which, member: Option<NodeId>) -> Result<FileRecord, Problem> {
    match which {
        Which { file: Some(name), id: None } => named(services, &name).await,
        Which { file: None, id: Some(id) } => {
            if let Some(found) = services.ledger.live_file(id).await? {
                return Ok(found);
            }
            let detail = format!("no live file has the id {id}");
            let Some(member) = member else { return Err(Problem::not_found(detail)) };
            conduct::charge(&services.conduct, member, UNKNOWN_COST)?;
            Err(Problem::conflict("not_live", detail))
        }
        _ => Err(Problem::bad_request("ask for either file=NAME or id=FILE_ID")),
    }
}

pub(super) async fn upload(
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    form: Result<Multipart, axum::extract::multipart::MultipartRejection>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let token = access.require(Scope::Publish)?;
    let wait = Wait::of(&query)?;
    if let Some(len) = content_length(&headers) {
        // Before a byte of it is read. The file may be a little longer; its room is set aside as it comes.
        let file_len = len.saturating_sub(FORM_LEN_MAX);
        in_store(&services, move |store| store.check_room(file_len)).await?;
    }
    let mut form = form.map_err(|error| Problem::bad_request(error.body_text()))?;
    let unreadable =
        |error: axum::extract::multipart::MultipartError| Problem::bad_request(error.body_text());
    while let Some(field) = form.next_field().await.map_err(unreadable)? {
        if field.name() != Some("file") {
            continue;
        }
        let name = field.file_name().unwrap_or_default();
        let name = FileName::normalized(name)?;
        let ingest =
            Ingest::begin(&services, token, name, IfTaken::Refuse, &Expected::Anything, None).await?;
        let Ingested { file, settled } = ingest.take(field, None, wait).await?;
        let (status, reason) = match settled {
            Some(settled) => (StatusCode::OK, format!("published by block {}", settled.height)),
            None => (StatusCode::ACCEPTED, "stored and queued; no block has it yet".to_owned()),
        };
        let answer = json!({
            "status": true,
            "reason": reason,
            "name": file.name,
            "size": file.size,
            "file_id": file.file_id,
            "block": settled.map(|settled| settled.height),
        });
        return Ok((status, Json(answer)));
    }
    Err(Problem::bad_request("the form has no field named file"))
}
