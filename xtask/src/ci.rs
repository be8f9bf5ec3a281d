//! `cargo xtask ci`: the checks as CI runs them. `.ci/run` reaches the same by `CI=true cargo xtask test`.

use anyhow::Result;

use crate::interrupt::Interrupt;
use crate::test;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Goes on after a step that failed; the run still fails in the end
    #[arg(long)]
    keep_going: bool,
}

pub(crate) fn run(args: &Args, interrupt: &Interrupt) -> Result<()> {
    test::run_all(test::Settings::Ci, args.keep_going, interrupt)
}
