//! The `/v1` API.

mod blocks;
mod evidence;
mod files;
mod nodes;
mod proof;
mod status;
mod tokens;
mod transfers;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{delete, get, post},
};

use crate::services::Services;

pub(crate) fn router() -> Router<Services> {
    Router::new()
        .route("/status", get(status::status))
        .route("/files", get(files::list))
        .route(
            "/files/{*name}",
            get(files::fetch).put(files::put).delete(files::remove).layer(DefaultBodyLimit::disable()),
        )
        .route("/proof", get(proof::receipt))
        .route("/nodes", get(nodes::list))
        .route("/nodes/{id}", delete(nodes::remove))
        .route("/invites", post(nodes::invite))
        .route("/blocks", get(blocks::list))
        .route("/blocks/{height}", get(blocks::one))
        .route("/evidence", get(evidence::list))
        .route("/transfers", get(transfers::list))
        .route("/tokens", get(tokens::list).post(tokens::create))
        .route("/tokens/{label}", delete(tokens::revoke))
}
