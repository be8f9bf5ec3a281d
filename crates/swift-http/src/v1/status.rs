//! `GET /v1/status`.

use axum::{Extension, Json, extract::State};
use serde::Serialize;
use swift_chain::{Address, BlockHash, NetworkId, NodeId, Role, Validator};
use swift_chunks::StoreError;
use tokio::task;

use crate::{access::Access, problem::Problem, services::Services, tokens::Scope};

/// Contents on their way that are counted; more are shown as this many.
const WANTED_COUNTED_MAX: usize = 1000;

#[derive(Serialize)]
pub(super) struct Status {
    node_id: NodeId,
    network_id: NetworkId,
    version: &'static str,
    role: Option<Role>,
    address: Option<Address>,
    height: u64,
    head_hash: BlockHash,
    head_time_ms: u64,
    validators: Vec<ValidatorRow>,
    members: u64,
    files: u64,
    bytes: u128,
    store: StoreStatus,
    peers_online: usize,
    problem: Option<String>,
}

#[derive(Serialize)]
pub(super) struct ValidatorRow {
    node_id: NodeId,
    weight: u32,
}

#[derive(Serialize)]
pub(super) struct StoreStatus {
    bytes: u64,
    trashed_bytes: u64,
    wanted: usize,
    quota_bytes: Option<u64>,
    available_bytes: u64,
}

pub(super) async fn status(
    State(services): State<Services>,
    Extension(access): Extension<Access>,
) -> Result<Json<Status>, Problem> {
    access.require_member_or(Scope::Read)?;
    let looked = services.ledger.read(|reader| Ok((reader.head()?, reader.counts()?, reader.validators()?)));
    let (head, counts, validators) = looked.await?;
    let store = services.store.clone();
    let looked = task::spawn_blocking(move || {
        let wanted = store.wanted(None, WANTED_COUNTED_MAX)?.len();
        Ok::<_, StoreError>((store.usage()?, wanted))
    });
    let (usage, wanted) = looked.await.map_err(|error| Problem::internal(&error))??;
    let node_id = services.key.id();
    let member = services.ledger.members().member(&node_id);
    let is_full = usage.available == 0;
    let full = is_full.then(|| "disk full: no room for more content".to_owned());
    let problem = services.swarm.problem().or(full);
    Ok(Json(Status {
        node_id,
        network_id: services.ledger.network(),
        version: env!("CARGO_PKG_VERSION"),
        role: member.as_ref().map(|member| member.role),
        address: member.map(|member| member.address),
        height: head.height,
        head_hash: head.hash,
        head_time_ms: head.time_ms,
        validators: validators
            .iter()
            .map(|&Validator { node, weight }| ValidatorRow { node_id: node, weight })
            .collect(),
        members: counts.members,
        files: counts.files,
        bytes: counts.bytes,
        store: StoreStatus {
            bytes: usage.used,
            trashed_bytes: usage.trashed,
            wanted,
            quota_bytes: usage.quota,
            available_bytes: usage.available,
        },
        peers_online: services.swarm.online().len(),
        problem,
    }))
}
