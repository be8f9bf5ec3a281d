//! What a step leads to.

use std::sync::Arc;

use super::RequestId;
use crate::{
    consensus::ConsensusMessage,
    evidence::Evidence,
    execution::CertifiedBlock,
    hash::{BlockHash, TransactionId},
    identity::NodeId,
    rules::Rejection,
    transaction::{Action, Label, SignedTransaction},
};

/// What a step led to, in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// A client's request is decided.
    Settled {
        /// Which.
        request: RequestId,
        /// How.
        outcome: Result<Settled, SubmitError>,
    },
    /// A write that waited for a block will not happen. Told once, before those who still wait for it are, and also when
    /// nobody does.
    Refused {
        /// What was wanted.
        action: Action,
        /// For which client.
        on_behalf_of: Option<Label>,
        /// Why not.
        error: SubmitError,
    },
    /// A block is final and durable here.
    Committed(Arc<CertifiedBlock>),
    /// Transactions that wait for a block: bring them to all other validators.
    Relay(Vec<SignedTransaction>),
    /// This validator's part in deciding a block: bring it to all other validators.
    Broadcast(Arc<ConsensusMessage>),
    /// A validator was caught, or the network has forked. The proof is stored.
    Caught(Arc<Evidence>),
    /// A peer's blocks were taken up to a height.
    Followed {
        /// Which request.
        request: RequestId,
        /// The head's height now, or what was wrong with the first block that could not follow.
        outcome: Result<u64, FollowError>,
    },
}

/// A write that is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The block that holds it.
    pub height: u64,
    /// That block's transaction, when this request led to one.
    pub transaction: Option<TransactionId>,
}

/// Why a write did not happen. The ledger is unchanged by it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The rules say no.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// It is so already, and will not be: a change of this node's that waits says otherwise. Undone by nothing but a write
    /// after it.
    #[error("another change of {node} waits for a block; nothing was changed; ask again when that is final")]
    ChangeWaits {
        /// Whom both change.
        node: NodeId,
    },
    /// Too many of this node's writes are waiting.
    #[error("too many writes of this node are waiting for a block; try again later")]
    QueueFull,
}

/// Why a block of a peer was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// Blocks between the head and the first one are missing.
    #[error("block {first} came, the head is block {head}")]
    Gap {
        /// The head's height.
        head: u64,
        /// The first block's.
        first: u64,
    },
    /// A final block that is here has another hash than the one that came, which is final as well by its certificate.
    #[error(
        "two final blocks at height {height}: {ours} here, {theirs} from the peer; validators signed both"
    )]
    Fork {
        /// Where.
        height: u64,
        /// The block here.
        ours: BlockHash,
        /// The peer's.
        theirs: BlockHash,
    },
    /// The block breaks a rule.
    #[error("{0}")]
    Invalid(String),
    /// This program is too old for the block's rules.
    #[error("{0}")]
    UnknownProtocol(String),
}
