//! What a node does: everything the machine can ask for.

use swift_chain::NodeId;
use swift_chunks::{ChunkIndex, FileId, Slice};

use super::input::ExchangeId;
use super::message::{Answer, Confirm, Holdings, Offer, WhoHas};

/// Why a file was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbandonReason {
    /// A chunk fits its BLAKE3 and not its SHA-1: the publisher's manifest is false, and this chunk proves it.
    ManifestFalse {
        /// The chunk that proves it.
        chunk: ChunkIndex,
    },
}

/// What a peer did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffenceKind {
    /// It sent bytes that are not the slice. Over TLS it cannot have been the network.
    WrongBytes {
        /// Which slice.
        slice: Slice,
    },
    /// It offered a slice and then did not have it.
    NotThere {
        /// Which slice.
        slice: Slice,
    },
    /// It let a fetch stall.
    Stalled {
        /// Which slice.
        slice: Slice,
    },
    /// Its map is not one of this file, or its answer does not fit the offer.
    Malformed,
}

/// Something to do or to know.
///
/// Messages may be lost; the machine recovers by its timeouts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Step 1: send an offer and report [`Input::OfferAnswered`](super::Input::OfferAnswered) or
    /// [`Input::OfferFailed`](super::Input::OfferFailed) with the same exchange.
    Offer {
        /// To whom.
        to: NodeId,
        /// The machine's name for this exchange.
        exchange: ExchangeId,
        /// What is offered.
        offer: Offer,
    },
    /// Step 2: the answer to an [`Input::Offer`](super::Input::Offer).
    Answer {
        /// To whom.
        to: NodeId,
        /// The exchange of the offer.
        exchange: ExchangeId,
        /// The answer.
        answer: Answer,
    },
    /// Step 3: request a slice, verify it as it comes, write it, report
    /// [`Input::Fetched`](super::Input::Fetched).
    Fetch {
        /// From whom.
        from: NodeId,
        /// Of which file.
        file: FileId,
        /// Which slice.
        slice: Slice,
    },
    /// Break off a fetch: it stalled, or the bytes came from elsewhere.
    CancelFetch {
        /// From whom.
        from: NodeId,
        /// Of which file.
        file: FileId,
        /// Which slice.
        slice: Slice,
    },
    /// Every grain of a chunk is verified and written, in several slices: see whether it also passes SHA-1, claim
    /// it, and report [`Input::ChunkChecked`](super::Input::ChunkChecked).
    Whole {
        /// Of which file.
        file: FileId,
        /// Which chunk.
        chunk: ChunkIndex,
    },
    /// Step 4: tell the sender that a slice is verified.
    Confirm {
        /// To whom.
        to: NodeId,
        /// What.
        confirm: Confirm,
    },
    /// Ask a peer who has files; report [`Input::WhoHasAnswered`](super::Input::WhoHasAnswered) or
    /// [`Input::WhoHasFailed`](super::Input::WhoHasFailed). No second question goes to a peer before.
    WhoHas {
        /// To whom.
        to: NodeId,
        /// The questions.
        who_has: WhoHas,
    },
    /// The answer to an [`Input::WhoHas`](super::Input::WhoHas).
    Holdings {
        /// To whom.
        to: NodeId,
        /// The exchange of the question.
        exchange: ExchangeId,
        /// The answer.
        holdings: Holdings,
    },
    /// Tell a peer of a changed state: something that was coming is lacking again, or a copy is complete.
    Announce {
        /// To whom.
        to: NodeId,
        /// The state.
        holdings: Holdings,
    },
    /// Every chunk of a wanted file is verified: finish it on disk, then say
    /// [`Input::Durable`](super::Input::Durable).
    Completed {
        /// Which file.
        file: FileId,
    },
    /// A peer says that it holds the whole file on stable storage. May be said more than once.
    HeldBy {
        /// Which file.
        file: FileId,
        /// Who.
        peer: NodeId,
    },
    /// A file was given up for good; it is neither fetched nor offered any more.
    Abandoned {
        /// Which file.
        file: FileId,
        /// Who published it and is to blame.
        publisher: NodeId,
        /// Why.
        reason: AbandonReason,
    },
    /// A peer did wrong; the machine has drawn its own consequences.
    Offence {
        /// Who.
        peer: NodeId,
        /// With which file.
        file: FileId,
        /// What.
        kind: OffenceKind,
    },
}
