//! Making a damaged ledger anew, from blocks that are checked from the first one on, and taking along what is in no
//! block: this node's own transactions that wait, and evidence.
//!
//! What the node signed as a validator is taken for lost, whatever could be read of it: the ledger made anew is marked
//! like one from a backup, and signs nothing before that is safe.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    db::{DbError, LedgerDb},
    identity::NodeId,
    store::{LedgerStore, OutboxEntry},
    transaction::Action,
};

pub use crate::db::{Readable, Wreck};

/// What became of this node's own transactions that waited in a damaged ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TakenAlong {
    /// They wait in the new ledger.
    pub waiting: usize,
    /// A block has them.
    pub settled: usize,
    /// Others may have waited that could not be read.
    pub some_are_lost: bool,
}

/// Takes along what a damaged ledger has besides blocks, and marks the new one. Durable when this returns.
pub fn take_along(
    node: NodeId,
    wreck: Option<&Wreck>,
    new: &mut LedgerDb,
    found_ms: u64,
) -> Result<TakenAlong, DbError> {
    let network = new.reader().network();
    let waiting = wreck.map_or_else(Readable::default, |wreck| wreck.outbox(&network, &node));
    let mut outcome = TakenAlong { some_are_lost: !waiting.is_all, ..TakenAlong::default() };
    let settled = settled_among(node, &waiting.rows, new)?;
    new.begin()?;
    new.mark_restored()?;
    for entry in waiting.rows {
        let transaction = &entry.signed.transaction;
        // A copy that was signed anew counts: it has the same sequence and does the same.
        if settled.get(&transaction.sequence) == Some(&transaction.action) {
            outcome.settled += 1;
        } else {
            new.enqueue(&entry.signed)?;
            outcome.waiting += 1;
        }
    }
    for (when_ms, evidence) in wreck.map(|wreck| wreck.evidence(&network)).unwrap_or_default() {
        new.keep_evidence(&evidence, when_ms.min(found_ms))?;
    }
    new.commit()?;
    Ok(outcome)
}

/// What blocks say under the sequences of these entries. Blocks are looked through from the last one down, and only if a
/// sequence is used up.
fn settled_among(
    node: NodeId,
    entries: &[OutboxEntry],
    new: &LedgerDb,
) -> Result<BTreeMap<u64, Action>, DbError> {
    let last = new.reader().author(&node)?.last_sequence;
    let sequence = |entry: &OutboxEntry| entry.signed.transaction.sequence;
    let mut open: BTreeSet<u64> = entries.iter().map(sequence).filter(|sequence| *sequence <= last).collect();
    let mut found = BTreeMap::new();
    let mut height = new.head()?.height;
    while !open.is_empty() && height > 0 {
        let sealed = new.block(height)?.ok_or(DbError::Missing("block"))?;
        for signed in sealed.block.transactions {
            let transaction = signed.transaction;
            if transaction.author == node && open.remove(&transaction.sequence) {
                found.insert(transaction.sequence, transaction.action);
            }
        }
        height -= 1;
    }
    Ok(found)
}
