//! What a transaction does.

use serde::{Deserialize, Serialize};

use super::{Invitation, Role};
use crate::{
    address::Address,
    hash::Hash,
    identity::{NodeId, Signature},
    name::FileName,
};

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
        /// By the new member, over [`JoinRequest`](super::JoinRequest): nobody can be joined against its will or
        /// elsewhere.
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
