//! What happens to a node: everything the machine can be told.

use swift_chain::NodeId;
use swift_chunks::{ChunkIndex, ChunkSet, FileId, Grains, Slice};

use super::message::{Answer, Confirm, Holdings, Offer, WhoHas};

/// Names one question or offer and its answer; the caller's numbers and the machine's own are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u64);

/// Whether this node is to have a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Fetch what is missing.
    Wanted,
    /// Serve what is here, fetch nothing.
    Unwanted,
    /// Fetch what its readers come to next: see [`Input::ReadingAt`].
    ///
    /// Where readers leave many chunks half fetched behind them, the machine forgets what it has of these: they may be
    /// asked for again, and the caller, who still has it, reports it as fetched.
    Reading,
}

/// Somebody who reads a file in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reader {
    /// The chunk that is waited for.
    pub at: ChunkIndex,
    /// The last chunk that will be read.
    pub last: ChunkIndex,
}

/// How serving a peer's request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// All bytes went out.
    Sent,
    /// The connection broke or the peer gave up.
    Broken,
}

/// How a fetch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchOutcome {
    /// The bytes passed BLAKE3, and SHA-1 if the slice is a whole chunk, and are written: they may be served.
    Verified,
    /// The bytes failed BLAKE3, were too few or too many: the sender is to blame.
    WrongBytes,
    /// The bytes passed BLAKE3 and failed SHA-1: the manifest lies, and its publisher is to blame.
    ManifestFalse,
    /// No verdict on the bytes.
    Failed(FetchFailure),
}

/// Why a fetch ended without a verdict on its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchFailure {
    /// Not connected, broken off, or no answer.
    Unreachable,
    /// The source says it does not have the slice it offered.
    NotThere,
    /// The source has it and will not send it now.
    Refused,
    /// This node could not write: disk full or failing. No fault of the source.
    Storage,
    /// The source holds the file under another manifest than the one this node has been told of, so it has no use for
    /// what the source sends. No fault of the source: somebody may have published the same bytes under a false one.
    OtherManifest,
}

/// What came of looking at a chunk whose every grain was verified and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckOutcome {
    /// It passed both hashes: it is held.
    Verified,
    /// It cannot be read back as it was written. Nobody who sent is to blame; it is fetched again.
    Damaged,
    /// It passed BLAKE3 and failed SHA-1: the manifest lies, and its publisher is to blame.
    ManifestFalse,
}

/// How soon a file is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// When nothing else is.
    Low,
    /// In turn with all others.
    #[default]
    Normal,
    /// Before all others.
    High,
}

/// Something that happened.
///
/// The caller has authenticated whoever a `from`, `by` or `to` names; messages have passed their `decode`.
#[derive(Clone, Debug)]
pub enum Input {
    /// A file is in the ledger and its manifest is here, or what is wanted of it has changed.
    ///
    /// For a file that is known already, `held` and `parts` are added to what the machine counts as here. A file that is
    /// whole here counts as stored; no [`Output::Completed`](super::Output::Completed) follows. Of a chunk with every
    /// grain [`Output::Whole`](super::Output::Whole) is among the outputs when `handle` returns.
    FileAdded {
        /// Which file.
        file: FileId,
        /// Who put it into the ledger: blamed if its manifest is false, told when a copy is complete.
        publisher: NodeId,
        /// The chunks that are verified and stored here; the set also says how long the file is.
        held: ChunkSet,
        /// Grains of other chunks that are verified and stored here. More chunks than a node opens at once do not count.
        parts: Vec<(ChunkIndex, Grains)>,
        /// Whether the rest is to be fetched.
        want: Want,
    },
    /// The file is gone from the ledger or from this node: everything about it is dropped.
    FileRemoved {
        /// Which file.
        file: FileId,
    },
    /// The node's whole copy of a file is on stable storage; peers may count it.
    Durable {
        /// Which file.
        file: FileId,
    },
    /// Chunks that were held are not any more, nor any part of them (found damaged, evicted, or not kept by the disk);
    /// they are fetched again if wanted.
    Lost {
        /// Of which file.
        file: FileId,
        /// Which chunks.
        chunks: Vec<ChunkIndex>,
    },
    /// The node lets go of a file that the ledger still names: nothing of it is here any more, and none is wanted.
    Evicted {
        /// Which file.
        file: FileId,
    },
    /// How soon a file is wanted; normal until told.
    Prioritized {
        /// Which file.
        file: FileId,
        /// How soon.
        priority: Priority,
    },
    /// Some read a file in order, and this is where; empty when nobody does any more. Of very many the first count.
    ReadingAt {
        /// Which file.
        file: FileId,
        /// Where they are.
        readers: Vec<Reader>,
    },
    /// Somebody wants to know who has copies of a file: reachable peers are asked and
    /// [`Output::HeldBy`](super::Output::HeldBy) tells of each.
    Survey {
        /// Which file.
        file: FileId,
    },
    /// A member can be reached.
    PeerOnline {
        /// Which member.
        peer: NodeId,
    },
    /// A member cannot be reached, or is no member any more.
    PeerOffline {
        /// Which member.
        peer: NodeId,
    },
    /// Step 1, receiving: a peer offers. [`Output::Answer`](super::Output::Answer) is among the outputs when
    /// `handle` returns.
    Offer {
        /// Who offers.
        from: NodeId,
        /// The caller's name for this exchange, handed back with the answer.
        exchange: ExchangeId,
        /// What is offered.
        offer: Offer,
    },
    /// Step 2, sending: a peer answered an offer.
    OfferAnswered {
        /// Who answered.
        by: NodeId,
        /// Which offer.
        exchange: ExchangeId,
        /// What it said.
        answer: Answer,
    },
    /// An offer could not be delivered or was not answered.
    OfferFailed {
        /// Whom it was for.
        to: NodeId,
        /// Which offer.
        exchange: ExchangeId,
    },
    /// Step 3, sending: a peer's request for a slice is being served.
    SendStarted {
        /// Who requested.
        to: NodeId,
        /// Of which file.
        file: FileId,
        /// Which slice.
        slice: Slice,
    },
    /// Bytes of a slice went out; to be told about once a second while they do.
    SendProgress {
        /// To whom.
        to: NodeId,
        /// Of which file.
        file: FileId,
        /// Which slice.
        slice: Slice,
    },
    /// Serving a request ended.
    SendEnded {
        /// Who requested.
        to: NodeId,
        /// Of which file.
        file: FileId,
        /// Which slice.
        slice: Slice,
        /// How.
        outcome: SendOutcome,
    },
    /// Step 3, receiving: bytes of a fetch came in; to be told about once a second while they do. A fetch without
    /// it counts as stalled after a while.
    FetchProgress {
        /// From whom.
        from: NodeId,
        /// Of which file.
        file: FileId,
        /// Which slice.
        slice: Slice,
        /// Bytes of the slice that are here so far.
        bytes: u64,
    },
    /// Step 4, receiving: a fetch ended. Not needed after [`Output::CancelFetch`](super::Output::CancelFetch),
    /// and harmless then.
    Fetched {
        /// From whom.
        from: NodeId,
        /// Of which file.
        file: FileId,
        /// Which slice.
        slice: Slice,
        /// How.
        outcome: FetchOutcome,
    },
    /// A chunk that [`Output::Whole`](super::Output::Whole) named was looked at.
    ChunkChecked {
        /// Of which file.
        file: FileId,
        /// Which chunk.
        chunk: ChunkIndex,
        /// What came of it.
        outcome: CheckOutcome,
    },
    /// Step 5, sending: a peer confirms a slice. Without effect if it fits no open send.
    Confirmed {
        /// Who confirms.
        by: NodeId,
        /// What.
        confirm: Confirm,
    },
    /// A peer asks who has its files. [`Output::Holdings`](super::Output::Holdings) is among the outputs when
    /// `handle` returns.
    WhoHas {
        /// Who asks.
        from: NodeId,
        /// The caller's name for this exchange, handed back with the answer.
        exchange: ExchangeId,
        /// What it asks.
        who_has: WhoHas,
    },
    /// A peer answered a question.
    WhoHasAnswered {
        /// Who answered.
        by: NodeId,
        /// What it has.
        holdings: Holdings,
    },
    /// A question could not be delivered or was not answered.
    WhoHasFailed {
        /// Who was asked.
        to: NodeId,
    },
    /// A peer tells of its state without being asked.
    Announced {
        /// Who tells.
        from: NodeId,
        /// What it has.
        holdings: Holdings,
    },
    /// The moment that `poll_timeout` named has come.
    Timeout,
}
