//! `inspect-chain`: the ledger's blocks for people, and the proof that they are right.

mod blocks;
mod evidence;
mod verifier;
mod verify;

use std::path::PathBuf;

pub(super) use blocks::told_action;
use swift_chain::NetworkId;

use crate::{cli::Context, error::Error, output::Shown};

/// What to look at.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Checks every block, signature, certificate and rule from the genesis block on
    #[arg(long)]
    verify: bool,
    /// Lists the proofs that validators signed what excludes each other, each one checked. With --file: checks such a
    /// proof, and no node is asked
    #[arg(long, conflicts_with_all = ["verify", "from"])]
    evidence: bool,
    /// The first block to list; without this, the newest ones are listed
    #[arg(long, value_name = "N", conflicts_with = "verify")]
    from: Option<u64>,
    /// How many blocks to list
    #[arg(long, value_name = "M", default_value_t = 20, conflicts_with = "verify")]
    limit: u64,
    /// Verifies a chain file, or with --evidence a proof; no node is asked
    #[arg(long, value_name = "CHAIN", conflicts_with_all = ["from", "limit"])]
    file: Option<PathBuf>,
    /// Writes the verified chain to a file, for `--file`; with --evidence each proof to a file in this folder
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "limit", "file"])]
    export: Option<PathBuf>,
    /// The network it must be; without this, the one that the node names
    #[arg(long, value_name = "ID")]
    network: Option<NetworkId>,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let output = context.output(&args.shown);
    if args.evidence {
        return match &args.file {
            Some(file) => evidence::file(output, file, args.network),
            None => evidence::node(&context.client()?, output, args.network, args.export.as_deref()).await,
        };
    }
    if let Some(file) = &args.file {
        verify::file(output, file, args.network)
    } else if args.verify || args.export.is_some() || args.network.is_some() {
        verify::node(&context.client()?, output, args).await
    } else {
        blocks::list(&context.client()?, output, args.from, args.limit).await
    }
}
