//! Everything the owner is told: by handles, and by its own workers.

use std::ops::Range;

use swift_chain::NodeId;
use swift_chunks::{ChunkIndex, ChunkSet, FileId, Slice, StoreError, VisibleChanges};
use tokio::sync::oneshot;

use super::{
    library::Found,
    serving::Serving,
    transfers::{Traffic, Transfers},
};
use crate::swarm::{
    CheckOutcome, ExchangeId, FetchFailure, FetchOutcome, Priority, SendOutcome,
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
    /// A peer's request is about to be served.
    Serve {
        to: NodeId,
        file: FileId,
        range: Range<u64>,
        reply: oneshot::Sender<Serving>,
    },
    Prioritize {
        file: FileId,
        priority: Priority,
    },
    /// Somebody reads the file in order, and waits for this chunk; or nobody does any more.
    ReadingAt {
        file: FileId,
        chunk: Option<ChunkIndex>,
    },
    Copies {
        file: FileId,
        reply: oneshot::Sender<Vec<NodeId>>,
    },
    Transfers {
        reply: oneshot::Sender<Transfers>,
    },
    Traffic {
        reply: oneshot::Sender<Traffic>,
    },
}

impl Command {
    /// The files it is about that the machine must know of first.
    pub(super) fn files(&self) -> Vec<FileId> {
        match self {
            Self::Offer { offer, .. } => vec![offer.file],
            Self::WhoHas { who_has, .. } => who_has.asks.iter().map(|ask| ask.file).collect(),
            Self::Hint { file }
            | Self::Copies { file, .. }
            | Self::Prioritize { file, .. }
            | Self::ReadingAt { file, .. } => vec![*file],
            _ => Vec::new(),
        }
    }
}

/// How a fetch ended, and what there is to say about it.
pub(super) struct FetchEnd {
    pub(super) outcome: FetchOutcome,
    pub(super) detail: String,
}

impl FetchEnd {
    pub(super) fn verified() -> Self {
        Self { outcome: FetchOutcome::Verified, detail: String::new() }
    }

    pub(super) fn failed(failure: FetchFailure, detail: impl Into<String>) -> Self {
        Self { outcome: FetchOutcome::Failed(failure), detail: detail.into() }
    }

    pub(super) fn wrong(detail: impl Into<String>) -> Self {
        Self { outcome: FetchOutcome::WrongBytes, detail: detail.into() }
    }

    pub(super) fn manifest_false(detail: impl Into<String>) -> Self {
        Self { outcome: FetchOutcome::ManifestFalse, detail: detail.into() }
    }

    /// This side failed.
    pub(super) fn of_store(error: &StoreError) -> Self {
        match error {
            StoreError::ManifestFalse(_) => Self::manifest_false(error.to_string()),
            StoreError::NoSpace { .. } => Self::failed(FetchFailure::Storage, format!("disk full: {error}")),
            _ => Self::failed(FetchFailure::Storage, error.to_string()),
        }
    }
}

/// What came of looking at a whole chunk, and what there is to say about it.
pub(super) struct CheckEnd {
    pub(super) outcome: CheckOutcome,
    pub(super) detail: String,
    pub(super) is_disk_to_blame: bool,
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
        slice: Slice,
        end: FetchEnd,
    },
    Checked {
        file: FileId,
        chunk: ChunkIndex,
        end: CheckEnd,
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
