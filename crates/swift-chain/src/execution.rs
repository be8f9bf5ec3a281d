//! Building blocks and checking them: the same steps, so that nobody accepts what nobody would build.

mod checking;
mod drafting;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::{
    block::{Block, SealedBlock},
    certificate::{Certificate, CertificateError},
    genesis::{Genesis, NetworkParams},
    hash::{BlockHash, Hash, NetworkId},
    identity::NodeId,
    rules::{self, BlockContext, JudgeError, Rejection},
    state::{Change, Overlay, StateError, StateView, chain_state_hash},
    transaction::CheckedTransaction,
    validators::ValidatorSet,
};

pub use checking::{BlockError, check_block, verify_block};
pub(crate) use drafting::find_valid;
pub use drafting::{Draft, draft_block};

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
