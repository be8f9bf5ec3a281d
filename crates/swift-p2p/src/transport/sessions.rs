//! What nodes have open at this listener, and how to end it at once.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use swift_chain::NodeId;
use tokio_util::sync::CancellationToken;

use super::admission::Place;
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
    /// The most of members.
    most: Option<usize>,
}

struct Entry {
    cut: CancellationToken,
    was_member: bool,
    /// Requests that are being answered.
    running: usize,
    /// When the last one ended, or the connection began.
    idle_since: Instant,
}

impl Open {
    /// Connections of members, with their numbers.
    fn of_members(&self) -> impl Iterator<Item = (u64, &Entry)> {
        let all = self.by_node.values().flatten();
        // What is cut is as good as gone.
        all.filter(|(_, entry)| entry.was_member && !entry.cut.is_cancelled())
            .map(|(&number, entry)| (number, entry))
    }

    /// Ends idle connections of members, those first that have been idle longest, as long as there are too many.
    fn limit(&self) {
        let Some(most) = self.most else { return };
        let excess = self.of_members().count().saturating_sub(most);
        if excess == 0 {
            return;
        }
        let newest = self.next;
        let idle = self.of_members().filter(|&(number, entry)| entry.running == 0 && number != newest);
        let mut idle: Vec<&Entry> = idle.map(|(_, entry)| entry).collect();
        idle.sort_unstable_by_key(|entry| entry.idle_since);
        idle.into_iter().take(excess).for_each(|entry| entry.cut.cancel());
    }

    /// Whether a member's connection is one too many: as many as may be are older.
    fn is_crowded(&self, number: u64) -> bool {
        self.most.is_some_and(|most| self.of_members().filter(|&(other, _)| other < number).count() >= most)
    }
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

    /// Lets members have at most so many connections here from now on. Those that are idle longest make room for others.
    /// If none is, one more is [crowded](super::Crowded): it is for what cannot wait, and ends with its first answer.
    pub fn keep_at_most(&self, most: Option<usize>) {
        let mut open = self.open();
        open.most = most;
        open.limit();
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
        open.by_node.entry(node).or_default().insert(
            number,
            Entry { cut: cut.clone(), was_member: false, running: 0, idle_since: Instant::now() },
        );
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
    seat: Mutex<Option<Place>>,
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
    pub(super) fn take_seat(&self, seat: Place) {
        *self.seat() = Some(seat);
    }

    /// The caller of a request that has just arrived.
    pub(super) fn caller(&self) -> Caller {
        let standing = self.standing();
        if standing.is_member() && self.seat().take().is_some() {
            self.note_member();
        }
        Caller::Node { id: self.node, standing }
    }

    /// A request has arrived: whether the connection is one too many, and what to hold until the answer has been sent.
    pub(super) fn visit(self: &Arc<Self>) -> (bool, Visit) {
        let mut open = self.sessions.open();
        if let Some(entry) = self.entry(&mut open) {
            entry.running += 1;
        }
        (open.is_crowded(self.number), Visit(self.clone()))
    }

    fn note_member(&self) {
        let mut open = self.sessions.open();
        if let Some(entry) = self.entry(&mut open) {
            entry.was_member = true;
        }
        open.limit();
    }

    fn entry<'a>(&self, open: &'a mut Open) -> Option<&'a mut Entry> {
        open.by_node.get_mut(&self.node).and_then(|entries| entries.get_mut(&self.number))
    }

    fn seat(&self) -> MutexGuard<'_, Option<Place>> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is being answered.
pub(super) struct Visit(Arc<Session>);

impl Drop for Visit {
    fn drop(&mut self) {
        let mut open = self.0.sessions.open();
        if let Some(entry) = self.0.entry(&mut open) {
            entry.running = entry.running.saturating_sub(1);
            entry.idle_since = Instant::now();
        }
        // One that came meanwhile may have found no room.
        open.limit();
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
