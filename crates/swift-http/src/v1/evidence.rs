//! `GET /v1/evidence`.

use axum::{
    Extension, Json,
    extract::{Query, State},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use swift_chain::{Evidence, Hash, NetworkId, NodeId};

use crate::{access::Access, problem::Problem, services::Services, tokens::Scope};

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
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    query: Result<Query<Page>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Value>, Problem> {
    access.require(Scope::Read)?;
    let Query(page) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let limit = page.limit.unwrap_or(PAGE_LEN).clamp(1, PAGE_LEN_MAX);
    let network = services.ledger.network();
    let looked = services.ledger.read(move |reader| Ok((reader.evidence(limit)?, reader.evidence_count()?)));
    let (found, total) = looked.await?;
    let rows = found.iter().map(|(found_ms, evidence)| EvidenceRow::new(&network, *found_ms, evidence));
    Ok(Json(json!({ "evidence": rows.collect::<Vec<_>>(), "total": total })))
}
