//! Why a node does not start, or not go on.

use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use swift_chain::{DbError, NetworkId, NodeIdError, Poisoned};
use swift_chunks::{OpenError, StoreError};
use swift_http::TokenError;
use swift_p2p::{
    driver::{
        CatalogError, GossipError, JoinError, LedgerStartError, LevelError, PublishError, StoredLimitsError,
        SwarmStartError,
    },
    transport::TlsError,
};

use super::CertificateError;
use crate::data_dir::DataDirError;

/// A ledger that holds what nobody wrote. Nothing but another file helps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the ledger file {} is damaged ({reason}). Look at the disk. Then, with the node stopped, `swiftserve-node \
     rebuild-ledger --data-dir {}` keeps the file under another name and makes the ledger anew, from its own blocks and \
     those of other members", .path.display(), data_dir(.path).display()
)]
pub struct LedgerDamage {
    /// The file.
    pub path: PathBuf,
    /// What was found.
    pub reason: String,
}

fn data_dir(ledger: &Path) -> &Path {
    ledger.parent().unwrap_or(ledger)
}

impl LedgerDamage {
    fn in_folder(data_dir: &Path, reason: &dyn fmt::Display) -> Self {
        Self { path: data_dir.join("ledger.db"), reason: reason.to_string() }
    }
}

/// Why a node did not start. What it had made in its folder stays and is used by the next start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The port.
    #[error("cannot listen on {address}: {source}{}", hint(.source))]
    Bind {
        /// Where.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The ledger.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The ledger holds what nobody wrote.
    #[error(transparent)]
    LedgerDamaged(#[from] LedgerDamage),
    /// The ledger's thread.
    #[error(transparent)]
    Ledger(#[from] LedgerStartError),
    /// The swarm's threads.
    #[error(transparent)]
    Swarm(#[from] SwarmStartError),
    /// The store.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The store cannot be brought level.
    #[error(transparent)]
    Level(#[from] LevelError),
    /// The tokens.
    #[error(transparent)]
    Tokens(#[from] TokenError),
    /// The log of who was refused.
    #[error("cannot open {}: {source}", .path.display())]
    SecurityLog {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The certificate for browsers.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The network did not take this node in.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// Limits that were set before.
    #[error("{}: {error}", .path.display())]
    Limits {
        /// The file they are in.
        path: PathBuf,
        /// Why they cannot be used.
        error: StoredLimitsError,
    },
    /// This node's key cannot be shown.
    #[error(transparent)]
    Key(#[from] NodeIdError),
    /// Interrupted uploads could not be read.
    #[error(transparent)]
    Resume(#[from] PublishError),
    /// The folder belongs to another network than the ticket.
    #[error("the data folder belongs to network {ours}, the ticket is for {theirs}: use another --data-dir")]
    OtherNetwork {
        /// The folder's.
        ours: NetworkId,
        /// The ticket's.
        theirs: NetworkId,
    },
    /// The folder's content came from another network.
    #[error(
        "the files in this data folder came from network {theirs}, its ledger is that of {ours}: use another --data-dir"
    )]
    ForeignContent {
        /// The ledger's.
        ours: NetworkId,
        /// What the folder says.
        theirs: String,
    },
    /// The system has no random numbers.
    #[error("no random numbers from the system: {0}")]
    Random(getrandom::Error),
    /// A thread that was to open something has ended.
    #[error("the start was interrupted")]
    Interrupted,
}

impl StartError {
    /// Names the file and what to do, if the ledger in a folder is damaged.
    pub(super) fn in_folder(self, data_dir: &Path) -> Self {
        match &self {
            Self::Db(error)
            | Self::Ledger(LedgerStartError::Db(error))
            | Self::Level(LevelError::Ledger(error))
                if error.is_damage() =>
            {
                LedgerDamage::in_folder(data_dir, error).into()
            }
            _ => self,
        }
    }

    pub(super) fn bind(address: SocketAddr) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Bind { address, source }
    }
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        OpenError::from(error).into()
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => " (another program uses the port; choose another --port)",
        io::ErrorKind::PermissionDenied => " (ports below 1024 need rights; choose another --port)",
        io::ErrorKind::AddrNotAvailable => " (this machine does not have that address; see --bind)",
        _ => "",
    }
}

/// Why a running node had to stop. What it had acknowledged is stored.
#[derive(Debug, thiserror::Error)]
pub enum NodeFailure {
    /// The ledger's storage.
    #[error(transparent)]
    Ledger(#[from] Poisoned),
    /// The ledger holds what nobody wrote.
    #[error(transparent)]
    LedgerDamaged(#[from] LedgerDamage),
    /// A synchronisation failed, so nobody knows what of the latest writes is on the disk.
    #[error("the store stopped: {0}; check the disk, then start again")]
    Store(String),
    /// The catalog.
    #[error("the store cannot follow the ledger: {0}")]
    Catalog(#[from] CatalogError),
    /// The network cannot be followed.
    #[error(transparent)]
    Gossip(#[from] GossipError),
    /// A part ended that should not.
    #[error("{0} ended unexpectedly")]
    Ended(&'static str),
}

impl NodeFailure {
    pub(super) fn of_ledger(data_dir: &Path, poisoned: Poisoned) -> Self {
        if poisoned.is_damage() { Self::damaged(data_dir, &poisoned.reason()) } else { poisoned.into() }
    }

    pub(super) fn of_catalog(data_dir: &Path, error: CatalogError) -> Self {
        match error {
            CatalogError::Missing(_) => Self::damaged(data_dir, &error),
            CatalogError::Ledger(error) if error.is_damage() => Self::damaged(data_dir, &error),
            error => error.into(),
        }
    }

    pub(super) fn damaged(data_dir: &Path, reason: &dyn fmt::Display) -> Self {
        LedgerDamage::in_folder(data_dir, reason).into()
    }
}
