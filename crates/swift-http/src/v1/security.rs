//! `GET /v1/security`: who was refused here, and who did wrong.

use axum::{
    Json,
    extract::{Query, State},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::page::PageLen;
use crate::{
    access::{AdminOnly, Allowed},
    problem::Problem,
    services::Services,
};

#[derive(Deserialize)]
pub(super) struct Page {
    after: Option<String>,
    limit: Option<u64>,
}

pub(super) async fn list(
    _: Allowed<AdminOnly>,
    State(services): State<Services>,
    Query(page): Query<Page>,
) -> Result<Json<Value>, Problem> {
    let len = PageLen::of(page.limit);
    let before: Option<u64> = match page.after.map(|after| after.parse()).transpose() {
        Ok(before) => before,
        Err(_) => return Err(Problem::bad_request("after: not the `next` of a page before")),
    };
    let mut events = services.security.latest(before, len.to_find());
    let next = len.cut(&mut events).map(|event| event.id.to_string());
    Ok(Json(json!({ "events": events, "next": next })))
}
