//! What is on its way between nodes besides units, and what becomes of it on arrival.

use swift_chunks::{ChunkSet, FileId, Slice};
use swift_p2p::swarm::message::{Answer, Confirm, Holdings, Message, Offer, WhoHas};
use swift_p2p::swarm::{ExchangeId, FetchFailure, FetchOutcome, Input, SendOutcome};

use super::{Behaviour, Flow, Lab};

pub(super) enum Packet {
    Offer(ExchangeId, Vec<u8>),
    Answer(ExchangeId, Vec<u8>),
    Confirm(Vec<u8>),
    WhoHas(Vec<u8>),
    Holdings(Vec<u8>),
    Announce(Vec<u8>),
    Request(FileId, Slice),
    Cancel(FileId, Slice),
    Fetched(FileId, Slice, FetchOutcome),
    OfferLost(ExchangeId),
    WhoHasLost,
    /// Which start of the node it was that ended.
    PeerOffline(u64),
    PeerOnline,
}

impl Lab {
    pub(super) fn deliver(&mut self, from: usize, to: usize, packet: Packet) {
        let reachable = self.nodes[to].swarm.is_some() && !self.cut.contains(&(from, to));
        let id = self.nodes[from].id;
        match packet {
            Packet::Offer(exchange, _) if !reachable => self.send(to, from, Packet::OfferLost(exchange)),
            Packet::WhoHas(_) if !reachable => self.send(to, from, Packet::WhoHasLost),
            Packet::Request(file, slice) if !reachable => {
                let failed = FetchOutcome::Failed(FetchFailure::Unreachable);
                self.send(to, from, Packet::Fetched(file, slice, failed));
            }
            // What a node finds out by itself reaches it over no link.
            Packet::OfferLost(exchange) => self.input(to, Input::OfferFailed { to: id, exchange }),
            Packet::WhoHasLost => self.input(to, Input::WhoHasFailed { to: id }),
            // Who is back before its loss was noticed was never gone.
            Packet::PeerOffline(starts) => {
                if self.nodes[from].starts == starts {
                    self.input(to, Input::PeerOffline { peer: id });
                }
            }
            Packet::Fetched(file, slice, outcome) => {
                if self.nodes[to].fetching.remove(&(file, slice, from)) {
                    let layout = self.nodes[to]
                        .swarm
                        .as_ref()
                        .and_then(|swarm| swarm.held(&file))
                        .map(ChunkSet::layout);
                    if let Some(layout) = layout.filter(|_| outcome == FetchOutcome::Verified) {
                        let grains = slice.grains(layout);
                        let node = &mut self.nodes[to];
                        let verified = node.verified.entry((file, slice.chunk())).or_default();
                        node.verified_again += u32::from(verified.meets(grains));
                        *verified = verified.and(grains);
                    }
                    self.input(to, Input::Fetched { from: id, file, slice, outcome });
                }
            }
            _ if !reachable => {}
            Packet::PeerOnline => self.input(to, Input::PeerOnline { peer: id }),
            Packet::Offer(exchange, bytes) => {
                self.input(to, Input::Offer { from: id, exchange, offer: Offer::decode(&bytes).unwrap() });
            }
            Packet::Answer(exchange, bytes) => {
                self.input(
                    to,
                    Input::OfferAnswered { by: id, exchange, answer: Answer::decode(&bytes).unwrap() },
                );
            }
            Packet::Confirm(bytes) => {
                self.input(to, Input::Confirmed { by: id, confirm: Confirm::decode(&bytes).unwrap() });
            }
            Packet::WhoHas(bytes) => {
                let exchange = ExchangeId(0);
                self.input(
                    to,
                    Input::WhoHas { from: id, exchange, who_has: WhoHas::decode(&bytes).unwrap() },
                );
            }
            Packet::Holdings(bytes) => {
                self.input(to, Input::WhoHasAnswered { by: id, holdings: Holdings::decode(&bytes).unwrap() });
            }
            Packet::Announce(bytes) => {
                self.input(to, Input::Announced { from: id, holdings: Holdings::decode(&bytes).unwrap() });
            }
            Packet::Request(file, slice) => self.serve(to, from, file, slice),
            Packet::Cancel(file, slice) => {
                let is_it =
                    |flow: &Flow| (flow.from, flow.to, flow.file, flow.slice) == (to, from, file, slice);
                if let Some(at) = self.flows.iter().position(is_it) {
                    let flow = self.flows.remove(at);
                    self.share_links();
                    self.send_ended(&flow, SendOutcome::Broken);
                }
            }
        }
    }

    /// What the node's HTTP server does with a request.
    fn serve(&mut self, at: usize, to: usize, file: FileId, slice: Slice) {
        let node = &self.nodes[at];
        let serves = node.swarm.as_ref().is_some_and(|swarm| swarm.serves(&file, slice));
        if !serves || node.behaviour == Behaviour::Lacks {
            let given_up = node.swarm.as_ref().is_some_and(|swarm| swarm.is_given_up(&file));
            let failure = if given_up { FetchFailure::Refused } else { FetchFailure::NotThere };
            let failed = FetchOutcome::Failed(failure);
            self.input(
                at,
                Input::SendEnded { to: self.nodes[to].id, file, slice, outcome: SendOutcome::Broken },
            );
            return self.send(at, to, Packet::Fetched(file, slice, failed));
        }
        let len =
            node.swarm.as_ref().and_then(|swarm| swarm.held(&file)).map(|held| slice.len(held.layout()));
        self.flows.push(Flow::new(at, to, file, slice, len.unwrap_or(0)));
        self.share_links();
        self.input(at, Input::SendStarted { to: self.nodes[to].id, file, slice });
    }
}
