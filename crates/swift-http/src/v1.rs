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
mod object;
mod page;
mod peers;
mod priorities;
mod proof;
mod refusals;
mod risk;
mod routes;
mod scrub;
mod security;
mod sessions;
mod status;
mod tokens;
mod transactions;
mod transfers;
mod trash;
mod verify;

use axum::{Json, http::StatusCode};
use serde_json::{Value, json};
use swift_chain::Settled;
use swift_chunks::{Store, StoreError};
use tokio::task;

pub(crate) use files::Expected;
pub(crate) use routes::operations;
pub(crate) use transfers::most as transfers;

use crate::{problem::Problem, services::Services};

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
