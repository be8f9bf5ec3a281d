//! Making a receipt from a ledger.

use super::{Receipt, ValidatorChange};
use crate::{
    block::{Block, SealedBlock},
    db::{DbError, LedgerReader},
    encoding,
    limits::{RECEIPT_CHANGES_MAX, RECEIPT_LEN_MAX},
    merkle::MerklePath,
    name::FileName,
    state::FileRecord,
    transaction::{Action, SignedTransaction},
};

/// Why a ledger gives no receipt.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptBuildError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Db(#[from] DbError),
    /// There is no such transaction.
    #[error("block {height} has no transaction {index}")]
    NoTransaction {
        /// In which block.
        height: u64,
        /// Which one, from 0.
        index: u32,
    },
    /// The file was not published in this network.
    #[error(
        "no block of this network published {:?}: it was taken over from the network before, whose chain has the proof",
        .name.as_str()
    )]
    TakenOver {
        /// Its name.
        name: FileName,
    },
    /// The validators changed more often than a receipt may lead through.
    #[error(
        "the validators changed {count} times up to that block, a receipt holds {RECEIPT_CHANGES_MAX} changes"
    )]
    TooManyChanges {
        /// How often.
        count: usize,
    },
    /// The changes of the validators fill more than a receipt may have.
    #[error(
        "a receipt for that block would have more than {RECEIPT_LEN_MAX} bytes: the validators changed too often"
    )]
    TooLong,
}

impl Receipt {
    /// The receipt of a live file: of the transaction that published it. It costs what the block has and what the
    /// validators changed, however long the chain is.
    pub fn of_file(ledger: &LedgerReader, file: &FileRecord) -> Result<Self, ReceiptBuildError> {
        let taken_over = || ReceiptBuildError::TakenOver { name: file.entry.name.clone() };
        let sealed = ledger.block(file.height)?.ok_or_else(taken_over)?;
        let published = |signed: &SignedTransaction| match &signed.transaction.action {
            Action::AddFile { file: entry, .. } => {
                *entry == file.entry && signed.transaction.author == file.publisher
            }
            _ => false,
        };
        // Published, withdrawn and published again in one block: the last one is what lives.
        let index = sealed.block.transactions.iter().rposition(published).ok_or_else(taken_over)?;
        Self::of_block(ledger, sealed, index)
    }

    /// The receipt of any transaction: number `index`, from 0, of the block at a height.
    pub fn of_transaction(ledger: &LedgerReader, height: u64, index: u32) -> Result<Self, ReceiptBuildError> {
        let missing = ReceiptBuildError::NoTransaction { height, index };
        let Some(sealed) = ledger.block(height)? else { return Err(missing) };
        Self::of_block(ledger, sealed, index as usize)
    }

    fn of_block(ledger: &LedgerReader, sealed: SealedBlock, index: usize) -> Result<Self, ReceiptBuildError> {
        let SealedBlock { block: Block { header, mut transactions, .. }, certificate } = sealed;
        let leaves: Vec<_> = transactions.iter().map(SignedTransaction::to_bytes).collect();
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let path = MerklePath::of(leaves.iter().map(Vec::as_slice), index);
        let path = path.ok_or(ReceiptBuildError::NoTransaction { height: header.height, index })?;
        // A path exists, so the transaction does.
        let transaction = transactions.swap_remove(index as usize);
        let changes = changes_below(ledger, header.height)?;
        let receipt =
            Self { genesis: ledger.genesis().clone(), changes, header, certificate, transaction, path };
        if receipt.to_bytes().len() > RECEIPT_LEN_MAX {
            return Err(ReceiptBuildError::TooLong);
        }
        Ok(receipt)
    }
}

/// The blocks that made every set after the founder's, up to the one that certifies the block at a height.
fn changes_below(ledger: &LedgerReader, height: u64) -> Result<Vec<ValidatorChange>, ReceiptBuildError> {
    let sets = ledger.validator_sets(height)?;
    let count = sets.len().saturating_sub(1);
    if count > RECEIPT_CHANGES_MAX {
        return Err(ReceiptBuildError::TooManyChanges { count });
    }
    let (mut changes, mut len) = (Vec::with_capacity(count), 0);
    for (from, validators) in sets.into_iter().skip(1) {
        let sealed = ledger.block(from.saturating_sub(1))?;
        let sealed = sealed.ok_or(DbError::Missing("block that changed the validators"))?;
        let (header, certificate) = (sealed.block.header, sealed.certificate);
        let change = ValidatorChange { header, certificate, validators };
        len += encoding::encode(&change).len();
        if len > RECEIPT_LEN_MAX {
            return Err(ReceiptBuildError::TooLong);
        }
        changes.push(change);
    }
    Ok(changes)
}
