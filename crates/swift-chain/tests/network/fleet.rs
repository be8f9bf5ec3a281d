//! Validators that decide together: whoever is there hears everybody else.

use std::{collections::BTreeSet, sync::Arc};

use swift_chain::{consensus::ConsensusMessage, *};

use super::{Peer, submission, weight};

/// Validators on one switch: what one sends arrives at all others that are there, at once and in order.
pub(crate) struct Fleet {
    pub(crate) peers: Vec<Peer>,
    pub(crate) away: BTreeSet<usize>,
    pub(crate) now_ms: u64,
}

impl Fleet {
    /// Key `n` is peer `n - 1`; all have weight 1.
    pub(crate) fn of(count: u8) -> Self {
        let mut founder = Peer::founder();
        let mut peers = Vec::new();
        for number in 2..=count {
            peers.push(founder.admit(number, Role::Admin));
        }
        peers.insert(0, founder);
        let now_ms = peers[0].now_ms;
        let mut fleet = Self { peers, away: BTreeSet::new(), now_ms };
        fleet.level();
        for number in 2..=count {
            fleet.write(0, u64::from(number), weight(number, 1));
        }
        fleet
    }

    pub(crate) fn here(&self) -> Vec<usize> {
        (0..self.peers.len()).filter(|at| !self.away.contains(at)).collect()
    }

    /// Gives one peer inputs and carries around what comes of it until all rest.
    pub(crate) fn step(&mut self, at: usize, inputs: Vec<Input>) {
        let mut queue = vec![(at, inputs)];
        while let Some((at, inputs)) = (!queue.is_empty()).then(|| queue.remove(0)) {
            if self.away.contains(&at) {
                continue;
            }
            self.peers[at].now_ms = self.now_ms;
            let before = self.peers[at].outputs.len();
            self.peers[at].step(inputs);
            let from = self.peers[at].key.id();
            let outputs = self.peers[at].outputs.split_off(before);
            for output in &outputs {
                let input = match output {
                    Output::Broadcast(message) => Input::Consensus { from, message: (**message).clone() },
                    Output::Relay(transactions) => Input::Transactions(transactions.clone()),
                    _ => continue,
                };
                let validators = self.peers[at].replica.validators().clone();
                for other in self.here() {
                    if other != at && validators.weight(&self.peers[other].key.id()) > 0 {
                        queue.push((other, vec![input.clone()]));
                    }
                }
            }
            self.peers[at].outputs.extend(outputs);
        }
        self.level();
    }

    /// Those behind take the blocks of the one that is furthest.
    pub(crate) fn level(&mut self) {
        let here = self.here();
        let Some(highest) = here.iter().copied().max_by_key(|at| self.peers[*at].replica.head().height)
        else {
            return;
        };
        for at in here {
            let head = self.peers[at].replica.head().height;
            if head < self.peers[highest].replica.head().height {
                let blocks = self.peers[highest].blocks(head + 1);
                self.peers[at].now_ms = self.now_ms;
                self.peers[at].step(vec![Input::Blocks { request: RequestId(0), blocks }]);
            }
        }
    }

    /// Lets time pass until every timeout up to `ms` from now has come.
    pub(crate) fn wait(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        while self.now_ms < until {
            self.now_ms += 50;
            for at in self.here() {
                let now = std::time::Duration::from_millis(self.now_ms);
                if self.peers[at].replica.poll_timeout().is_some_and(|due| due <= now) {
                    self.step(at, Vec::new());
                }
                if self.now_ms.is_multiple_of(1000) {
                    self.step(at, vec![Input::Tick]);
                }
            }
        }
    }

    pub(crate) fn submit(&mut self, at: usize, request: u64, action: Action) {
        self.step(at, vec![submission(request, action)]);
    }

    /// Submits and expects it to be final on everybody who is there, in the end.
    pub(crate) fn write(&mut self, at: usize, request: u64, action: Action) {
        self.submit(at, request, action);
        if self.peers[at].outcome(request).is_none() {
            self.wait(20_000);
        }
        assert!(matches!(self.peers[at].outcome(request), Some(Ok(_))), "request {request} is not final");
        self.agree();
    }

    /// Everybody who is there has the same head.
    pub(crate) fn agree(&self) {
        let heads: BTreeSet<_> = self.here().iter().map(|at| self.peers[*at].replica.head().hash).collect();
        assert_eq!(heads.len(), 1, "heads differ");
    }

    pub(crate) fn height(&self, at: usize) -> u64 {
        self.peers[at].replica.head().height
    }
}

pub(crate) fn sent(peer: &Peer) -> Vec<Arc<ConsensusMessage>> {
    let messages = peer.outputs.iter().filter_map(|output| match output {
        Output::Broadcast(message) => Some(message.clone()),
        _ => None,
    });
    messages.collect()
}
