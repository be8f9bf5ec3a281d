//! What every node may look at: it changes only between two windows of time, when no node does anything.

use swift_chain::NodeId;
use swift_chunks::{ChunkIndex, ChunkLayout, FileId};
use swift_p2p::swarm::CheckOutcome;

use super::{
    clock::nanos,
    plan::{Conduct, Leaving, Plan},
    transfer::Path,
};

/// No two nodes are nearer than this, whatever the plan says: nodes run without a look at each other for as long as one
/// way takes, and without a delay there would be no such time. It is what a local network takes.
const NEAREST_NS: u64 = 100_000;

#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) plan: Plan,
    pub(crate) files: Vec<File>,
    pub(crate) members: Vec<Member>,
    /// Where the network is in two parts, for each time that it was parted and is not one again: how many nodes are in
    /// the first.
    pub(crate) parted: Vec<usize>,
    /// From one node to another, one way.
    pub(crate) delay_ns: u64,
    /// What opening a connection takes: TCP's and TLS's round trips.
    pub(crate) handshake_ns: u64,
    pub(crate) queue_ns: u64,
}

#[derive(Debug)]
pub(crate) struct File {
    pub(crate) id: FileId,
    pub(crate) layout: ChunkLayout,
    pub(crate) is_published: bool,
}

/// What is known of a node.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: NodeId,
    pub(crate) conduct: Conduct,
    /// Whether it has been a member from the beginning.
    pub(crate) is_there_first: bool,
    /// Whom it knows; empty if it knows everybody.
    pub(crate) known: Vec<usize>,
    /// Bytes per second that it sends.
    pub(crate) rate: u64,
    pub(crate) is_on: bool,
    /// How often it was started.
    pub(crate) life: u64,
    /// How it fares who calls it while it is off.
    pub(crate) absence: Leaving,
    /// Whether others may have reason to complain of it: it has been away.
    pub(crate) was_away: bool,
}

impl Scene {
    pub(crate) fn new(plan: &Plan, files: Vec<File>, members: Vec<Member>) -> Self {
        let delay_ns = nanos(plan.delay).max(NEAREST_NS);
        Self {
            plan: plan.clone(),
            files,
            members,
            parted: Vec::new(),
            delay_ns,
            handshake_ns: 4 * delay_ns,
            queue_ns: nanos(plan.queue),
        }
    }

    pub(crate) fn id(&self, node: usize) -> NodeId {
        self.members[node].id
    }

    pub(crate) fn conduct(&self, node: usize) -> Conduct {
        self.members[node].conduct
    }

    pub(crate) fn life(&self, node: usize) -> u64 {
        self.members[node].life
    }

    /// Whether a node is in the same life still.
    pub(crate) fn lives(&self, node: usize, life: u64) -> bool {
        self.members[node].is_on && self.members[node].life == life
    }

    /// Whether nothing comes from a node any more, not even a refusal.
    pub(crate) fn is_silent(&self, node: usize) -> bool {
        !self.members[node].is_on && self.members[node].absence != Leaving::Stopped
    }

    pub(crate) fn is_cut(&self, a: usize, b: usize) -> bool {
        self.parted.iter().any(|&first| (a < first) != (b < first))
    }

    pub(crate) fn is_reachable(&self, at: usize, peer: usize) -> bool {
        self.members[peer].is_on && !self.is_cut(at, peer)
    }

    /// Whom a node knows.
    pub(crate) fn acquaintances(&self, at: usize) -> Vec<usize> {
        let known = &self.members[at].known;
        if known.is_empty() {
            (0..self.members.len()).filter(|&other| other != at).collect()
        } else {
            known.clone()
        }
    }

    /// The way from a node to any other: they all receive alike.
    pub(crate) fn path_from(&self, from: usize) -> Path {
        let rate = self.members[from].rate.min(self.plan.downlink().rate());
        Path::new(self.delay_ns, rate)
    }

    /// What comes of looking at a whole chunk: of a false file the one in the middle gives it away.
    pub(crate) fn check(&self, file: usize, chunk: ChunkIndex) -> CheckOutcome {
        let middle = self.files[file].layout.chunk_count() / 2;
        let is_false = !self.plan.is_true(file) && chunk.get() == middle;
        if is_false { CheckOutcome::ManifestFalse } else { CheckOutcome::Verified }
    }
}
