//! One node: its machine, its links, its connections, and what it is in the middle of.

use std::collections::BTreeMap;

use swift_chain::NodeId;
use swift_chunks::FileId;

use super::{
    clock::{Moment, nanos},
    links::{Downlink, Uplink},
    machine::{Kept, Machine, Piece},
    plan::{Leaving, Plan},
    slab::Key,
    transfer::Window,
};
use crate::dice::Dice;

/// How long an idle connection stays open.
const IDLE_NS: u64 = 15_000_000_000;
/// After such a pause, and the round trip, a window starts small again.
const PAUSE_NS: u64 = 200_000_000;

/// A connection that waits for its next request.
#[derive(Clone, Copy, Debug)]
struct Idle {
    window: Window,
    since: Moment,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    /// None while the node is off.
    pub(crate) machine: Option<Machine>,
    /// How often it was started.
    pub(crate) life: u64,
    /// How it fares who calls it while it is off.
    pub(crate) absence: Leaving,
    /// Whether others may have reason to complain of it: it has been away.
    pub(crate) was_away: bool,
    /// Members that it knows; empty if it knows everybody.
    pub(crate) known: Vec<usize>,
    /// What it had of each file when it went off.
    pub(crate) kept: BTreeMap<usize, Kept>,
    pub(crate) up: Uplink,
    pub(crate) down: Downlink,
    /// When the machine is woken next; what was noted for another time is out of date.
    pub(crate) wakes_at: Moment,
    pub(crate) is_ticking: bool,
    /// What is being fetched.
    pub(crate) fetching: Vec<Fetching>,
    /// What is being sent.
    pub(crate) serving: Vec<Key>,
    /// Connections over which content was fetched.
    idle: BTreeMap<usize, Vec<Idle>>,
    /// The connection for letters to each peer: when it is or was ready, and used last.
    letters: BTreeMap<usize, (Moment, Moment)>,
}

/// A fetch that the machine has asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fetching {
    pub(crate) from: usize,
    pub(crate) file: usize,
    pub(crate) piece: Piece,
    pub(crate) transfer: Key,
}

impl Node {
    pub(crate) fn new(at: usize, plan: &Plan, dice: &mut Dice) -> Self {
        Self {
            id: node_id(at, dice),
            machine: None,
            life: 0,
            absence: Leaving::Stopped,
            was_away: false,
            known: Vec::new(),
            kept: BTreeMap::new(),
            up: Uplink::new(plan.uplink(at)),
            down: Downlink::new(plan.downlink()),
            wakes_at: Moment::NEVER,
            is_ticking: false,
            fetching: Vec::new(),
            serving: Vec::new(),
            idle: BTreeMap::new(),
            letters: BTreeMap::new(),
        }
    }

    /// Goes off: everything is gone but what is on the disk. Returns the machine that was.
    pub(crate) fn go_off(&mut self, how: Leaving) -> Option<Machine> {
        (self.absence, self.was_away) = (how, true);
        self.wakes_at = Moment::NEVER;
        self.up.clear();
        self.fetching.clear();
        self.serving.clear();
        self.idle.clear();
        self.letters.clear();
        self.machine.take()
    }

    /// The connections with a peer are no more.
    pub(crate) fn disconnect(&mut self, peer: usize) {
        self.idle.remove(&peer);
        self.letters.remove(&peer);
    }

    pub(crate) fn find_fetch(&self, from: usize, file: usize, piece: Piece) -> Option<usize> {
        let is_it = |it: &Fetching| (it.from, it.file, it.piece) == (from, file, piece);
        self.fetching.iter().position(is_it)
    }

    /// A connection to fetch over and its window, if one is open.
    pub(crate) fn take_connection(
        &mut self,
        now: Moment,
        source: usize,
        round_trip_ns: u64,
    ) -> Option<Window> {
        let idle = self.idle.get_mut(&source)?;
        idle.retain(|idle| now.since(idle.since) < IDLE_NS);
        let latest = idle.pop()?;
        let is_fresh = now.since(latest.since) < PAUSE_NS + round_trip_ns;
        Some(if is_fresh { latest.window } else { latest.window.after_pause() })
    }

    pub(crate) fn keep_connection(&mut self, now: Moment, source: usize, window: Window) {
        self.idle.entry(source).or_default().push(Idle { window, since: now });
    }

    /// There is a connection to a peer since before the run began: it was greeted.
    pub(crate) fn greeted(&mut self, peer: usize) {
        self.letters.insert(peer, (Moment::ZERO, Moment::ZERO));
    }

    /// When a letter to a peer can leave: at once, unless the connection must be opened first.
    pub(crate) fn letter_ready(&mut self, now: Moment, to: usize, handshake_ns: u64) -> Moment {
        let entry = self.letters.entry(to).or_insert((Moment::NEVER, Moment::ZERO));
        if entry.0 == Moment::NEVER || now.since(entry.1) >= IDLE_NS {
            entry.0 = now.plus(handshake_ns);
        }
        entry.1 = now.max(entry.0);
        entry.1
    }
}

/// A random id that ends in the node's place.
fn node_id(at: usize, dice: &mut Dice) -> NodeId {
    NodeId::from_bytes(with_place(at, dice))
}

/// The place of a node by its id.
pub(crate) fn place_of(id: &NodeId) -> usize {
    place_in(id.as_bytes())
}

/// A random id that ends in the file's place.
pub(crate) fn file_id(at: usize, dice: &mut Dice) -> FileId {
    FileId::from_bytes(with_place(at, dice))
}

/// The place of a file by its id.
pub(crate) fn place_of_file(id: &FileId) -> usize {
    place_in(id.as_bytes())
}

fn with_place(at: usize, dice: &mut Dice) -> [u8; 32] {
    let mut bytes = dice.bytes::<32>();
    bytes[28..].copy_from_slice(&u32::try_from(at).unwrap_or(u32::MAX).to_be_bytes());
    bytes
}

fn place_in(bytes: &[u8; 32]) -> usize {
    let [.., a, b, c, d] = *bytes;
    u32::from_be_bytes([a, b, c, d]) as usize
}

/// What opening a connection takes: TCP's and TLS's round trips.
pub(crate) fn handshake_ns(plan: &Plan) -> u64 {
    4 * nanos(plan.delay)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_the_place() {
        let dice = &mut Dice::new(1);
        for at in [0, 1, 300, 99_999] {
            assert_eq!(place_of(&node_id(at, dice)), at);
            assert_eq!(place_of_file(&file_id(at, dice)), at);
        }
    }

    #[test]
    fn a_connection_is_opened_once_and_again_after_a_long_pause() {
        let plan = Plan::default();
        let mut node = Node::new(0, &plan, &mut Dice::new(1));
        assert_eq!(node.letter_ready(Moment(5), 1, 100), Moment(105));
        assert_eq!(node.letter_ready(Moment(50), 1, 100), Moment(105));
        assert_eq!(node.letter_ready(Moment(500), 1, 100), Moment(500));
        let late = Moment(500 + IDLE_NS);
        assert_eq!(node.letter_ready(late, 1, 100), late.plus(100));
        assert!(node.take_connection(Moment(0), 1, 10).is_none());
        node.keep_connection(Moment(0), 1, Window::FIRST);
        assert!(node.take_connection(Moment(1), 1, 10).is_some());
        assert!(node.take_connection(Moment(1), 1, 10).is_none());
    }
}
