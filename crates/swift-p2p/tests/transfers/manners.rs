//! How a server of the tests behaves, and what it has seen.

use std::{collections::BTreeSet, ops::Range, sync::Mutex};

use swift_chain::NodeId;
use swift_chunks::FileId;
use tokio::sync::{Semaphore, watch};

/// What is wrong with the chunks that a server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// One bit is not as it was.
    FlippedBit,
    /// The answer is whole and one byte short.
    OneByteShort,
    /// The answer is whole and one byte long.
    OneByteLong,
    /// A grain tree has a bit that is not as it was.
    OtherTree,
    /// A grain tree is asked for and does not come.
    NoTree,
}

/// What a server has seen so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Answers of which the first half has gone out.
    pub(crate) halves: usize,
    /// Offers, in how many requests.
    pub(crate) offers: (usize, usize),
    /// Confirmations.
    pub(crate) confirms: usize,
    /// Manifests sent.
    pub(crate) manifests: usize,
    /// Ranges of content sent, and to whom.
    pub(crate) sent: Vec<(NodeId, Range<u64>)>,
    /// Who has told of a complete copy.
    pub(crate) complete: BTreeSet<(NodeId, FileId)>,
}

/// One server's behaviour.
pub(crate) struct Manners {
    pub(crate) lie: Mutex<Option<Lie>>,
    /// Sent instead of every manifest.
    pub(crate) manifest: Mutex<Option<Vec<u8>>>,
    /// One permit for each request for content.
    pub(crate) gate: Semaphore,
    /// One permit for the second half of each answer.
    pub(crate) rest: Semaphore,
    pub(crate) seen: watch::Sender<Seen>,
}

/// Permits that never run out in a test.
const OPEN: usize = 1 << 20;

impl Manners {
    pub(crate) fn honest() -> Self {
        Self {
            lie: Mutex::default(),
            manifest: Mutex::default(),
            gate: Semaphore::new(OPEN),
            rest: Semaphore::new(OPEN),
            seen: watch::Sender::default(),
        }
    }

    /// Serves that many more requests for content, and holds up the others.
    pub(crate) fn hold_after(&self, requests: usize) {
        self.gate.forget_permits(usize::MAX);
        self.gate.add_permits(requests);
    }

    /// Stops in the middle of every answer from now on.
    pub(crate) fn stall(&self) {
        self.rest.forget_permits(usize::MAX);
    }

    pub(crate) fn release(&self) {
        self.gate.add_permits(OPEN);
    }

    pub(crate) fn saw(&self, note: impl FnOnce(&mut Seen)) {
        self.seen.send_modify(note);
    }

    pub(crate) async fn until(&self, what: impl FnMut(&Seen) -> bool) -> Seen {
        super::network::soon(self.seen.subscribe().wait_for(what)).await.unwrap().clone()
    }
}
