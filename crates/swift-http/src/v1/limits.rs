//! `/v1/limits`.

use axum::{Extension, Json, extract::State};
use serde::{Deserialize, Deserializer, Serialize};
use swift_p2p::driver::{ConnectionLimit, ConnectionsAllowed, LimitSettings, Rate, RateLimit};
use tokio::task;

use super::object::Object;
use crate::{
    access::{Access, AdminOnly, Allowed},
    problem::Problem,
    services::Services,
    tokens::Scope,
};

/// What holds now, and what this start of the node was given.
#[derive(Serialize)]
pub(super) struct Answer {
    #[serde(flatten)]
    now: Shown,
    at_start: Shown,
}

/// Limits in exact numbers; null is no limit.
#[derive(Serialize)]
struct Shown {
    up_bytes_per_second: Option<u64>,
    down_bytes_per_second: Option<u64>,
    connections: Option<u32>,
}

impl Shown {
    fn new(settings: LimitSettings) -> Self {
        Self {
            up_bytes_per_second: settings.up.map(Rate::get),
            down_bytes_per_second: settings.down.map(Rate::get),
            connections: settings.connections.map(ConnectionLimit::get),
        }
    }
}

/// Limits to set; those that are not named stay.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    #[serde(default, deserialize_with = "named")]
    up: Option<Wanted>,
    #[serde(default, deserialize_with = "named")]
    down: Option<Wanted>,
    #[serde(default, deserialize_with = "named")]
    connections: Option<Wanted>,
}

/// A limit as it is asked for.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Wanted {
    /// Bytes per second, or connections.
    Number(u64),
    /// As people write it: also `none`, and `default` for what the start was given.
    Text(String),
    /// None.
    Nothing,
}

/// A field that is there, also as null.
fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Wanted>, D::Error> {
    Wanted::deserialize(deserializer).map(Some)
}

pub(super) async fn show(
    State(services): State<Services>,
    Extension(access): Extension<Access>,
) -> Result<Json<Answer>, Problem> {
    access.require(Scope::Read)?;
    Ok(Json(answer(&services, services.limits.now())))
}

pub(super) async fn change(
    _: Allowed<AdminOnly>,
    State(services): State<Services>,
    body: Result<Json<Object<Change>>, axum::extract::rejection::JsonRejection>,
) -> Result<Json<Answer>, Problem> {
    let Json(Object(wanted)) = body.map_err(|error| Problem::bad_request(error.body_text()))?;
    let at_start = services.limits.configured();
    let up = wanted.up.map(|up| rate(&up, at_start.up)).transpose()?;
    let down = wanted.down.map(|down| rate(&down, at_start.down)).transpose()?;
    let connections = wanted.connections.map(|wanted| count(&wanted, at_start.connections)).transpose()?;
    let limits = services.limits.clone();
    let changed = task::spawn_blocking(move || {
        limits.change(|now| {
            now.up = up.unwrap_or(now.up);
            now.down = down.unwrap_or(now.down);
            now.connections = connections.unwrap_or(now.connections);
        })
    });
    let changed = changed.await.map_err(|error| Problem::internal(&error))?;
    let now = changed.map_err(|error| Problem::internal(&format!("the limits cannot be kept: {error}")))?;
    Ok(Json(answer(&services, now)))
}

fn answer(services: &Services, now: LimitSettings) -> Answer {
    Answer { now: Shown::new(now), at_start: Shown::new(services.limits.configured()) }
}

fn rate(wanted: &Wanted, at_start: Option<Rate>) -> Result<Option<Rate>, Problem> {
    let bad = |error: swift_p2p::driver::RateError| Problem::bad_request(error.to_string());
    match wanted {
        Wanted::Nothing => Ok(None),
        Wanted::Number(bytes) => Rate::new(*bytes).map(Some).map_err(bad),
        Wanted::Text(text) if text.trim() == "default" => Ok(at_start),
        Wanted::Text(text) => text.parse().map(|RateLimit(limit)| limit).map_err(bad),
    }
}

fn count(wanted: &Wanted, at_start: Option<ConnectionLimit>) -> Result<Option<ConnectionLimit>, Problem> {
    let bad = |error: swift_p2p::driver::ConnectionLimitError| Problem::bad_request(error.to_string());
    match wanted {
        Wanted::Nothing => Ok(None),
        Wanted::Number(number) => {
            ConnectionLimit::new(u32::try_from(*number).unwrap_or(u32::MAX)).map(Some).map_err(bad)
        }
        Wanted::Text(text) if text.trim() == "default" => Ok(at_start),
        Wanted::Text(text) => text.parse().map(|ConnectionsAllowed(limit)| limit).map_err(bad),
    }
}
