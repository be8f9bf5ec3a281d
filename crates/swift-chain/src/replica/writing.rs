//! This node's own writes: judged, signed, queued, and watched until they are final.

use super::{Fatal, Now, Output, Replica, RequestId, Settled, SubmitError, TRANSACTION_VALIDITY_MS};
use crate::{
    mempool::MempoolError,
    rules::{AlreadyTrue, BlockContext, JudgeError, Rejection, judge_action},
    state::StateView,
    store::LedgerStore,
    transaction::{Action, CheckedTransaction, Label, SignedTransaction, Transaction},
};

/// Bytes of waiting transactions brought to the other validators at one tick.
const OVERDUE_LEN_MAX: usize = 256 * 1024;

impl<S: LedgerStore> Replica<S> {
    pub(super) fn submit(
        &mut self,
        now_ms: u64,
        request: RequestId,
        action: Action,
        on_behalf_of: Option<Label>,
    ) -> Result<(), Fatal> {
        if self.outbox.join(&action, request) {
            return Ok(());
        }
        let transaction = self.next_transaction(now_ms, action, on_behalf_of)?;
        let outcome = match self.judge_own(now_ms, &transaction)? {
            Verdict::Open if self.outbox.is_full() => Err(SubmitError::QueueFull),
            Verdict::Open => {
                let signed = SignedTransaction::sign(&self.key, transaction);
                let id = self.store.enqueue(&signed)?;
                self.outbox.push(id, signed, Some(request));
                return Ok(());
            }
            Verdict::Done(Ok(settled)) => match &transaction.action {
                // The opposite of what waits: true now, and not when that is final.
                Action::UpdateNode { node, change } if self.outbox.has_other_change(node, change) => {
                    Err(SubmitError::ChangeWaits { node: *node })
                }
                _ => Ok(settled),
            },
            Verdict::Done(outcome) => outcome,
        };
        self.outputs.push(Output::Settled { request, outcome });
        Ok(())
    }

    fn next_transaction(
        &self,
        now_ms: u64,
        action: Action,
        on_behalf_of: Option<Label>,
    ) -> Result<Transaction, Fatal> {
        let author = self.key.id();
        let sequence = self.last_sequence()?.max(self.outbox.last_sequence()) + 1;
        let valid_until_ms = self.valid_until_ms(now_ms);
        Ok(Transaction { network: self.network, author, sequence, valid_until_ms, on_behalf_of, action })
    }

    /// What the ledger as it is now says to a transaction of this node.
    fn judge_own(&self, now_ms: u64, transaction: &Transaction) -> Result<Verdict, Fatal> {
        let context = BlockContext { height: self.head.height + 1, time_ms: self.head.next_time_ms(now_ms) };
        match judge_action(&self.store.state(), context, transaction) {
            Ok(()) => Ok(Verdict::Open),
            Err(JudgeError::State(error)) => Err(error.into()),
            Err(JudgeError::Rejected(Rejection::AlreadyTrue(already))) => {
                let height = match already {
                    AlreadyTrue::Published { height, .. }
                    | AlreadyTrue::Member { height, .. }
                    | AlreadyTrue::Removed { height, .. } => height,
                    AlreadyTrue::Unchanged { .. } | AlreadyTrue::UpgradeScheduled => self.head.height,
                };
                Ok(Verdict::Done(Ok(Settled { height, transaction: None })))
            }
            Err(JudgeError::Rejected(rejection)) => Ok(Verdict::Done(Err(rejection.into()))),
        }
    }

    /// Brings an own transaction to where blocks are made: here, and to the validators elsewhere.
    fn send_own(&mut self, signed: SignedTransaction) {
        if self.decides() {
            self.pool(signed.clone());
        }
        self.relay(vec![signed]);
    }

    /// Brings what waits here to the other validators when nothing was decided since the last tick: it may be that none
    /// of those whose turn it is has heard of it, for its author may reach this node only.
    pub(super) fn relay_overdue(&mut self, now: Now) {
        let is_overdue = std::mem::replace(&mut self.ticked_height, self.head.height) == self.head.height;
        if is_overdue && self.decides() && !self.is_sole_validator() {
            let overdue = self.mempool.tell_overdue(now.steady, OVERDUE_LEN_MAX);
            self.relay(overdue);
        }
    }

    fn relay(&mut self, transactions: Vec<SignedTransaction>) {
        if self.is_sole_validator() || transactions.is_empty() {
            return;
        }
        self.note_left(&transactions);
        match self.outputs.last_mut() {
            Some(Output::Relay(waiting)) => waiting.extend(transactions),
            _ => self.outputs.push(Output::Relay(transactions)),
        }
    }

    /// Others get these transactions: those of them that are this node's can be taken back by a void only.
    pub(super) fn note_left(&mut self, transactions: &[SignedTransaction]) {
        let me = self.key.id();
        for signed in transactions.iter().filter(|signed| signed.transaction.author == me) {
            self.outbox.note_left(signed.transaction.sequence);
        }
    }

    pub(super) fn pool_foreign(&mut self, transactions: Vec<SignedTransaction>) -> Result<(), Fatal> {
        for signed in transactions {
            // The cheap questions first: a signature costs far more to check than to make up.
            if self.wants(&signed)? {
                self.pool(signed);
            }
        }
        Ok(())
    }

    pub(super) fn pool_checked(&mut self, transactions: Vec<CheckedTransaction>) -> Result<(), Fatal> {
        for checked in transactions {
            // Blocks may have come since it was sifted.
            if checked.transaction().network == self.network && self.wants(checked.signed())? {
                self.keep(checked);
            }
        }
        Ok(())
    }

    /// Whether a transaction of another member could come into a block by this node, if its signature is right.
    pub(super) fn wants(&self, signed: &SignedTransaction) -> Result<bool, Fatal> {
        let body = &signed.transaction;
        if !self.decides() || self.store.state().member(&body.author)?.is_none() {
            return Ok(false);
        }
        let last = self.store.state().author(&body.author)?.last_sequence;
        Ok(body.sequence > last && self.has_use_for(signed))
    }

    fn has_use_for(&self, signed: &SignedTransaction) -> bool {
        let body = &signed.transaction;
        let has_place = self.mempool.has_place_for(body);
        has_place && self.mempool.has_room_for(body, signed.to_bytes().len()).is_ok()
    }

    /// What is unsound or does not fit is dropped here: its author's node keeps it and asks its own ledger why.
    fn pool(&mut self, signed: SignedTransaction) {
        if self.has_use_for(&signed)
            && let Ok(checked) = signed.check(&self.network)
        {
            self.keep(checked);
        }
    }

    fn keep(&mut self, checked: CheckedTransaction) {
        match self.mempool.insert(checked) {
            Ok(()) | Err(MempoolError::AuthorFull(_) | MempoolError::Full) => {}
        }
    }

    /// Looks whether own transactions that wait can still get into a block, and signs anew those that cannot as they
    /// are.
    pub(super) fn review_outbox(&mut self, now_ms: u64, scope: ReviewScope) -> Result<(), Fatal> {
        let last = self.last_sequence()?;
        let block_time = self.head.next_time_ms(now_ms);
        for sequence in self.outbox.sequences() {
            let Some(entry) = self.outbox.by_sequence(sequence) else { continue };
            let is_lapsed = block_time > entry.current().transaction.valid_until_ms;
            let is_meant = scope == ReviewScope::OnTheirWay && entry.is_on_its_way();
            if sequence <= last || is_lapsed || is_meant {
                self.review_own(now_ms, sequence)?;
            }
        }
        Ok(())
    }

    /// Settles one own transaction if the ledger has decided; else sees to it that a block can still take it.
    ///
    /// One that was overtaken is certainly in no block: it gets a new sequence. One whose time has passed may be in a
    /// block that has not come here yet, so it keeps its sequence: whichever copy is first makes the other void. For the
    /// same reason one that others may hold is taken back before anybody hears that nothing will come of it: what refuses
    /// it now may be gone before they notice.
    pub(super) fn review_own(&mut self, now_ms: u64, sequence: u64) -> Result<(), Fatal> {
        let Some(entry) = self.outbox.by_sequence(sequence) else { return Ok(()) };
        let mut transaction = entry.signed.transaction.clone();
        let is_overtaken = sequence <= self.last_sequence()?;
        let is_lapsed = self.head.next_time_ms(now_ms) > entry.current().transaction.valid_until_ms;
        let is_withdrawn = entry.withdrawn_with().is_some();
        let decided = match entry.withdrawn_with() {
            Some(outcome) => Some(outcome.clone()),
            None => match self.judge_own(now_ms, &transaction)? {
                Verdict::Done(outcome) => Some(outcome),
                Verdict::Open => None,
            },
        };
        if let Some(outcome) = decided {
            let may_count = entry.has_left() && !is_overtaken && self.is_member()?;
            if !may_count {
                if let Some(entry) = self.outbox.take(&transaction.action) {
                    self.mempool.remove(&transaction.author, sequence, entry.signed.id());
                    self.store.dequeue(entry.id)?;
                    entry.settle(&mut self.outputs, &outcome);
                }
            } else if is_lapsed || !is_withdrawn {
                transaction.action = Action::Void {};
                transaction.valid_until_ms = self.valid_until_ms(now_ms);
                self.outbox.withdraw(sequence, SignedTransaction::sign(&self.key, transaction), outcome);
            }
            return Ok(());
        }
        if is_overtaken {
            transaction = self.next_transaction(now_ms, transaction.action, transaction.on_behalf_of)?;
        } else if is_lapsed {
            transaction.valid_until_ms = self.valid_until_ms(now_ms);
        } else {
            return Ok(());
        }
        let signed = SignedTransaction::sign(&self.key, transaction);
        if let Some(entry) = self.outbox.replace(sequence, signed) {
            self.store.requeue(&entry)?;
        }
        Ok(())
    }

    /// Brings own transactions that wait to where blocks are made, unless that was done a moment ago.
    pub(super) fn send_waiting(&mut self, now_ms: u64) {
        for signed in self.outbox.unsent(now_ms) {
            self.send_own(signed);
        }
    }

    fn last_sequence(&self) -> Result<u64, Fatal> {
        Ok(self.store.state().author(&self.key.id())?.last_sequence)
    }

    fn is_member(&self) -> Result<bool, Fatal> {
        Ok(self.store.state().member(&self.key.id())?.is_some())
    }

    fn valid_until_ms(&self, now_ms: u64) -> u64 {
        self.head.next_time_ms(now_ms).saturating_add(TRANSACTION_VALIDITY_MS)
    }
}

/// What the ledger says to a write.
enum Verdict {
    /// A block may take it.
    Open,
    /// It is decided without one.
    Done(Result<Settled, SubmitError>),
}

/// Which waiting transactions to look at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ReviewScope {
    /// Those whose sequence or time is gone.
    Overtaken,
    /// Those too that are on their way: somebody else may have been faster. Only so many are at once, however long the
    /// queue is.
    OnTheirWay,
}
