//! Acting on what steps led to, as the node's driver does.

use std::sync::Arc;

use swift_chain::{
    Action, CertifiedBlock, Evidence, NodeId, Output, SignedTransaction, consensus::ConsensusMessage,
};
use swift_p2p::gossip;

use super::{Happening, World};
use crate::ledger::{
    census::Event,
    checkers::{Checked, check_evidence},
    liar::{Liar, junk_transaction},
    machine::{Side, note, others},
    message::{Message, short},
};

impl World {
    /// Does what a step led to, in order.
    pub(super) fn carry_out(&mut self, at: usize, outputs: Vec<Output>) -> Checked {
        outputs.into_iter().try_for_each(|output| self.carry_out_one(at, output, 1000))
    }

    /// Does some of it: a few outputs, the last of them to some of its recipients.
    pub(super) fn carry_out_some(&mut self, at: usize, mut outputs: Vec<Output>) -> Checked {
        outputs.truncate(1 + self.dice.index(outputs.len()));
        let last = outputs.pop();
        self.carry_out(at, outputs)?;
        last.map_or(Ok(()), |last| self.carry_out_one(at, last, 400))
    }

    /// `reach` is how many recipients in a thousand a message goes to.
    fn carry_out_one(&mut self, at: usize, output: Output, reach: u32) -> Checked {
        match output {
            Output::Settled { request, outcome } => {
                self.settle(at, request, &outcome);
                Ok(())
            }
            // The clients here hear of it when they are settled.
            Output::Refused { .. } => Ok(()),
            Output::Committed(block) => self.commit(at, &block),
            Output::Relay(transactions) => {
                self.relay(at, transactions, reach);
                Ok(())
            }
            Output::Broadcast(message) => self.broadcast(at, &message, reach),
            Output::Caught(evidence) if self.machines[at].is_honest() => {
                self.trace.note(self.now, format_args!("{at} catches {:?}", evidence.offenders()));
                self.census.count(match *evidence {
                    Evidence::DoubleVote { .. } => Event::VoteEvidence,
                    Evidence::DoubleProposal { .. } | Evidence::Fork(_) => Event::ProposalEvidence,
                });
                self.numbers.evidence += 1;
                let liar = self.liar.as_ref().map(Liar::id);
                check_evidence(&evidence, &self.genesis.id(), liar)
            }
            Output::Caught(_) => Ok(()),
            Output::Followed { request, outcome } => self.follow_up(at, request, outcome),
        }
    }

    fn commit(&mut self, at: usize, block: &CertifiedBlock) -> Checked {
        let (height, hash) = (block.block().header.height, block.hash());
        self.trace.note(self.now, format_args!("{at} commits {height} {}", short(&hash)));
        if self.machines[at].is_honest() {
            if height > self.agreement.height() {
                self.count_block(block);
            }
            self.agreement.has(at, height, hash)?;
        }
        let Some(process) = self.machines[at].process() else { return Ok(()) };
        let (others, head) = (others(&process.replica), note(&block.as_head()));
        self.gossip(at, gossip::Input::Members { others })?;
        let signers = block.sealed().certificate.signatures.iter();
        let known_by = signers.map(|(node, _)| *node).collect();
        self.gossip(at, gossip::Input::Head { head, known_by })
    }

    fn count_block(&mut self, block: &CertifiedBlock) {
        let transactions = &block.block().transactions;
        let count = transactions.len();
        for _ in transactions.iter().filter(|signed| signed.transaction.action == Action::Void {}) {
            self.census.count(Event::TakenBack);
        }
        self.numbers.transactions += count as u64;
        if count == 0 {
            self.census.count(Event::EmptyBlock);
        }
        if block.sealed().certificate.round > 0 {
            self.census.count(Event::LaterRound);
        }
    }

    /// All other validators, as the node knows them.
    fn validators(&self, at: usize) -> Vec<NodeId> {
        let Some(process) = self.machines[at].process() else { return Vec::new() };
        let me = process.replica.node();
        process.replica.validators().iter().map(|one| one.node).filter(|node| *node != me).collect()
    }

    fn relay(&mut self, at: usize, transactions: Vec<SignedTransaction>, reach: u32) {
        let machine = &self.machines[at];
        if machine.is_honest() {
            let id = machine.id;
            for signed in transactions.iter().filter(|signed| signed.transaction.author == id) {
                self.writes.sends(signed);
            }
        }
        let transactions = Arc::new(transactions);
        let message = Message::Transactions(transactions.clone());
        for to in self.validators(at) {
            if self.dice.chance(reach) {
                self.tell(at, to, &message);
            }
        }
        if self.machines[at].side != Side::Honest && self.dice.chance(300) {
            self.send_junk(at, &transactions);
        }
    }

    fn broadcast(&mut self, at: usize, message: &Arc<ConsensusMessage>, reach: u32) -> Checked {
        if self.machines[at].is_honest() {
            let places = &self.places;
            let machines = &self.machines;
            let is_honest = |node: &NodeId| {
                places.get(node).is_some_and(|places| places.iter().all(|at| machines[*at].is_honest()))
            };
            self.signing.sees(message, is_honest)?;
        }
        for to in self.validators(at) {
            if !self.dice.chance(reach) {
                continue;
            }
            for message in self.twisted(at, message) {
                self.tell(at, to, &Message::Consensus(message));
            }
        }
        Ok(())
    }

    /// What a recipient gets instead of a message: the same, if the sender is honest.
    fn twisted(&mut self, at: usize, message: &Arc<ConsensusMessage>) -> Vec<Arc<ConsensusMessage>> {
        let Self { liar, machines, dice, census, .. } = self;
        match (liar, machines[at].process()) {
            (Some(liar), Some(process)) if machines[at].side == Side::Liar => {
                liar.twist(dice, census, &process.replica, message)
            }
            _ => vec![message.clone()],
        }
    }

    fn send_junk(&mut self, at: usize, transactions: &[SignedTransaction]) {
        let (key, network) = (self.machines[at].key.clone(), self.genesis.id());
        let junk = transactions.iter().map(|signed| junk_transaction(&mut self.dice, &key, &network, signed));
        let junk = Message::Transactions(Arc::new(junk.collect()));
        for to in self.validators(at) {
            self.census.count(Event::JunkTransaction);
            self.tell(at, to, &junk);
        }
    }

    /// Sends to whoever has this key. One who lives twice has split the others between its two lives.
    pub(super) fn tell(&mut self, from: usize, to: NodeId, message: &Message) {
        let Some(places) = self.places.get(&to).cloned() else { return };
        for place in places {
            if self.liar.as_ref().is_none_or(|liar| liar.speaks(from, place)) {
                self.send(from, place, message);
            }
        }
    }

    /// Sends to a place.
    pub(super) fn send(&mut self, from: usize, to: usize, message: &Message) {
        if matches!(message, Message::Transactions(_)) && self.network.is_mute(from) {
            return;
        }
        let copies = self.network.send(&mut self.dice, &mut self.census, self.now, (from, to));
        let number = self.network.sent;
        self.trace.note(self.now, format_args!("{from} to {to}: {message}, {} copies", copies.len()));
        for delay in copies {
            self.after(delay, Happening::Arrival { from, to, number, message: message.clone() });
        }
    }
}
