//! Checking a block that somebody else built.

use super::{BlockEffect, CertifiedBlock, Execution, Head, ValidBlock};
use crate::{
    block::{Block, SealedBlock},
    certificate::CertificateError,
    hash::{BlockHash, NetworkId},
    identity::NodeId,
    limits::{BLOCK_LEN_MAX, BLOCK_TRANSACTIONS_MAX, TIME_MS_MAX},
    mempool::Mempool,
    rules::{self, BlockContext, JudgeError, Rejection},
    state::{StateError, StateView},
    transaction::SignedTransaction,
    validators::ValidatorSet,
};

/// Why a block cannot follow the head.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// Not the next height.
    #[error("block {found} cannot follow block {head}")]
    Height {
        /// The head's.
        head: u64,
        /// The block's.
        found: u64,
    },
    /// It follows another block than the head.
    #[error("block {height} follows {found}, the head is {expected}")]
    Previous {
        /// Its height.
        height: u64,
        /// The head's hash.
        expected: BlockHash,
        /// The hash it names.
        found: BlockHash,
    },
    /// Its time is not later than the head's, or beyond all times.
    #[error("block {height} is not later than the one before it, or carries no possible time")]
    Time {
        /// Its height.
        height: u64,
    },
    /// Its creator may not create blocks.
    #[error("block {height} was created by {creator}, who is no validator")]
    Creator {
        /// Its height.
        height: u64,
        /// Who made it.
        creator: NodeId,
    },
    /// Its creator did not sign it.
    #[error("the signature of block {height} is not its creator's")]
    Signature {
        /// Its height.
        height: u64,
    },
    /// It is larger than a block may be.
    #[error("block {height} has {len} bytes and {count} transactions, more than a block may have")]
    TooLarge {
        /// Its height.
        height: u64,
        /// Its bytes.
        len: usize,
        /// Its transactions.
        count: usize,
    },
    /// The rules refuse one of its transactions.
    #[error("transaction {index} of block {height}: {rejection}")]
    Transaction {
        /// Its height.
        height: u64,
        /// Which transaction, from 0.
        index: usize,
        /// Why.
        rejection: Rejection,
    },
    /// A hash in its header does not follow from its transactions.
    #[error("the {what} in the header of block {height} does not follow from its transactions")]
    Derived {
        /// Its height.
        height: u64,
        /// Which field.
        what: &'static str,
    },
    /// It is not final.
    #[error("block {height}: {error}")]
    Certificate {
        /// Its height.
        height: u64,
        /// Why.
        error: CertificateError,
    },
    /// Its rules are not known here.
    #[error(
        "block {height} follows protocol version {version}, which this program does not know: use a newer one"
    )]
    UnknownProtocol {
        /// Its height.
        height: u64,
        /// Its rules.
        version: u16,
    },
    /// The state could not be read, so there is no verdict.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Checks a block by every rule, certificate included. This is the one way in: for a follower, for catching up, and
/// for an audit offline.
pub fn verify_block(
    network: &NetworkId,
    state: &dyn StateView,
    head: &Head,
    sealed: SealedBlock,
) -> Result<CertifiedBlock, BlockError> {
    let validators = state.validators()?;
    let hash = sealed.block.header.hash();
    let height = sealed.block.header.height;
    check_header(network, state, &validators, head, &sealed.block)?;
    // Cheaper than the transactions, and what no outsider can forge.
    sealed
        .certificate
        .check(network, &validators, height, hash)
        .map_err(|error| BlockError::Certificate { height, error })?;
    let effect = execute_block(network, state, head, &sealed.block, &Mempool::default())?;
    Ok(CertifiedBlock { sealed, hash, effect })
}

/// Checks a block that is proposed: every rule but that it is final. The signatures of transactions that wait in `pool`
/// were checked when they came, and are not checked again.
pub fn check_block(
    network: &NetworkId,
    state: &dyn StateView,
    head: &Head,
    block: Block,
    pool: &Mempool,
) -> Result<ValidBlock, BlockError> {
    check_header(network, state, &state.validators()?, head, &block)?;
    let hash = block.header.hash();
    let effect = execute_block(network, state, head, &block, pool)?;
    Ok(ValidBlock { block, hash, effect })
}

fn check_header(
    network: &NetworkId,
    state: &dyn StateView,
    validators: &ValidatorSet,
    head: &Head,
    block: &Block,
) -> Result<(), BlockError> {
    let header = &block.header;
    let height = header.height;
    if height != head.height + 1 {
        return Err(BlockError::Height { head: head.height, found: height });
    }
    if let Err(version) = rules::known_at(state.protocol()?, height) {
        return Err(BlockError::UnknownProtocol { height, version });
    }
    if header.previous != head.hash {
        return Err(BlockError::Previous { height, expected: head.hash, found: header.previous });
    }
    if header.time_ms <= head.time_ms || header.time_ms > TIME_MS_MAX {
        return Err(BlockError::Time { height });
    }
    if validators.weight(&header.creator) == 0 {
        return Err(BlockError::Creator { height, creator: header.creator });
    }
    if !header.creator.verify(network, header, &block.signature) {
        return Err(BlockError::Signature { height });
    }
    Ok(())
}

fn execute_block(
    network: &NetworkId,
    state: &dyn StateView,
    head: &Head,
    block: &Block,
    pool: &Mempool,
) -> Result<BlockEffect, BlockError> {
    let header = &block.header;
    let height = header.height;
    let (len, count) = (block.to_bytes().len(), block.transactions.len());
    if len > BLOCK_LEN_MAX || count > BLOCK_TRANSACTIONS_MAX {
        return Err(BlockError::TooLarge { height, len, count });
    }
    if header.transactions_root != Block::transactions_root(&block.transactions) {
        return Err(BlockError::Derived { height, what: "transactions root" });
    }
    let mut execution = Execution::new(state, BlockContext { height, time_ms: header.time_ms })?;
    for (index, transaction) in block.transactions.iter().enumerate() {
        check_transaction(network, &mut execution, transaction, pool).map_err(|error| match error {
            JudgeError::State(error) => BlockError::State(error),
            JudgeError::Rejected(rejection) => BlockError::Transaction { height, index, rejection },
        })?;
    }
    let effect = execution.finish(head)?;
    if header.next_validators != effect.next_validators.hash() {
        return Err(BlockError::Derived { height, what: "hash of the next validators" });
    }
    if header.state_hash != effect.state_hash {
        return Err(BlockError::Derived { height, what: "state hash" });
    }
    Ok(effect)
}

fn check_transaction(
    network: &NetworkId,
    execution: &mut Execution<'_>,
    transaction: &SignedTransaction,
    pool: &Mempool,
) -> Result<(), JudgeError> {
    if let Some(checked) = pool.find(transaction).filter(|known| known.transaction().network == *network) {
        return execution.apply(checked);
    }
    let checked = transaction.clone().check(network).map_err(Rejection::from)?;
    execution.apply(&checked)
}
