//! The `/v1` API.

mod blocks;
mod events;
mod evidence;
mod files;
mod holders;
mod invites;
mod keep;
mod limits;
mod nodes;
mod page;
mod peers;
mod priorities;
mod proof;
mod refusals;
mod risk;
mod scrub;
mod security;
mod sessions;
mod status;
mod tokens;
mod transactions;
mod transfers;
mod trash;
mod verify;

use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    routing::{delete, get, patch, post, put},
};
use serde_json::{Value, json};
use swift_chain::Settled;
use swift_chunks::{Store, StoreError};
use tokio::task;

pub(crate) use transfers::rows as transfers;

use crate::{problem::Problem, services::Services};

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
        .route("/nodes/{id}", patch(nodes::update).delete(nodes::remove))
        .route("/invites", post(invites::invite))
        .route("/verify", get(verify::verify))
        .route("/blocks", get(blocks::list))
        .route("/blocks/{height}", get(blocks::one))
        .route("/transactions", get(transactions::list))
        .route("/events", get(events::watch))
        .route("/evidence", get(evidence::list))
        .route("/security", get(security::list))
        .route("/refusals", get(refusals::list))
        .route("/keep", get(keep::show).put(keep::set))
        .route("/pins", get(keep::pins))
        .route("/pins/{*name}", put(keep::pin).delete(keep::unpin))
        .route("/limits", get(limits::show).patch(limits::change))
        .route("/priorities", get(priorities::list))
        .route("/priorities/{*name}", put(priorities::change))
        .route("/peers", get(peers::list))
        .route("/promises", get(keep::promises))
        .route("/transfers", get(transfers::list))
        .route("/trash", get(trash::list).post(trash::restore).delete(trash::empty))
        .route("/scrub", get(scrub::show).post(scrub::begin))
        .route(
            "/sessions",
            get(sessions::show)
                .post(sessions::sign_in)
                .delete(sessions::sign_out)
                .layer(DefaultBodyLimit::max(sessions::SIGN_IN_LEN_MAX)),
        )
        .route("/dashboard", post(sessions::invite))
        .route("/tokens", get(tokens::list).post(tokens::create))
        .route("/tokens/{label}", delete(tokens::revoke))
}

/// The answer to a write: what it is about, and the block, as far as there is one.
fn written(mut about: Value, settled: Option<Settled>) -> (StatusCode, Json<Value>) {
    about["status"] = json!(true);
    about["final"] = json!(settled.is_some());
    about["block"] = json!(settled.map(|settled| settled.height));
    about["already"] = json!(settled.is_some_and(|settled| settled.transaction.is_none()));
    (if settled.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED }, Json(about))
}

/// Works with the store where that may take a while.
pub(crate) async fn in_store<T: Send + 'static>(
    services: &Services,
    work: impl FnOnce(Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Problem> {
    let store = services.store.clone();
    let done = task::spawn_blocking(move || work(store)).await;
    Ok(done.map_err(|error| Problem::internal(&error))??)
}
