//! `GET /v1/events`: what happens, as server-sent events.

use axum::{
    Extension,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use swift_p2p::{driver::wall_clock_ms, transport::HangUp};

use crate::{
    access::{Access, Shown},
    events::{EventType, EventTypes, Watching},
    problem::Problem,
    services::Services,
    tokens::Scope,
};

/// Bytes of an id that are looked at.
const ID_LEN_MAX: usize = 64;

#[derive(Deserialize)]
pub(super) struct Asked {
    types: Option<String>,
}

pub(super) async fn watch(
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    shown: Option<Extension<Shown>>,
    connection: Option<Extension<HangUp>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let token = access.require(Scope::Read)?.clone();
    let types = match asked.types {
        None => EventType::ALL
            .into_iter()
            .filter(|kind| *kind != EventType::Security || token.allows(Scope::Admin))
            .fold(EventTypes::default(), EventTypes::with),
        Some(text) => types_of(&text)?,
    };
    if types.has(EventType::Security) {
        access.require(Scope::Admin)?;
    }
    let last_id = headers.get("last-event-id").map(|id| id.to_str().unwrap_or_default());
    let last_id = last_id.map(|id| if id.len() <= ID_LEN_MAX { id } else { "" });
    // A token that is revoked or expires ends its streams, a browser that is signed out its own.
    let Some(Extension(shown)) = shown else { return Err(Problem::unauthorized("this needs a token")) };
    let events = services.events.clone();
    let label = token.label.clone();
    let may_go_on = move || {
        let grant = shown.grant(&services, wall_clock_ms());
        grant.is_some_and(|grant| grant.scopes == token.scopes)
    };
    let watching = Watching::begin(events, label.as_str(), types, last_id, may_go_on)?;
    let watching = watching.over(connection.map(|Extension(connection)| connection));
    let mut response = watching.into_body().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn types_of(text: &str) -> Result<EventTypes, Problem> {
    text.split(',').try_fold(EventTypes::default(), |types, name| {
        let kind = EventType::ALL.into_iter().find(|kind| kind.name() == name.trim());
        kind.map(|kind| types.with(kind)).ok_or_else(|| {
            let known = EventType::ALL.map(EventType::name).join(", ");
            Problem::bad_request(format!("there are no events of type {name:?}; there are: {known}"))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_named_and_others_are_refused_with_the_names() {
        let types = types_of("file, node").unwrap();
        assert!(types.has(EventType::File) && types.has(EventType::Node) && !types.has(EventType::Ledger));
        for text in ["", "files", "file,", "file;node"] {
            assert!(types_of(text).unwrap_err().detail.contains("transfer"), "{text:?}");
        }
    }
}
