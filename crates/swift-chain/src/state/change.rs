//! What a block changes.

use serde::{Deserialize, Serialize};

use super::view::{AuthorRecord, FileRecord, Member, ProtocolSchedule};
use crate::{
    encoding,
    genesis::{Genesis, NetworkParams},
    hash::{Hash, sha256},
    identity::NodeId,
    limits::PROTOCOL_VERSION,
    name::NameKey,
    transaction::Role,
    validators::ValidatorSet,
};

/// One record of the state after a block that differs from the one before. The state hash covers these, in the order
/// of the variants and then of their keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Limits of the network; the genesis block only.
    Params(NetworkParams),
    /// Which rules hold.
    Protocol(ProtocolSchedule),
    /// Who certifies the next block.
    Validators(ValidatorSet),
    /// A member came or changed (`Some`), or went (`None`).
    Member {
        /// Whose.
        node: NodeId,
        /// The record now.
        member: Option<Member>,
    },
    /// A key was removed for good.
    Removed {
        /// Whose.
        node: NodeId,
        /// By which block.
        height: u64,
    },
    /// An author's counters.
    Author {
        /// Whose.
        node: NodeId,
        /// The record now.
        record: AuthorRecord,
    },
    /// A name got a file (`Some`) or lost it (`None`).
    File {
        /// Under which key.
        key: NameKey,
        /// The record now.
        file: Option<FileRecord>,
    },
    /// An invitation was used.
    InvitationUsed {
        /// Its nonce.
        nonce: [u8; 16],
    },
}

impl Change {
    /// What the genesis block makes of nothing, or of the state that it imports. The founder of a recovered network is
    /// a member by the imported state.
    pub fn of_genesis(genesis: &Genesis) -> Vec<Self> {
        let body = genesis.body();
        let mut changes = vec![
            Self::Params(body.params),
            Self::Protocol(ProtocolSchedule { version: PROTOCOL_VERSION, next: None }),
            Self::Validators(ValidatorSet::sole(body.founder)),
        ];
        if body.origin.is_none() {
            let member = Member { role: Role::Admin, address: body.address.clone(), joined_height: 0 };
            changes.push(Self::Member { node: body.founder, member: Some(member) });
        }
        changes
    }
}

/// The state hash after a block: SHA-256 of a domain prefix, the hash before and the block's changes.
pub(crate) fn chain_state_hash(previous: Hash, changes: &[Change]) -> Hash {
    let changes = encoding::encode(&changes);
    Hash::from_bytes(sha256(&[b"swiftserve/state/1\0", previous.as_bytes(), &changes]))
}
