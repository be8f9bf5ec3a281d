//! One client per peer, kept as long as the peer is where it was.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use swift_chain::{Address, NodeId};

use super::{
    dial_error::DialError,
    dialer::{Dialer, PeerClient},
};

/// The clients of this node's peers, made when first asked for.
///
/// A client's connections close when it is dropped here and by everyone who got it: ask for it anew for each piece of
/// work instead of keeping it.
#[derive(Debug)]
pub struct PeerClients {
    dialer: Dialer,
    known: Mutex<HashMap<NodeId, Known>>,
}

#[derive(Debug)]
struct Known {
    address: Address,
    client: PeerClient,
}

impl PeerClients {
    /// No clients yet.
    pub fn new(dialer: Dialer) -> Self {
        Self { dialer, known: Mutex::default() }
    }

    /// The client of `node`: the one at hand if the node's address is still the same, else a new one.
    pub fn client(&self, node: &NodeId) -> Result<PeerClient, DialError> {
        let mut known = self.known();
        let Some(address) = self.dialer.address_of(node) else {
            known.remove(node);
            return Err(DialError::NoAddress);
        };
        if let Some(at_hand) = known.get(node).filter(|at_hand| at_hand.address == address) {
            return Ok(at_hand.client.clone());
        }
        let client = self.dialer.client(*node)?;
        known.insert(*node, Known { address, client: client.clone() });
        Ok(client)
    }

    /// Forgets one peer's client.
    pub fn forget(&self, node: &NodeId) {
        self.known().remove(node);
    }

    /// Forgets the clients of peers that have moved or have no address any more; call it after a block that changes
    /// members or addresses.
    pub fn refresh(&self) {
        self.known().retain(|node, at_hand| self.dialer.address_of(node).as_ref() == Some(&at_hand.address));
    }

    /// How many clients are at hand.
    pub fn count(&self) -> usize {
        self.known().len()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<NodeId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
