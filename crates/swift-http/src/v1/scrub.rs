//! `/v1/scrub`: reading again what is stored.

use std::collections::{BTreeSet, HashMap};

use axum::{
    Json,
    extract::{Query, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use swift_chain::{FileName, Hash};
use swift_chunks::{FileId, Rot, ScrubPass};
use swift_p2p::driver::{NoScrub, Rate, RateLimit, ScrubPace, ScrubState, wall_clock_ms};

use super::{files::find, in_store, object::Object};
use crate::{
    access::{AdminOnly, Allowed, ReadOnly},
    problem::Problem,
    services::Services,
};

/// Contents that are listed as rotten.
const ROTTEN_MAX: usize = 100;

/// How far the scrubs are; also part of the status.
#[derive(Serialize)]
pub(super) struct Scrub {
    running: Option<Running>,
    /// Files that are looked at next.
    waiting: Vec<String>,
    last: Option<Pass>,
    /// Contents that were found rotten and are not whole again.
    unrepaired: u64,
    /// How fast it goes by itself; null: not at all.
    rate_bytes_per_second: Option<u64>,
    interval_seconds: u64,
}

/// A scrub under way.
#[derive(Serialize)]
struct Running {
    /// Null: everything.
    file: Option<String>,
    started_ms: u64,
    done_bytes: u64,
    total_bytes: u64,
    found_bad: u64,
}

/// A scrub of everything that ended.
#[derive(Serialize)]
struct Pass {
    started_ms: u64,
    ended_ms: Option<u64>,
    contents: u64,
    bytes: u64,
    found_bad: u64,
}

impl From<ScrubPass> for Pass {
    fn from(pass: ScrubPass) -> Self {
        let ScrubPass { started_ms, ended_ms, contents, bytes, bad, .. } = pass;
        Self { started_ms, ended_ms, contents, bytes, found_bad: bad }
    }
}

/// What was found rotten.
#[derive(Serialize)]
struct Rotten {
    /// A name that means it, or did last.
    name: Option<String>,
    file_id: FileId,
    bad_chunks: u64,
    found_ms: u64,
    repaired: bool,
}

impl From<Rot> for Rotten {
    fn from(rot: Rot) -> Self {
        let Rot { file_id, name, bad_chunks, found_ms, is_repaired } = rot;
        Self { name, file_id, bad_chunks, found_ms, repaired: is_repaired }
    }
}

impl Scrub {
    /// How far the scrubs of this node are.
    pub(super) async fn now(services: &Services) -> Result<Self, Problem> {
        let scrub = services.scrub.clone();
        let ScrubState { running, waiting, last, unrepaired } =
            in_store(services, move |store| scrub.state(&store)).await?;
        let looked_at = running.and_then(|running| running.file);
        let files: BTreeSet<FileId> = waiting.iter().copied().chain(looked_at).collect();
        let names = services.ledger.read(move |reader| {
            let mut names = HashMap::new();
            for file in files {
                if let Some(record) = reader.file_by_id(&Hash::from_bytes(*file.as_bytes()))? {
                    names.insert(file, String::from(record.entry.name));
                }
            }
            Ok(names)
        });
        let names = names.await?;
        let name = |file: FileId| names.get(&file).cloned().unwrap_or_else(|| file.to_string());
        let settings = services.scrub.settings();
        Ok(Self {
            running: running.map(|running| Running {
                file: running.file.map(name),
                started_ms: running.started_ms,
                done_bytes: running.done_bytes,
                total_bytes: running.total_bytes,
                found_bad: running.found_bad,
            }),
            waiting: waiting.into_iter().map(name).collect(),
            last: last.map(Pass::from),
            unrepaired,
            rate_bytes_per_second: settings.rate.map(Rate::get),
            interval_seconds: settings.interval.as_secs(),
        })
    }
}

/// One file's state.
#[derive(Serialize)]
struct OneFile {
    name: FileName,
    file_id: FileId,
    /// When it was last verified as a whole; 0 if nobody knows.
    verified_ms: u64,
    /// Whether it is looked at, or will be next.
    waiting: bool,
    rotten: Option<Rotten>,
}

#[derive(Deserialize)]
pub(super) struct Which {
    file: Option<String>,
}

pub(super) async fn show(
    _: Allowed<ReadOnly>,
    State(services): State<Services>,
    Query(which): Query<Which>,
) -> Result<Json<Value>, Problem> {
    let file = match which.file {
        Some(name) => Some(one(&services, FileName::normalized(&name)?).await?),
        None => None,
    };
    let rotten = in_store(&services, |store| store.rot(ROTTEN_MAX)).await?;
    let rotten: Vec<Rotten> = rotten.into_iter().map(Rotten::from).collect();
    let mut shown = json!(Scrub::now(&services).await?);
    shown["rotten"] = json!(rotten);
    shown["file"] = json!(file);
    Ok(Json(shown))
}

async fn one(services: &Services, name: FileName) -> Result<OneFile, Problem> {
    let (name, file_id) = live(services, name).await?;
    let scrub = services.scrub.clone();
    let looked = in_store(services, move |store| {
        // In this order: what ends in between has ended, and was not forgotten.
        let waiting = scrub.is_waiting(file_id);
        let due = store.scrub_due_of(file_id)?;
        Ok((waiting, due.map_or(0, |due| due.verified_ms), store.rot_of(file_id)?))
    });
    let (waiting, verified_ms, rot) = looked.await?;
    Ok(OneFile { name, file_id, verified_ms, waiting, rotten: rot.map(Rotten::from) })
}

async fn live(services: &Services, name: FileName) -> Result<(FileName, FileId), Problem> {
    let entry = find(services, name).await?.entry;
    let file_id = FileId::from_bytes(*entry.file_id.as_bytes());
    Ok((entry.name, file_id))
}

/// What to look at, and how fast.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    file: Option<String>,
    /// As people write it; `none` is as fast as the disk.
    rate: Option<String>,
}

pub(super) async fn begin(
    _: Allowed<AdminOnly>,
    State(services): State<Services>,
    body: Result<Json<Object<Wanted>>, axum::extract::rejection::JsonRejection>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let Json(Object(Wanted { file, rate })) =
        body.map_err(|error| Problem::bad_request(error.body_text()))?;
    let pace = match rate.map(|rate| rate.parse()).transpose() {
        Ok(None) => ScrubPace::AsSet,
        Ok(Some(RateLimit(Some(rate)))) => ScrubPace::Rate(rate),
        Ok(Some(RateLimit(None))) => ScrubPace::Unlimited,
        Err(error) => return Err(Problem::bad_request(error.to_string())),
    };
    let scrub = services.scrub.clone();
    let (file, started_ms) = match file {
        None => {
            let pass = in_store(&services, move |store| scrub.begin(&store, pace)).await?;
            (None, pass.map_err(refused)?.started_ms)
        }
        Some(name) => {
            let (name, file_id) = live(&services, FileName::normalized(&name)?).await?;
            if in_store(&services, move |store| store.scrub_due_of(file_id)).await?.is_none() {
                let detail = format!("nothing of {:?} is here; ask a node that has it", name.as_str());
                return Err(Problem::unavailable(detail));
            }
            let started_ms = wall_clock_ms();
            scrub.begin_file(file_id, pace).map_err(refused)?;
            (Some(name), started_ms)
        }
    };
    Ok((StatusCode::ACCEPTED, Json(json!({ "status": true, "file": file, "started_ms": started_ms }))))
}

fn refused(error: NoScrub) -> Problem {
    Problem::unavailable(error.to_string())
}
