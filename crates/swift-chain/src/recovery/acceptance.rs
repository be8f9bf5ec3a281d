//! Whether a node that has the old ledger can accept a network that was founded anew.

use super::{RecoverFault, audit, commitment};
use crate::{
    audit::AuditError,
    db::{DbError, LedgerReader},
    genesis::Genesis,
    hash::{BlockHash, NetworkId},
    snapshot::Commitment,
    state::{StateError, StateView},
};

/// How a node's own ledger stands to the block that a recovered network goes on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It ends with that block, and the imported state is its own.
    Level,
    /// It ends before that block: it cannot tell whether the imported state is right.
    Behind {
        /// Its own height.
        height: u64,
    },
    /// It goes on behind that block, up to which all is its own: these blocks, which are final, would be lost.
    Ahead {
        /// Its own height.
        height: u64,
    },
}

/// Why a recovered network is not one that this node's network can go on as. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// This node's ledger cannot be read.
    #[error(transparent)]
    Db(#[from] DbError),
    /// This node's state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// This node's own chain does not verify.
    #[error("this node's own ledger does not verify, so it cannot be compared: {0}")]
    Audit(#[from] AuditError),
    /// It imports nothing.
    #[error("{0} is no recovered network: its genesis block imports no state")]
    NotRecovered(NetworkId),
    /// It goes on from another network.
    #[error("the recovered network goes on from network {theirs}, this node belongs to {ours}")]
    OtherNetwork {
        /// This node's.
        ours: NetworkId,
        /// The one that the genesis block names.
        theirs: NetworkId,
    },
    /// It goes on from another block than the one this node has.
    #[error(
        "the recovered network goes on from block {theirs} at height {height}, this node has {ours} there: the chain \
         has forked, and this file is for the other side"
    )]
    OtherBlock {
        /// The height.
        height: u64,
        /// This node's block.
        ours: BlockHash,
        /// The block that the genesis block names.
        theirs: BlockHash,
    },
    /// It imports another state than this node's.
    #[error(
        "the recovered network does not have the members, files or limits that this node's ledger has at height \
         {height}: whoever founded it changed them, or one of the two ledgers is damaged"
    )]
    OtherState {
        /// The height.
        height: u64,
    },
}

impl From<RecoverFault> for AcceptError {
    fn from(fault: RecoverFault) -> Self {
        match fault {
            RecoverFault::Db(error) => error.into(),
            RecoverFault::Audit(error) => error.into(),
        }
    }
}

/// Compares a recovered network with the ledger of a node, as far as that goes. That the imported state is the one that
/// the genesis block names is checked when it is read.
pub fn examine(own: &LedgerReader, genesis: &Genesis) -> Result<Standing, AcceptError> {
    let origin = genesis.body().origin.ok_or(AcceptError::NotRecovered(genesis.id()))?;
    let (ours, theirs) = (own.network(), origin.network);
    if ours != theirs {
        return Err(AcceptError::OtherNetwork { ours, theirs });
    }
    let height = own.head()?.height;
    let Some(ours) = own.block_hash(origin.height)? else { return Ok(Standing::Behind { height }) };
    if ours != origin.hash {
        return Err(AcceptError::OtherBlock { height: origin.height, ours, theirs: origin.hash });
    }
    let state = if height == origin.height {
        own.snapshot(|_| Ok::<_, DbError>(()))?
    } else {
        commitment(audit(own, Some(origin.height))?.state())
    };
    let imported = Commitment { state: origin.state, frames: origin.frames };
    if state != imported || own.state().params()? != genesis.body().params {
        return Err(AcceptError::OtherState { height: origin.height });
    }
    Ok(if height == origin.height { Standing::Level } else { Standing::Ahead { height } })
}
