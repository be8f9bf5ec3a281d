//! A ledger in memory: for simulations, and for tests that need no disk.

use std::collections::BTreeMap;

use super::{LedgerStore, OutboxEntry};
use crate::{
    block::SealedBlock,
    consensus::WalEntry,
    db::DbError,
    evidence::Evidence,
    execution::{CertifiedBlock, Head},
    genesis::Genesis,
    hash::{Hash, NetworkId},
    state::{MemoryState, StateView},
    transaction::SignedTransaction,
    validators::ValidatorSet,
};

/// All of a ledger in memory. A clone taken between two steps is what a crash in the second one leaves.
#[derive(Clone, Debug)]
pub struct MemoryLedger {
    network: NetworkId,
    head: Head,
    state: MemoryState,
    blocks: Vec<SealedBlock>,
    /// By the first height they certify.
    validator_sets: BTreeMap<u64, ValidatorSet>,
    outbox: BTreeMap<i64, SignedTransaction>,
    last_outbox_id: i64,
    wal: Vec<WalEntry>,
    evidence: BTreeMap<Hash, Evidence>,
    signs_from: u64,
}

impl MemoryLedger {
    /// The ledger of a network that has only its genesis block.
    pub fn new(genesis: &Genesis) -> Self {
        Self {
            network: genesis.id(),
            head: Head::of_genesis(genesis),
            state: MemoryState::new(genesis),
            blocks: Vec::new(),
            validator_sets: BTreeMap::from([(1, ValidatorSet::sole(genesis.body().founder))]),
            outbox: BTreeMap::new(),
            last_outbox_id: 0,
            wal: Vec::new(),
            evidence: BTreeMap::new(),
            signs_from: 0,
        }
    }

    /// Block 1 and all after it.
    pub fn blocks(&self) -> &[SealedBlock] {
        &self.blocks
    }

    /// The state after the last block.
    pub fn memory_state(&self) -> &MemoryState {
        &self.state
    }

    /// All evidence that was kept.
    pub fn evidence(&self) -> impl Iterator<Item = &Evidence> {
        self.evidence.values()
    }

    /// Loses the write-ahead log, which no sound storage does: for tests that must notice.
    pub fn forget_wal(&mut self) {
        self.wal.clear();
    }
}

impl LedgerStore for MemoryLedger {
    type State<'a> = &'a MemoryState;

    fn network(&self) -> NetworkId {
        self.network
    }

    fn head(&self) -> Result<Head, DbError> {
        Ok(self.head)
    }

    fn validators(&self) -> Result<ValidatorSet, DbError> {
        // Memory does not fail.
        self.state.validators().map_err(|_| DbError::Missing("validators"))
    }

    fn validators_at(&self, height: u64) -> Result<ValidatorSet, DbError> {
        let set = self.validator_sets.range(..=height).next_back();
        set.map(|(_, set)| set.clone()).ok_or(DbError::Missing("validators"))
    }

    fn block(&self, height: u64) -> Result<Option<SealedBlock>, DbError> {
        let at = height.checked_sub(1).and_then(|at| usize::try_from(at).ok());
        Ok(at.and_then(|at| self.blocks.get(at)).cloned())
    }

    fn state(&self) -> &MemoryState {
        &self.state
    }

    fn begin(&mut self) -> Result<(), DbError> {
        Ok(())
    }

    fn commit(&mut self) -> Result<(), DbError> {
        Ok(())
    }

    fn append(&mut self, block: &CertifiedBlock) -> Result<(), DbError> {
        let next = &block.effect().next_validators;
        if self.validators()? != *next {
            self.validator_sets.insert(block.block().header.height + 1, next.clone());
        }
        self.state.apply(block.effect().changes.clone());
        self.blocks.push(block.sealed().clone());
        self.head = block.as_head();
        self.wal.clear();
        Ok(())
    }

    fn enqueue(&mut self, signed: &SignedTransaction) -> Result<i64, DbError> {
        self.last_outbox_id += 1;
        self.outbox.insert(self.last_outbox_id, signed.clone());
        Ok(self.last_outbox_id)
    }

    fn requeue(&mut self, entry: &OutboxEntry) -> Result<(), DbError> {
        self.outbox.insert(entry.id, entry.signed.clone());
        Ok(())
    }

    fn dequeue(&mut self, id: i64) -> Result<(), DbError> {
        self.outbox.remove(&id);
        Ok(())
    }

    fn outbox(&self) -> Result<Vec<OutboxEntry>, DbError> {
        Ok(self.outbox.iter().map(|(id, signed)| OutboxEntry { id: *id, signed: signed.clone() }).collect())
    }

    fn log(&mut self, entry: &WalEntry) -> Result<(), DbError> {
        self.wal.push(entry.clone());
        Ok(())
    }

    fn wal(&self) -> Result<Vec<WalEntry>, DbError> {
        Ok(self.wal.clone())
    }

    fn signs_from(&self) -> Result<u64, DbError> {
        Ok(self.signs_from)
    }

    fn hold_signing(&mut self, until: u64) -> Result<(), DbError> {
        self.signs_from = until;
        Ok(())
    }

    fn keep_evidence(&mut self, evidence: &Evidence, _found_ms: u64) -> Result<bool, DbError> {
        Ok(self.evidence.insert(evidence.id(), evidence.clone()).is_none())
    }
}
