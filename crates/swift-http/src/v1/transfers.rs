//! `GET /v1/transfers`.

use axum::{Extension, Json, extract::State};
use serde::Serialize;
use swift_chain::{Hash, NodeId};
use swift_chunks::CHUNK_LEN;
use tokio::task;

use crate::{access::Access, problem::Problem, services::Services, tokens::Scope};

/// Rows shown; the first ones the ledger asked for.
const ROWS_MAX: usize = 1000;

/// Content on its way to this node.
#[derive(Serialize)]
pub(super) struct Transfer {
    file: String,
    file_id: Hash,
    done_bytes: u64,
    total_bytes: u64,
    peers: Vec<NodeId>,
    state: &'static str,
    detail: Option<String>,
}

pub(super) async fn list(
    State(services): State<Services>,
    Extension(access): Extension<Access>,
) -> Result<Json<Vec<Transfer>>, Problem> {
    access.require(Scope::Read)?;
    let store = services.store.clone();
    let wanted = task::spawn_blocking(move || store.wanted(None, ROWS_MAX)).await;
    let wanted = wanted.map_err(|error| Problem::internal(&error))??;
    let rows = services.ledger.read(move |reader| {
        let mut rows = Vec::new();
        for content in wanted {
            let file_id = Hash::from_bytes(*content.file_id.as_bytes());
            // A name may have gone since the store looked.
            let Some(record) = reader.file_by_id(&file_id)? else { continue };
            rows.push(Transfer {
                file: record.entry.name.into(),
                file_id,
                done_bytes: (u64::from(content.held_chunks) * CHUNK_LEN).min(content.len),
                total_bytes: content.len,
                peers: Vec::new(),
                state: "waiting",
                detail: None,
            });
        }
        Ok(rows)
    });
    Ok(Json(rows.await?))
}
