//! `/v1/priorities`.

use std::collections::HashMap;

use axum::{
    Json,
    extract::{Path, Query, State},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use swift_chain::{FileName, Hash};
use swift_chunks::FileId;
use swift_p2p::{driver::Prioritized, swarm::Priority};

use super::{files, object::Object, page::PageLen};
use crate::{
    access::{AdminOnly, Allowed, ReadOnly},
    problem::Problem,
    services::Services,
};

/// How soon a file is wanted, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    High,
    Normal,
    Low,
}

impl From<Priority> for Level {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::High => Self::High,
            Priority::Normal => Self::Normal,
            Priority::Low => Self::Low,
        }
    }
}

impl From<Level> for Priority {
    fn from(level: Level) -> Self {
        match level {
            Level::High => Self::High,
            Level::Normal => Self::Normal,
            Level::Low => Self::Low,
        }
    }
}

/// A file that is wanted sooner or later than others.
#[derive(Serialize)]
pub(super) struct Row {
    name: String,
    file_id: Hash,
    size: u64,
    priority: Level,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    priority: Level,
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
    let levels: HashMap<FileId, Priority> = services.swarm.priorities().await?.into_iter().collect();
    let rows = services.ledger.read(move |reader| {
        let mut rows = Vec::new();
        for (file, priority) in levels {
            // A name may have gone since the swarm was asked.
            if let Some(record) = reader.file_by_id(&Hash::from_bytes(*file.as_bytes()))? {
                let entry = record.entry;
                let (name, file_id, size) = (entry.name.as_str().to_owned(), entry.file_id, entry.size);
                rows.push(Row { name, file_id, size, priority: priority.into() });
            }
        }
        rows.retain(|row: &Row| page.after.as_ref().is_none_or(|after| row.name > *after));
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(rows)
    });
    let mut rows = rows.await?;
    let next = len.cut(&mut rows).map(|row| row.name.clone());
    Ok(Json(json!({ "priorities": rows, "next": next })))
}

pub(super) async fn change(
    _: Allowed<AdminOnly>,
    State(services): State<Services>,
    Path(name): Path<String>,
    body: Result<Json<Object<Change>>, axum::extract::rejection::JsonRejection>,
) -> Result<Json<Value>, Problem> {
    let Json(Object(Change { priority })) = body.map_err(|error| Problem::bad_request(error.body_text()))?;
    let record = files::find(&services, FileName::normalized(&name)?).await?;
    let file = FileId::from_bytes(*record.entry.file_id.as_bytes());
    let set = services.swarm.set_priority(file, priority.into()).await??;
    let name = record.entry.name.as_str();
    match set {
        Prioritized::Set => Ok(Json(json!({ "status": true, "name": name, "priority": priority }))),
        Prioritized::NotArriving => Err(Problem::conflict(
            "not_arriving",
            format!("{name:?} is not on its way to this node: it is complete here, or not wanted"),
        )),
    }
}
