//! Reading the ledger's state.

use serde::{Deserialize, Serialize};

use crate::{
    address::Address,
    genesis::NetworkParams,
    hash::Hash,
    identity::NodeId,
    name::{FileName, NameKey},
    transaction::{FileEntry, Role},
    validators::ValidatorSet,
};

/// The state's storage failed. The rules said nothing; whoever owns the storage must stop using it.
#[derive(Debug, thiserror::Error)]
#[error("the ledger's state cannot be read: {0}")]
pub struct StateError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

impl StateError {
    /// Whether the storage holds what nobody wrote; see [`DbError::is_damage`](crate::DbError::is_damage).
    pub fn is_damage(&self) -> bool {
        self.0.downcast_ref::<crate::db::DbError>().is_some_and(crate::db::DbError::is_damage)
    }
}

/// A member as the ledger knows it now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// What it may do.
    pub role: Role,
    /// Where it is dialled.
    pub address: Address,
    /// The block that took it in.
    pub joined_height: u64,
}

/// What the ledger keeps per author, also of those who were removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorRecord {
    /// Of its last transaction; the next one must have a higher one.
    pub last_sequence: u64,
    /// Live names it published.
    pub live_files: u64,
    /// Bytes of these.
    pub live_bytes: u64,
}

impl AuthorRecord {
    /// Counts a live file of this author.
    pub(crate) fn count(&mut self, file: &FileRecord) {
        self.live_files = self.live_files.saturating_add(1);
        self.live_bytes = self.live_bytes.saturating_add(file.entry.size);
    }
}

/// A live file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Name, size, hashes.
    pub entry: FileEntry,
    /// Who published it.
    pub publisher: NodeId,
    /// In which block.
    pub height: u64,
    /// Time of that block, in milliseconds since 1970.
    pub time_ms: u64,
}

impl FileRecord {
    /// The name.
    pub fn name(&self) -> &FileName {
        &self.entry.name
    }

    /// BLAKE3 of the content.
    pub fn file_id(&self) -> Hash {
        self.entry.file_id
    }
}

/// Which rules hold, and which will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolSchedule {
    /// The version that holds now.
    pub version: u16,
    /// The version to come and its first height.
    pub next: Option<(u16, u64)>,
}

impl ProtocolSchedule {
    /// The version that holds at `height`.
    pub fn version_at(&self, height: u64) -> u16 {
        match self.next {
            Some((version, from)) if height >= from => version,
            _ => self.version,
        }
    }
}

/// The state after some block. Every method costs a look-up, never a walk over what is stored.
pub trait StateView {
    /// Limits the founder set.
    fn params(&self) -> Result<NetworkParams, StateError>;

    /// Which rules hold.
    fn protocol(&self) -> Result<ProtocolSchedule, StateError>;

    /// Who certifies the next block.
    fn validators(&self) -> Result<ValidatorSet, StateError>;

    /// A member's record.
    fn member(&self, node: &NodeId) -> Result<Option<Member>, StateError>;

    /// Number of members with role admin.
    fn admin_count(&self) -> Result<u64, StateError>;

    /// The height at which a key was removed; it never comes back.
    fn removed_at(&self, node: &NodeId) -> Result<Option<u64>, StateError>;

    /// What is kept of an author; zeros for one that never wrote.
    fn author(&self, node: &NodeId) -> Result<AuthorRecord, StateError>;

    /// The live file under a key.
    fn file(&self, key: &NameKey) -> Result<Option<FileRecord>, StateError>;

    /// The first live file below a key, as if that were a directory, whose own key comes behind `after`.
    fn file_below(&self, key: &NameKey, after: Option<&NameKey>) -> Result<Option<FileRecord>, StateError>;

    /// Whether an invitation's nonce was used.
    fn invitation_used(&self, nonce: &[u8; 16]) -> Result<bool, StateError>;
}

impl<S: StateView + ?Sized> StateView for &S {
    fn params(&self) -> Result<NetworkParams, StateError> {
        (**self).params()
    }

    fn protocol(&self) -> Result<ProtocolSchedule, StateError> {
        (**self).protocol()
    }

    fn validators(&self) -> Result<ValidatorSet, StateError> {
        (**self).validators()
    }

    fn member(&self, node: &NodeId) -> Result<Option<Member>, StateError> {
        (**self).member(node)
    }

    fn admin_count(&self) -> Result<u64, StateError> {
        (**self).admin_count()
    }

    fn removed_at(&self, node: &NodeId) -> Result<Option<u64>, StateError> {
        (**self).removed_at(node)
    }

    fn author(&self, node: &NodeId) -> Result<AuthorRecord, StateError> {
        (**self).author(node)
    }

    fn file(&self, key: &NameKey) -> Result<Option<FileRecord>, StateError> {
        (**self).file(key)
    }

    fn file_below(&self, key: &NameKey, after: Option<&NameKey>) -> Result<Option<FileRecord>, StateError> {
        (**self).file_below(key, after)
    }

    fn invitation_used(&self, nonce: &[u8; 16]) -> Result<bool, StateError> {
        (**self).invitation_used(nonce)
    }
}
