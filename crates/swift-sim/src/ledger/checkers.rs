//! What must hold whatever happens. The checkers know what nodes said and stored, and nothing of who made them do it.
//!
//! They share as little with the ledger as they can: the quorum, the validators of each height and the live names are
//! worked out here once more, from the blocks alone, so that a rule that is broken in the ledger is not broken in its
//! judge as well.

mod agreement;
mod certificates;
mod evidence;
mod names;
mod receipts;
mod signing;
mod weights;
mod witnesses;
mod writes;

use std::fmt;

use serde::Serialize;

pub(crate) use agreement::Agreement;
pub(crate) use certificates::Certificates;
pub(crate) use evidence::check_evidence;
pub(crate) use names::check_names;
pub(crate) use receipts::check_receipt;
pub(crate) use signing::Signing;
pub(crate) use witnesses::{Heard, Witnesses};
pub(crate) use writes::Writes;

/// Who noticed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Checker {
    /// One block per height, on all honest nodes.
    Agreement,
    /// An honest validator signs one vote and one proposal per step, and who is none signs nothing.
    Signing,
    /// Every block on every honest node was signed by a quorum of its validators.
    Certificates,
    /// What was acknowledged is in the chain, once.
    Acknowledged,
    /// What was refused is not in the chain later.
    Refused,
    /// Names follow from the chain by compare and set.
    Names,
    /// Every honest node's chain passes an audit from the genesis block on.
    Audit,
    /// A receipt of what is final convinces who has nothing but the network's id.
    Receipts,
    /// Evidence is sound, names nobody honest, and is kept by whoever hears the guilty.
    Evidence,
    /// No honest node stops by itself, nor panics.
    Health,
    /// After healing, writes become final everywhere.
    Progress,
    /// An idle network makes no blocks.
    Rest,
    /// Every kind of trouble came up.
    Coverage,
    /// The same seed gives the same run.
    Determinism,
}

impl fmt::Display for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", format!("{self:?}").to_lowercase())
    }
}

/// Something that must never be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{checker}: {what}")]
pub struct Violation {
    /// Who noticed.
    pub checker: Checker,
    /// What.
    pub what: String,
}

/// All is well, or not.
pub(crate) type Checked<T = ()> = Result<T, Violation>;

impl Violation {
    pub(crate) fn new(checker: Checker, what: impl Into<String>) -> Self {
        Self { checker, what: what.into() }
    }
}

/// Made-up histories for the checkers' tests.
#[cfg(test)]
pub(crate) mod made_up {
    use swift_chain::*;

    pub(crate) const NETWORK: NetworkId = NetworkId::from_bytes([3; 32]);

    pub(crate) fn key(number: u8) -> NodeKey {
        NodeKey::from_seed([number; 32])
    }

    pub(crate) fn genesis() -> GenesisBody {
        GenesisBody {
            protocol_version: PROTOCOL_VERSION,
            nonce: [0; 16],
            time_ms: 0,
            founder: key(1).id(),
            address: "10.0.0.1:8000".parse().unwrap(),
            params: NetworkParams::default(),
            origin: None,
        }
    }

    pub(crate) fn add(name: &str, content: u8, replaces: Option<u8>) -> Action {
        let hash = |number| Hash::from_bytes([number; 32]);
        let file = FileEntry {
            name: name.parse().unwrap(),
            size: 1,
            file_id: hash(content),
            manifest_hash: hash(content),
        };
        Action::AddFile { file, replaces: replaces.map(hash) }
    }

    pub(crate) fn transaction(author: u8, sequence: u64, action: Action) -> SignedTransaction {
        let key = key(author);
        let (network, author) = (NETWORK, key.id());
        let body = Transaction { network, author, sequence, valid_until_ms: 9, on_behalf_of: None, action };
        SignedTransaction::sign(&key, body)
    }

    /// A change of a validator's weight.
    pub(crate) fn weigh(author: u8, sequence: u64, node: u8, weight: u32) -> SignedTransaction {
        let change = NodeChange::ValidatorWeight(weight);
        transaction(author, sequence, Action::UpdateNode { node: key(node).id(), change })
    }

    /// A block that these validators certify. Nothing in it but height and transactions means anything.
    pub(crate) fn block(height: u64, transactions: Vec<SignedTransaction>, signers: &[u8]) -> SealedBlock {
        let header = Header {
            height,
            previous: BlockHash::default(),
            time_ms: height,
            creator: key(1).id(),
            transactions_root: Block::transactions_root(&transactions),
            next_validators: Hash::default(),
            state_hash: Hash::default(),
        };
        let hash = header.hash();
        let mut signatures: Vec<_> = signers
            .iter()
            .flat_map(|signer| Certificate::sign_alone(&key(*signer), &NETWORK, height, hash).signatures)
            .collect();
        signatures.sort_by_key(|(node, _)| *node);
        let certificate = Certificate { height, round: 0, block: hash, signatures };
        SealedBlock { block: Block::sign(&key(1), &NETWORK, header, transactions), certificate }
    }
}
