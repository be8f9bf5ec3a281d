//! The ledger under simulation: real replicas and gossips, and around them networks, disks, clocks and people that do
//! their worst.

pub(crate) mod census;
pub(crate) mod checkers;
mod clients;
mod clock;
mod disk;
mod ending;
mod faults;
mod forger;
mod liar;
mod machine;
mod message;
mod network;
mod operator;
pub(crate) mod plan;
mod trace;
mod trial;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;

use census::Census;
use checkers::{Checker, Violation};

/// A fault of the simulation's own, which the checkers must notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A crash loses the write-ahead log.
    WalDropped,
    /// A step's messages go out although a crash undoes the step.
    SendBeforeSync,
}

/// How seeds are run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// What is broken on purpose.
    pub mutation: Option<Mutation>,
    /// Whether every event is written to the error output.
    pub is_traced: bool,
}

/// What a run amounted to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Numbers {
    /// Height of the final chain.
    pub blocks: u64,
    /// Transactions in it, but for those of the founding.
    pub transactions: u64,
    /// Writes that clients were told are final.
    pub acknowledged: u64,
    /// Crashes of nodes.
    pub crashes: u64,
    /// Pieces of evidence that honest nodes found.
    pub evidence: u64,
    /// Messages that nodes sent each other.
    pub messages: u64,
    /// The highest round any validator was in.
    pub round_max: u32,
    /// How long the run took by its own clock.
    pub virtual_ms: u64,
    /// How long it took after healing until all writes were final everywhere.
    pub recovery_ms: u64,
}

/// How a seed's run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Validators at the beginning.
    pub validators: usize,
    /// Whether a validator lied.
    pub has_liar: bool,
    /// What it amounted to.
    pub numbers: Numbers,
    /// What happened how often.
    pub census: Census,
    /// SHA-256 of all that happened, in order.
    pub trace: [u8; 32],
    /// What must not be and was.
    pub violation: Option<Violation>,
}

/// Runs one seed from the founding of its network to the end.
pub fn run_seed(seed: u64, options: &Options) -> Outcome {
    let run = catch_unwind(AssertUnwindSafe(|| trial::run(seed, options)));
    run.unwrap_or_else(|panic| {
        let says = panic.downcast_ref::<String>().cloned();
        let says = says.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let what = format!("panicked: {}", says.unwrap_or_else(|| "(no message)".to_owned()));
        Outcome {
            seed,
            validators: 0,
            has_liar: false,
            numbers: Numbers::default(),
            census: Census::default(),
            trace: [0; 32],
            violation: Some(Violation::new(Checker::Health, what)),
        }
    })
}
