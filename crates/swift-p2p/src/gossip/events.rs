//! What the gossip can be told and what it asks for.

use std::collections::BTreeSet;

use swift_chain::{BlockHash, NodeId};

/// The last block of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadNote {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: BlockHash,
}

/// What happens to the machine. Whoever a `from` or `to` names was authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Who is a member now, this node left out.
    Members {
        /// All others.
        others: BTreeSet<NodeId>,
    },
    /// This node's ledger has a new head.
    Head {
        /// The head.
        head: HeadNote,
        /// Who certified it, this node left out or not: they have it or are about to, and tell others as well.
        known_by: BTreeSet<NodeId>,
    },
    /// A member greeted this node, and was answered with this node's head.
    Greeted {
        /// Who.
        from: NodeId,
        /// Its head.
        head: HeadNote,
    },
    /// A member answered a greeting.
    Answered {
        /// Who.
        by: NodeId,
        /// Its head.
        head: HeadNote,
    },
    /// A greeting could not be delivered.
    NotReached {
        /// Whom it was for.
        to: NodeId,
    },
    /// A fetch of blocks ended, one way or another. [`Input::Head`] has told what came of it.
    Fetched {
        /// From whom.
        from: NodeId,
        /// How it ended.
        outcome: FetchOutcome,
    },
    /// Bringing blocks to a member ended, one way or another; its next answer tells what came of it.
    Pushed {
        /// Whom.
        to: NodeId,
    },
    /// The moment that [`Gossip::poll_timeout`](super::Gossip::poll_timeout) named has come.
    Timeout,
}

/// How a fetch of blocks ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchOutcome {
    /// All that the member had was taken.
    Taken,
    /// The member could not be reached or broke off.
    Failed,
    /// The member sent blocks that break a rule.
    Refused,
}

/// What the machine wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Tell a member this node's head; report the answer by [`Input::Answered`], or [`Input::NotReached`].
    Greet {
        /// Whom.
        to: NodeId,
    },
    /// Fetch blocks behind the head from a member, check and store them; report [`Input::Fetched`].
    Fetch {
        /// From whom.
        from: NodeId,
    },
    /// Break a fetch off: nothing has come of it for too long. Nothing needs to be reported.
    GiveUp {
        /// From whom.
        from: NodeId,
    },
    /// Bring a member the blocks behind its head: it knows that it lacks them and does not fetch them, so it probably
    /// cannot reach this node. Report [`Input::Pushed`].
    Push {
        /// Whom.
        to: NodeId,
        /// The height of its head.
        behind: u64,
    },
    /// A member can be reached.
    Online {
        /// Who.
        peer: NodeId,
    },
    /// A member cannot be reached, or is no member any more.
    Offline {
        /// Who.
        peer: NodeId,
    },
    /// A member has another head than this node at the same height: one of the two chains is forged.
    Differs {
        /// Who.
        peer: NodeId,
        /// Its head.
        theirs: HeadNote,
    },
}
