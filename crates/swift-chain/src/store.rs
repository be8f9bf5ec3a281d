//! What a replica asks of its storage.

mod memory;

pub use memory::MemoryLedger;

use crate::{
    block::SealedBlock,
    consensus::WalEntry,
    db::DbError,
    evidence::Evidence,
    execution::{CertifiedBlock, Head},
    hash::NetworkId,
    state::StateView,
    transaction::SignedTransaction,
    validators::ValidatorSet,
};

/// A transaction of this node that waits for its block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Given by the queue, rising.
    pub id: i64,
    /// As it was last signed.
    pub signed: SignedTransaction,
}

/// A ledger's storage, written by one replica. Everything between [`Self::begin`] and [`Self::commit`] becomes durable
/// together, or not at all; reading sees what the open step has written.
///
/// After an error nothing is known of what is stored, and the replica stops.
pub trait LedgerStore {
    /// The state as the rules see it.
    type State<'a>: StateView
    where
        Self: 'a;

    /// The network.
    fn network(&self) -> NetworkId;

    /// The last block.
    fn head(&self) -> Result<Head, DbError>;

    /// Who certifies the next block.
    fn validators(&self) -> Result<ValidatorSet, DbError>;

    /// Who certifies the block at a height, which may be the next one at most.
    fn validators_at(&self, height: u64) -> Result<ValidatorSet, DbError>;

    /// A block and its certificate; none for the genesis block and above the head.
    fn block(&self, height: u64) -> Result<Option<SealedBlock>, DbError>;

    /// The state after the last block.
    fn state(&self) -> Self::State<'_>;

    /// Begins a step.
    fn begin(&mut self) -> Result<(), DbError>;

    /// Ends a step: all of it is durable when this returns.
    fn commit(&mut self) -> Result<(), DbError>;

    /// Appends a final block, applies its changes, and forgets the write-ahead log of its height.
    fn append(&mut self, block: &CertifiedBlock) -> Result<(), DbError>;

    /// Puts a transaction of this node into its queue.
    fn enqueue(&mut self, signed: &SignedTransaction) -> Result<i64, DbError>;

    /// Replaces a queued transaction that was signed anew.
    fn requeue(&mut self, entry: &OutboxEntry) -> Result<(), DbError>;

    /// Takes a transaction out of the queue: it is final, or never will be.
    fn dequeue(&mut self, id: i64) -> Result<(), DbError>;

    /// The whole queue, oldest first.
    fn outbox(&self) -> Result<Vec<OutboxEntry>, DbError>;

    /// Adds to the write-ahead log of the height that is being decided.
    fn log(&mut self, entry: &WalEntry) -> Result<(), DbError>;

    /// The write-ahead log in order.
    fn wal(&self) -> Result<Vec<WalEntry>, DbError>;

    /// The first height at which this node may sign. 0, unless the storage came from a backup: then `u64::MAX` until the
    /// node has found out what it missed.
    fn signs_from(&self) -> Result<u64, DbError>;

    /// Sets the first height at which this node may sign; 0 ends the hold.
    fn hold_signing(&mut self, until: u64) -> Result<(), DbError>;

    /// Keeps evidence; false when it is there already.
    fn keep_evidence(&mut self, evidence: &Evidence, found_ms: u64) -> Result<bool, DbError>;
}
