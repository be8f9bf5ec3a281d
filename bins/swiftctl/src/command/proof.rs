//! `proof`: who published a file, for everybody who has the network's id.

mod checking;
mod fetching;
mod verdict;

use std::path::PathBuf;

use clap::ValueEnum;
use swift_chain::{Checkpoint, NetworkId};

use crate::{
    cli::Context,
    error::Error,
    output::{Format, Output},
};

/// What to prove, or what to verify.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file's name in the network
    #[arg(value_name = "NAME", required_unless_present = "verify", conflicts_with = "verify")]
    name: Option<String>,
    /// Where to put the receipt: a file or a folder; else here, as NAME.receipt. With --verify: how data is printed
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Overwrites a receipt that is there
    #[arg(long, conflicts_with = "verify")]
    force: bool,
    /// Verifies a receipt; no node is asked
    #[arg(long, value_name = "FILE")]
    verify: Option<PathBuf>,
    /// The network it must be of: the network id in `swiftctl status` of a node that you trust
    #[arg(long, value_name = "ID")]
    network: Option<NetworkId>,
    /// A block known to be in the chain: the receipt must have it, where it has one of that height
    #[arg(long, value_name = "HEIGHT:HASH", requires = "verify")]
    checkpoint: Option<Checkpoint>,
    /// A copy of the file, to see whether it is the one that the receipt is about
    #[arg(long, value_name = "PATH", requires = "verify")]
    content: Option<PathBuf>,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), Error> {
    match (&args.verify, &args.name) {
        (Some(file), _) => {
            let network = args.network.ok_or_else(|| {
                Error::Usage(
                    "--verify needs --network ID, the network that the receipt must be of: `swiftctl status` of a \
                     node that you trust shows it as network id; do not take it from where the receipt came from"
                        .into(),
                )
            })?;
            checking::check(verify_output(context, args)?, args, file, network)
        }
        (None, Some(name)) => fetching::fetch(&context.client()?, context.plain_output(), args, name).await,
        (None, None) => Err(Error::Usage("name a file, or a receipt with --verify".into())),
    }
}

/// Nothing is written by a verification, so `-o` can only be about how it prints, as with other commands.
fn verify_output(context: &Context, args: &Args) -> Result<Output, Error> {
    let Some(given) = &args.output else { return Ok(context.plain_output()) };
    match Format::from_str(&given.to_string_lossy(), false) {
        Ok(format) => Ok(Output::new(format)),
        Err(_) => Err(Error::Usage("with --verify, -o takes a format: table or json".into())),
    }
}
