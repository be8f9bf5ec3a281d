//! `/v1/peers`: the other members as this node has found them: what moved, and what they did wrong.

use std::collections::{BTreeMap, HashMap};

use axum::{
    Json,
    extract::{Query, State},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use swift_chain::{Address, LedgerReader, NodeId, Role};
use swift_p2p::driver::{Conducted, LastOffence, Traffic};

use super::page::PageLen;
use crate::{
    access::{Allowed, ReadOnly},
    problem::Problem,
    services::Services,
};

#[derive(Deserialize)]
pub(super) struct Page {
    after: Option<NodeId>,
    limit: Option<u64>,
}

#[derive(Serialize)]
struct PeerRow {
    node_id: NodeId,
    role: Role,
    address: Address,
    /// Whether it can be reached.
    connected: bool,
    heard_ms: Option<u64>,
    /// Content that came from it and went to it.
    received_bytes: u64,
    sent_bytes: u64,
    /// What it said besides.
    message_bytes: u64,
    offences: BTreeMap<&'static str, u64>,
    last_offence: Option<OffenceRow>,
    /// How often it was isolated, as far as that is remembered.
    isolations: u32,
    isolated_until_ms: Option<u64>,
}

#[derive(Serialize)]
struct OffenceRow {
    kind: &'static str,
    at_ms: u64,
    detail: String,
}

impl From<LastOffence> for OffenceRow {
    fn from(last: LastOffence) -> Self {
        Self { kind: last.kind.name(), at_ms: last.at_ms, detail: last.detail }
    }
}

pub(super) async fn list(
    _: Allowed<ReadOnly>,
    State(services): State<Services>,
    page: Result<Query<Page>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(page) = page.map_err(|error| Problem::bad_request(error.body_text()))?;
    let (len, me) = (PageLen::of(page.limit), services.key.id());
    let mut members = services.ledger.read(LedgerReader::members).await?;
    members.sort_unstable_by_key(|(node, _)| *node);
    members.retain(|(node, _)| *node != me && page.after.is_none_or(|after| *node > after));
    members.truncate(len.to_find());
    let next = len.cut(&mut members).map(|(node, _)| *node);
    let moved = services.swarm.peer_traffic().await?;
    let moved: HashMap<NodeId, Traffic> = moved.into_iter().map(|row| (row.peer, row.traffic)).collect();
    let online = services.presence.online();
    let rows = members.into_iter().map(|(node, member)| {
        let traffic = moved.get(&node).copied().unwrap_or_default();
        let Conducted { heard_ms, message_bytes, offences, last, isolations, isolated_until_ms } =
            services.conduct.of(&node);
        PeerRow {
            node_id: node,
            role: member.role,
            address: member.address,
            connected: online.contains(&node),
            heard_ms,
            received_bytes: traffic.received_bytes,
            sent_bytes: traffic.sent_bytes,
            message_bytes,
            offences: offences.into_iter().map(|(kind, count)| (kind.name(), count)).collect(),
            last_offence: last.map(OffenceRow::from),
            isolations,
            isolated_until_ms,
        }
    });
    let rows: Vec<PeerRow> = rows.collect();
    Ok(Json(json!({ "peers": rows, "next": next })))
}
