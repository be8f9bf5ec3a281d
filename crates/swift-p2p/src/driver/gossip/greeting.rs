//! Greeting one member, and what can come back.

use std::time::Duration;

use hyper::StatusCode;
use swift_chain::{NodeId, limits::RECEIPT_LEN_MAX};
use tokio::time::timeout;
use tracing::debug;

use super::{GossipError, note, removal};
use crate::{
    driver::{Conduct, LedgerHandle, Presence},
    gossip::{HELLO_LEN_MAX, Hello, Input, Shelf},
    offences::Offence,
    transport::{DialError, PeerClients, PeerResponse},
};

/// A greeting takes no longer than this, or has failed.
const GREET_TIMEOUT: Duration = Duration::from_secs(5);

/// Tells a member this node's head and what it has, and takes its answer.
pub(super) async fn greet(
    me: NodeId,
    clients: &PeerClients,
    ledger: &LedgerHandle,
    (presence, conduct, shelf): (&Presence, &Conduct, Shelf),
    to: NodeId,
) -> Result<Input, GossipError> {
    match timeout(GREET_TIMEOUT, exchange(clients, to, Hello::new(note(ledger), shelf))).await {
        Ok(Ok(Answer::Hello(hello))) => {
            conduct.heard(to);
            presence.note_hello(to, hello);
            Ok(Input::Answered { by: to, head: hello.into() })
        }
        Ok(Ok(Answer::Gone(receipt))) => match removal::proved_by(&receipt, me, ledger.network()) {
            Some(height) => Err(GossipError::Removed { height }),
            None => Ok(Input::NotReached { to }),
        },
        Ok(Ok(Answer::Other)) => {
            conduct.note(to, Offence::Malformed, &"its answer to a greeting is none");
            Ok(Input::NotReached { to })
        }
        Ok(Err(error)) => {
            debug!(peer = %to, %error, "a member was not reached");
            Ok(Input::NotReached { to })
        }
        Err(_) => Ok(Input::NotReached { to }),
    }
}

/// What comes back for a greeting.
enum Answer {
    Hello(Hello),
    /// This node was removed, as this receipt proves.
    Gone(Vec<u8>),
    Other,
}

async fn exchange(clients: &PeerClients, to: NodeId, hello: Hello) -> Result<Answer, DialError> {
    let client = clients.client(&to)?;
    let response = client.post("/peer/hello").body(hello.to_bytes()).send().await?;
    if response.status() == StatusCode::GONE {
        return Ok(Answer::Gone(limited(response, RECEIPT_LEN_MAX).await?));
    }
    let response = response.error_for_status()?;
    let bytes = limited(response, HELLO_LEN_MAX).await?;
    Ok(Hello::from_bytes(&bytes).map_or(Answer::Other, Answer::Hello))
}

/// A short body; what is longer is cut, and then is no message.
async fn limited(mut response: PeerResponse, len_max: usize) -> Result<Vec<u8>, DialError> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > len_max {
            break;
        }
    }
    Ok(bytes)
}
