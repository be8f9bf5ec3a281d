//! What a node tells anybody: whether it is there, whether it can serve, and where to go on.

use axum::{Json, extract::State};
use serde_json::{Value, json};

use crate::{
    metrics,
    openapi::{self, Body, Operation, Who, get, text},
    problem::Problem,
    services::Services,
};

/// The operations outside `/v1` that the original service had not, the page for browsers apart: the router and the document are made from this list.
pub(crate) fn operations() -> Vec<Operation> {
    vec![
        get("/openapi.json", Who::Anyone, "This document.", openapi::send)
            .header("if-none-match", "a tag: a document that has it is not sent")
            .gives(200, Body::Json(json!({ "type": "object" })))
            .gives(304, Body::Empty),
        get("/healthz", Who::Anyone, "Whether the node runs.", async || "ok\n").gives(200, Body::text()),
        get("/readyz", Who::Anyone, "Whether the node can serve.", ready).gives(200, Body::text()),
        get("/metrics", Who::Read, "What is counted and measured, in OpenMetrics.", metrics::show)
            .gives(200, Body::Of("application/openmetrics-text", text())),
    ]
}

/// Where a program goes on, for one that knows nothing but the address.
pub(crate) async fn entry_points(State(services): State<Services>) -> Json<Value> {
    Json(json!({
        "service": "SwiftServe",
        "version": env!("CARGO_PKG_VERSION"),
        "node_id": services.key.id(),
        "entry_points": {
            "/openapi.json": "every route, its parameters and answers, as OpenAPI 3.1",
            "/healthz": "whether the node runs",
            "/readyz": "whether the node can serve",
            "/key": "the node's public key, PEM",
            "/metrics": "what is counted and measured, in OpenMetrics",
            "/v1/status": "this node, its network and its store",
            "/v1/files": "live files; PUT, GET, HEAD and DELETE /v1/files/NAME",
            "/v1/nodes": "members of the network",
            "/v1/blocks": "the ledger, block by block",
            "/v1/transactions": "who did what",
            "/v1/transfers": "what is coming in and going out",
            "/v1/events": "what happens, as server-sent events",
            "/v1/verify": "checks the whole chain, as server-sent events",
        },
    }))
}

/// Whether the node can serve: its store has followed the ledger.
async fn ready(State(services): State<Services>) -> Result<&'static str, Problem> {
    let (applied, height) = (services.catalog.applied(), services.ledger.head().height);
    if applied >= height {
        Ok("ready\n")
    } else {
        Err(Problem::unavailable(format!("the store has applied block {applied} of {height}")))
    }
}
