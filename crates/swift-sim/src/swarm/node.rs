//! One node: its machine, its links, its connections, and what it is in the middle of. Nobody else looks into it while
//! it runs.

use std::collections::BTreeMap;

use swift_chain::NodeId;
use swift_chunks::FileId;

use super::{
    account::Account,
    clock::{Agenda, Moment},
    connections::Connections,
    event::Event,
    links::{Downlink, Uplink},
    machine::{Kept, Machine, Piece},
    scene::Scene,
    slab::{Key, Slab},
    transfer::{Incoming, Outgoing, Stage},
};
use crate::dice::Dice;

/// Of an order among equals the upper bits are the node's place, the others count what it has noted.
const COUNT_BITS: u32 = 40;

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) at: usize,
    /// None while the node is off.
    pub(crate) machine: Option<Machine>,
    pub(crate) agenda: Agenda<Event>,
    /// Things that it has noted, for itself or for others.
    noted: u64,
    pub(crate) dice: Dice,
    /// What it had of each file when it went off.
    pub(crate) kept: BTreeMap<usize, Kept>,
    pub(crate) up: Uplink,
    pub(crate) down: Downlink,
    /// When the machine is woken next; what was noted for another time is out of date.
    pub(crate) wakes_at: Moment,
    pub(crate) is_ticking: bool,
    /// What is being fetched.
    pub(crate) fetching: Slab<Incoming>,
    /// What is being sent.
    pub(crate) serving: Slab<Outgoing>,
    pub(crate) connections: Connections,
    pub(crate) account: Account,
}

impl Node {
    pub(crate) fn new(at: usize, scene: &Scene, dice: Dice) -> Self {
        Self {
            at,
            machine: None,
            agenda: Agenda::default(),
            noted: 0,
            dice,
            kept: BTreeMap::new(),
            up: Uplink::new(scene.plan.uplink(at)),
            down: Downlink::new(scene.plan.downlink()),
            wakes_at: Moment::NEVER,
            is_ticking: false,
            fetching: Slab::default(),
            serving: Slab::default(),
            connections: Connections::default(),
            account: Account::new(scene.files.iter().map(|file| file.layout)),
        }
    }

    /// A place of its own in the order of what is due at the same moment, wherever that is: it depends on nothing but
    /// what this node has done.
    pub(crate) fn next_order(&mut self) -> u64 {
        self.noted += 1;
        (self.at as u64) << COUNT_BITS | self.noted
    }

    pub(crate) fn find_fetch(&self, from: usize, file: usize, piece: Piece) -> Option<Key> {
        let is_it = |it: &Incoming| (it.from, it.file, it.piece) == (from, file, piece);
        self.fetching.iter().find(|(_, incoming)| is_it(incoming)).map(|(key, _)| key)
    }

    /// Requests of which not all has left.
    pub(crate) fn unsent(&self) -> usize {
        self.serving.iter().filter(|(_, outgoing)| outgoing.stage != Stage::Sent).count()
    }

    /// What is sent to a node that calls it so.
    pub(crate) fn find_send(&self, to: usize, incoming: Key) -> Option<Key> {
        let is_it = |it: &Outgoing| (it.to, it.incoming) == (to, incoming);
        self.serving.iter().find(|(_, outgoing)| is_it(outgoing)).map(|(key, _)| key)
    }
}

/// A random id that ends in the node's place.
pub(crate) fn node_id(at: usize, dice: &mut Dice) -> NodeId {
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
}
