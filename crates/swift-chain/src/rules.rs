//! The ledger's rules: may this transaction happen now, and what does it change?
//!
//! Pure: a verdict follows from the state, the block's height and time, and the transaction, and from nothing else.

mod files;
mod nodes;
mod rejection;

pub use rejection::{AlreadyTrue, Rejection};

use crate::{
    identity::NodeId,
    limits::{PROTOCOL_VERSION, SEQUENCE_GAP_MAX},
    state::{Change, Member, ProtocolSchedule, StateError, StateView},
    transaction::{Action, CheckedTransaction, Role, Transaction},
};

/// The block a transaction is judged for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockContext {
    /// Its height.
    pub height: u64,
    /// Its time, in milliseconds since 1970.
    pub time_ms: u64,
}

/// Why a transaction has no effect.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The rules say no.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The state could not be read, so there is no verdict.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Judges a transaction on a state. The changes are to be applied together or not at all.
pub fn judge(
    state: &dyn StateView,
    block: BlockContext,
    checked: &CheckedTransaction,
) -> Result<Vec<Change>, JudgeError> {
    let transaction = checked.transaction();
    let member = author(state, transaction)?;
    let mut record = state.author(&transaction.author)?;
    if transaction.sequence <= record.last_sequence {
        let last = record.last_sequence;
        return Err(Rejection::SequenceUsed { sequence: transaction.sequence, last }.into());
    }
    if transaction.sequence - record.last_sequence > SEQUENCE_GAP_MAX {
        let last = record.last_sequence;
        return Err(Rejection::SequenceTooFar { sequence: transaction.sequence, last }.into());
    }
    if block.time_ms > transaction.valid_until_ms {
        return Err(Rejection::Expired { valid_until_ms: transaction.valid_until_ms }.into());
    }
    let mut changes = act(state, block, transaction, &member)?;
    // A file action may already have changed the author's counters.
    let own = changes.iter_mut().find_map(|change| match change {
        Change::Author { node, record } if *node == transaction.author => Some(record),
        _ => None,
    });
    match own {
        Some(counters) => counters.last_sequence = transaction.sequence,
        None => {
            record.last_sequence = transaction.sequence;
            changes.push(Change::Author { node: transaction.author, record });
        }
    }
    Ok(changes)
}

/// Judges only what is asked, as if the author's signature, sequence and time were in order: what a node tells its
/// own clients before it signs anything.
pub fn judge_action(
    state: &dyn StateView,
    block: BlockContext,
    transaction: &Transaction,
) -> Result<(), JudgeError> {
    let member = author(state, transaction)?;
    act(state, block, transaction, &member).map(|_| ())
}

fn author(state: &dyn StateView, transaction: &Transaction) -> Result<Member, JudgeError> {
    let author = transaction.author;
    match state.member(&author)? {
        Some(member) => Ok(member),
        None => match state.removed_at(&author)? {
            Some(height) => Err(Rejection::Removed { node: author, height }.into()),
            None => Err(Rejection::NotAMember { node: author }.into()),
        },
    }
}

fn act(
    state: &dyn StateView,
    block: BlockContext,
    transaction: &Transaction,
    member: &Member,
) -> Result<Vec<Change>, JudgeError> {
    let author = transaction.author;
    match &transaction.action {
        Action::AddFile { file, replaces } => {
            require(member, Role::Publisher, author)?;
            files::add(state, block, author, member, file, replaces.as_ref())
        }
        Action::RemoveFile { name, file_id } => {
            require(member, Role::Publisher, author)?;
            files::remove(state, author, member, name, file_id)
        }
        Action::AddNode { node, address, invitation, joiner_signature } => {
            let network = &transaction.network;
            nodes::add(state, block, network, node, address, invitation, joiner_signature)
        }
        Action::RemoveNode { node } => {
            if *node != author {
                require(member, Role::Admin, author)?;
            }
            nodes::remove(state, block, node)
        }
        Action::UpdateNode { node, change } => nodes::update(state, author, member, node, change),
        Action::Upgrade { version, from_height } => {
            require(member, Role::Admin, author)?;
            upgrade(state, block, *version, *from_height)
        }
        Action::Void {} => Ok(Vec::new()),
    }
}

fn require(member: &Member, role: Role, node: NodeId) -> Result<(), Rejection> {
    if member.role >= role { Ok(()) } else { Err(Rejection::Role { node, has: member.role, needs: role }) }
}

fn upgrade(
    state: &dyn StateView,
    block: BlockContext,
    version: u16,
    from_height: u64,
) -> Result<Vec<Change>, JudgeError> {
    let protocol = state.protocol()?;
    if protocol.next == Some((version, from_height)) {
        return Err(Rejection::AlreadyTrue(AlreadyTrue::UpgradeScheduled).into());
    }
    let current = protocol.version_at(block.height);
    if version <= current || from_height <= block.height {
        return Err(Rejection::Upgrade { version, from_height, current, height: block.height }.into());
    }
    Ok(vec![Change::Protocol(ProtocolSchedule { version: current, next: Some((version, from_height)) })])
}

/// Whether this program knows the rules of `height`; with other ones it must stop, not guess.
pub(crate) fn known_at(protocol: ProtocolSchedule, height: u64) -> Result<(), u16> {
    let version = protocol.version_at(height);
    if version == PROTOCOL_VERSION { Ok(()) } else { Err(version) }
}
