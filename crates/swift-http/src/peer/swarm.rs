//! The swarm's part of what members say to each other.

use axum::Router;

use crate::services::Services;

pub(super) fn router() -> Router<Services> {
    Router::new()
}
