//! `/v1/files`.

mod expected;
mod listing;

use std::collections::{BTreeSet, HashMap};

use axum::{
    Extension, Json,
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Value, json};
use swift_chain::{FileName, FileRecord, Hash, NodeId};
use swift_chunks::{FileId, ObjectState, Store, StoreError};
use tokio::task;

pub(crate) use expected::Expected;
pub(super) use listing::list;

use super::{holders, written};
use crate::{
    access::{Access, owns},
    content,
    ingest::{IfTaken, Ingest, Ingested, content_length, published_by},
    problem::Problem,
    services::Services,
    tokens::Scope,
    wait::Wait,
};

/// A live file and how much of it is here.
#[derive(Serialize)]
pub(super) struct FileRow {
    name: FileName,
    size: u64,
    file_id: Hash,
    manifest_hash: Hash,
    publisher: NodeId,
    height: u64,
    time_ms: u64,
    held_bytes: u64,
    complete: bool,
    /// Whole copies on nodes that can be reached, as far as known; this node's included.
    copies: usize,
}

impl FileRow {
    /// `others` are known to hold all of it.
    fn new(record: FileRecord, others: usize, store: &Store) -> Result<Self, StoreError> {
        let entry = record.entry;
        let object = store.object(FileId::from_bytes(*entry.file_id.as_bytes()))?;
        let complete = object.is_some_and(|object| object.state == ObjectState::Complete);
        let held = object.map_or(0, |object| object.durable_bytes);
        Ok(Self {
            held_bytes: if complete { entry.size } else { held.min(entry.size) },
            complete,
            copies: others + usize::from(complete),
            name: entry.name,
            size: entry.size,
            file_id: entry.file_id,
            manifest_hash: entry.manifest_hash,
            publisher: record.publisher,
            height: record.height,
            time_ms: record.time_ms,
        })
    }
}

fn id_of(record: &FileRecord) -> FileId {
    FileId::from_bytes(*record.entry.file_id.as_bytes())
}

/// How many other nodes hold each file, as far as known; with `ask`, everybody is asked first.
pub(super) async fn others_with(
    services: &Services,
    files: Vec<FileId>,
    ask: bool,
) -> Result<Vec<usize>, Problem> {
    if ask {
        services.swarm.survey(files.clone()).await?;
    }
    let me = services.key.id();
    let known = services.swarm.known_copies(files).await?;
    Ok(known.iter().map(|copies| copies.complete.iter().filter(|node| **node != me).count()).collect())
}

pub(super) async fn fetch(
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    access.require_member_or(Scope::Read)?;
    let record = find(&services, FileName::normalized(&name)?).await?;
    if query.contains_key("copies") {
        return Ok(Json(copies(&services, &record).await?).into_response());
    }
    if query.contains_key("holders") {
        return Ok(Json(holders::of(&services, &record).await?).into_response());
    }
    if query.contains_key("meta") {
        let others = others_with(&services, vec![id_of(&record)], false).await?.pop().unwrap_or(0);
        let store = services.store.clone();
        let row = task::spawn_blocking(move || FileRow::new(record, others, &store)).await;
        return Ok(Json(row.map_err(|error| Problem::internal(&error))??).into_response());
    }
    content::send(&services, &record, &method, &headers, access.member()).await
}

/// Which members hold a file, as far as those know that can be reached.
async fn copies(services: &Services, record: &FileRecord) -> Result<Value, Problem> {
    let file_id = FileId::from_bytes(*record.entry.file_id.as_bytes());
    let copies = services.swarm.copies(file_id).await?;
    let (store, me) = (services.store.clone(), services.key.id());
    let is_kept = task::spawn_blocking(move || store.is_kept(file_id)).await;
    let is_kept = is_kept.map_err(|error| Problem::internal(&error))??;
    let mut not_keeping = copies.not_keeping;
    let complete = copies.complete;
    if !is_kept && !complete.contains(&me) {
        not_keeping.push(me);
    }
    let mut online = services.presence.online();
    online.insert(services.key.id());
    let members = services.ledger.members().all().into_iter().map(|(node, _)| node);
    let absent: BTreeSet<NodeId> = members.filter(|node| !online.contains(node)).collect();
    let name = &record.entry.name;
    Ok(json!({
        "name": name, "file_id": file_id, "complete": complete, "not_keeping": not_keeping, "online": online,
        "absent": absent,
    }))
}

pub(super) async fn put(
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let token = access.require(Scope::Publish)?;
    let name = FileName::normalized(&name)?;
    let wait = Wait::of(&query)?;
    let expected = Expected::of(&headers)?;
    let is_replacing = query.contains_key("replace") || expected.is_of_content();
    let if_taken = if is_replacing { IfTaken::Replace } else { IfTaken::Refuse };
    let len = content_length(&headers);
    let ingest = Ingest::begin(&services, token, name, if_taken, &expected, len).await?;
    let Ingested { file, settled } = ingest.take(body.into_data_stream(), len, wait).await?;
    let about = json!({ "name": file.name, "file_id": file.file_id, "size": file.size, "copies": 1 });
    Ok(written(about, settled))
}

pub(super) async fn remove(
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let token = access.require(Scope::Remove)?;
    let (wait, expected) = (Wait::of(&query)?, Expected::of(&headers)?);
    let record = find(&services, FileName::normalized(&name)?).await?;
    if !owns(token, published_by(&services, &record).await?.as_ref()) {
        let detail = format!("{name:?} was not published with this token; that needs the scope admin");
        return Err(Problem::forbidden(detail));
    }
    expected.check(Some(&record))?;
    let withdrawing = services.publisher.withdraw(&record, Some(token.label.clone())).await?;
    let file = record.entry;
    let about = json!({ "name": file.name, "file_id": file.file_id, "size": file.size });
    if wait == Wait::None && withdrawing.is_open() {
        return Ok(written(about, None));
    }
    let settled = services.finality.within(withdrawing.settled()).await??;
    Ok(written(about, Some(settled)))
}

pub(super) async fn find(services: &Services, name: FileName) -> Result<FileRecord, Problem> {
    let key = name.key();
    let found = services.ledger.read(move |reader| reader.file(&key)).await?;
    let found = found.filter(|record| record.entry.name == name);
    found.ok_or_else(|| Problem::not_found(format!("no file has the name {:?}", name.as_str())))
}
