//! What members say to the ledger, signed.

mod action;
mod invitation;
mod label;
mod role;

use serde::{Deserialize, Serialize};

use crate::{
    encoding::{self, DecodeError},
    hash::{NetworkId, TransactionId, sha256},
    identity::{NodeId, NodeKey, Signature, Statement},
    limits::TRANSACTION_LEN_MAX,
};

pub use action::{Action, FileEntry, NodeChange};
pub use invitation::{Invitation, InvitationTerms, JoinRequest};
pub use label::{Label, LabelError};
pub use role::{Role, RoleError};

/// A transaction without its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// The network it is for.
    pub network: NetworkId,
    /// The member who says it.
    pub author: NodeId,
    /// Above the author's last one, which makes every transaction count once.
    pub sequence: u64,
    /// Block time, in milliseconds since 1970, after which it is void.
    pub valid_until_ms: u64,
    /// For which client of the author's node.
    pub on_behalf_of: Option<Label>,
    /// What it does.
    pub action: Action,
}

impl Statement for Transaction {
    const TAG: &'static str = "swiftserve/transaction/1";
}

/// A transaction with a signature that nobody has checked yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedTransaction {
    /// What is said.
    pub transaction: Transaction,
    /// By its author.
    pub signature: Signature,
}

/// Why a transaction cannot even be judged by the rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// It was signed for another network.
    #[error("the transaction is for network {found}, this is {expected}")]
    OtherNetwork {
        /// The network of this ledger.
        expected: NetworkId,
        /// The network it names.
        found: NetworkId,
    },
    /// Its signature is not its author's.
    #[error("the transaction's signature is not its author's ({author})")]
    Signature {
        /// The author it names.
        author: NodeId,
    },
    /// It is larger than a transaction may be.
    #[error("the transaction has {len} bytes, {TRANSACTION_LEN_MAX} are allowed")]
    TooLong {
        /// Its bytes.
        len: usize,
    },
}

impl SignedTransaction {
    /// Signs a transaction.
    pub fn sign(key: &NodeKey, transaction: Transaction) -> Self {
        let signature = key.sign(&transaction.network, &transaction);
        Self { transaction, signature }
    }

    /// SHA-256 of its canonical bytes.
    pub fn id(&self) -> TransactionId {
        TransactionId::from_bytes(sha256(&[&self.to_bytes()]))
    }

    /// Its canonical bytes, the leaves of a block's Merkle tree.
    pub fn to_bytes(&self) -> Vec<u8> {
        encoding::encode(self)
    }

    /// Reads canonical bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        encoding::decode("transaction", bytes, TRANSACTION_LEN_MAX)
    }

    /// Checks size, network and signature: the checks that need no ledger.
    pub fn check(self, network: &NetworkId) -> Result<CheckedTransaction, TransactionError> {
        let bytes = self.to_bytes();
        if bytes.len() > TRANSACTION_LEN_MAX {
            return Err(TransactionError::TooLong { len: bytes.len() });
        }
        let body = &self.transaction;
        if body.network != *network {
            return Err(TransactionError::OtherNetwork { expected: *network, found: body.network });
        }
        if !body.author.verify(network, body, &self.signature) {
            return Err(TransactionError::Signature { author: body.author });
        }
        Ok(CheckedTransaction {
            id: TransactionId::from_bytes(sha256(&[&bytes])),
            len: bytes.len(),
            signed: self,
        })
    }
}

/// A transaction whose size, network and signature were checked. Minted only by [`SignedTransaction::check`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedTransaction {
    signed: SignedTransaction,
    id: TransactionId,
    len: usize,
}

impl CheckedTransaction {
    /// SHA-256 of its canonical bytes.
    pub fn id(&self) -> TransactionId {
        self.id
    }

    /// Bytes of its canonical encoding.
    pub fn encoded_len(&self) -> usize {
        self.len
    }

    /// What it says.
    pub fn transaction(&self) -> &Transaction {
        &self.signed.transaction
    }

    /// As it travels.
    pub fn signed(&self) -> &SignedTransaction {
        &self.signed
    }

    /// Gives back what was checked.
    pub fn into_signed(self) -> SignedTransaction {
        self.signed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hash;

    fn sample(network: NetworkId, key: &NodeKey) -> SignedTransaction {
        let action = Action::RemoveFile { name: "plain".parse().unwrap(), file_id: Hash::default() };
        let author = key.id();
        let body =
            Transaction { network, author, sequence: 1, valid_until_ms: 5, on_behalf_of: None, action };
        SignedTransaction::sign(key, body)
    }

    #[test]
    fn a_transaction_reads_back_and_keeps_its_signature() {
        let (key, network) = (NodeKey::from_seed([1; 32]), NetworkId::default());
        let signed = sample(network, &key);
        let again = SignedTransaction::from_bytes(&signed.to_bytes()).unwrap();
        assert_eq!(again, signed);
        assert!(again.check(&network).is_ok());
    }

    #[test]
    fn another_network_and_a_changed_field_are_told_apart() {
        let (key, network) = (NodeKey::from_seed([1; 32]), NetworkId::default());
        let elsewhere = sample(NetworkId::from_bytes([9; 32]), &key);
        assert!(matches!(elsewhere.check(&network), Err(TransactionError::OtherNetwork { .. })));
        let mut forged = sample(network, &key);
        forged.transaction.sequence = 2;
        assert_eq!(forged.check(&network), Err(TransactionError::Signature { author: key.id() }));
    }

    #[test]
    fn a_name_that_breaks_a_rule_does_not_decode() {
        let signed = sample(NetworkId::default(), &NodeKey::from_seed([1; 32]));
        let mut bytes = signed.to_bytes();
        let at = bytes.windows(5).position(|window| window == b"plain").unwrap();
        bytes[at] = b'/';
        assert!(matches!(SignedTransaction::from_bytes(&bytes), Err(DecodeError::Malformed { .. })));
    }
}
