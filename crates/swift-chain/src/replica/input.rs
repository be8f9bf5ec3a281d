//! What happens to a replica.

use std::time::Duration;

use crate::{
    block::SealedBlock,
    consensus::ConsensusMessage,
    identity::NodeId,
    transaction::{Action, CheckedTransaction, Label, SignedTransaction},
};

/// Chosen by the caller to recognise the answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// The moment of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The wall clock, in milliseconds since 1970: for the times in blocks and transactions.
    pub wall_ms: u64,
    /// A clock that only goes forward, from any beginning: for waiting.
    pub steady: Duration,
}

impl Now {
    /// Both clocks show this many milliseconds: for simulations and tests.
    pub fn at_ms(ms: u64) -> Self {
        Self { wall_ms: ms, steady: Duration::from_millis(ms) }
    }
}

/// What happens to a replica.
#[derive(Clone, Debug)]
pub enum Input {
    /// A client of this node wants the ledger changed. Answered by [`Output::Settled`](super::Output::Settled), after any
    /// time.
    Submit {
        /// Names the answer.
        request: RequestId,
        /// What is wanted.
        action: Action,
        /// For which client.
        on_behalf_of: Option<Label>,
    },
    /// Transactions of other members, for a validator to put into a block. Each signature costs the step time.
    Transactions(Vec<SignedTransaction>),
    /// The same, where the signatures of what [`Replica::sift`](super::Replica::sift) let through were checked elsewhere.
    Checked(Vec<CheckedTransaction>),
    /// Blocks of other members, in order. Answered by [`Output::Followed`](super::Output::Followed).
    Blocks {
        /// Names the answer.
        request: RequestId,
        /// From any height on; those below the head are skipped.
        blocks: Vec<SealedBlock>,
    },
    /// What another validator says about the block that is being decided.
    Consensus {
        /// The member that brought it, authenticated.
        from: NodeId,
        /// What it brought, which need not be its own.
        message: ConsensusMessage,
    },
    /// This node came from a backup, and has now heard from every member: nobody has a block that it lacks.
    EndHold,
    /// Time has passed: look whether waiting transactions are still right, and send them again.
    Tick,
}
