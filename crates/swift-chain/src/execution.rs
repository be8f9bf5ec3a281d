//! Building blocks and checking them: the same steps, so that nobody accepts what nobody would build.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::{
    block::{Block, Header, SealedBlock},
    certificate::{Certificate, CertificateError},
    genesis::{Genesis, NetworkParams},
    hash::{BlockHash, Hash, NetworkId},
    identity::{NodeId, NodeKey},
    limits::{BLOCK_LEN_MAX, BLOCK_TRANSACTIONS_MAX, TIME_MS_MAX},
    mempool::Mempool,
    rules::{self, BlockContext, JudgeError, Rejection},
    state::{Change, Overlay, StateError, StateView, chain_state_hash},
    transaction::{CheckedTransaction, SignedTransaction},
    validators::ValidatorSet,
};

/// Bytes of an encoded block that are not transactions, generously.
const BLOCK_FRAME_LEN: usize = 1024;

/// The last block of a chain, as far as the next one must link to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: BlockHash,
    /// Its time, in milliseconds since 1970.
    pub time_ms: u64,
    /// Its state hash.
    pub state_hash: Hash,
}

impl Head {
    /// The genesis block as head.
    pub fn of_genesis(genesis: &Genesis) -> Self {
        let imported = genesis.body().origin.map_or(Hash::default(), |origin| origin.state);
        let state_hash = chain_state_hash(imported, &Change::of_genesis(genesis));
        Self { height: 0, hash: genesis.id().into(), time_ms: genesis.body().time_ms, state_hash }
    }

    /// Time of a block that follows this one: the clock's, but always later than this block's.
    pub fn next_time_ms(&self, clock_ms: u64) -> u64 {
        clock_ms.max(self.time_ms.saturating_add(1))
    }
}

/// What a block makes of the state before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockEffect {
    /// The changed records.
    pub changes: Vec<Change>,
    /// The state hash after it.
    pub state_hash: Hash,
    /// Who certifies the next block.
    pub next_validators: ValidatorSet,
}

/// Applies transactions one by one, each on what those before it left.
struct Execution<'a> {
    context: BlockContext,
    params: NetworkParams,
    overlay: Overlay<'a>,
    per_author: HashMap<NodeId, u32>,
}

impl<'a> Execution<'a> {
    fn new(state: &'a dyn StateView, context: BlockContext) -> Result<Self, StateError> {
        let (params, overlay) = (state.params()?, Overlay::new(state));
        Ok(Self { context, params, overlay, per_author: HashMap::new() })
    }

    fn apply(&mut self, transaction: &CheckedTransaction) -> Result<(), JudgeError> {
        let author = transaction.transaction().author;
        let count = self.per_author.entry(author).or_default();
        if *count >= self.params.transactions_per_author_and_block_max {
            return Err(Rejection::BlockShareUsed { node: author }.into());
        }
        let changes = rules::judge(&self.overlay, self.context, transaction)?;
        *count += 1;
        self.overlay.apply(changes);
        Ok(())
    }

    fn finish(self, head: &Head) -> Result<BlockEffect, StateError> {
        let next_validators = self.overlay.validators()?;
        let changes = self.overlay.into_changes();
        let state_hash = chain_state_hash(head.state_hash, &changes);
        Ok(BlockEffect { changes, state_hash, next_validators })
    }
}

/// A block that follows the head by all rules; whether it is final is not known. Minted only by [`draft_block`] and
/// [`check_block`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidBlock {
    block: Block,
    hash: BlockHash,
    effect: BlockEffect,
}

impl ValidBlock {
    /// The block.
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// The block's hash.
    pub fn hash(&self) -> BlockHash {
        self.hash
    }

    /// What it changes.
    pub fn effect(&self) -> &BlockEffect {
        &self.effect
    }

    /// Joins it with the certificate that makes it final. `validators` are those of its height.
    pub fn certify(
        self,
        network: &NetworkId,
        validators: &ValidatorSet,
        certificate: Certificate,
    ) -> Result<CertifiedBlock, CertificateError> {
        certificate.check(network, validators, self.block.header.height, self.hash)?;
        let Self { block, hash, effect } = self;
        Ok(CertifiedBlock { sealed: SealedBlock { block, certificate }, hash, effect })
    }
}

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

/// A block that follows the head by all rules and is final. Minted only by [`verify_block`] and
/// [`ValidBlock::certify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedBlock {
    sealed: SealedBlock,
    hash: BlockHash,
    effect: BlockEffect,
}

impl CertifiedBlock {
    /// The block.
    pub fn block(&self) -> &Block {
        &self.sealed.block
    }

    /// Block and certificate, as they travel.
    pub fn sealed(&self) -> &SealedBlock {
        &self.sealed
    }

    /// The block's hash.
    pub fn hash(&self) -> BlockHash {
        self.hash
    }

    /// What it changes.
    pub fn effect(&self) -> &BlockEffect {
        &self.effect
    }

    /// The head once it is committed.
    pub fn as_head(&self) -> Head {
        let header = &self.sealed.block.header;
        Head {
            height: header.height,
            hash: self.hash,
            time_ms: header.time_ms,
            state_hash: header.state_hash,
        }
    }
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
