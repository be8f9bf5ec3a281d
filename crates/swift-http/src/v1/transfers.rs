//! `GET /v1/transfers`.

use std::collections::HashMap;

use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::{Value, json};
use swift_chain::{FileRecord, Hash, NodeId};
use swift_chunks::{FileId, Store, StoreError};
use swift_p2p::driver::{Outgoing, PeerRate, TransferStage, TransferState};
use tokio::task;

use super::priorities::Level;
use crate::{
    access::{Allowed, ReadOnly},
    problem::Problem,
    services::Services,
};

/// Content on its way to this node, or from it.
#[derive(Serialize)]
#[serde(tag = "direction", rename_all = "snake_case")]
pub(crate) enum Transfer {
    In {
        file: String,
        file_id: Hash,
        total_bytes: u64,
        /// Verified.
        done_bytes: u64,
        /// Verified and synced: what a crash cannot take back.
        durable_bytes: u64,
        bytes_per_second: u64,
        remaining_seconds: Option<u64>,
        peers: Vec<Peer>,
        priority: Level,
        /// Clients that are sent it as it comes.
        readers: usize,
        state: TransferStage,
        detail: Option<String>,
    },
    Out {
        file: String,
        file_id: Hash,
        total_bytes: u64,
        bytes_per_second: u64,
        peers: Vec<Peer>,
    },
}

/// What moves between this node and another.
#[derive(Serialize)]
pub(crate) struct Peer {
    node_id: NodeId,
    bytes: u64,
    bytes_per_second: u64,
}

impl From<PeerRate> for Peer {
    fn from(rate: PeerRate) -> Self {
        Self { node_id: rate.peer, bytes: rate.bytes, bytes_per_second: rate.bytes_per_second }
    }
}

pub(super) async fn list(
    _: Allowed<ReadOnly>,
    State(services): State<Services>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "transfers": rows(&services).await?, "next": null })))
}

/// What moves now.
pub(crate) async fn rows(services: &Services) -> Result<Vec<Transfer>, Problem> {
    let transfers = services.swarm.transfers().await?;
    let incoming = transfers.incoming.iter().map(|row| row.file);
    let files: Vec<FileId> = incoming.chain(transfers.outgoing.iter().map(|row| row.file)).collect();
    let records = services.ledger.read(move |reader| {
        let mut records = HashMap::new();
        for file in files {
            // A name may have gone since the swarm looked.
            if let Some(record) = reader.file_by_id(&Hash::from_bytes(*file.as_bytes()))? {
                records.insert(file, record);
            }
        }
        Ok(records)
    });
    let records = records.await?;
    let store = services.store.clone();
    let rows = task::spawn_blocking(move || {
        let mut rows = Vec::new();
        for row in transfers.incoming {
            if let Some(record) = records.get(&row.file) {
                rows.push(coming(&store, row, record)?);
            }
        }
        let outgoing = transfers.outgoing.into_iter();
        rows.extend(outgoing.filter_map(|row| records.get(&row.file).map(|record| going(row, record))));
        Ok::<_, StoreError>(rows)
    });
    Ok(rows.await.map_err(|error| Problem::internal(&error))??)
}

fn coming(store: &Store, row: TransferState, record: &FileRecord) -> Result<Transfer, StoreError> {
    let durable = store.object(row.file)?.map_or(0, |object| object.durable_bytes);
    Ok(Transfer::In {
        file: record.entry.name.as_str().to_owned(),
        file_id: record.entry.file_id,
        total_bytes: row.total_bytes,
        done_bytes: row.done_bytes,
        durable_bytes: durable.min(row.total_bytes),
        bytes_per_second: row.bytes_per_second,
        remaining_seconds: row.remaining.map(|remaining| remaining.as_secs()),
        peers: row.peers.into_iter().map(Peer::from).collect(),
        priority: row.priority.into(),
        readers: row.readers,
        state: row.stage,
        detail: row.detail,
    })
}

fn going(row: Outgoing, record: &FileRecord) -> Transfer {
    Transfer::Out {
        file: record.entry.name.as_str().to_owned(),
        file_id: record.entry.file_id,
        total_bytes: record.entry.size,
        bytes_per_second: row.peers.iter().map(|peer| peer.bytes_per_second).sum(),
        peers: row.peers.into_iter().map(Peer::from).collect(),
    }
}
