//! What nodes have open at this listener, and how to end it at once.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use swift_chain::NodeId;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::caller::{Caller, Membership, Standing};

/// The open connections that nodes have made to this one. Clones share them.
///
/// Call [`Sessions::close_former_members`] after every block that removes a member. No connection slips through between
/// the removal and the call: one that is registered later finds the removal in the ledger.
#[derive(Clone)]
pub struct Sessions(Arc<Shared>);

struct Shared {
    membership: Arc<dyn Membership>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next: u64,
    by_node: HashMap<NodeId, BTreeMap<u64, Entry>>,
}

struct Entry {
    cut: CancellationToken,
    was_member: bool,
}

/// How much is open now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionCounts {
    /// Nodes with at least one open connection.
    pub nodes: usize,
    /// Open connections of nodes.
    pub sessions: usize,
}

impl Sessions {
    /// No sessions yet; `membership` says who may have some.
    pub fn new(membership: Arc<dyn Membership>) -> Self {
        Self(Arc::new(Shared { membership, open: Mutex::default() }))
    }

    /// Cuts everything `node` has open here and says how many connections that was. Nothing more is sent, not even
    /// what already waits in the socket's buffer. The node may connect again and then meets its standing.
    pub fn close(&self, node: &NodeId) -> usize {
        let open = self.open();
        let entries = open.by_node.get(node).into_iter().flat_map(BTreeMap::values);
        entries.map(|entry| entry.cut.cancel()).count()
    }

    /// Cuts the connections of nodes that were members and are none now, and says how many that was. Strangers that
    /// are about to join keep theirs.
    pub fn close_former_members(&self) -> usize {
        let nodes: Vec<NodeId> = self.open().by_node.keys().copied().collect();
        // The ledger is asked while nothing is locked here: it may be the one that waits for us.
        let standings = nodes.into_iter().map(|node| (node, self.0.membership.standing(&node)));
        let standings: Vec<_> = standings.filter(|(_, standing)| !standing.is_member()).collect();
        let open = self.open();
        let mut cut = 0;
        for (node, standing) in standings {
            let entries = open.by_node.get(&node).into_iter().flat_map(BTreeMap::values);
            let ended = entries.filter(|entry| standing == Standing::Removed || entry.was_member);
            cut += ended.map(|entry| entry.cut.cancel()).count();
        }
        cut
    }

    /// How much is open now.
    pub fn counts(&self) -> SessionCounts {
        let open = self.open();
        SessionCounts { nodes: open.by_node.len(), sessions: open.by_node.values().map(BTreeMap::len).sum() }
    }

    /// How many connections `node` has open here.
    pub fn count(&self, node: &NodeId) -> usize {
        self.open().by_node.get(node).map_or(0, BTreeMap::len)
    }

    /// Registers a connection, and only then asks for the node's standing: whoever is removed from now on is found by
    /// a close, whoever was removed before is seen as such.
    pub(super) fn register(&self, node: NodeId, cut: CancellationToken) -> Session {
        let mut open = self.open();
        open.next += 1;
        let number = open.next;
        open.by_node.entry(node).or_default().insert(number, Entry { cut: cut.clone(), was_member: false });
        drop(open);
        let session = Session { sessions: self.clone(), node, number, cut, seat: Mutex::default() };
        if session.standing().is_member() {
            session.note_member();
        }
        session
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sessions").field(&self.counts()).finish()
    }
}

/// One registered connection of a node; dropping it takes it off the list.
pub(super) struct Session {
    sessions: Sessions,
    node: NodeId,
    number: u64,
    cut: CancellationToken,
    /// Held while the node is no member.
    seat: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Session {
    /// What the ledger says of the node now.
    pub(super) fn standing(&self) -> Standing {
        self.sessions.0.membership.standing(&self.node)
    }

    /// Cancelled when the connection must end at once.
    pub(super) fn cut(&self) -> &CancellationToken {
        &self.cut
    }

    /// Keeps a stranger's seat until the node is a member or gone.
    pub(super) fn take_seat(&self, permit: OwnedSemaphorePermit) {
        *self.seat() = Some(permit);
    }

    /// The caller of a request that has just arrived.
    pub(super) fn caller(&self) -> Caller {
        let standing = self.standing();
        if standing.is_member() && self.seat().take().is_some() {
            self.note_member();
        }
        Caller::Node { id: self.node, standing }
    }

    fn note_member(&self) {
        let mut open = self.sessions.open();
        let entry = open.by_node.get_mut(&self.node).and_then(|entries| entries.get_mut(&self.number));
        if let Some(entry) = entry {
            entry.was_member = true;
        }
    }

    fn seat(&self) -> MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut open = self.sessions.open();
        if let Some(entries) = open.by_node.get_mut(&self.node) {
            entries.remove(&self.number);
            if entries.is_empty() {
                open.by_node.remove(&self.node);
            }
        }
    }
}
