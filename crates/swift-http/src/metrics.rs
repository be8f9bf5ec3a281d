//! `GET /metrics`: what the node has and does, as numbers, in the text of OpenMetrics.
//!
//! Requests, and what clients send and get, are counted here as they come. All else is counted by the parts of the node for
//! themselves, and asked for when somebody looks. Labels have few values, all known beforehand: never a name, an id, an
//! address. `docs/operations.md` lists every metric.

mod content;
mod page;
mod process;
mod requests;
mod snapshot;

use std::time::SystemTime;

use axum::{
    Extension,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use prometheus_client::{encoding::text::encode, registry::Registry};

use crate::{access::Access, problem::Problem, services::Services, tokens::Scope};

pub(crate) use content::ClientContent;
use requests::Requests;
pub(crate) use requests::count;
use snapshot::Snapshot;

/// What is counted here.
#[derive(Debug)]
pub(crate) struct Metrics {
    requests: Requests,
    content: ClientContent,
    started: SystemTime,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let (requests, content) = (Requests::default(), ClientContent::default());
        Self { requests, content, started: SystemTime::now() }
    }

    /// What clients sent and got.
    pub(crate) fn content(&self) -> &ClientContent {
        &self.content
    }
}

/// All of it, as it is now.
pub(crate) async fn show(
    State(services): State<Services>,
    Extension(access): Extension<Access>,
) -> Result<Response, Problem> {
    access.require(Scope::Read)?;
    let now = Snapshot::take(&services).await?;
    let mut registry = Registry::default();
    registry.register_collector(Box::new(now.process()));
    let ours = registry.sub_registry_with_prefix("swiftserve");
    services.metrics().requests.register(ours);
    ours.register_collector(Box::new(now));
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|error| Problem::internal(&error))?;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}
