//! Why the rules refuse a transaction.

use crate::{
    hash::Hash,
    identity::NodeId,
    limits::SEQUENCE_GAP_MAX,
    name::FileName,
    transaction::{Role, TransactionError},
    validators::ValidatorSetError,
};

/// The rule that a transaction breaks. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// What it asks for is so already. For whoever asked this is success: every write can be repeated safely.
    #[error("{0}")]
    AlreadyTrue(AlreadyTrue),
    /// Size, network or signature are wrong.
    #[error(transparent)]
    Unsound(#[from] TransactionError),
    /// The author never was a member.
    #[error("{node} is no member of this network")]
    NotAMember {
        /// The key.
        node: NodeId,
    },
    /// The author or the node spoken of was removed.
    #[error("{node} was removed from this network by block {height}")]
    Removed {
        /// The key.
        node: NodeId,
        /// By which block.
        height: u64,
    },
    /// The author's role does not allow it.
    #[error("{node} is {has}, this needs {needs}")]
    Role {
        /// The author.
        node: NodeId,
        /// Its role.
        has: Role,
        /// The least role that may.
        needs: Role,
    },
    /// The sequence is not above the author's last one: a repeated or overtaken transaction.
    #[error("sequence {sequence} is used, the author's last one is {last}")]
    SequenceUsed {
        /// The transaction's.
        sequence: u64,
        /// The author's last.
        last: u64,
    },
    /// The sequence is too far ahead.
    #[error("sequence {sequence} is more than {SEQUENCE_GAP_MAX} above the author's last one, {last}")]
    SequenceTooFar {
        /// The transaction's.
        sequence: u64,
        /// The author's last.
        last: u64,
    },
    /// Its time has passed.
    #[error("the transaction was valid until {valid_until_ms} ms, the block is later")]
    Expired {
        /// Its last moment, in milliseconds since 1970.
        valid_until_ms: u64,
    },
    /// The author has as many transactions in this block as the network allows; a later block may take it.
    #[error("{node} has all the transactions in this block that one author may have")]
    BlockShareUsed {
        /// The author.
        node: NodeId,
    },
    /// The name, or one that differs in case only, holds other content and the transaction does not say which.
    #[error("the name {name} is taken by {publisher} with content {file_id}")]
    NameTaken {
        /// The live name.
        name: FileName,
        /// Who published it.
        publisher: NodeId,
        /// What it holds.
        file_id: Hash,
    },
    /// A live name is a directory above this one, or lies below it.
    #[error("{name} cannot be a file: {live} is live")]
    NameIsDirectory {
        /// The name asked for.
        name: FileName,
        /// The live one in the way.
        live: FileName,
    },
    /// No file has this name.
    #[error("no file has the name {name}")]
    NoSuchFile {
        /// The name.
        name: FileName,
    },
    /// The name holds other content than the transaction expects: somebody was faster.
    #[error("{name} holds {current} now, not {expected}")]
    ContentChanged {
        /// The name.
        name: FileName,
        /// What the transaction expects.
        expected: Hash,
        /// What it holds.
        current: Hash,
    },
    /// Only a file's publisher or an admin may replace or remove it.
    #[error("{name} belongs to {publisher}; only that node or an admin may change it")]
    NotThePublisher {
        /// The name.
        name: FileName,
        /// Whose it is.
        publisher: NodeId,
    },
    /// The file is larger than a file may be.
    #[error("a file of {size} bytes is larger than the 16 TiB allowed")]
    FileTooLarge {
        /// Its bytes.
        size: u64,
    },
    /// The author has as many live files as the network allows.
    #[error("{node} has {live} live files, the network allows {max} per member")]
    TooManyFiles {
        /// The author.
        node: NodeId,
        /// How many it has.
        live: u64,
        /// How many it may have.
        max: u64,
    },
    /// The author has as many live bytes as the network allows.
    #[error("{node} would have {live} bytes of live files, the network allows {max} per member")]
    TooManyBytes {
        /// The author.
        node: NodeId,
        /// How many it would have.
        live: u64,
        /// How many it may have.
        max: u64,
    },
    /// The node is a member already, with another address or role.
    #[error("{node} is a member already")]
    AlreadyAMember {
        /// The key.
        node: NodeId,
    },
    /// The invitation's signature, or the joiner's, does not fit.
    #[error("the signature of {signer} on the {what} does not fit")]
    InvitationSignature {
        /// Who should have signed.
        signer: NodeId,
        /// What.
        what: &'static str,
    },
    /// The inviter is no admin (any more).
    #[error("the invitation is by {inviter}, who is no admin of this network now")]
    InviterIsNoAdmin {
        /// Who signed it.
        inviter: NodeId,
    },
    /// The invitation was used before.
    #[error("the invitation was used before; each works once")]
    InvitationUsed,
    /// The invitation's time has passed.
    #[error("the invitation was valid until {not_after_ms} ms")]
    InvitationExpired {
        /// Its last moment, in milliseconds since 1970.
        not_after_ms: u64,
    },
    /// The network would have no admin.
    #[error("{node} is the last admin; make another member admin first")]
    LastAdmin {
        /// The last one.
        node: NodeId,
    },
    /// The network would have no validator.
    #[error("{node} is the last validator; promote another member first")]
    LastValidator {
        /// The last one.
        node: NodeId,
    },
    /// The validator set would break its limits.
    #[error(transparent)]
    Validators(#[from] ValidatorSetError),
    /// The upgrade leads backwards in version or height.
    #[error("an upgrade to version {version} at {from_height} does not lead on from {current} at {height}")]
    Upgrade {
        /// The version asked for.
        version: u16,
        /// From which height.
        from_height: u64,
        /// The version now.
        current: u16,
        /// The height now.
        height: u64,
    },
}

/// What is so already.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlreadyTrue {
    /// The same author published the same content under this name.
    #[error("{name} was published by block {height}")]
    Published {
        /// The name.
        name: FileName,
        /// By which block.
        height: u64,
    },
    /// The node is a member with this address and role.
    #[error("{node} is a member since block {height}")]
    Member {
        /// The key.
        node: NodeId,
        /// By which block.
        height: u64,
    },
    /// The node is out.
    #[error("{node} was removed by block {height}")]
    Removed {
        /// The key.
        node: NodeId,
        /// By which block.
        height: u64,
    },
    /// The record holds what is asked for.
    #[error("{node} has this already")]
    Unchanged {
        /// The key.
        node: NodeId,
    },
    /// The upgrade stands.
    #[error("this upgrade is scheduled")]
    UpgradeScheduled,
}
