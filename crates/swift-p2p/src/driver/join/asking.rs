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
    Address, ChainFrame, DbError, FrameDecoder, Genesis, Input, LedgerBuilder, LedgerDb, NetworkId, NodeKey,
    Now, Output, Poisoned, Replica, RequestId, SealedBlock, StreamError, Ticket,
};
use tokio::{task, time::timeout};
use tracing::{info, warn};

use super::JoinOffer;
use crate::{
    driver::wall_clock_ms,
    transport::{Dialer, PeerClient, PeerResponse},
};

/// How long the inviter may take to take this node in.
const ADMIT_TIMEOUT: Duration = Duration::from_secs(60);
/// A chain that brings nothing for this long does not come.
const STALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Blocks checked and stored together.
const BLOCKS_PER_STEP: usize = 256;
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
    #[error("the chain is that of network {found}, the ticket is for {expected}")]
    OtherNetwork {
        /// The ticket's.
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
    let response = client.post("/getBlockDatas").body("num=0").send();
    let response = timeout(STALL_TIMEOUT, response).await.map_err(|_| broken_off("no answer"))?;
    let mut response = response.and_then(PeerResponse::error_for_status).map_err(broken_off)?;
    let mut intake = Intake::new(key.clone(), ticket.clone(), unfinished.clone());
    loop {
        let piece = timeout(STALL_TIMEOUT, response.chunk()).await.map_err(|_| broken_off("it stalled"))?;
        let Some(piece) = piece.map_err(broken_off)? else { break };
        intake = blocking(move || intake.push(&piece)).await?;
    }
    let path = path.to_owned();
    blocking(move || {
        intake.finish()?;
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

fn broken_off(reason: impl std::fmt::Display) -> JoinError {
    JoinError::BrokenOff(reason.to_string())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, JoinError> + Send + 'static,
) -> Result<T, JoinError> {
    task::spawn_blocking(work).await.map_err(|_| JoinError::Interrupted)?
}

/// Removes a ledger that is not open, and what may be left of one.
fn remove(path: &Path) -> Result<(), JoinError> {
    LedgerDb::remove(path).map_err(|(path, source)| JoinError::Io { path, source })
}

/// A chain on its way into a ledger of its own.
struct Intake {
    key: NodeKey,
    ticket: Ticket,
    path: PathBuf,
    decoder: FrameDecoder,
    /// The ledger while the state that a recovered network begins with is still coming.
    building: Option<LedgerBuilder>,
    replica: Option<Replica>,
    blocks: Vec<SealedBlock>,
}

impl Intake {
    fn new(key: NodeKey, ticket: Ticket, path: PathBuf) -> Self {
        let decoder = FrameDecoder::default();
        Self { key, ticket, path, decoder, building: None, replica: None, blocks: Vec::new() }
    }

    fn push(mut self, piece: &[u8]) -> Result<Self, JoinError> {
        self.decoder.push(piece);
        while let Some(frame) = self.decoder.next_frame()? {
            match (frame, &mut self.building, &self.replica) {
                (ChainFrame::Genesis(genesis), None, None) => self.begin(&genesis)?,
                (ChainFrame::Snapshot(frame), Some(building), None) => building.push(&frame)?,
                (ChainFrame::Block(sealed), None, Some(_)) => self.blocks.push(*sealed),
                _ => {
                    let order = "a chain is a genesis block, the state that it imports, and blocks";
                    return Err(JoinError::Invalid(order.into()));
                }
            }
            if let Some(building) = self.building.take_if(|building| building.is_whole()) {
                self.replica = Some(Replica::new(self.key.clone(), building.finish()?)?);
            }
            if self.blocks.len() >= BLOCKS_PER_STEP {
                self.step()?;
            }
        }
        // Blocks do not wait for more of their kind while the memory for them grows.
        self.step()?;
        Ok(self)
    }

    fn begin(&mut self, genesis: &Genesis) -> Result<(), JoinError> {
        let (expected, found) = (self.ticket.network, genesis.id());
        if found != expected {
            return Err(JoinError::OtherNetwork { expected, found });
        }
        self.building = Some(LedgerBuilder::new(&self.path, genesis)?);
        Ok(())
    }

    fn step(&mut self) -> Result<(), JoinError> {
        let blocks = std::mem::take(&mut self.blocks);
        let Some(replica) = self.replica.as_mut().filter(|_| !blocks.is_empty()) else { return Ok(()) };
        let outputs = replica
            .step(Now::at_ms(wall_clock_ms()), vec![Input::Blocks { request: RequestId(0), blocks }])?;
        for output in outputs {
            if let Output::Followed { outcome: Err(error), .. } = output {
                return Err(JoinError::Invalid(error.to_string()));
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<(), JoinError> {
        self.decoder.finish()?;
        let Some(replica) = self.replica else { return Err(broken_off("its beginning is missing")) };
        let reader = replica.reader();
        let checkpoint = self.ticket.checkpoint;
        if reader.block_hash(checkpoint.height)? != Some(checkpoint.hash) {
            warn!(height = checkpoint.height, hash = %checkpoint.hash, "the ticket's block is not in the chain");
            return Err(JoinError::Checkpoint);
        }
        if reader.member(&self.key.id())?.is_none() {
            return Err(JoinError::NotInChain);
        }
        Ok(())
    }
}
