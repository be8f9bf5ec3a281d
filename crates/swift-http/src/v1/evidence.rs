//! `GET /v1/evidence`.

use axum::{
    Json,
    extract::{Query, State},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use swift_chain::{Evidence, Hash, NetworkId, NodeId};

use super::page::PageLen;
use crate::{
    access::{Allowed, ReadOnly},
    problem::Problem,
    services::Services,
};

const PAGE_LEN: u16 = 50;
const PAGE_LEN_MAX: u16 = 200;

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
    after: Option<String>,
    limit: Option<u64>,
}

pub(super) async fn list(
    _: Allowed<ReadOnly>,
    State(services): State<Services>,
    Query(page): Query<Page>,
) -> Result<Json<Value>, Problem> {
    let len = PageLen::of_long(page.limit, PAGE_LEN, PAGE_LEN_MAX);
    let after = page.after.map(|after| place_of(&after)).transpose()?;
    let network = services.ledger.network();
    let looked = services
        .ledger
        .read(move |reader| Ok((reader.evidence_behind(after, len.to_find())?, reader.evidence_count()?)));
    let (mut found, total) = looked.await?;
    let next = len.cut(&mut found).map(|(_, last)| format!("{}.{}", last.height(), last.id()));
    let rows = found.iter().map(|(found_ms, evidence)| EvidenceRow::new(&network, *found_ms, evidence));
    Ok(Json(json!({ "evidence": rows.collect::<Vec<_>>(), "next": next, "total": total })))
}

fn place_of(after: &str) -> Result<(u64, Hash), Problem> {
    let place = after.split_once('.').and_then(|(height, id)| Some((height.parse().ok()?, id.parse().ok()?)));
    place.ok_or_else(|| Problem::bad_request(format!("after: {after:?} is not the `next` of a page before")))
}
