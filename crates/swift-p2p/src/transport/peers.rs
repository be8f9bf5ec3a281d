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
    known: Mutex<KnownPeers>,
}

#[derive(Debug, Default)]
struct KnownPeers {
    clients: HashMap<NodeId, Known>,
    /// How many clients to keep.
    most: Option<usize>,
    uses: u64,
}

#[derive(Debug)]
struct Known {
    address: Address,
    client: PeerClient,
    used: u64,
}

impl KnownPeers {
    /// Forgets the clients that were used longest ago, as far as there are too many.
    fn limit(&mut self) {
        while self.most.is_some_and(|most| self.clients.len() > most)
            && let Some(oldest) =
                self.clients.iter().min_by_key(|(_, known)| known.used).map(|(node, _)| *node)
        {
            self.clients.remove(&oldest);
        }
    }
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
            known.clients.remove(node);
            return Err(DialError::NoAddress);
        };
        known.uses += 1;
        let used = known.uses;
        if let Some(at_hand) = known.clients.get_mut(node).filter(|at_hand| at_hand.address == address) {
            at_hand.used = used;
            return Ok(at_hand.client.clone());
        }
        let client = match known.most {
            Some(_) => self.dialer.thrifty_client(*node)?,
            None => self.dialer.client(*node)?,
        };
        known.clients.insert(*node, Known { address, client: client.clone(), used });
        known.limit();
        Ok(client)
    }

    /// Keeps at most so many clients from now on, those that were used last, each with one connection that waits for
    /// its next use. The connections of the others close when what runs on them has ended.
    pub fn keep_at_most(&self, most: Option<usize>) {
        let mut known = self.known();
        if known.most.is_some() != most.is_some() {
            // These keep more connections, or fewer.
            known.clients.clear();
        }
        known.most = most;
        known.limit();
    }

    /// Forgets one peer's client.
    pub fn forget(&self, node: &NodeId) {
        self.known().clients.remove(node);
    }

    /// Forgets the clients of peers that have moved or have no address any more; call it after a block that changes
    /// members or addresses.
    pub fn refresh(&self) {
        self.known()
            .clients
            .retain(|node, at_hand| self.dialer.address_of(node).as_ref() == Some(&at_hand.address));
    }

    /// How many clients are at hand.
    pub fn count(&self) -> usize {
        self.known().clients.len()
    }

    fn known(&self) -> MutexGuard<'_, KnownPeers> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
