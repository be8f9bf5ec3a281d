//! Checking again all that a ledger has, from its genesis block on, as if it came from a stranger.
//!
//! The state that the blocks add up to is worked out anew, in tables of its own that SQLite keeps on the disk where they
//! grow: memory stays bounded, however large the state is. Nothing is locked meanwhile, and blocks may come.

use std::ops::ControlFlow;

use rusqlite::Connection;

use super::{
    DbError, SCHEMA, SCHEMA_2, listing,
    reader::LedgerReader,
    state::{Counts, SqlState, write_meta},
    sums::{self, BLOCK, teach},
};
use crate::{
    block::SealedBlock,
    execution::{BlockError, CertifiedBlock, Head, verify_block},
    genesis::Genesis,
    snapshot::{SnapshotCheck, SnapshotError, SnapshotFrame},
    state::{Change, StateError},
    transaction::Action,
};

/// Memory for pages of the state that is worked out, in KiB.
const CACHE_KIB: i64 = 8 * 1024;

/// What was checked so far, and found to be sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rechecked {
    /// The last block.
    pub head: Head,
    /// The last block that there was when it began: how far it will go.
    pub goal: u64,
    /// Transactions in the blocks.
    pub transactions: u64,
    /// Signatures of the genesis block, of blocks, certificates, transactions, invitations and of those who joined.
    pub signatures: u64,
}

/// A ledger is not sound, or nobody can say.
#[derive(Debug, thiserror::Error)]
pub enum RecheckError {
    /// It is sound up to this block, which is not.
    #[error("block {height}: {flaw}")]
    Broken {
        /// Its height.
        height: u64,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// There is no verdict: the disk is full, for one.
    #[error(transparent)]
    Db(DbError),
}

/// What is wrong with a block.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    /// What is stored is not what was.
    #[error(transparent)]
    Stored(DbError),
    /// It does not follow.
    #[error(transparent)]
    Block(BlockError),
    /// The state that the network begins with is not the one that the genesis block names.
    #[error(transparent)]
    Beginning(#[from] SnapshotError),
    /// It is another one than what stands beside it says.
    #[error("it is not the block that the ledger says it is")]
    Other,
}

impl LedgerReader {
    /// Checks the whole ledger: every block, certificate, signature and rule, and the state's hash after each block. `see` is
    /// told after each block and may break it off; then there is nothing to say.
    pub fn recheck(
        &self,
        mut see: impl FnMut(&Rechecked) -> ControlFlow<()>,
    ) -> Result<Option<Rechecked>, RecheckError> {
        let at = |height: u64| move |error: DbError| broken(height, error);
        let goal = self.head().map_err(at(0))?;
        let mut recheck = Recheck::begin(self, goal.height).map_err(at(0))?;
        recheck.take_beginning()?;
        while see(&recheck.done).is_continue() {
            let next = recheck.done.head.height + 1;
            if next <= goal.height {
                recheck.take_block(next)?;
                continue;
            }
            let is_head = recheck.done.head == goal;
            let other = RecheckError::Broken { height: goal.height, flaw: Flaw::Other };
            return if is_head { Ok(Some(recheck.done)) } else { Err(other) };
        }
        Ok(None)
    }

    fn stored_genesis(&self) -> Result<Genesis, DbError> {
        let sql = format!("SELECT body, {BLOCK} FROM blocks WHERE height = 0");
        let body: Vec<u8> = self.connection().query_row(&sql, [], |row| row.get(0))?;
        Ok(Genesis::from_bytes(&body)?)
    }
}

/// What went wrong with a block, or with the tables beside it.
fn broken(height: u64, error: DbError) -> RecheckError {
    if error.is_damage() {
        RecheckError::Broken { height, flaw: Flaw::Stored(error) }
    } else {
        RecheckError::Db(error)
    }
}

struct Recheck<'r> {
    reader: &'r LedgerReader,
    /// The state after the last block, in tables of its own.
    scratch: Connection,
    done: Rechecked,
}

impl<'r> Recheck<'r> {
    fn begin(reader: &'r LedgerReader, goal: u64) -> Result<Self, DbError> {
        let genesis = reader.stored_genesis()?;
        // A file without a name, which is gone when it is closed.
        let scratch = Connection::open("")?;
        scratch.pragma_update(None, "journal_mode", "OFF")?;
        scratch.pragma_update(None, "synchronous", "OFF")?;
        scratch.pragma_update(None, "cache_size", -CACHE_KIB)?;
        teach(&scratch)?;
        scratch.execute_batch("BEGIN")?;
        scratch.execute_batch(SCHEMA)?;
        scratch.execute_batch(SCHEMA_2)?;
        sums::add(&scratch)?;
        listing::add(&scratch)?;
        write_meta(&scratch, "counts", &Counts::default())?;
        SqlState(&scratch).apply(&Change::of_genesis(&genesis))?;
        let head = Head::of_genesis(&genesis);
        Ok(Self { reader, scratch, done: Rechecked { head, goal, transactions: 0, signatures: 1 } })
    }

    /// Takes the state that the network began with, if it began with one.
    fn take_beginning(&mut self) -> Result<(), RecheckError> {
        let at_0 = |error| broken(0, error);
        if self.reader.block_hash(0).map_err(at_0)? != Some(self.done.head.hash) {
            return Err(RecheckError::Broken { height: 0, flaw: Flaw::Other });
        }
        let mut check = SnapshotCheck::new(self.reader.genesis());
        for number in 0.. {
            let Some(body) = self.reader.snapshot_part(number).map_err(at_0)? else { break };
            let frame = SnapshotFrame::from_bytes(&body)
                .map_err(|error| broken(0, DbError::Damaged { what: "snapshot", error }))?;
            check.push(&frame).map_err(|error| RecheckError::Broken { height: 0, flaw: error.into() })?;
            SqlState(&self.scratch).apply(frame.changes()).map_err(RecheckError::Db)?;
        }
        check.finish().map_err(|error| RecheckError::Broken { height: 0, flaw: error.into() })
    }

    fn take_block(&mut self, height: u64) -> Result<(), RecheckError> {
        let at = |error| broken(height, error);
        let stored = self.reader.block(height).map_err(at)?.ok_or(DbError::Missing("block")).map_err(at)?;
        let signatures = signatures(&stored);
        let (state, network) = (SqlState(&self.scratch), self.reader.network());
        let block = verify_block(&network, &state, &self.done.head, stored);
        let block: CertifiedBlock = block.map_err(|error| match error {
            BlockError::State(StateError(error)) => no_verdict(error),
            error => RecheckError::Broken { height, flaw: Flaw::Block(error) },
        })?;
        let head = block.as_head();
        if self.reader.block_hash(height).map_err(at)? != Some(head.hash) {
            return Err(RecheckError::Broken { height, flaw: Flaw::Other });
        }
        state.apply(&block.effect().changes).map_err(RecheckError::Db)?;
        let transactions = self.done.transactions + block.block().transactions.len() as u64;
        self.done =
            Rechecked { head, transactions, signatures: self.done.signatures + signatures, ..self.done };
        Ok(())
    }
}

/// The tables that were made for this cannot be read.
fn no_verdict(error: Box<dyn std::error::Error + Send + Sync>) -> RecheckError {
    match error.downcast::<DbError>() {
        Ok(error) => RecheckError::Db(*error),
        Err(error) => RecheckError::Db(DbError::Pages(error.to_string())),
    }
}

/// How many signatures a block has.
fn signatures(sealed: &SealedBlock) -> u64 {
    let transactions = sealed.block.transactions.iter();
    let in_transactions: u64 = transactions
        .map(|signed| match signed.transaction.action {
            // Its author's, the inviter's and that of who joins.
            Action::AddNode { .. } => 3,
            _ => 1,
        })
        .sum();
    1 + in_transactions + sealed.certificate.signatures.len() as u64
}
