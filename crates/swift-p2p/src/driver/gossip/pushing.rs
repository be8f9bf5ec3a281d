//! Bringing blocks to a member that cannot fetch them.

use std::time::Duration;

use swift_chain::{ChainPosition, NodeId};
use tokio::time::timeout;
use tracing::{debug, info};

use crate::{driver::LedgerHandle, transport::PeerClients};

/// Bytes of blocks in one request. A member that lacks more gets the rest with the next answer it gives.
const BLOCKS_LEN: usize = 4 * 1024 * 1024;
/// How long a member may take to check and store them.
const PUSH_TIMEOUT: Duration = Duration::from_secs(30);

/// Posts the blocks behind a height.
pub(super) async fn push(clients: &PeerClients, ledger: &LedgerHandle, to: NodeId, behind: u64) {
    let frames = ledger.read(move |reader| reader.frames(behind + 1, BLOCKS_LEN)).await;
    let Ok((frames, ChainPosition::Block { height: next })) = frames else { return };
    if frames.is_empty() {
        return;
    }
    let sent = async {
        let client = clients.client(&to)?;
        client.post("/addBlock").body(frames).send().await?.error_for_status()
    };
    match timeout(PUSH_TIMEOUT, sent).await {
        Ok(Ok(_)) => {
            info!(peer = %to, from = behind + 1, to = next - 1, "brought blocks to a member that did not fetch them");
        }
        Ok(Err(error)) => debug!(peer = %to, %error, "blocks could not be brought to a member"),
        Err(_) => debug!(peer = %to, "a member took too long to take blocks"),
    }
}
