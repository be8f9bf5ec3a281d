//! Checking a receipt.

use super::{Receipt, ValidatorChange};
use crate::{
    block::Header,
    certificate::{Certificate, CertificateError},
    hash::{BlockHash, NetworkId, TransactionId},
    identity::NodeId,
    ticket::Checkpoint,
    transaction::{Action, FileEntry, Label, TransactionError},
    validators::ValidatorSet,
};

/// What the reader of a receipt knows from elsewhere. Without the network's id a receipt proves only that somebody
/// founded some network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expectation {
    /// The network it must be of.
    pub network: Option<NetworkId>,
    /// A block that is known to be in the chain: must match where the receipt covers its height.
    pub checkpoint: Option<Checkpoint>,
}

/// What a receipt proves. Minted only by [`Receipt::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proven {
    /// In which network.
    pub network: NetworkId,
    /// In the block at which height.
    pub height: u64,
    /// That block's hash.
    pub block: BlockHash,
    /// That block's time, in milliseconds since 1970.
    pub time_ms: u64,
    /// Which transaction.
    pub transaction: TransactionId,
    /// Who signed it.
    pub author: NodeId,
    /// For which client, by the word of the author's node.
    pub on_behalf_of: Option<Label>,
    /// What it did.
    pub action: Action,
    /// Who could certify that block.
    pub validators: ValidatorSet,
    /// Who of these did.
    pub signers: Vec<NodeId>,
    /// How often the validators had changed before.
    pub changes: usize,
    /// What became of the expected checkpoint.
    pub checkpoint: CheckpointOutcome,
}

impl Proven {
    /// The file that was published, if that is what the transaction did.
    pub fn file(&self) -> Option<&FileEntry> {
        match &self.action {
            Action::AddFile { file, .. } => Some(file),
            _ => None,
        }
    }
}

/// What became of the checkpoint that a receipt's reader gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointOutcome {
    /// None was given.
    NotGiven,
    /// The receipt has no block of that height: nothing was compared.
    NotCovered,
    /// The receipt's block of that height is that one.
    Matches,
}

/// Why a receipt proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// It is of another network.
    #[error("the receipt is of network {found}, not of {expected}")]
    OtherNetwork {
        /// The network meant.
        expected: NetworkId,
        /// The network found.
        found: NetworkId,
    },
    /// A block does not stand above the one before it in the receipt.
    #[error("block {height} stands behind block {below} in the receipt: heights must rise")]
    Order {
        /// Its height.
        height: u64,
        /// The height before.
        below: u64,
    },
    /// A block names another predecessor than the receipt's block directly below it.
    #[error("block {height} follows {found}, the receipt's block before it is {expected}")]
    Link {
        /// Its height.
        height: u64,
        /// The hash of the block below.
        expected: BlockHash,
        /// The hash it names.
        found: BlockHash,
    },
    /// A block is not final.
    #[error("block {height} is not final: {error}")]
    Certificate {
        /// Its height.
        height: u64,
        /// Why.
        error: CertificateError,
    },
    /// A set of validators is not the one that the block's header names.
    #[error("the receipt names other validators than block {height}, which made them")]
    Validators {
        /// Its height.
        height: u64,
    },
    /// A block is listed as a change of the validators and changes nothing.
    #[error("block {height} stands in the receipt as a change of the validators, but changes none")]
    Unchanged {
        /// Its height.
        height: u64,
    },
    /// The path does not lead from the transaction to the block.
    #[error("the transaction is not in block {height}: its path leads to another root")]
    Path {
        /// The block's height.
        height: u64,
    },
    /// The transaction itself is unsound.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// The receipt tells another history than the checkpoint.
    #[error(
        "the receipt has {found} as block {height}, the checkpoint has {expected}: one of them is of another history, \
         so ask several nodes for that block"
    )]
    Checkpoint {
        /// The checkpoint's height.
        height: u64,
        /// The checkpoint's hash.
        expected: BlockHash,
        /// The receipt's.
        found: BlockHash,
    },
}

impl Receipt {
    /// Checks everything, from the genesis block to the transaction.
    pub fn verify(&self, expected: &Expectation) -> Result<Proven, ReceiptError> {
        let network = self.genesis.id();
        if let Some(expected) = expected.network.filter(|expected| *expected != network) {
            return Err(ReceiptError::OtherNetwork { expected, found: network });
        }
        let mut climb = Climb {
            network,
            validators: ValidatorSet::sole(self.genesis.body().founder),
            below: Checkpoint { height: 0, hash: network.into() },
            checkpoint: expected.checkpoint,
            outcome: match expected.checkpoint {
                Some(_) => CheckpointOutcome::NotCovered,
                None => CheckpointOutcome::NotGiven,
            },
        };
        climb.compare(climb.below)?;
        for change in &self.changes {
            climb.change(change)?;
        }
        climb.block(&self.header, &self.certificate)?;
        let height = self.header.height;
        if self.path.root_from(&self.transaction.to_bytes()) != Some(self.header.transactions_root) {
            return Err(ReceiptError::Path { height });
        }
        let checked = self.transaction.clone().check(&network)?;
        let transaction = checked.transaction();
        Ok(Proven {
            network,
            height,
            block: climb.below.hash,
            time_ms: self.header.time_ms,
            transaction: checked.id(),
            author: transaction.author,
            on_behalf_of: transaction.on_behalf_of.clone(),
            action: transaction.action.clone(),
            validators: climb.validators,
            signers: self.certificate.signatures.iter().map(|(node, _)| *node).collect(),
            changes: self.changes.len(),
            checkpoint: climb.outcome,
        })
    }
}

/// The way from the genesis block up, as far as it has been checked.
struct Climb {
    network: NetworkId,
    /// Who certifies the next block.
    validators: ValidatorSet,
    /// The last block.
    below: Checkpoint,
    checkpoint: Option<Checkpoint>,
    outcome: CheckpointOutcome,
}

impl Climb {
    fn change(&mut self, change: &ValidatorChange) -> Result<(), ReceiptError> {
        let height = change.header.height;
        self.block(&change.header, &change.certificate)?;
        if change.validators.hash() != change.header.next_validators {
            return Err(ReceiptError::Validators { height });
        }
        if change.validators == self.validators {
            return Err(ReceiptError::Unchanged { height });
        }
        self.validators = change.validators.clone();
        Ok(())
    }

    /// Goes up to a block, if it is final.
    fn block(&mut self, header: &Header, certificate: &Certificate) -> Result<(), ReceiptError> {
        let (height, hash) = (header.height, header.hash());
        let Some(previous) = height.checked_sub(1).filter(|previous| *previous >= self.below.height) else {
            return Err(ReceiptError::Order { height, below: self.below.height });
        };
        if previous == self.below.height && header.previous != self.below.hash {
            let (expected, found) = (self.below.hash, header.previous);
            return Err(ReceiptError::Link { height, expected, found });
        }
        let checked = certificate.check(&self.network, &self.validators, height, hash);
        checked.map_err(|error| ReceiptError::Certificate { height, error })?;
        // The header is proved now, and with it what it says of the block before.
        self.compare(Checkpoint { height: previous, hash: header.previous })?;
        self.below = Checkpoint { height, hash };
        self.compare(self.below)
    }

    fn compare(&mut self, block: Checkpoint) -> Result<(), ReceiptError> {
        match self.checkpoint {
            Some(known) if known.height == block.height && known.hash != block.hash => {
                let (expected, found) = (known.hash, block.hash);
                Err(ReceiptError::Checkpoint { height: block.height, expected, found })
            }
            Some(known) if known.height == block.height => {
                self.outcome = CheckpointOutcome::Matches;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
