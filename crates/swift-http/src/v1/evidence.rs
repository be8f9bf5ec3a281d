//! `GET /v1/evidence`.

use axum::{
    Json,
    extract::{Query, State},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use swift_chain::{Evidence, Hash, NetworkId, NodeId};

use crate::{
    access::{Allowed, ReadOnly},
    problem::Problem,
    services::Services,
};

const PAGE_LEN: u32 = 50;
const PAGE_LEN_MAX: u32 = 200;

#[derive(Serialize)]
struct EvidenceRow {
    id: Hash,
    height: u64,
    kind: &'static str,
    offenders: Vec<NodeId>,
    found_ms: u64,
    /// The file that proves it, in hexadecimal digits.
    proof: String,
}

impl EvidenceRow {
    fn new(network: &NetworkId, found_ms: u64, evidence: &Evidence) -> Self {
        Self {
            id: evidence.id(),
            height: evidence.height(),
            kind: evidence.kind(),
            offenders: evidence.offenders(),
            found_ms,
            proof: evidence.to_file(network).iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Page {
    limit: Option<u32>,
}

pub(super) async fn list(
    _: Allowed<ReadOnly>,
    State(services): State<Services>,
    Query(page): Query<Page>,
) -> Result<Json<Value>, Problem> {
    let limit = page.limit.unwrap_or(PAGE_LEN).clamp(1, PAGE_LEN_MAX);
    let network = services.ledger.network();
    let looked = services.ledger.read(move |reader| Ok((reader.evidence(limit)?, reader.evidence_count()?)));
    let (found, total) = looked.await?;
    let rows = found.iter().map(|(found_ms, evidence)| EvidenceRow::new(&network, *found_ms, evidence));
    Ok(Json(json!({ "evidence": rows.collect::<Vec<_>>(), "total": total })))
}
