//! `/v1/keep` and `/v1/pins`: what this node keeps.

use std::{collections::HashMap, time::Duration};

use axum::{
    Json,
    extract::{Path, Query, State},
};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use swift_chain::{FileName, FileRecord, Hash, NodeId};
use swift_chunks::{FileId, KeepRule, Pinned};
use swift_p2p::{driver::wall_clock_ms, keeping::SignedPromise};
use tokio::time::timeout;

use super::{in_store, object::Object, page::PageLen};
use crate::{
    access::{AdminOnly, Allowed, ReadOnly},
    problem::Problem,
    services::Services,
};

/// How long a pin waits for the store to follow a block that the ledger has.
const STORE_PATIENCE: Duration = Duration::from_secs(10);

/// A rule as JSON has it: a word, or patterns.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Rule {
    Word(String),
    Patterns(Vec<String>),
}

impl From<&KeepRule> for Rule {
    fn from(rule: &KeepRule) -> Self {
        match rule.patterns() {
            Some(patterns) => Self::Patterns(patterns.to_vec()),
            None => Self::Word(rule.to_string()),
        }
    }
}

impl TryFrom<Rule> for KeepRule {
    type Error = Problem;

    fn try_from(rule: Rule) -> Result<Self, Problem> {
        let rule = match rule {
            Rule::Word(word) => match word.as_str() {
                "all" => return Ok(Self::All),
                "none" => return Ok(Self::None),
                _ => {
                    let detail = format!("{word:?} is neither \"all\" nor \"none\"; patterns come as a list");
                    return Err(Problem::bad_request(detail));
                }
            },
            Rule::Patterns(patterns) => Self::of_patterns(patterns),
        };
        rule.map_err(|error| Problem::bad_request(error.to_string()))
    }
}

/// What a client sets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRule {
    keep: Rule,
}

pub(super) async fn show(
    _: Allowed<ReadOnly>,
    State(services): State<Services>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(told(&services, &services.store.keep_rule())))
}

pub(super) async fn set(
    _: Allowed<AdminOnly>,
    State(services): State<Services>,
    body: Result<Json<Object<NewRule>>, axum::extract::rejection::JsonRejection>,
) -> Result<Json<Value>, Problem> {
    let Json(Object(NewRule { keep })) = body.map_err(|error| Problem::bad_request(error.body_text()))?;
    let rule = KeepRule::try_from(keep)?;
    let new = rule.clone();
    let changed = in_store(&services, move |store| store.set_keep_rule(new, wall_clock_ms())).await?;
    if changed {
        services.swarm.keep_changed(None).await?;
        services.keeping.look();
    }
    let mut told = told(&services, &rule);
    told["status"] = json!(true);
    told["already"] = json!(!changed);
    Ok(Json(told))
}

fn told(services: &Services, rule: &KeepRule) -> Value {
    let at_start = services.policy.keep_at_start.as_ref();
    json!({ "keep": Rule::from(rule), "set_at_start": at_start.map(Rule::from) })
}

#[derive(Deserialize)]
pub(super) struct Page {
    after: Option<String>,
    limit: Option<u64>,
}

pub(super) async fn pins(
    _: Allowed<ReadOnly>,
    State(services): State<Services>,
    Query(page): Query<Page>,
) -> Result<Json<Value>, Problem> {
    let len = PageLen::of(page.limit);
    let mut pins = in_store(&services, move |store| store.pins(page.after.as_deref(), len.to_find())).await?;
    let next = len.cut(&mut pins).cloned();
    Ok(Json(json!({ "pins": pins, "next": next })))
}

/// Promises that are listed, of each kind.
const PROMISES_MAX: usize = 1000;

/// What this node keeps for others, and by whose promises it let go of files.
pub(super) async fn promises(
    _: Allowed<ReadOnly>,
    State(services): State<Services>,
) -> Result<Json<Value>, Problem> {
    let looked = in_store(&services, |store| {
        Ok((store.promises_given(PROMISES_MAX)?, store.promises_held(PROMISES_MAX)?))
    });
    let (given, held) = looked.await?;
    let files: Vec<FileId> =
        given.iter().map(|it| it.file_id).chain(held.iter().map(|it| it.file_id)).collect();
    let names = services.ledger.read(move |reader| {
        let mut names = HashMap::new();
        for file in files {
            let record = reader.file_by_id(&Hash::from_bytes(*file.as_bytes()))?;
            names.insert(file, record.map(|record| record.entry.name));
        }
        Ok(names)
    });
    let names = names.await?;
    let node = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).ok().map(NodeId::from_bytes);
    let given = given.into_iter().map(|promise| {
        json!({
            "file": names.get(&promise.file_id), "file_id": promise.file_id, "to": node(&promise.to),
            "until_ms": promise.until_ms,
        })
    });
    let held = held.into_iter().map(|promise| {
        let by = SignedPromise::from_record(&promise.statement).map(|signed| signed.promise.promiser);
        json!({
            "file": names.get(&promise.file_id), "file_id": promise.file_id, "by": by, "until_ms": promise.until_ms,
            "promise": HEXLOWER.encode(&promise.statement),
        })
    });
    Ok(Json(json!({ "given": given.collect::<Vec<_>>(), "held": held.collect::<Vec<_>>() })))
}

/// Durable when it is answered; the content comes by itself.
pub(super) async fn pin(
    _: Allowed<AdminOnly>,
    State(services): State<Services>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let record = live(&services, FileName::normalized(&name)?).await?;
    followed(&services, &record).await?;
    let name = String::from(record.entry.name);
    let pinned = name.clone();
    let already = match in_store(&services, move |store| store.pin(&pinned, wall_clock_ms())).await? {
        Pinned::Already(_) => true,
        Pinned::New(file) => {
            services.swarm.keep_changed(Some(file)).await?;
            false
        }
        // Withdrawn since it was looked at.
        Pinned::NoSuchName => return Err(unknown(&services, &name)),
    };
    Ok(Json(json!({ "status": true, "name": name, "file_id": record.entry.file_id, "already": already })))
}

pub(super) async fn unpin(
    _: Allowed<AdminOnly>,
    State(services): State<Services>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let name = String::from(FileName::normalized(&name)?);
    let unpinned = name.clone();
    let file = in_store(&services, move |store| store.unpin(&unpinned, wall_clock_ms())).await?;
    if let Some(file) = file {
        services.swarm.keep_changed(Some(file)).await?;
        services.keeping.look();
        return Ok(Json(json!({ "status": true, "name": name, "already": false })));
    }
    // Asking again for what is already so is success; a name that nobody has is a slip of the pen.
    let record = live(&services, FileName::normalized(&name)?).await?;
    Ok(Json(json!({ "status": true, "name": record.entry.name, "already": true })))
}

/// The live file with a name.
async fn live(services: &Services, name: FileName) -> Result<FileRecord, Problem> {
    let key = name.key();
    let found = services.ledger.read(move |reader| reader.file(&key)).await?;
    let found = found.filter(|record| record.entry.name == name);
    found.ok_or_else(|| unknown(services, name.as_str()))
}

/// A name that is not live here may be so elsewhere: this node may not have heard of it yet.
fn unknown(services: &Services, name: &str) -> Problem {
    let height = services.ledger.head().height;
    let others = services.presence.highest_head();
    let is_alone = services.presence.online().is_empty() && services.ledger.members().len() > 1;
    let behind = if others > height {
        format!("; this node's ledger is at block {height} and others are at {others}: ask again in a moment")
    } else if is_alone {
        format!("; this node reaches no other member, so its ledger, at block {height}, may be behind")
    } else {
        String::new()
    };
    Problem::not_found(format!("no file has the name {name:?}{behind}"))
}

/// Waits until the store knows the name.
async fn followed(services: &Services, record: &FileRecord) -> Result<(), Problem> {
    let (height, catalog) = (record.height, &services.catalog);
    if matches!(timeout(STORE_PATIENCE, catalog.reached(height)).await, Ok(true)) {
        return Ok(());
    }
    let applied = catalog.applied();
    let detail =
        format!("the store has applied block {applied} and the file is of block {height}; ask again");
    Err(Problem::unavailable(detail))
}
