//! Putting a block together.

use super::{Execution, Head, ValidBlock};
use crate::{
    block::{Block, Header},
    hash::NetworkId,
    identity::NodeKey,
    limits::{BLOCK_LEN_MAX, BLOCK_TRANSACTIONS_MAX},
    rules::{BlockContext, JudgeError, Rejection},
    state::{StateError, StateView},
    transaction::CheckedTransaction,
};

/// Bytes of an encoded block that are not transactions, generously.
const BLOCK_FRAME_LEN: usize = 1024;

/// A block that was put together, and what was left out for good.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The block, signed by its creator.
    pub block: ValidBlock,
    /// Transactions that the rules refuse on this state.
    pub refused: Vec<CheckedTransaction>,
}

/// Puts a block on `head` together from as many of `candidates`, in their order, as the rules and limits allow.
pub fn draft_block<'c>(
    key: &NodeKey,
    network: &NetworkId,
    state: &dyn StateView,
    head: &Head,
    clock_ms: u64,
    candidates: impl IntoIterator<Item = &'c CheckedTransaction>,
) -> Result<Draft, StateError> {
    let context = BlockContext { height: head.height + 1, time_ms: head.next_time_ms(clock_ms) };
    let mut execution = Execution::new(state, context)?;
    let (mut transactions, mut refused) = (Vec::new(), Vec::new());
    let mut len = BLOCK_FRAME_LEN;
    for candidate in candidates {
        if transactions.len() == BLOCK_TRANSACTIONS_MAX || len + candidate.encoded_len() > BLOCK_LEN_MAX {
            break;
        }
        match execution.apply(candidate) {
            Ok(()) => {
                len += candidate.encoded_len();
                transactions.push(candidate.signed().clone());
            }
            Err(JudgeError::State(error)) => return Err(error),
            Err(JudgeError::Rejected(Rejection::BlockShareUsed { .. })) => {}
            Err(JudgeError::Rejected(_)) => refused.push(candidate.clone()),
        }
    }
    let effect = execution.finish(head)?;
    let header = Header {
        height: context.height,
        previous: head.hash,
        time_ms: context.time_ms,
        creator: key.id(),
        transactions_root: Block::transactions_root(&transactions),
        next_validators: effect.next_validators.hash(),
        state_hash: effect.state_hash,
    };
    let hash = header.hash();
    let block = Block::sign(key, network, header, transactions);
    Ok(Draft { block: ValidBlock { block, hash, effect }, refused })
}

/// What came of looking for a transaction that a block on `head` could take.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    /// Whether there is one.
    pub(crate) is_found: bool,
    /// What the rules refused on the way to it.
    pub(crate) refused: Vec<CheckedTransaction>,
}

/// Looks for the first of `candidates` that a block on `head` could take: is there anything to decide?
pub(crate) fn find_valid<'c>(
    state: &dyn StateView,
    head: &Head,
    clock_ms: u64,
    candidates: impl IntoIterator<Item = &'c CheckedTransaction>,
) -> Result<Search, StateError> {
    let context = BlockContext { height: head.height + 1, time_ms: head.next_time_ms(clock_ms) };
    let mut execution = Execution::new(state, context)?;
    let mut refused = Vec::new();
    for candidate in candidates {
        match execution.apply(candidate) {
            Ok(()) => return Ok(Search { is_found: true, refused }),
            Err(JudgeError::State(error)) => return Err(error),
            Err(JudgeError::Rejected(_)) => refused.push(candidate.clone()),
        }
    }
    Ok(Search { is_found: false, refused })
}
