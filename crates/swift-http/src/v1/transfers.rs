//! `GET /v1/transfers`.

use std::collections::HashMap;

use axum::{
    Json,
    extract::{Query, State},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use swift_chain::{FileRecord, Hash, NodeId};
use swift_chunks::{FileId, Store, StoreError};
use swift_p2p::driver::{Outgoing, PeerRate, TransferStage, TransferState};

use super::{in_store, page::PageLen, priorities::Level};
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

/// Pages go by the direction, what comes first, and the file's id.
#[derive(Deserialize)]
pub(super) struct Page {
    after: Option<String>,
    limit: Option<u64>,
}

/// Where a row stands among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    In(FileId),
    Out(FileId),
}

impl Place {
    /// The cursor of a page that ended here.
    fn cursor(self) -> String {
        match self {
            Self::In(file) => format!("in:{file}"),
            Self::Out(file) => format!("out:{file}"),
        }
    }

    fn behind(cursor: &str) -> Result<Self, Problem> {
        let place = match cursor.split_once(':') {
            Some(("in", file)) => file.parse().ok().map(Self::In),
            Some(("out", file)) => file.parse().ok().map(Self::Out),
            _ => None,
        };
        place.ok_or_else(|| Problem::bad_request("after: not the `next` of a page before"))
    }
}

/// A row before it is looked up what its file is called.
enum Moving {
    In(TransferState),
    Out(Outgoing),
}

impl Moving {
    fn file(&self) -> FileId {
        match self {
            Self::In(row) => row.file,
            Self::Out(row) => row.file,
        }
    }

    fn place(&self) -> Place {
        match self {
            Self::In(row) => Place::In(row.file),
            Self::Out(row) => Place::Out(row.file),
        }
    }

    fn is_waiting(&self) -> bool {
        matches!(self, Self::In(row) if matches!(row.stage, TransferStage::Waiting | TransferStage::Blocked))
    }
}

pub(super) async fn list(
    _: Allowed<ReadOnly>,
    State(services): State<Services>,
    Query(page): Query<Page>,
) -> Result<Json<Value>, Problem> {
    let len = PageLen::of(page.limit);
    let after = page.after.map(|after| Place::behind(&after)).transpose()?;
    let mut moving = all(&services).await?;
    moving.retain(|row| after.is_none_or(|after| row.place() > after));
    moving.truncate(len.to_find());
    let next = len.cut(&mut moving).map(|row| row.place().cursor());
    Ok(Json(json!({ "transfers": rows(&services, moving).await?, "next": next })))
}

/// At most so many rows, those of files that wait last; and how many there are besides.
pub(crate) async fn most(services: &Services, len_max: usize) -> Result<(Vec<Transfer>, usize), Problem> {
    let mut moving = all(services).await?;
    moving.sort_by_key(Moving::is_waiting);
    let more = moving.len().saturating_sub(len_max);
    moving.truncate(len_max);
    Ok((rows(services, moving).await?, more))
}

/// What moves now, in the order of places.
async fn all(services: &Services) -> Result<Vec<Moving>, Problem> {
    let transfers = services.swarm.transfers().await?;
    let outgoing = transfers.outgoing.into_iter().map(Moving::Out);
    let mut all: Vec<Moving> = transfers.incoming.into_iter().map(Moving::In).chain(outgoing).collect();
    all.sort_unstable_by_key(Moving::place);
    Ok(all)
}

async fn rows(services: &Services, moving: Vec<Moving>) -> Result<Vec<Transfer>, Problem> {
    let files: Vec<FileId> = moving.iter().map(Moving::file).collect();
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
    in_store(services, move |store| {
        let row = |moving: Moving| {
            let record = records.get(&moving.file())?;
            Some(match moving {
                Moving::In(row) => coming(&store, row, record),
                Moving::Out(row) => Ok(going(row, record)),
            })
        };
        moving.into_iter().filter_map(row).collect()
    })
    .await
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_place_and_what_comes_stands_before_what_goes() {
        let [low, high] = [1, 2].map(|byte| FileId::from_bytes([byte; 32]));
        let places = [Place::In(low), Place::In(high), Place::Out(low), Place::Out(high)];
        assert!(places.is_sorted());
        for place in places {
            assert_eq!(Place::behind(&place.cursor()), Ok(place));
        }
        for text in ["", "in", "in:", "in:7", "up:0101"] {
            assert_eq!(Place::behind(text).unwrap_err().code, "bad_request", "{text:?}");
        }
    }
}
