//! `GET /v1/refusals`.

use axum::{
    Json,
    extract::{Query, State},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use swift_chain::{Action, Label};
use swift_p2p::driver::{LedgerError, Refusal};

use super::page::PageLen;
use crate::{
    access::{Allowed, ReadOnly},
    problem::Problem,
    services::Services,
};

/// A write that its client may not have heard of.
#[derive(Serialize)]
struct RefusalRow {
    refused_ms: u64,
    on_behalf_of: Option<Label>,
    action: Action,
    /// As the client would have been told.
    code: &'static str,
    reason: String,
}

impl From<Refusal> for RefusalRow {
    fn from(refusal: Refusal) -> Self {
        let Refusal { refused_ms, action, on_behalf_of, error } = refusal;
        let Problem { code, detail: reason, .. } = LedgerError::Refused(error).into();
        Self { refused_ms, on_behalf_of, action, code, reason }
    }
}

#[derive(Deserialize)]
pub(super) struct Page {
    after: Option<u64>,
    limit: Option<u64>,
}

pub(super) async fn list(
    _: Allowed<ReadOnly>,
    State(services): State<Services>,
    Query(page): Query<Page>,
) -> Json<Value> {
    let len = PageLen::of(page.limit);
    let mut refusals = services.ledger.refusals().latest(page.after, len.to_find::<u16>().into());
    let next = len.cut(&mut refusals).map(|(number, _)| number.to_string());
    let rows: Vec<_> = refusals.into_iter().map(|(_, refusal)| RefusalRow::from(refusal)).collect();
    Json(json!({ "refusals": rows, "next": next }))
}
