//! This node's own transactions on their way into a block: the queue in memory, beside its table on disk.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
};

use super::{Output, RequestId, Settled, SubmitError};
use crate::{
    db::DbError,
    encoding,
    hash::sha256,
    identity::NodeId,
    limits::{MEMPOOL_AUTHOR_LEN_MAX, OUTBOX_ENTRIES_MAX},
    store::{LedgerStore, OutboxEntry},
    transaction::{Action, NodeChange, SignedTransaction, Transaction},
};

/// A transaction that was sent is sent again after this long, if it is not in a block by then.
const RESEND_AFTER_MS: u64 = 3_000;
/// Bytes of the oldest transactions that are on their way at once. Validators keep no more than twice as much of one
/// author: sent earlier, the others would be dropped there, and sent in vain again and again.
const ON_THEIR_WAY_LEN_MAX: usize = MEMPOOL_AUTHOR_LEN_MAX / 2;

/// Waiting transactions by sequence, each with the requests that wait for it. Equal actions share one transaction.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    entries: BTreeMap<u64, Pending>,
    by_action: HashMap<[u8; 32], u64>,
}

/// One waiting transaction.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) id: i64,
    pub(super) signed: SignedTransaction,
    /// Bytes of it.
    len: usize,
    requests: Vec<RequestId>,
    /// When it was last brought to where blocks are made.
    sent_ms: Option<u64>,
    /// Whether another node may hold it.
    has_left: bool,
    withdrawal: Option<Withdrawal>,
}

/// A transaction that the ledger has decided without, and that could still come into a block: it is taken back before
/// anybody is told. Not stored: after a crash it is decided again.
#[derive(Debug)]
struct Withdrawal {
    /// Uses up the same sequence.
    void: SignedTransaction,
    /// What those who wait are told when that is done.
    outcome: Result<Settled, SubmitError>,
}

impl Pending {
    /// Whether another node may hold it.
    pub(super) fn has_left(&self) -> bool {
        self.has_left
    }

    /// What those who wait will be told, when it is being taken back.
    pub(super) fn withdrawn_with(&self) -> Option<&Result<Settled, SubmitError>> {
        self.withdrawal.as_ref().map(|withdrawal| &withdrawal.outcome)
    }

    /// What is sent for it.
    pub(super) fn current(&self) -> &SignedTransaction {
        self.withdrawal.as_ref().map_or(&self.signed, |withdrawal| &withdrawal.void)
    }

    /// Whether it was brought to where blocks are made.
    pub(super) fn is_on_its_way(&self) -> bool {
        self.sent_ms.is_some()
    }

    /// Tells everybody who waits; a refusal is told if nobody does, too.
    pub(super) fn settle(self, outputs: &mut Vec<Output>, outcome: &Result<Settled, SubmitError>) {
        if let Err(error) = outcome {
            let Transaction { action, on_behalf_of, .. } = self.signed.transaction;
            outputs.push(Output::Refused { action, on_behalf_of, error: error.clone() });
        }
        for request in self.requests {
            outputs.push(Output::Settled { request, outcome: outcome.clone() });
        }
    }
}

fn action_key(action: &Action) -> [u8; 32] {
    sha256(&[&encoding::encode(action)])
}

impl Outbox {
    /// Reads the table.
    pub(super) fn load(store: &impl LedgerStore) -> Result<Self, DbError> {
        let mut outbox = Self::default();
        for OutboxEntry { id, signed } in store.outbox()? {
            outbox.push(id, signed, None);
            outbox.note_left(outbox.last_sequence());
        }
        Ok(outbox)
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= OUTBOX_ENTRIES_MAX
    }

    /// Adds a request to a transaction with the same action, if one waits.
    pub(super) fn join(&mut self, action: &Action, request: RequestId) -> bool {
        let waiting = self.by_action.get(&action_key(action)).and_then(|at| self.entries.get_mut(at));
        match waiting {
            Some(entry) => {
                entry.requests.push(request);
                true
            }
            None => false,
        }
    }

    /// Whether a change waits that is of the same kind as this one, and of the same node.
    pub(super) fn has_other_change(&self, node: &NodeId, change: &NodeChange) -> bool {
        self.entries.values().any(|entry| match &entry.signed.transaction.action {
            Action::UpdateNode { node: other, change: waiting } => {
                other == node && mem::discriminant(waiting) == mem::discriminant(change)
            }
            _ => false,
        })
    }

    pub(super) fn push(&mut self, id: i64, signed: SignedTransaction, request: Option<RequestId>) {
        let (sequence, len) = (signed.transaction.sequence, signed.to_bytes().len());
        self.by_action.insert(action_key(&signed.transaction.action), sequence);
        let requests = request.into_iter().collect();
        let (sent_ms, has_left, withdrawal) = (None, false, None);
        let entry = Pending { id, signed, len, requests, sent_ms, has_left, withdrawal };
        self.entries.insert(sequence, entry);
    }

    /// From now on another node may hold the transaction with this sequence.
    pub(super) fn note_left(&mut self, sequence: u64) {
        if let Some(entry) = self.entries.get_mut(&sequence) {
            entry.has_left = true;
        }
    }

    /// Takes the transaction with a sequence back by `void`, which has the same; those who wait will be told `outcome`.
    pub(super) fn withdraw(
        &mut self,
        sequence: u64,
        void: SignedTransaction,
        outcome: Result<Settled, SubmitError>,
    ) {
        if let Some(entry) = self.entries.get_mut(&sequence) {
            entry.withdrawal = Some(Withdrawal { void, outcome });
            entry.sent_ms = None;
        }
    }

    /// Takes the transaction with this action out.
    pub(super) fn take(&mut self, action: &Action) -> Option<Pending> {
        let sequence = self.by_action.remove(&action_key(action))?;
        self.entries.remove(&sequence)
    }

    /// Puts the same action, signed anew, in the place of the one with `sequence`.
    pub(super) fn replace(&mut self, sequence: u64, signed: SignedTransaction) -> Option<OutboxEntry> {
        let mut entry = self.entries.remove(&sequence)?;
        entry.len = signed.to_bytes().len();
        entry.signed = signed.clone();
        entry.sent_ms = None;
        let id = entry.id;
        self.by_action.insert(action_key(&signed.transaction.action), signed.transaction.sequence);
        self.entries.insert(signed.transaction.sequence, entry);
        Some(OutboxEntry { id, signed })
    }

    pub(super) fn by_sequence(&self, sequence: u64) -> Option<&Pending> {
        self.entries.get(&sequence)
    }

    pub(super) fn sequences(&self) -> Vec<u64> {
        self.entries.keys().copied().collect()
    }

    /// The highest sequence given out and still waiting, else 0.
    pub(super) fn last_sequence(&self) -> u64 {
        self.entries.last_key_value().map_or(0, |(sequence, _)| *sequence)
    }

    /// Those of the oldest that were not sent lately, in order. They count as sent now.
    pub(super) fn unsent(&mut self, now_ms: u64) -> Vec<SignedTransaction> {
        let (mut unsent, mut len) = (Vec::new(), 0);
        for entry in self.entries.values_mut() {
            len += entry.len;
            if len > ON_THEIR_WAY_LEN_MAX {
                break;
            }
            if entry.sent_ms.is_none_or(|sent_ms| now_ms.abs_diff(sent_ms) >= RESEND_AFTER_MS) {
                entry.sent_ms = Some(now_ms);
                unsent.push(entry.current().clone());
            }
        }
        unsent
    }
}
