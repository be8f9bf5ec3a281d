//! Fetching blocks from a member that is ahead.

use std::time::Duration;

use bytes::Bytes;
use swift_chain::{ChainFrame, FollowError, FrameDecoder, NodeId, SealedBlock};
use tokio::time::timeout;
use tracing::{error, info, warn};

use super::GossipError;
use crate::{
    driver::{Conduct, LedgerError, LedgerHandle},
    gossip::FetchOutcome,
    offences::Offence,
    transport::{DialError, PeerClients, PeerResponse},
};

/// A stream of blocks that brings nothing for this long has failed.
const STALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Blocks handed to the ledger together, which makes them one disk sync.
const BLOCKS_PER_STEP: usize = 256;
/// Bytes of these, so that full blocks do not pile up in memory.
const BYTES_PER_STEP: usize = 8 * 1024 * 1024;

/// Why fetching stopped early.
enum Stop {
    Failed(String),
    Refused(String),
    /// The member's chain has another final block at this height.
    Forked {
        height: u64,
    },
    Fatal(GossipError),
}

/// Brings the ledger up to a member's head. What was taken before an end in the middle stays.
pub(super) async fn fetch(
    clients: &PeerClients,
    ledger: &LedgerHandle,
    conduct: &Conduct,
    from: NodeId,
) -> Result<FetchOutcome, GossipError> {
    match try_fetch(clients, ledger, from).await {
        Ok(()) => Ok(FetchOutcome::Taken),
        Err(Stop::Forked { height }) => {
            compare(clients, ledger, from, height).await;
            Ok(FetchOutcome::Refused)
        }
        Err(Stop::Failed(reason)) => {
            info!(peer = %from, %reason, "blocks did not come; asking another member");
            Ok(FetchOutcome::Failed)
        }
        Err(Stop::Refused(reason)) => {
            conduct.note(from, Offence::BadBlocks, &reason);
            Ok(FetchOutcome::Refused)
        }
        Err(Stop::Fatal(error)) => Err(error),
    }
}

/// Streams blocks behind the head into the ledger, which checks each one.
async fn try_fetch(clients: &PeerClients, ledger: &LedgerHandle, from: NodeId) -> Result<(), Stop> {
    let mut source = Source::ask(clients, from, ledger.head().height + 1).await?;
    let mut follower = Follower::new(ledger);
    while let Some(piece) = source.piece().await? {
        follower.push(&piece).await?;
    }
    follower.finish().await
}

/// Looks at a member's block where its chain differs from this node's: if it is final as well, the ledger keeps the
/// two as proof. Whether the member shows it is its own affair.
pub(super) async fn compare(clients: &PeerClients, ledger: &LedgerHandle, from: NodeId, height: u64) {
    match rival(clients, from, height).await {
        Ok(Some(block)) => match ledger.follow(vec![block], SealedBlock::LEN_MAX).await {
            Ok(Err(error)) => error!(peer = %from, %error, "the network has forked"),
            Ok(Ok(_)) => info!(peer = %from, height, "a member's other block at this height is not final"),
            Err(error) => warn!(%error, "a member's block could not be compared"),
        },
        Ok(None) => info!(peer = %from, height, "a member does not show its other block"),
        Err(Stop::Failed(reason) | Stop::Refused(reason)) => {
            info!(peer = %from, height, %reason, "a member does not show its other block");
        }
        // Asking for one block ends in neither.
        Err(Stop::Fatal(_) | Stop::Forked { .. }) => {}
    }
}

async fn rival(clients: &PeerClients, from: NodeId, height: u64) -> Result<Option<SealedBlock>, Stop> {
    let mut source = Source::ask(clients, from, height).await?;
    let mut decoder = FrameDecoder::default();
    while let Some(piece) = source.piece().await? {
        decoder.push(&piece);
        match decoder.next_frame().map_err(|error| Stop::Refused(error.to_string()))? {
            Some(ChainFrame::Block(sealed)) if sealed.block.header.height == height => {
                return Ok(Some(*sealed));
            }
            Some(_) => return Err(Stop::Refused("another block than the one asked for".into())),
            None => {}
        }
    }
    Ok(None)
}

/// A member's chain stream.
struct Source(PeerResponse);

impl Source {
    async fn ask(clients: &PeerClients, from: NodeId, height: u64) -> Result<Self, Stop> {
        let failed = |error: DialError| Stop::Failed(error.to_string());
        let client = clients.client(&from).map_err(failed)?;
        let request = client.post("/getBlockDatas").body(format!("num={height}")).send();
        let response = timeout(STALL_TIMEOUT, request).await.map_err(|_| Stop::Failed("no answer".into()))?;
        response.and_then(PeerResponse::error_for_status).map(Self).map_err(failed)
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, Stop> {
        let piece = timeout(STALL_TIMEOUT, self.0.chunk()).await;
        let piece = piece.map_err(|_| Stop::Failed("the stream of blocks stalled".into()))?;
        piece.map_err(|error| Stop::Failed(error.to_string()))
    }
}

/// Takes a chain stream into the ledger, in steps of bounded size.
struct Follower<'l> {
    ledger: &'l LedgerHandle,
    decoder: FrameDecoder,
    blocks: Vec<SealedBlock>,
    /// Bytes that came since the last step.
    len: usize,
}

impl<'l> Follower<'l> {
    fn new(ledger: &'l LedgerHandle) -> Self {
        Self { ledger, decoder: FrameDecoder::default(), blocks: Vec::new(), len: 0 }
    }

    async fn push(&mut self, piece: &[u8]) -> Result<(), Stop> {
        self.len += piece.len();
        self.decoder.push(piece);
        while let Some(frame) = self.decoder.next_frame().map_err(|error| Stop::Refused(error.to_string()))? {
            match frame {
                ChainFrame::Block(sealed) => self.blocks.push(*sealed),
                ChainFrame::Genesis(_) | ChainFrame::Snapshot(_) => {
                    return Err(Stop::Refused("the beginning of a chain among its blocks".into()));
                }
            }
            if self.blocks.len() >= BLOCKS_PER_STEP || self.len >= BYTES_PER_STEP {
                self.step().await?;
            }
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<(), Stop> {
        self.step().await?;
        self.decoder.finish().map_err(|error| Stop::Failed(error.to_string()))
    }

    async fn step(&mut self) -> Result<(), Stop> {
        let (blocks, len) = (std::mem::take(&mut self.blocks), std::mem::take(&mut self.len));
        if blocks.is_empty() {
            return Ok(());
        }
        match self.ledger.follow(blocks, len).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(FollowError::UnknownProtocol(reason))) => {
                Err(Stop::Fatal(GossipError::UnknownProtocol(reason)))
            }
            Ok(Err(error @ FollowError::Fork { height, .. })) => {
                error!(%error, "the network has forked");
                Err(Stop::Forked { height })
            }
            Ok(Err(error)) => Err(Stop::Refused(error.to_string())),
            Err(LedgerError::Stopped) => Err(Stop::Fatal(GossipError::Ledger)),
            Err(error) => Err(Stop::Failed(error.to_string())),
        }
    }
}
