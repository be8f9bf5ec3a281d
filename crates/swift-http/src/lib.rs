//! The HTTP interface of a SwiftServe node: the routes of the original service and a `/v1` API.
//!
//! [`router`] makes an [`axum::Router`] from [`Services`], a handful of handles. The crate holds no state of its own
//! and opens no socket: whoever accepts connections hands requests to the router and says in their extensions who is
//! calling ([`Caller`](swift_p2p::transport::Caller), [`RemoteAddress`](swift_p2p::transport::RemoteAddress)).
//! Requests without these are taken as those of a local client.
//!
//! `docs/http-api.md` describes every route.

mod access;
mod content;
mod ingest;
mod legacy;
mod peer;
mod problem;
mod range;
mod services;
mod tokens;
mod v1;

use axum::{Router, middleware, routing::get};

pub use services::{AccessPolicy, Services};
pub use tokens::{Scope, TokenError, TokenRecord, Tokens};

use problem::Problem;

/// All routes of a node.
pub fn router(services: Services) -> Router {
    Router::new()
        .merge(legacy::router())
        .nest("/peer", peer::router())
        .nest("/v1", v1::router())
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .fallback(async || Problem::not_found("there is no such route; see docs/http-api.md"))
        .method_not_allowed_fallback(async || {
            let status = axum::http::StatusCode::METHOD_NOT_ALLOWED;
            Problem::new(status, "bad_request", "this route does not take this method")
        })
        .layer(middleware::from_fn_with_state(services.clone(), access::identify))
        .with_state(services)
}

/// Whether the node can serve: its store has followed the ledger.
async fn ready(
    axum::extract::State(services): axum::extract::State<Services>,
) -> Result<&'static str, Problem> {
    let (applied, height) = (services.catalog.applied(), services.ledger.head().height);
    if applied >= height {
        Ok("ready\n")
    } else {
        Err(Problem::unavailable(format!("the store has applied block {applied} of {height}")))
    }
}
