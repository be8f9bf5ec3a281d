//! What members say to each other, beside the routes of the original service: `/peer/...`, for nodes only.

mod ledger;
mod swarm;

use axum::Router;

pub(crate) use swarm::decode;

use crate::services::Services;

pub(crate) fn router() -> Router<Services> {
    Router::new().merge(ledger::router()).merge(swarm::router())
}
