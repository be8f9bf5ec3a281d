//! The joiner's side.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use hyper::StatusCode;
use serde::Deserialize;
use swift_chain::{
    Address, DbError, FrameDecoder, LedgerDb, NetworkId, NodeKey, Poisoned, StreamError, Ticket,
};
use tokio::{task, time::timeout};
use tracing::{info, warn};

use super::{JoinOffer, intake::Intake};
use crate::transport::{Dialer, PeerClient, PeerResponse};

/// How long the inviter may take to take this node in.
const ADMIT_TIMEOUT: Duration = Duration::from_secs(60);
/// A chain that brings nothing for this long does not come.
const STALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of an answer that says why not.
const REASON_LEN_MAX: usize = 4096;

/// Why a node did not join. Its folder holds no ledger; the same ticket can be tried again unless it was used up.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// No address of the ticket leads to the inviter.
    #[error("the member that gave the ticket cannot be reached: {0}")]
    Unreachable(String),
    /// The inviter said no.
    #[error("the network did not take this node in: {0}")]
    Refused(String),
    /// The inviter took the request, and no block has it yet.
    #[error("the network has not taken this node in yet: {0}; start again with the same ticket")]
    NotYet(String),
    /// The chain broke off.
    #[error("the ledger did not come whole: {0}")]
    BrokenOff(String),
    /// The chain is not one.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The chain is of another network than the ticket.
    #[error("the chain is that of network {found}, the one asked for is {expected}")]
    OtherNetwork {
        /// The one asked for.
        expected: NetworkId,
        /// The chain's.
        found: NetworkId,
    },
    /// A block breaks a rule.
    #[error("the chain does not verify: {0}")]
    Invalid(String),
    /// The chain does not have the ticket's block.
    #[error(
        "the chain does not contain the block that the ticket names: it is a forgery, or the ticket's network was refounded"
    )]
    Checkpoint,
    /// The chain does not know this node.
    #[error("the chain does not say that this node is a member; try again")]
    NotInChain,
    /// The ledger cannot be stored.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The ledger's storage failed while it was filled.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
    /// A file cannot be moved.
    #[error("cannot store the ledger as {}: {source}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The thread that stores the ledger has ended.
    #[error("joining was interrupted")]
    Interrupted,
}

/// Asks the inviter of a ticket to be taken in under `address`, and waits until that is final. Gives the client that
/// reached the inviter.
pub async fn ask_to_join(
    dialer: &Dialer,
    key: &NodeKey,
    ticket: &Ticket,
    address: Address,
) -> Result<PeerClient, JoinError> {
    let offer = JoinOffer::sign(key, ticket, address).to_bytes();
    let mut failures = Vec::new();
    for inviter in &ticket.addresses {
        let client = match dialer.client_at(ticket.inviter, inviter.clone()) {
            Ok(client) => client,
            Err(error) => {
                failures.push(format!("{inviter}: {error}"));
                continue;
            }
        };
        info!(%inviter, "asking to join");
        match timeout(ADMIT_TIMEOUT, client.post("/peer/join").body(offer.clone()).send()).await {
            Ok(Ok(response)) if response.status().is_success() => return Ok(client),
            Ok(Ok(response)) if response.status() == StatusCode::GATEWAY_TIMEOUT => {
                return Err(JoinError::NotYet(reason(response).await));
            }
            Ok(Ok(response)) => return Err(JoinError::Refused(reason(response).await)),
            Ok(Err(error)) => failures.push(format!("{inviter}: {error}")),
            Err(_) => failures.push(format!("{inviter}: no answer within {} s", ADMIT_TIMEOUT.as_secs())),
        }
    }
    Err(JoinError::Unreachable(failures.join("; ")))
}

/// The sentence in a problem answer.
async fn reason(mut response: PeerResponse) -> String {
    #[derive(Deserialize)]
    struct Problem {
        detail: String,
    }
    let status = response.status();
    let mut body = Vec::new();
    while body.len() < REASON_LEN_MAX {
        match response.chunk().await {
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Ok(None) | Err(_) => break,
        }
    }
    let problem: Option<Problem> = serde_json::from_slice(&body).ok();
    problem.map_or_else(|| status.to_string(), |problem| problem.detail)
}

/// Fetches the whole chain from a member, checks every block, and stores it at `path`, where a ledger is only if all of
/// it proved right.
pub async fn fetch_chain(
    client: &PeerClient,
    key: &NodeKey,
    ticket: &Ticket,
    path: &Path,
) -> Result<(), JoinError> {
    let unfinished = path.with_extension("joining");
    remove(&unfinished)?;
    let mut intake = Intake::new(key.clone(), ticket.network, unfinished.clone());
    take_chain(client, &mut intake).await?;
    let (node, checkpoint, path) = (key.id(), ticket.checkpoint, path.to_owned());
    blocking(move || {
        let replica = intake.finish()?;
        let reader = replica.reader();
        if reader.block_hash(checkpoint.height)? != Some(checkpoint.hash) {
            warn!(height = checkpoint.height, hash = %checkpoint.hash, "the ticket's block is not in the chain");
            return Err(JoinError::Checkpoint);
        }
        if reader.member(&node)?.is_none() {
            return Err(JoinError::NotInChain);
        }
        drop(replica);
        // There is no ledger at `path`, but beside it the log of an older one may lie, which SQLite would play into the
        // new one.
        remove(&path)?;
        // The database is closed: its log is merged into it.
        let io = |source| JoinError::Io { path: path.clone(), source };
        fs::rename(&unfinished, &path).map_err(io)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)
    })
    .await
}

/// Takes the part of a member's chain that an intake lacks. What came before an error stays.
pub(in crate::driver) async fn take_chain(client: &PeerClient, intake: &mut Intake) -> Result<(), JoinError> {
    let from = intake.next_height();
    let response = client.post("/getBlockDatas").body(format!("num={from}")).send();
    let response = timeout(STALL_TIMEOUT, response).await.map_err(|_| broken_off("no answer"))?;
    let mut response = response.and_then(PeerResponse::error_for_status).map_err(broken_off)?;
    let mut decoder = FrameDecoder::default();
    loop {
        let piece = timeout(STALL_TIMEOUT, response.chunk()).await.map_err(|_| broken_off("it stalled"))?;
        let Some(piece) = piece.map_err(broken_off)? else { break };
        let mut taken = std::mem::take(intake);
        let outcome;
        (*intake, decoder, outcome) = blocking(move || {
            decoder.push(&piece);
            let outcome = taken.take(&mut decoder);
            Ok((taken, decoder, outcome))
        })
        .await?;
        outcome?;
    }
    Ok(decoder.finish()?)
}

pub(super) fn broken_off(reason: impl std::fmt::Display) -> JoinError {
    JoinError::BrokenOff(reason.to_string())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, JoinError> + Send + 'static,
) -> Result<T, JoinError> {
    task::spawn_blocking(work).await.map_err(|_| JoinError::Interrupted)?
}

/// Removes a ledger that is not open, and what may be left of one.
pub(in crate::driver) fn remove(path: &Path) -> Result<(), JoinError> {
    LedgerDb::remove(path).map_err(|(path, source)| JoinError::Io { path, source })
}
