//! `GET /v1/transfers`.

use axum::{Extension, Json, extract::State};
use serde::Serialize;
use swift_chain::{Hash, NodeId};
use swift_chunks::{CHUNK_LEN, StoreError};
use swift_p2p::driver::TransferStage;
use tokio::task;

use crate::{access::Access, problem::Problem, services::Services, tokens::Scope};

/// Content on its way to this node.
#[derive(Serialize)]
pub(super) struct Transfer {
    file: String,
    file_id: Hash,
    /// Here or arriving.
    done_bytes: u64,
    /// Verified and synced: what a crash cannot take back.
    durable_bytes: u64,
    total_bytes: u64,
    peers: Vec<NodeId>,
    state: TransferStage,
    detail: Option<String>,
}

pub(super) async fn list(
    State(services): State<Services>,
    Extension(access): Extension<Access>,
) -> Result<Json<Vec<Transfer>>, Problem> {
    access.require(Scope::Read)?;
    let transfers = services.swarm.transfers().await?;
    let store = services.store.clone();
    let rows = services.ledger.read(move |reader| {
        let mut rows = Vec::new();
        for transfer in transfers {
            let file_id = Hash::from_bytes(*transfer.file.as_bytes());
            // A name may have gone since the swarm looked.
            let Some(record) = reader.file_by_id(&file_id)? else { continue };
            rows.push((transfer, record));
        }
        Ok(rows)
    });
    let rows = rows.await?;
    let rows = task::spawn_blocking(move || {
        let mut shown = Vec::new();
        for (transfer, record) in rows {
            let held = store.object(transfer.file)?.map_or(0, |object| u64::from(object.held_chunks));
            shown.push(Transfer {
                file: record.entry.name.into(),
                file_id: record.entry.file_id,
                done_bytes: transfer.done_bytes,
                durable_bytes: (held * CHUNK_LEN).min(transfer.total_bytes),
                total_bytes: transfer.total_bytes,
                peers: transfer.peers,
                state: transfer.stage,
                detail: transfer.detail,
            });
        }
        Ok::<_, StoreError>(shown)
    });
    Ok(Json(rows.await.map_err(|error| Problem::internal(&error))??))
}
