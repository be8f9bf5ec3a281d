//! What members say to each other, beside the routes of the original service: `/peer/...`, for nodes only.

mod ledger;
mod swarm;

use axum::{
    Router,
    body::Body,
    response::{IntoResponse as _, Response},
};

pub(crate) use swarm::decode_all;

use crate::services::Services;

/// Bytes for a member. It asked for them and knows what they are, so the head of the answer does not say it.
pub(crate) fn bare(bytes: Vec<u8>) -> Response {
    Body::from(bytes).into_response()
}

pub(crate) fn router() -> Router<Services> {
    Router::new().merge(ledger::router()).merge(swarm::router())
}
