//! A node's disk while the node runs: a ledger in memory that refuses one write when it is told to.
//!
//! It takes all that comes after it, as a disk that was full for a moment would: a node that overlooks the error must be
//! found out.

use std::{cell::Cell, rc::Rc};

use swift_chain::{
    CertifiedBlock, DbError, Evidence, Head, LedgerStore, MemoryLedger, MemoryState, NetworkId, OutboxEntry,
    SealedBlock, SignedTransaction, ValidatorSet, consensus::WalEntry,
};

/// The ledger of a node that runs.
#[derive(Debug)]
pub(crate) struct Disk {
    ledger: MemoryLedger,
    /// The ledger before the open step; kept only if the step may fail.
    before: Option<Box<MemoryLedger>>,
    health: Rc<Health>,
}

/// How a disk is, seen from outside the node.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// After how many writes it refuses one; none if it will not.
    writes_left: Cell<Option<u32>>,
    /// What it has of a step whose last write, the commit, fails: all of it or nothing.
    keeps_commit: Cell<bool>,
    has_failed: Cell<bool>,
}

impl Health {
    /// It will take so many writes and refuse the next.
    pub(crate) fn doom(&self, writes: u32, keeps_commit: bool) {
        self.writes_left.set(Some(writes));
        self.keeps_commit.set(keeps_commit);
    }

    /// It will refuse none, if it has not yet.
    pub(crate) fn spare(&self) {
        self.writes_left.set(None);
    }

    /// Whether it has refused a write.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.get()
    }
}

impl Disk {
    pub(crate) fn new(ledger: MemoryLedger) -> Self {
        Self { ledger, before: None, health: Rc::default() }
    }

    pub(crate) fn health(&self) -> Rc<Health> {
        self.health.clone()
    }

    pub(crate) fn ledger(&self) -> &MemoryLedger {
        &self.ledger
    }

    /// What is on it for the next who reads it: nothing of a step that failed, unless nothing but the answer to its
    /// commit was missing.
    pub(crate) fn into_ledger(self) -> MemoryLedger {
        match self.before {
            Some(before) if self.health.has_failed() => *before,
            _ => self.ledger,
        }
    }

    /// The disk is to be written to.
    fn write(&mut self) -> Result<&mut MemoryLedger, DbError> {
        match self.health.writes_left.get() {
            Some(0) => {
                self.health.writes_left.set(None);
                self.health.has_failed.set(true);
                Err(DbError::Pages("the disk refused a write".to_owned()))
            }
            left => {
                self.health.writes_left.set(left.map(|left| left - 1));
                Ok(&mut self.ledger)
            }
        }
    }
}

impl LedgerStore for Disk {
    type State<'a> = &'a MemoryState;

    fn network(&self) -> NetworkId {
        self.ledger.network()
    }

    fn head(&self) -> Result<Head, DbError> {
        self.ledger.head()
    }

    fn validators(&self) -> Result<ValidatorSet, DbError> {
        self.ledger.validators()
    }

    fn validators_at(&self, height: u64) -> Result<ValidatorSet, DbError> {
        self.ledger.validators_at(height)
    }

    fn block(&self, height: u64) -> Result<Option<SealedBlock>, DbError> {
        self.ledger.block(height)
    }

    fn state(&self) -> &MemoryState {
        self.ledger.state()
    }

    fn begin(&mut self) -> Result<(), DbError> {
        if self.health.writes_left.get().is_some() && !self.health.has_failed() {
            self.before = Some(Box::new(self.ledger.clone()));
        }
        self.write()?.begin()
    }

    fn commit(&mut self) -> Result<(), DbError> {
        let keeps = self.health.keeps_commit.get() && !self.health.has_failed();
        let outcome = self.write().and_then(MemoryLedger::commit);
        if keeps {
            self.before = None;
        }
        outcome
    }

    fn append(&mut self, block: &CertifiedBlock) -> Result<(), DbError> {
        self.write()?.append(block)
    }

    fn enqueue(&mut self, signed: &SignedTransaction) -> Result<i64, DbError> {
        self.write()?.enqueue(signed)
    }

    fn requeue(&mut self, entry: &OutboxEntry) -> Result<(), DbError> {
        self.write()?.requeue(entry)
    }

    fn dequeue(&mut self, id: i64) -> Result<(), DbError> {
        self.write()?.dequeue(id)
    }

    fn outbox(&self) -> Result<Vec<OutboxEntry>, DbError> {
        self.ledger.outbox()
    }

    fn log(&mut self, entry: &WalEntry) -> Result<(), DbError> {
        self.write()?.log(entry)
    }

    fn wal(&self) -> Result<Vec<WalEntry>, DbError> {
        self.ledger.wal()
    }

    fn signs_from(&self) -> Result<u64, DbError> {
        self.ledger.signs_from()
    }

    fn hold_signing(&mut self, until: u64) -> Result<(), DbError> {
        self.write()?.hold_signing(until)
    }

    fn keep_evidence(&mut self, evidence: &Evidence, found_ms: u64) -> Result<bool, DbError> {
        self.write()?.keep_evidence(evidence, found_ms)
    }
}

#[cfg(test)]
mod tests {
    use swift_chain::Genesis;

    use super::*;
    use crate::ledger::checkers::made_up::{add, genesis, key, transaction};

    fn disk() -> Disk {
        Disk::new(MemoryLedger::new(&Genesis::sign(&key(1), genesis())))
    }

    /// How many transactions wait on a disk that took one in a step and failed in the commit of the next.
    fn waiting_after_failed_commit(keeps_commit: bool) -> usize {
        let mut disk = disk();
        let health = disk.health();
        disk.begin().unwrap();
        disk.enqueue(&transaction(1, 1, add("a", 1, None))).unwrap();
        disk.commit().unwrap();
        health.doom(2, keeps_commit);
        disk.begin().unwrap();
        disk.enqueue(&transaction(1, 2, add("b", 1, None))).unwrap();
        assert!(!health.has_failed());
        assert!(disk.commit().is_err() && health.has_failed());
        disk.into_ledger().outbox().unwrap().len()
    }

    #[test]
    fn a_step_whose_commit_fails_is_kept_as_a_whole_or_not_at_all() {
        assert_eq!(waiting_after_failed_commit(false), 1);
        assert_eq!(waiting_after_failed_commit(true), 2);
    }

    #[test]
    fn a_step_that_ends_before_the_disk_fails_is_kept() {
        let mut disk = disk();
        disk.health().doom(3, false);
        disk.begin().unwrap();
        disk.enqueue(&transaction(1, 1, add("a", 1, None))).unwrap();
        disk.commit().unwrap();
        assert!(disk.begin().is_err());
        assert_eq!(disk.into_ledger().outbox().unwrap().len(), 1);
    }
}
