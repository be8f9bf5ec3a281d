//! `cargo xtask bench`: measures real programs in release builds, prints what came out, and says which bars hold.
//!
//! A benchmark is no check: a machine that is busy with something else misses bars without anything being wrong.

mod disk;
mod ledger;
mod limits;
mod start;
mod transfer;

use anyhow::Result;

use crate::interrupt::Interrupt;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// How many writes become final, how soon, and how fast a chain is verified and opened
    Ledger(ledger::Args),
    /// Whether rates stay within 5 % of the limits that are set, also when those change
    Limits(limits::Args),
    /// How soon a node with many files is ready
    Start(start::Args),
    /// What it costs to bring files to other nodes, to a node and from it
    Transfer(transfer::Args),
}

pub(crate) fn run(args: &Args, interrupt: &Interrupt) -> Result<()> {
    match &args.what {
        What::Ledger(args) => ledger::run(args, interrupt),
        What::Limits(args) => limits::run(args, interrupt),
        What::Start(args) => start::run(args, interrupt),
        What::Transfer(args) => transfer::run(args, interrupt),
    }
}

/// What runs beside the benchmark: the first of the system's load averages.
fn machine_load() -> String {
    let averages = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    averages.split(' ').next().filter(|first| !first.is_empty()).unwrap_or("unknown").to_owned()
}
