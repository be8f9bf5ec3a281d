//! What members say to the ledger, signed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    address::Address,
    encoding::{self, DecodeError},
    hash::{Hash, NetworkId, TransactionId, sha256},
    identity::{NodeId, NodeKey, Signature, Statement},
    limits::{LABEL_LEN_MAX, TRANSACTION_LEN_MAX},
    name::FileName,
};

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Fetches files only.
    Reader,
    /// Adds files, replaces and removes its own.
    Publisher,
    /// Everything: also invites and removes members, changes roles and validators.
    Admin,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reader => "reader",
            Self::Publisher => "publisher",
            Self::Admin => "admin",
        })
    }
}

/// A text that names no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role: expected admin, publisher or reader")]
pub struct RoleError(String);

impl std::str::FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        match text {
            "reader" => Ok(Self::Reader),
            "publisher" => Ok(Self::Publisher),
            "admin" => Ok(Self::Admin),
            _ => Err(RoleError(text.chars().take(80).collect())),
        }
    }
}

/// For which client a node signed a transaction: the label of that client's token. The node asserts it, nobody proves
/// it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(String);

/// A text that is no label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a label has 1 to {LABEL_LEN_MAX} bytes and no control characters")]
pub struct LabelError;

impl Label {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Label {
    type Error = LabelError;

    fn try_from(text: String) -> Result<Self, LabelError> {
        let fits = (1..=LABEL_LEN_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        if fits { Ok(Self(text)) } else { Err(LabelError) }
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.0
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A file as a transaction names it. The ledger does not look inside the two hashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Under which name it is published.
    pub name: FileName,
    /// Bytes of content.
    pub size: u64,
    /// BLAKE3 of the content.
    pub file_id: Hash,
    /// SHA-256 of the manifest.
    pub manifest_hash: Hash,
}

/// Changes the ledger. Each variant says who may do it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Takes a node in. Any member may submit it; what counts is the inviter's and the joiner's signature.
    AddNode {
        /// The new member's key.
        node: NodeId,
        /// Where it can be dialled.
        address: Address,
        /// What an admin gave it.
        invitation: Box<Invitation>,
        /// By the new member, over [`JoinRequest`]: nobody can be joined against its will or elsewhere.
        joiner_signature: Signature,
    },
    /// Takes a member out for good, and its validator weight with it. By an admin, or by the member itself.
    RemoveNode {
        /// Whom.
        node: NodeId,
    },
    /// Changes a member's record.
    UpdateNode {
        /// Whose.
        node: NodeId,
        /// What.
        change: NodeChange,
    },
    /// Publishes a file. By a publisher or admin.
    AddFile {
        /// The file.
        file: FileEntry,
        /// The content that the name holds now, when it holds one: compare and set.
        replaces: Option<Hash>,
    },
    /// Withdraws a name. By its publisher or an admin.
    RemoveFile {
        /// Which name.
        name: FileName,
        /// The content that the name holds now: compare and set.
        file_id: Hash,
    },
    /// Changes the rules of the ledger from a height on. By an admin. Nodes that do not know the version stop there.
    Upgrade {
        /// The new protocol version, above the current one.
        version: u16,
        /// The first height that follows it.
        from_height: u64,
    },
    /// Uses its sequence up and does nothing else: takes back what its author signed with it. By any member.
    Void {},
}

/// What [`Action::UpdateNode`] changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeChange {
    /// Where it is dialled. By the member itself or an admin.
    Address(Address),
    /// What it may do. By an admin.
    Role(Role),
    /// What its vote counts; 0 makes it no validator. By an admin.
    ValidatorWeight(u32),
}

/// An admin's signed permission to join, usable once. Part of a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// What the admin signed.
    pub terms: InvitationTerms,
    /// By the inviter.
    pub signature: Signature,
}

/// What an invitation grants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationTerms {
    /// The admin who invites; must still be one when the invitation is used.
    pub inviter: NodeId,
    /// The new member's role.
    pub role: Role,
    /// Random; the ledger remembers it, so that an invitation works once.
    pub nonce: [u8; 16],
    /// Block time, in milliseconds since 1970, after which it is void.
    pub not_after_ms: u64,
}

impl Statement for InvitationTerms {
    const TAG: &'static str = "swiftserve/invitation/1";
}

impl Invitation {
    /// Signs an invitation to `network`.
    pub fn sign(key: &NodeKey, network: &NetworkId, terms: InvitationTerms) -> Self {
        let signature = key.sign(network, &terms);
        Self { terms, signature }
    }
}

/// What a joining node signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The joiner.
    pub node: NodeId,
    /// Where it can be dialled.
    pub address: Address,
    /// The invitation it uses.
    pub nonce: [u8; 16],
}

impl Statement for JoinRequest {
    const TAG: &'static str = "swiftserve/join/1";
}

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

    #[test]
    fn labels_are_short_and_printable() {
        assert!(Label::try_from("ci-runner".to_owned()).is_ok());
        for text in ["".to_owned(), "x".repeat(65), "a\u{7}b".to_owned()] {
            assert_eq!(Label::try_from(text), Err(LabelError));
        }
    }
}
