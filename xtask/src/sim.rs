//! `cargo xtask sim`: the simulation of many nodes, which is a program of its own.
//!
//! The ledger's runs with dev builds, which share everything with the tests and check every overflow: a release build
//! would be several times as fast and takes longer to make than 200 seeds take to run. The swarm's runs with a release
//! build: a thousand nodes move a hundred gigabytes.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::interrupt::Interrupt;
use crate::scenario::binaries::{Profile, find_or_build_alone, find_or_build_program};
use crate::scenario::wait::Patience;

/// What `cargo xtask test` runs.
const CHECK: &[&str] = &["ledger", "--seeds", "200"];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What is passed on, as in `ledger --seeds 200` or `swarm --nodes 1000 --size 128MiB`; `help ledger` and `help
    /// swarm` tell all
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    passed_on: Vec<String>,
    /// Runs a release build, as a swarm's run does anyhow
    #[arg(long)]
    release: bool,
}

impl Args {
    /// The seeds that belong to the checks.
    pub(crate) fn check() -> Self {
        Self { passed_on: CHECK.iter().map(|word| (*word).to_owned()).collect(), release: false }
    }
}

pub(crate) fn run(args: &Args, interrupt: &Interrupt) -> Result<()> {
    let is_swarm = args.passed_on.first().is_some_and(|word| word == "swarm");
    let program = if args.release || is_swarm {
        find_or_build_alone("swift-sim", Profile::Release)?
    } else {
        find_or_build_program("swift-sim", Profile::Dev)?
    };
    let said = format!("swift-sim {}", args.passed_on.join(" "));
    eprintln!("$ {said}");
    let spawned = Command::new(&program).args(&args.passed_on).spawn();
    let mut child = spawned.with_context(|| format!("cannot run {}", program.display()))?;
    match Patience::new(interrupt).for_ever(&said, || Ok(child.try_wait()?)) {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!("`{said}` ended with {status}"),
        Err(error) => {
            // Interrupted: at a terminal the child had the same signal, and this is a race we may lose.
            child.kill().ok();
            child.wait().ok();
            Err(error)
        }
    }
}
