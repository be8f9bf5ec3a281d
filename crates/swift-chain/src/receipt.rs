//! Receipts: the proof that a transaction stands in a final block, checked with nothing but its bytes.
//!
//! ```text
//! genesis ── certifies ──> change 1 ──> ... ──> change n ── certifies ──> header ── root ──> transaction
//! founder alone            set 1                set n                     of the block   path
//! ```
//!
//! The genesis block names the founder, the first validator. Every block that changed the validators says in its header
//! who comes next and was certified by those before, so these headers alone lead to the validators that certified the
//! block in question. Blocks between them are not needed: a receipt grows with the changes, not with the chain.
//!
//! # What a receipt proves, and what not
//!
//! It proves that its author signed the transaction, and that the validators of that height made it final, in the
//! network with this id, in a block with this time. Whoever has the network's id from a source that it trusts needs
//! nothing else.
//!
//! - It says nothing about now. The name may have been replaced or withdrawn since; only a node knows.
//! - The block's time is the validators' word, not a clock's.
//! - `on_behalf_of` is the word of the author's node.
//! - Validators that were relieved keep their keys. Whoever steals those of a quorum of some former set can make
//!   another history from there on, with receipts that verify, and so can a quorum that signs two histories. Against
//!   that, compare the block's hash with a node's at that height, or give a [`Checkpoint`](crate::Checkpoint) from a
//!   ticket or a node: it must match wherever the receipt covers its height. For the same reason a receipt that leaves
//!   a change out is accepted if the set before it had a quorum under the block as well.

mod building;
mod verifying;

pub use building::ReceiptBuildError;
use serde::{Deserialize, Serialize};
pub use verifying::{CheckpointOutcome, Expectation, Proven, ReceiptError};

use crate::{
    block::Header,
    certificate::Certificate,
    encoding::{self, DecodeError},
    genesis::{Genesis, GenesisError},
    hash::sha256,
    limits::{BLOCK_TRANSACTIONS_MAX, RECEIPT_CHANGES_MAX, RECEIPT_LEN_MAX, VALIDATORS_MAX},
    merkle::MerklePath,
    transaction::SignedTransaction,
    validators::ValidatorSet,
};

const MAGIC: &[u8] = b"swrcpt";
const VERSION: u16 = 1;
const CHECKSUM_LEN: usize = 4;
/// Neighbours on the way up from one of so many leaves.
const NEIGHBOURS_MAX: usize = BLOCK_TRANSACTIONS_MAX.next_power_of_two().ilog2() as usize;

/// A transaction and all that makes it final. Only form and the genesis block's own signature are checked before
/// [`Self::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Where the network begins.
    pub genesis: Genesis,
    /// Every change of the validators below the block, lowest first.
    pub changes: Vec<ValidatorChange>,
    /// The block's header.
    pub header: Header,
    /// What makes the block final.
    pub certificate: Certificate,
    /// The transaction.
    pub transaction: SignedTransaction,
    /// From the transaction to the root in the header.
    pub path: MerklePath,
}

/// A block that changed who certifies the blocks after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorChange {
    /// Its header, which names the new set by its hash.
    pub header: Header,
    /// By the validators before.
    pub certificate: Certificate,
    /// The validators from the next block on.
    pub validators: ValidatorSet,
}

/// What is encoded, in this order.
type Content = (Vec<u8>, Vec<ValidatorChange>, Header, Certificate, SignedTransaction, MerklePath);

/// Bytes that are no receipt this crate can read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptFormatError {
    /// Longer than a receipt may be; nothing was decoded.
    #[error("{len} bytes are more than the {RECEIPT_LEN_MAX} a receipt may have")]
    TooLong {
        /// Bytes that came.
        len: usize,
    },
    /// It does not begin like one.
    #[error("this is no receipt: a receipt begins with the letters swrcpt")]
    NotAReceipt,
    /// Its format is not known here.
    #[error("the receipt has format {0}, this program knows {VERSION}: use a newer one")]
    Version(u16),
    /// Bytes were lost, added or changed.
    #[error("the receipt is damaged: some of its bytes are missing or changed; get it again")]
    Damaged,
    /// It is whole, but its content is none.
    #[error(transparent)]
    Content(#[from] DecodeError),
    /// One of its lists is too long.
    #[error("the receipt has {count} {what}, {count_max} are allowed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// So many.
        count: usize,
        /// Allowed.
        count_max: usize,
    },
    /// Its genesis block cannot be followed.
    #[error("the receipt's genesis block: {0}")]
    Genesis(#[from] GenesisError),
}

impl Receipt {
    /// The bytes of a receipt file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let genesis = self.genesis.to_bytes();
        let (changes, header, certificate) = (&self.changes, &self.header, &self.certificate);
        let content =
            encoding::encode(&(genesis, changes, header, certificate, &self.transaction, &self.path));
        [MAGIC, &VERSION.to_le_bytes(), &content, &checksum(&content)].concat()
    }

    /// Reads a receipt file. Nothing is checked but form, sizes and the genesis block's own signature.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReceiptFormatError> {
        if bytes.len() > RECEIPT_LEN_MAX {
            return Err(ReceiptFormatError::TooLong { len: bytes.len() });
        }
        let rest = bytes.strip_prefix(MAGIC).ok_or(ReceiptFormatError::NotAReceipt)?;
        let (version, rest) = rest.split_first_chunk().ok_or(ReceiptFormatError::Damaged)?;
        let version = u16::from_le_bytes(*version);
        if version != VERSION {
            return Err(ReceiptFormatError::Version(version));
        }
        let (content, sum) = rest.split_last_chunk().ok_or(ReceiptFormatError::Damaged)?;
        if *sum != checksum(content) {
            return Err(ReceiptFormatError::Damaged);
        }
        let (genesis, changes, header, certificate, transaction, path): Content =
            encoding::decode("receipt", content, RECEIPT_LEN_MAX)?;
        let genesis = Genesis::from_bytes(&genesis)?;
        let receipt = Self { genesis, changes, header, certificate, transaction, path };
        receipt.check_counts()?;
        Ok(receipt)
    }

    fn check_counts(&self) -> Result<(), ReceiptFormatError> {
        let certificates = self.changes.iter().map(|change| &change.certificate).chain([&self.certificate]);
        let signatures = certificates.map(|certificate| certificate.signatures.len()).max();
        let counts = [
            ("changes of the validators", self.changes.len(), RECEIPT_CHANGES_MAX),
            ("signatures in one certificate", signatures.unwrap_or_default(), VALIDATORS_MAX),
            ("hashes in its path", self.path.neighbours.len(), NEIGHBOURS_MAX),
            ("transactions in its block", self.path.leaf_count as usize, BLOCK_TRANSACTIONS_MAX),
        ];
        match counts.into_iter().find(|(_, count, count_max)| count > count_max) {
            Some((what, count, count_max)) => Err(ReceiptFormatError::TooMany { what, count, count_max }),
            None => Ok(()),
        }
    }
}

/// Not for security, which the signatures give, but to tell a damaged receipt from a forged one.
fn checksum(content: &[u8]) -> [u8; CHECKSUM_LEN] {
    let hash = sha256(&[b"swiftserve/receipt/1\0", content]);
    [hash[0], hash[1], hash[2], hash[3]]
}
