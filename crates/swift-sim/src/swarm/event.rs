//! What happens to a node, and what nodes tell each other of.

use super::{clock::Moment, envelope::Envelope, slab::Key};

/// What is due on a node.
#[derive(Debug)]
pub(crate) enum Event {
    /// The run begins: all whom the node knows are there.
    Begin,
    /// The machine wanted to be woken.
    Wake,
    /// The driver tells of progress.
    Tick,
    /// The uplink has sent what was leaving.
    Left,
    /// A letter can leave, now that there is a connection.
    LetterReady(Box<Envelope>),
    /// A letter has come to the downlink.
    LetterArrived(Box<Envelope>),
    /// It has passed it, or had no need of it.
    LetterPassed(Box<Envelope>),
    /// Some of a transfer's bytes have come to the downlink.
    Arrived {
        incoming: Key,
        /// What the sender calls the transfer.
        outgoing: Key,
        len: u32,
    },
    /// The sender hears of bytes that have passed the receiver's downlink.
    Acked { outgoing: Key, len: u32, is_marked: bool },
    /// A transfer's last byte is there.
    Ended(Key),
    /// The node learns of a file.
    Learn(usize),
    /// A file is durable.
    Durable(usize),
    /// The node notices that it does not reach another any more.
    Missed(usize),
    /// The node hears of another.
    Met(usize),
}

/// What one node's doing is for another.
#[derive(Debug)]
pub(crate) struct Mail {
    pub(crate) to: usize,
    pub(crate) at: Moment,
    pub(crate) order: u64,
    pub(crate) event: Event,
}

/// What the nodes of one shard tell those of another: it is handed over when the window closes.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(crate) mail: Vec<Mail>,
    /// When the first of it is due.
    pub(crate) earliest: Moment,
}

impl Default for Outbox {
    fn default() -> Self {
        Self { mail: Vec::new(), earliest: Moment::NEVER }
    }
}

impl Outbox {
    pub(crate) fn push(&mut self, mail: Mail) {
        self.earliest = self.earliest.min(mail.at);
        self.mail.push(mail);
    }
}
