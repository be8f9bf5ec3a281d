//! Messages about the height after the one that is being decided: the others were a moment faster.

use crate::{consensus::ConsensusMessage, identity::NodeId};

/// Bytes kept in all.
const LEN_MAX: usize = 16 * 1024 * 1024;
/// Bytes kept of one validator: a full block and some more.
const PER_VALIDATOR_LEN_MAX: usize = ConsensusMessage::LEN_MAX + 64 * 1024;
/// Messages kept of one validator: a proposal and what a few rounds bring.
const PER_VALIDATOR_MAX: usize = 64;

/// Bounded in bytes and per validator, so that one cannot keep the others out.
#[derive(Debug, Default)]
pub(super) struct EarlyMessages {
    messages: Vec<(NodeId, usize, ConsensusMessage)>,
    len: usize,
}

impl EarlyMessages {
    /// Keeps a message; what does not fit is lost, as on a bad link, and will be said again.
    pub(super) fn push(&mut self, from: NodeId, message: ConsensusMessage) {
        let len = message.to_bytes().len();
        let own = self.messages.iter().filter(|(node, ..)| *node == from);
        let (own_count, own_len) = own.fold((0, 0), |(count, sum), (_, len, _)| (count + 1, sum + len));
        let fits_share = own_count < PER_VALIDATOR_MAX && own_len + len <= PER_VALIDATOR_LEN_MAX;
        if fits_share && self.len + len <= LEN_MAX {
            self.len += len;
            self.messages.push((from, len, message));
        }
    }

    /// Whether some are about the height after this head, or older.
    pub(super) fn is_due(&self, head: u64) -> bool {
        self.messages.iter().any(|(.., message)| message.height() <= head + 1)
    }

    /// Takes those about the height after this head out, in the order in which they came; older ones are dropped.
    pub(super) fn take_due(&mut self, head: u64) -> Vec<ConsensusMessage> {
        let all = std::mem::take(&mut self.messages);
        let (due, later): (Vec<_>, _) =
            all.into_iter().partition(|(.., message)| message.height() <= head + 1);
        self.len = later.iter().map(|(_, len, _)| len).sum();
        self.messages = later;
        let due = due.into_iter().map(|(.., message)| message);
        due.filter(|message| message.height() == head + 1).collect()
    }
}
