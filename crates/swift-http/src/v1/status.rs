//! `GET /v1/status`.

use std::collections::HashMap;

use axum::{
    Extension, Json,
    extract::{Query, State},
};
use serde::Serialize;
use swift_chain::{
    Address, BlockHash, Certificate, NetworkId, NodeId, QuorumHealth, Role, Validator, ValidatorSet,
};
use swift_chunks::StoreError;
use swift_p2p::driver::Traffic;
use tokio::task;

use super::{risk::AtRisk, scrub::Scrub};
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
    quorum: QuorumRow,
    last_certificate: Option<CertificateRow>,
    /// Proofs that validators signed what excludes each other.
    evidence: u64,
    members: u64,
    files: u64,
    bytes: u128,
    store: StoreStatus,
    scrub: Scrub,
    traffic: TrafficRow,
    peers_online: usize,
    problem: Option<String>,
    /// Only when it was asked for.
    at_risk: Option<AtRisk>,
}

#[derive(Serialize)]
pub(super) struct ValidatorRow {
    node_id: NodeId,
    weight: u32,
    online: bool,
    signed_last: bool,
}

/// Whether the validators can decide.
#[derive(Serialize)]
struct QuorumRow {
    total: u64,
    needed: u64,
    reachable: u64,
    has_quorum: bool,
    faults_tolerated: usize,
    warning: Option<String>,
}

impl From<QuorumHealth> for QuorumRow {
    fn from(health: QuorumHealth) -> Self {
        Self {
            total: health.total(),
            needed: health.needed(),
            reachable: health.reachable(),
            has_quorum: health.has_quorum(),
            faults_tolerated: health.faults_tolerated(),
            warning: health.warning(),
        }
    }
}

/// Who made the last block final, as this node was told: a quorum, not everybody who would have signed.
#[derive(Serialize)]
struct CertificateRow {
    height: u64,
    round: u32,
    signers: Vec<NodeId>,
}

impl From<Certificate> for CertificateRow {
    fn from(certificate: Certificate) -> Self {
        Self {
            height: certificate.height,
            round: certificate.round,
            signers: certificate.signatures.into_iter().map(|(node, _)| node).collect(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct StoreStatus {
    bytes: u64,
    /// Of `bytes`: in the trash.
    trashed_bytes: u64,
    /// Of `bytes`: promised to running transfers and not written yet.
    reserved_bytes: u64,
    wanted: usize,
    quota_bytes: Option<u64>,
    free_floor_bytes: u64,
    /// On the disk.
    free_bytes: u64,
    /// That an upload or a download could still be promised.
    available_bytes: u64,
}

/// Content that moved between this node and others since it started.
#[derive(Serialize)]
struct TrafficRow {
    received_bytes: u64,
    sent_bytes: u64,
}

impl From<Traffic> for TrafficRow {
    fn from(traffic: Traffic) -> Self {
        Self { received_bytes: traffic.received_bytes, sent_bytes: traffic.sent_bytes }
    }
}

pub(super) async fn status(
    State(services): State<Services>,
    Extension(access): Extension<Access>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Status>, Problem> {
    access.require_member_or(Scope::Read)?;
    let at_risk = if query.contains_key("copies") { Some(AtRisk::find(&services).await?) } else { None };
    let looked = services.ledger.read(|reader| {
        let head = reader.head()?;
        let last = reader.block(head.height)?.map(|sealed| CertificateRow::from(sealed.certificate));
        let (counts, validators, evidence) =
            (reader.counts()?, reader.validators()?, reader.evidence_count()?);
        Ok((head, counts, validators, last, evidence, reader.signs_from()?))
    });
    let (head, counts, validators, last_certificate, evidence, signs_from) = looked.await?;
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
    let held = (signs_from > 0 && validators.weight(&node_id) > 0).then(|| held_until(signs_from));
    let problem = services.swarm.problem().or(full).or(held);
    Ok(Json(Status {
        node_id,
        network_id: services.ledger.network(),
        version: env!("CARGO_PKG_VERSION"),
        role: member.as_ref().map(|member| member.role),
        address: member.map(|member| member.address),
        height: head.height,
        head_hash: head.hash,
        head_time_ms: head.time_ms,
        validators: rows(&services, &validators, last_certificate.as_ref()),
        quorum: services.finality.health_of(&validators).into(),
        last_certificate,
        evidence,
        members: counts.members,
        files: counts.files,
        bytes: counts.bytes,
        store: StoreStatus {
            bytes: usage.used,
            trashed_bytes: usage.trashed,
            reserved_bytes: usage.reserved,
            wanted,
            quota_bytes: usage.quota,
            free_floor_bytes: usage.free_floor,
            free_bytes: usage.free,
            available_bytes: usage.available,
        },
        scrub: Scrub::now(&services).await?,
        traffic: services.swarm.traffic().await?.into(),
        peers_online: services.presence.online().len(),
        problem,
        at_risk,
    }))
}

fn rows(services: &Services, validators: &ValidatorSet, last: Option<&CertificateRow>) -> Vec<ValidatorRow> {
    let (me, online) = (services.key.id(), services.presence.online());
    let row = |&Validator { node, weight }: &Validator| ValidatorRow {
        node_id: node,
        weight,
        online: node == me || online.contains(&node),
        signed_last: last.is_some_and(|last| last.signers.contains(&node)),
    };
    validators.iter().map(row).collect()
}

/// Why a validator whose ledger came from a backup, or was made anew, decides nothing.
fn held_until(signs_from: u64) -> String {
    match signs_from {
        u64::MAX => {
            "restored from a backup or made anew: signs nothing before every member was heard (see --after-restore)".into()
        }
        height => format!("restored from a backup or made anew: signs nothing before block {height}"),
    }
}
