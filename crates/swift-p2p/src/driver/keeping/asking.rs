//! Asking a holder to keep a file.

use std::time::Duration;

use swift_chain::{NetworkId, NodeId};
use tracing::{debug, warn};

use crate::{
    keeping::{KEEP_ANSWER_BYTES_MAX, KeepAnswer, KeepRequest},
    swarm::message::Message as _,
    transport::{DialError, PeerClients},
};

/// From the first byte of the question to the last of its answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// Asks; nothing when there is no answer that could be used.
pub(super) async fn ask(
    clients: &PeerClients,
    network: &NetworkId,
    to: NodeId,
    request: &KeepRequest,
) -> Option<KeepAnswer> {
    let bytes = match exchange(clients, to, request.encode()).await {
        Ok(bytes) => bytes,
        Err(error) => {
            debug!(%to, %error, "a member was not asked to keep a file");
            return None;
        }
    };
    match KeepAnswer::decode(&bytes) {
        Ok(KeepAnswer::Promised(signed)) if !signed.is_genuine(network) => {
            warn!(peer = %to, "a member's promise to keep a file is not signed by it");
            None
        }
        Ok(answer) => Some(answer),
        Err(error) => {
            warn!(peer = %to, %error, "a member answers a question to keep a file with something else");
            None
        }
    }
}

async fn exchange(clients: &PeerClients, to: NodeId, body: Vec<u8>) -> Result<Vec<u8>, DialError> {
    let request = clients.client(&to)?.post("/peer/keep").timeout(DEADLINE).body(body);
    let mut response = request.send().await?.error_for_status()?;
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > KEEP_ANSWER_BYTES_MAX {
            // No answer is so long: it is not decoded.
            break;
        }
    }
    Ok(bytes)
}
