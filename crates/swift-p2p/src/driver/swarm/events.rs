//! Everything the owner is told: by handles, and by its own workers.

use std::ops::Range;

use swift_chain::NodeId;
use swift_chunks::{ChunkSet, FileId, StoreError, VisibleChanges};
use tokio::sync::oneshot;

use super::{handle::TransferState, library::Found, sends::SendGuard};
use crate::swarm::{
    ExchangeId, FetchOutcome, SendOutcome, Unit,
    message::{Answer, Confirm, Holdings, Offer, WhoHas},
};

/// What peers and clients of this node ask for. They wait when there is too much of it.
pub(super) enum Command {
    Offer {
        from: NodeId,
        offer: Offer,
        reply: oneshot::Sender<Answer>,
    },
    WhoHas {
        from: NodeId,
        who_has: WhoHas,
        reply: oneshot::Sender<Holdings>,
    },
    Confirmed {
        by: NodeId,
        confirm: Confirm,
    },
    Announced {
        from: NodeId,
        holdings: Holdings,
    },
    /// Somebody says that a file can be had.
    Hint {
        file: FileId,
    },
    /// A peer's request is about to be served; the reply comes when what it asks for can be read.
    Send {
        to: NodeId,
        file: FileId,
        range: Range<u64>,
        reply: oneshot::Sender<Option<SendGuard>>,
    },
    Copies {
        file: FileId,
        reply: oneshot::Sender<Vec<NodeId>>,
    },
    Transfers {
        reply: oneshot::Sender<Vec<TransferState>>,
    },
}

impl Command {
    /// The files it is about that the machine must know of first.
    pub(super) fn files(&self) -> Vec<FileId> {
        match self {
            Self::Offer { offer, .. } => vec![offer.file],
            Self::WhoHas { who_has, .. } => who_has.asks.iter().map(|ask| ask.file).collect(),
            Self::Hint { file } | Self::Copies { file, .. } => vec![*file],
            _ => Vec::new(),
        }
    }
}

/// How a fetch ended, and what there is to say about it.
pub(super) struct FetchEnd {
    pub(super) outcome: FetchOutcome,
    pub(super) detail: String,
}

/// What workers report. There are no more of these than there is work under way.
pub(super) enum Event {
    PeerOnline(NodeId),
    PeerOffline(NodeId),
    OfferAnswered {
        by: NodeId,
        exchange: ExchangeId,
        answer: Answer,
    },
    OfferFailed {
        to: NodeId,
        exchange: ExchangeId,
    },
    WhoHasAnswered {
        by: NodeId,
        asked: Vec<FileId>,
        holdings: Holdings,
    },
    WhoHasFailed {
        to: NodeId,
        asked: Vec<FileId>,
    },
    Fetched {
        from: NodeId,
        file: FileId,
        unit: Unit,
        end: FetchEnd,
    },
    SendEnded {
        id: u64,
        outcome: SendOutcome,
    },
    /// Files were looked up; then the command that needed them goes on.
    Found {
        found: Vec<Found>,
        then: Command,
    },
    /// Blocks up to this height were looked at.
    Followed {
        height: u64,
        found: Vec<Found>,
    },
    /// A file is published under another manifest too, which may be the true one.
    Other {
        found: Found,
    },
    /// It is not.
    NoOther,
    /// More wanted files from the store, and whether there were still more.
    Refilled {
        found: Vec<Found>,
        more: bool,
    },
    /// Recorded chunks were made durable; these are now.
    Committed {
        file: FileId,
        outcome: Result<ChunkSet, StoreError>,
    },
    /// A file whose chunks are all here was finished.
    Finished {
        file: FileId,
        outcome: Result<VisibleChanges, StoreError>,
    },
    /// Try to finish a file again.
    FinishAgain {
        file: FileId,
    },
    /// Reading the ledger or the store failed; it is tried again with the next height.
    LookFailed {
        error: String,
    },
    SurveyOver {
        id: u64,
    },
}
