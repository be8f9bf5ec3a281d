//! `/v1/trash`: what names meant and do not mean any more, as far as it is here.

use std::collections::HashMap;

use axum::{
    Extension, Json,
    extract::{Query, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use swift_chain::{FileName, Hash};
use swift_chunks::{FileId, Removed, TrashCursor};

use super::{files::Expected, in_store, object::Object, page::PageLen, written};
use crate::{
    access::{Access, AdminOnly, Allowed, ReadOnly},
    ingest::{IfTaken, Ingest, Ingested},
    problem::Problem,
    services::Services,
    tokens::{Scope, TokenRecord},
    wait::Wait,
};

/// Content that a name lost.
#[derive(Serialize)]
struct Row {
    /// None: no name ever meant it.
    name: Option<String>,
    size: u64,
    file_id: FileId,
    held_bytes: u64,
    complete: bool,
    removed_ms: u64,
    /// The member that removed or replaced it, if anybody knows.
    removed_by: Option<String>,
    on_behalf_of: Option<String>,
    expires_ms: u64,
    /// Something else uses the content, so it takes no room of its own.
    used: bool,
}

impl From<Removed> for Row {
    fn from(removed: Removed) -> Self {
        Self {
            name: removed.name,
            size: removed.content.len,
            file_id: removed.content.file_id,
            held_bytes: removed.held_bytes,
            complete: removed.is_complete,
            removed_ms: removed.by.time_ms,
            removed_by: removed.by.member,
            on_behalf_of: removed.by.client,
            expires_ms: removed.expires_ms,
            used: removed.is_used,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Page {
    after: Option<String>,
    limit: Option<u64>,
}

pub(super) async fn list(
    _: Allowed<ReadOnly>,
    State(services): State<Services>,
    Query(page): Query<Page>,
) -> Result<Json<Value>, Problem> {
    let len = PageLen::of(page.limit);
    let after: Option<TrashCursor> = match page.after.map(|after| after.parse()).transpose() {
        Ok(after) => after,
        Err(error) => return Err(Problem::bad_request(format!("after: {error}"))),
    };
    let mut rows = in_store(&services, move |store| store.trash(after.as_ref(), len.to_find())).await?;
    let next = len.cut(&mut rows).map(|row| row.cursor().to_string());
    let rows: Vec<Row> = rows.into_iter().map(Row::from).collect();
    Ok(Json(json!({ "trash": rows, "next": next })))
}

/// What to restore.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// The name that meant it.
    name: String,
    /// The name it shall have; the same unless said.
    #[serde(rename = "as")]
    new_name: Option<String>,
    /// Which of several contents that the name meant; the last one unless said.
    file_id: Option<Hash>,
}

pub(super) async fn restore(
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    Query(query): Query<HashMap<String, String>>,
    body: Result<Json<Object<Wanted>>, axum::extract::rejection::JsonRejection>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let token = access.require(Scope::Publish)?;
    let wait = Wait::of(&query)?;
    let Json(Object(wanted)) = body.map_err(|error| Problem::bad_request(error.body_text()))?;
    let (old, new) = (wanted.name, wanted.new_name);
    let old = String::from(FileName::normalized(&old)?);
    let new = FileName::normalized(new.as_deref().unwrap_or(&old))?;
    let looked_for = old.clone();
    let removed = in_store(&services, move |store| store.removed(&looked_for)).await?;
    let removed = choose(removed, &old, wanted.file_id)?;
    if !may_restore(&services, token, &removed) {
        return Err(Problem::forbidden(format!(
            "{old:?} was not removed with this token; to restore it needs the scope admin"
        )));
    }
    let content = removed.content;
    let ingest =
        Ingest::begin(&services, token, new, IfTaken::Refuse, &Expected::Anything, Some(content.len)).await;
    let published = match ingest {
        Ok(ingest) => ingest.publish_again(content, wait).await,
        Err(problem) => Err(problem),
    };
    let Ingested { file, settled } = published.map_err(advise)?;
    let about =
        json!({ "name": file.name, "file_id": file.file_id, "size": file.size, "copies": 1, "was": old });
    Ok(written(about, settled))
}

/// The last content of a name that is whole here, or that with an id.
fn choose(removed: Vec<Removed>, name: &str, file_id: Option<Hash>) -> Result<Removed, Problem> {
    let is_it =
        |one: &Removed| file_id.is_none_or(|file_id| file_id.as_bytes() == one.content.file_id.as_bytes());
    let mut found: Vec<Removed> = removed.into_iter().filter(is_it).collect();
    if let Some(at) = found.iter().position(|one| one.is_complete) {
        return Ok(found.swap_remove(at));
    }
    Err(match found.first() {
        Some(Removed { held_bytes, content, .. }) => Problem::conflict(
            "not_whole",
            format!(
                "only {held_bytes} of the {} bytes that {name:?} meant are here; ask a node whose trash has all of them",
                content.len
            ),
        ),
        None => Problem::not_found(format!(
            "this node remembers no content that {name:?} meant and does not mean any more: it was never here, or has \
             expired; ask another node"
        )),
    })
}

/// Who took a name away may give it back; an admin may do so with every name.
fn may_restore(services: &Services, token: &TokenRecord, removed: &Removed) -> bool {
    let is_own = removed.by.member.as_deref() == Some(&*services.key.id().to_string())
        && removed.by.client.as_deref() == Some(token.label.as_str());
    is_own || token.allows(Scope::Admin)
}

fn advise(mut problem: Problem) -> Problem {
    if problem.code == "name_taken" {
        problem.detail.push_str("; restore it under another name");
    }
    problem
}

pub(super) async fn empty(
    _: Allowed<AdminOnly>,
    State(services): State<Services>,
) -> Result<Json<Value>, Problem> {
    let emptied = in_store(&services, |store| store.empty_trash()).await?;
    Ok(Json(json!({ "status": true, "contents": emptied.objects, "bytes": emptied.bytes })))
}
