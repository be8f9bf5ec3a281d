//! What travels from node to node but content, and where it goes.

use swift_p2p::swarm::{ExchangeId, FetchFailure};

use super::{
    clock::Moment,
    machine::{Letter, Piece},
    slab::Key,
};

/// A letter and where it goes.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Which life of each it belongs to: with a process its connections end.
    pub(crate) lives: (u64, u64),
    pub(crate) len: u64,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    Letter(Letter),
    Request(Request),
    /// The receiver has closed the connection of what it calls so.
    Close {
        incoming: Key,
        /// Nothing overtakes the request on its connection.
        not_before: Moment,
    },
    /// The source does not send what the receiver calls so.
    Failed(Key, FetchFailure),
    /// Whom the letter is said to be from has not answered this offer, or a question.
    Unanswered(Option<ExchangeId>),
}

/// A request for content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// What the receiver calls it.
    pub(crate) incoming: Key,
    pub(crate) file: usize,
    pub(crate) piece: Piece,
    /// Whether it comes over a connection that was used before.
    pub(crate) is_open: bool,
}
