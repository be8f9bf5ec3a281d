//! Who can be reached now, for those who ask at any time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use swift_chain::NodeId;
use tokio::sync::watch;

use crate::gossip::Hello;

/// A member can be reached, or not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerEvent {
    /// It can.
    Online(NodeId),
    /// It cannot.
    Offline(NodeId),
}

/// The members that this node reaches, itself left out. The gossip fills it before it tells anybody else. Cheap to
/// clone.
#[derive(Clone, Debug, Default)]
pub struct Presence(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    online: watch::Sender<BTreeSet<NodeId>>,
    /// What each last said of itself; nothing proves it.
    said: Mutex<BTreeMap<NodeId, Hello>>,
}

impl Presence {
    /// Takes over that a member came or went.
    pub fn note(&self, event: PeerEvent) {
        if let PeerEvent::Offline(peer) = event {
            self.said().remove(&peer);
        }
        self.0.online.send_if_modified(|online| match event {
            PeerEvent::Online(peer) => online.insert(peer),
            PeerEvent::Offline(peer) => online.remove(&peer),
        });
    }

    /// Whether a member can be reached.
    pub fn is_online(&self, node: &NodeId) -> bool {
        self.0.online.borrow().contains(node)
    }

    /// All that can be reached, in order.
    pub fn online(&self) -> BTreeSet<NodeId> {
        self.0.online.borrow().clone()
    }

    /// Takes over what a member says of itself.
    pub fn note_hello(&self, peer: NodeId, hello: Hello) {
        self.said().insert(peer, hello);
    }

    /// What a member that can be reached last said of itself.
    pub fn hello_of(&self, peer: &NodeId) -> Option<Hello> {
        let is_online = self.is_online(peer);
        self.said().get(peer).copied().filter(|_| is_online)
    }

    /// The highest block that a member that can be reached says it has.
    pub fn highest_head(&self) -> u64 {
        let (online, said) = (self.online(), self.said());
        said.iter()
            .filter(|(peer, _)| online.contains(peer))
            .map(|(_, hello)| hello.height)
            .max()
            .unwrap_or(0)
    }

    fn said(&self) -> MutexGuard<'_, BTreeMap<NodeId, Hello>> {
        // A panic elsewhere leaves it whole: every change is one insertion or removal.
        self.0.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of every change; one who is slow sees the newest only.
    pub fn watch(&self) -> watch::Receiver<BTreeSet<NodeId>> {
        self.0.online.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_and_go_and_only_changes_are_told() {
        let presence = Presence::default();
        let (one, mut watch) = (NodeId::from_bytes([1; 32]), presence.watch());
        presence.note(PeerEvent::Offline(one));
        assert!(!watch.has_changed().unwrap());
        presence.note(PeerEvent::Online(one));
        assert!(presence.is_online(&one));
        assert_eq!(*watch.borrow_and_update(), BTreeSet::from([one]));
        presence.note(PeerEvent::Online(one));
        assert!(!watch.has_changed().unwrap());
        presence.note(PeerEvent::Offline(one));
        assert!(watch.has_changed().unwrap() && presence.online().is_empty());
    }
}
