//! Who can be reached now, for those who ask at any time.

use std::{collections::BTreeSet, sync::Arc};

use swift_chain::NodeId;
use tokio::sync::watch;

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
pub struct Presence(Arc<watch::Sender<BTreeSet<NodeId>>>);

impl Presence {
    /// Takes over that a member came or went.
    pub fn note(&self, event: PeerEvent) {
        self.0.send_if_modified(|online| match event {
            PeerEvent::Online(peer) => online.insert(peer),
            PeerEvent::Offline(peer) => online.remove(&peer),
        });
    }

    /// Whether a member can be reached.
    pub fn is_online(&self, node: &NodeId) -> bool {
        self.0.borrow().contains(node)
    }

    /// All that can be reached, in order.
    pub fn online(&self) -> BTreeSet<NodeId> {
        self.0.borrow().clone()
    }

    /// Tells of every change; one who is slow sees the newest only.
    pub fn watch(&self) -> watch::Receiver<BTreeSet<NodeId>> {
        self.0.subscribe()
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
