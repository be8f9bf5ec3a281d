//! Everything the owner is told: by handles, and by its own workers.

use std::ops::Range;

use swift_chain::NodeId;
use swift_chunks::{
    ChunkIndex, ChunkSet, EvictOutcome, FileId, HeldPromise, Slice, StoreError, VisibleChanges,
};
use tokio::sync::oneshot;

use super::{
    arriving::Arriving,
    copies::FileCopies,
    library::Found,
    post::Kind,
    priorities, reading,
    serving::Serving,
    tally::SwarmTally,
    transfers::{PeerTraffic, Traffic, Transfers},
};
use crate::swarm::{
    CheckOutcome, ExchangeId, FetchFailure, FetchOutcome, Priority, SendOutcome, Spread,
    message::{Answer, Confirm, Holdings, Offer, WhoHas},
};

/// What peers and clients of this node ask for. They wait when there is too much of it.
pub(super) enum Command {
    Offers {
        from: NodeId,
        offers: Vec<Offer>,
        reply: oneshot::Sender<Vec<Answer>>,
    },
    WhoHas {
        from: NodeId,
        who_has: WhoHas,
        reply: oneshot::Sender<Holdings>,
    },
    Confirmed {
        by: NodeId,
        confirms: Vec<Confirm>,
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
    /// Says how soon a file is wanted, durably.
    Prioritize {
        file: FileId,
        priority: Priority,
        reply: priorities::Reply,
    },
    /// The files that are wanted sooner or later than others.
    Priorities {
        reply: oneshot::Sender<Vec<(FileId, Priority)>>,
    },
    /// Somebody wants to read a file in order that may be on its way, or begin to come for this.
    Read {
        file: FileId,
        /// What is wanted of it, if it may begin to come.
        wanted: Option<Vec<Range<u64>>>,
        reply: reading::Reply,
    },
    /// What this node keeps has changed: of this file, or of any.
    KeepChanged {
        file: Option<FileId>,
    },
    /// Whether a file is being transferred, or was a moment ago.
    IsUsed {
        file: FileId,
        reply: oneshot::Sender<bool>,
    },
    /// Lets go of a file that nothing keeps, by another's promise; says whether it is gone.
    LetGo {
        promise: HeldPromise,
        reply: oneshot::Sender<bool>,
    },
    /// Everybody is asked who holds these files, but about those that it was asked about of late, if `is_new_only`.
    Survey {
        files: Vec<FileId>,
        is_new_only: bool,
        reply: oneshot::Sender<()>,
    },
    /// Who holds all of each file, as far as known.
    Copies {
        files: Vec<FileId>,
        reply: oneshot::Sender<Vec<FileCopies>>,
    },
    /// Which parts of a file are where, as far as known.
    Spread {
        file: FileId,
        reply: oneshot::Sender<Vec<Spread>>,
    },
    Transfers {
        reply: oneshot::Sender<Transfers>,
    },
    Traffic {
        reply: oneshot::Sender<Traffic>,
    },
    PeerTraffic {
        reply: oneshot::Sender<Vec<PeerTraffic>>,
    },
    Tally {
        reply: oneshot::Sender<SwarmTally>,
    },
}

impl Command {
    /// The files it is about that the machine must know of first.
    pub(super) fn files(&self) -> Vec<FileId> {
        match self {
            Self::Offers { offers, .. } => offers.iter().map(|offer| offer.file).collect(),
            Self::WhoHas { who_has, .. } => who_has.asks.iter().map(|ask| ask.file).collect(),
            Self::Survey { files, .. } => files.clone(),
            Self::Hint { file }
            | Self::Prioritize { file, .. }
            | Self::Read { file, .. }
            | Self::Spread { file, .. } => vec![*file],
            _ => Vec::new(),
        }
    }
}

/// How a fetch ended, and what there is to say about it.
pub(super) struct FetchEnd {
    pub(super) outcome: FetchOutcome,
    pub(super) detail: String,
    /// Whether it brought the file as a whole, which is complete in the store.
    pub(super) is_stored: bool,
}

impl FetchEnd {
    fn new(outcome: FetchOutcome, detail: impl Into<String>) -> Self {
        Self { outcome, detail: detail.into(), is_stored: false }
    }

    pub(super) fn verified() -> Self {
        Self::new(FetchOutcome::Verified, "")
    }

    pub(super) fn stored() -> Self {
        Self { is_stored: true, ..Self::verified() }
    }

    pub(super) fn failed(failure: FetchFailure, detail: impl Into<String>) -> Self {
        Self::new(FetchOutcome::Failed(failure), detail)
    }

    pub(super) fn wrong(detail: impl Into<String>) -> Self {
        Self::new(FetchOutcome::WrongBytes, detail)
    }

    pub(super) fn manifest_false(detail: impl Into<String>) -> Self {
        Self::new(FetchOutcome::ManifestFalse, detail)
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
    /// A request with messages has ended, whatever came of it.
    Posted {
        to: NodeId,
        kind: Kind,
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
        /// Of the order that has ended.
        id: u64,
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
    /// A priority was kept, or not.
    Prioritized {
        file: FileId,
        priority: Priority,
        outcome: Result<(), StoreError>,
        reply: priorities::Reply,
    },
    /// A file that is not kept is to be read, and room for it was set aside, or not.
    ReadBegun {
        arriving: Arriving,
        durable: Result<reading::Durable, StoreError>,
        reply: reading::Reply,
    },
    /// Room that is still set aside for files that are not on their way any more.
    RoomLeft {
        left: reading::Leaving,
    },
    /// Somebody who reads a file while it arrives is elsewhere in it, or gone.
    ReadingMoved {
        file: FileId,
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
    /// The store has let go of a file, or has not.
    LetGo {
        file: FileId,
        outcome: Result<EvictOutcome, StoreError>,
        reply: oneshot::Sender<bool>,
    },
    /// Files were looked up because what is kept has changed.
    LookedAgain {
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
