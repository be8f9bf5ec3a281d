//! A SwiftServe node as a library: everything `swiftserve-node` runs, to be started inside another program or a test.
//!
//! The crate composes and decides nothing: the ledger's rules are `swift-chain`'s, content is `swift-chunks`', what
//! nodes say to each other is `swift-p2p`'s, what clients may ask `swift-http`'s.
//!
//! ```no_run
//! use swiftserve_node::{Node, NodeOptions};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let node = Node::start(NodeOptions::new("data", "127.0.0.1", 8000)?).await?;
//! println!("{} serves network {}", node.id(), node.network());
//! node.stop(std::time::Duration::from_secs(10)).await;
//! # Ok(()) }
//! ```
//!
//! `examples/embed.rs` is a whole program around one.

mod backup;
mod config;
mod data_dir;
mod node;
mod rebuilding;
mod recovery;
mod routes;

pub use backup::{Backup, BackupError, Manifest, Restored};
pub use config::{AfterRestore, Args, CertificateFiles, ClientSettings, Config, ConfigError, ConfigSource};
pub use data_dir::{DataDir, DataDirError};
pub use node::{CertificateError, LedgerDamage, Node, NodeFailure, NodeOptions, StartError};
pub use rebuilding::{KnownPeer, MissingBlocks, RebuildError, RebuildOptions, Rebuilt};
pub use recovery::{Acceptance, Accepted, Consent, Recovered, Recovery, RecoveryError};
