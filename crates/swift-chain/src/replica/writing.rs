//! This node's own writes: judged, signed, queued, and watched until they are final.

use super::{Fatal, Output, Replica, RequestId, Settled, SubmitError, TRANSACTION_VALIDITY_MS};
use crate::{
    consensus::{self, UnsupportedSet},
    mempool::MempoolError,
    rules::{AlreadyTrue, BlockContext, JudgeError, Rejection, judge_action},
    state::StateView,
    transaction::{Action, Label, NodeChange, SignedTransaction, Transaction},
};

impl Replica {
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
                let id = self.db.enqueue(&signed)?;
                self.outbox.push(id, signed.clone(), Some(request));
                self.send_own(signed);
                return Ok(());
            }
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
        let on_ledger = self.db.state().author(&author)?.last_sequence;
        let sequence = on_ledger.max(self.outbox.last_sequence()) + 1;
        let valid_until_ms = self.head.next_time_ms(now_ms) + TRANSACTION_VALIDITY_MS;
        Ok(Transaction { network: self.network, author, sequence, valid_until_ms, on_behalf_of, action })
    }

    /// What the ledger as it is now says to a transaction of this node.
    fn judge_own(&self, now_ms: u64, transaction: &Transaction) -> Result<Verdict, Fatal> {
        let context = BlockContext { height: self.head.height + 1, time_ms: self.head.next_time_ms(now_ms) };
        match judge_action(&self.db.state(), context, transaction) {
            Ok(()) => Ok(match self.judge_set(transaction) {
                Ok(()) => Verdict::Open,
                Err(unsupported) => Verdict::Done(Err(unsupported.into())),
            }),
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

    /// Whether the engine could go on after a change of the validators.
    fn judge_set(&self, transaction: &Transaction) -> Result<(), UnsupportedSet> {
        let Action::UpdateNode { node, change: NodeChange::ValidatorWeight(weight) } = &transaction.action
        else {
            return Ok(());
        };
        let changed = self.validators.with_weight(*node, *weight);
        changed.map_or(Ok(()), |changed| consensus::supports(&changed))
    }

    /// Brings an own transaction to where blocks are made: here, or to a validator elsewhere.
    pub(super) fn send_own(&mut self, signed: SignedTransaction) {
        if self.decides() {
            self.pool(signed);
        } else {
            self.relay(vec![signed]);
        }
    }

    pub(super) fn relay(&mut self, transactions: Vec<SignedTransaction>) {
        if self.decides() || transactions.is_empty() {
            return;
        }
        match self.outputs.last_mut() {
            Some(Output::Relay(waiting)) => waiting.extend(transactions),
            _ => self.outputs.push(Output::Relay(transactions)),
        }
    }

    pub(super) fn pool_own(&mut self) {
        if self.decides() {
            for signed in self.outbox.transactions() {
                self.pool(signed);
            }
        }
    }

    pub(super) fn pool_foreign(&mut self, transactions: Vec<SignedTransaction>) {
        if self.decides() {
            transactions.into_iter().for_each(|signed| self.pool(signed));
        }
    }

    /// What is unsound, does not fit, or would leave a set that cannot decide is dropped here: its author's node keeps it and asks its own ledger why.
    pub(super) fn pool(&mut self, signed: SignedTransaction) {
        if self.judge_set(&signed.transaction).is_err() {
            return;
        }
        if let Ok(checked) = signed.check(&self.network) {
            match self.mempool.insert(checked) {
                Ok(()) | Err(MempoolError::AuthorFull(_) | MempoolError::Full) => {}
            }
        }
    }

    /// Looks whether own transactions that wait can still get into a block, and signs anew those that only lost their
    /// sequence or their time.
    pub(super) fn review_outbox(&mut self, now_ms: u64, scope: ReviewScope) -> Result<(), Fatal> {
        let last = self.db.state().author(&self.key.id())?.last_sequence;
        let block_time = self.head.next_time_ms(now_ms);
        for sequence in self.outbox.sequences() {
            let Some(entry) = self.outbox.by_sequence(sequence) else { continue };
            let lapsed = sequence <= last || block_time > entry.signed.transaction.valid_until_ms;
            if lapsed || scope == ReviewScope::All {
                self.review_own(now_ms, sequence, lapsed)?;
            }
        }
        Ok(())
    }

    pub(super) fn review_own(&mut self, now_ms: u64, sequence: u64, sign_anew: bool) -> Result<(), Fatal> {
        let Some(entry) = self.outbox.by_sequence(sequence) else { return Ok(()) };
        let transaction = entry.signed.transaction.clone();
        match self.judge_own(now_ms, &transaction)? {
            Verdict::Done(outcome) => {
                if let Some(entry) = self.outbox.take(&transaction.action) {
                    self.db.dequeue(entry.id)?;
                    entry.settle(&mut self.outputs, &outcome);
                }
            }
            Verdict::Open if sign_anew => {
                let fresh = self.next_transaction(now_ms, transaction.action, transaction.on_behalf_of)?;
                let signed = SignedTransaction::sign(&self.key, fresh);
                if let Some(entry) = self.outbox.replace(sequence, signed.clone()) {
                    self.db.requeue(&entry)?;
                    self.send_own(signed);
                }
            }
            Verdict::Open => {}
        }
        Ok(())
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
    /// All.
    All,
}
