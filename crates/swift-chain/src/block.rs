//! Blocks: transactions in the order in which they count.

use serde::{Deserialize, Serialize};

use crate::{
    certificate::Certificate,
    encoding::{self, DecodeError},
    hash::{BlockHash, Hash, NetworkId, sha256},
    identity::{NodeId, NodeKey, Signature, Statement},
    limits::{BLOCK_LEN_MAX, BLOCK_TRANSACTIONS_MAX, CERTIFICATE_LEN_MAX},
    merkle,
    transaction::SignedTransaction,
};

/// What a block's hash covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Its number; the genesis block has 0. Order is by height only.
    pub height: u64,
    /// Hash of the block before; for height 1 the network id.
    pub previous: BlockHash,
    /// Milliseconds since 1970, later than the block before.
    pub time_ms: u64,
    /// The validator that put the block together.
    pub creator: NodeId,
    /// Merkle root (RFC 6962) of the signed transactions' canonical bytes.
    pub transactions_root: Hash,
    /// Hash of the validator set that certifies the next block, so that headers alone lead from set to set.
    pub next_validators: Hash,
    /// SHA-256 of the state hash before and this block's changes: nodes that apply it alike have the same.
    pub state_hash: Hash,
}

impl Header {
    /// The block's hash.
    pub fn hash(&self) -> BlockHash {
        BlockHash::from_bytes(sha256(&[b"swiftserve/header/1\0", &encoding::encode(self)]))
    }
}

impl Statement for Header {
    const TAG: &'static str = "swiftserve/block/1";
}

/// A header, the transactions, and the creator's signature over the header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// What is hashed.
    pub header: Header,
    /// In the order in which they count.
    pub transactions: Vec<SignedTransaction>,
    /// By the creator, over the header.
    pub signature: Signature,
}

impl Block {
    /// Signs a block.
    pub fn sign(
        key: &NodeKey,
        network: &NetworkId,
        header: Header,
        transactions: Vec<SignedTransaction>,
    ) -> Self {
        let signature = key.sign(network, &header);
        Self { header, transactions, signature }
    }

    /// Its canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        encoding::encode(self)
    }

    /// Reads canonical bytes. Nothing is checked but form and size.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let block: Self = encoding::decode("block", bytes, BLOCK_LEN_MAX)?;
        let len = block.transactions.len();
        if len > BLOCK_TRANSACTIONS_MAX {
            return Err(DecodeError::TooLong { what: "block's list", len, len_max: BLOCK_TRANSACTIONS_MAX });
        }
        Ok(block)
    }

    /// The Merkle root of these transactions.
    pub fn transactions_root(transactions: &[SignedTransaction]) -> Hash {
        let leaves: Vec<_> = transactions.iter().map(SignedTransaction::to_bytes).collect();
        merkle::root(leaves.iter().map(Vec::as_slice))
    }
}

/// A block and what claims to be its certificate, as they travel: nothing is checked yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedBlock {
    /// The block.
    pub block: Block,
    /// Its certificate.
    pub certificate: Certificate,
}

impl SealedBlock {
    /// Bytes of the longest encoding.
    pub const LEN_MAX: usize = BLOCK_LEN_MAX + CERTIFICATE_LEN_MAX;

    /// The canonical bytes: block, then certificate.
    pub fn to_bytes(&self) -> Vec<u8> {
        encoding::encode(self)
    }

    /// Reads canonical bytes. Nothing is checked but form and size.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        encoding::decode("block with certificate", bytes, Self::LEN_MAX)
    }
}
