//! Why a recovery did not happen.

use std::path::PathBuf;

use swift_chain::{
    DbError, NetworkId, NodeId,
    recovery::{AcceptError, RecoverError, RecoveryFileError},
};

use crate::{data_dir::DataDirError, node::StartError};

/// Why a network was not recovered. The folder is as it was, unless the text says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The folder.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// A ledger, old or new.
    #[error(transparent)]
    Db(#[from] DbError),
    /// What a node has on disk.
    #[error(transparent)]
    Open(#[from] StartError),
    /// There is no ledger.
    #[error("there is no ledger in {}: only a node that has one can found its network anew", .0.display())]
    NoLedger(PathBuf),
    /// This node cannot found the network anew.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// The network was founded anew already, and nothing has happened since.
    #[error(
        "this node has founded network {0} already, and nothing has happened there yet; --file-only writes its \
         recovery file again"
    )]
    DoneAlready(NetworkId),
    /// The file for the others is there already.
    #[error("{} exists already; choose another --out", .0.display())]
    FileExists(PathBuf),
    /// The file for the others cannot be written.
    #[error("cannot write {}: {error}", .path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: RecoveryFileError,
    },
    /// The file is no recovery file.
    #[error("{} is no recovery file: {error}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: RecoveryFileError,
    },
    /// The recovered network is not one for this node.
    #[error(transparent)]
    Accept(#[from] AcceptError),
    /// This node's ledger is too short to compare.
    #[error(
        "this node's ledger ends at height {ours}, the recovered network goes on from {theirs}: this node cannot \
         check by itself that nothing was changed; --trust-recovery accepts it on the word of its founder, {founder}"
    )]
    Unchecked {
        /// This node's height.
        ours: u64,
        /// The height it goes on from.
        theirs: u64,
        /// Who founded it.
        founder: NodeId,
    },
    /// This node has blocks that the recovered network has not.
    #[error(
        "this node's ledger ends at height {ours}, the recovered network goes on from {theirs}: {} final blocks would \
         be lost; found it anew from this node instead (swiftserve-node recover), or give up these blocks with \
         --discard-blocks", .ours - .theirs
    )]
    Ahead {
        /// This node's height.
        ours: u64,
        /// The height it goes on from.
        theirs: u64,
    },
    /// This node is no member of it.
    #[error(
        "{node} is no member of the recovered network {network}; it can join with a new folder and a ticket"
    )]
    NotAMember {
        /// This node.
        node: NodeId,
        /// The network.
        network: NetworkId,
    },
    /// Another program has a ledger open.
    #[error("{} is not merged into its database: close whatever has it open, and try again", .0.display())]
    InUse(PathBuf),
}
