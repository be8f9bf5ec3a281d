//! `swift-sim ledger --seeds N` runs seeds of the ledger on all processors; `swift-sim swarm` runs one swarm. Both say
//! what came of it in a line of JSON.

mod swarm_args;

use std::{
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use clap::{Parser, ValueEnum};
use mimalloc::MiMalloc;
use serde::Serialize;
use swarm_args::{Run, SwarmArgs};
use swift_sim::{Checker, Mutation, Options, Outcome, Totals, Violation, run_seed, swarm};

/// A thousand machines allocate all the time, on threads that come and go: a run takes a twelfth less time than with the C
/// library's allocator.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Seeds after which progress is told.
const TELL_EVERY: u64 = 25;

#[derive(Parser)]
#[command(name = "swift-sim", about = "Seeded simulation of many nodes", version)]
enum Cli {
    /// The ledger: replicas, consensus, gossip
    Ledger(Args),
    /// The swarm: how near the best possible a file comes to many nodes
    Swarm(Box<SwarmArgs>),
}

#[derive(clap::Args)]
struct Args {
    /// How many seeds to run, from 0 on
    #[arg(long, default_value_t = 1, conflicts_with = "seed")]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0, conflicts_with = "seed")]
    first: u64,
    /// Runs this seed only
    #[arg(long)]
    seed: Option<u64>,
    /// Writes every event to the error output; with one seed only
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Breaks something on purpose: the checkers must notice
    #[arg(long, value_enum)]
    mutate: Option<Mutate>,
    /// Runs every seed twice and compares
    #[arg(long)]
    check_determinism: bool,
    /// Threads; as many as there are processors unless told
    #[arg(long)]
    jobs: Option<usize>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mutate {
    /// A crash loses the write-ahead log
    WalDropped,
    /// Messages of a step go out although a crash undoes the step
    SendBeforeSync,
}

fn main() -> ExitCode {
    match Cli::parse() {
        Cli::Ledger(args) => run_ledger(&args),
        Cli::Swarm(args) => run_swarm(&args),
    }
}

fn run_swarm(args: &SwarmArgs) -> ExitCode {
    let runs = match args.runs() {
        Ok(runs) => runs,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let codes: Vec<bool> = runs.iter().map(run_one_swarm).collect();
    if codes.iter().all(|&is_good| is_good) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_one_swarm(run: &Run) -> bool {
    let begun = Instant::now();
    let mut outcome = match run {
        Run::Plan(plan) => swarm::run(plan),
        Run::Scenario(scenario) => scenario.run(),
    };
    if let Ok(outcome) = &mut outcome {
        outcome.wall_seconds = (begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    }
    match outcome {
        Ok(outcome) => {
            outcome.violations.iter().for_each(|violation| eprintln!("FAILED, {violation}"));
            print_line(&outcome, outcome.violations.is_empty()) == ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            false
        }
    }
}

fn run_ledger(args: &Args) -> ExitCode {
    // A panic is one seed's failure, told in a line.
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    let begun = Instant::now();
    let mut totals = run(args);
    totals.finish(begun.elapsed().as_secs_f64());
    for failure in totals.failures() {
        match failure.seed {
            Some(seed) => eprintln!(
                "seed {seed} FAILED, {}\n  to replay it: cargo xtask sim ledger --seed {seed} --trace",
                failure.violation
            ),
            None => eprintln!("FAILED, {}", failure.violation),
        }
    }
    print_line(&totals, totals.failures().is_empty())
}

fn print_line(result: &impl Serialize, is_good: bool) -> ExitCode {
    match serde_json::to_string(result) {
        Ok(line) => println!("{line}"),
        Err(error) => {
            eprintln!("error: the result cannot be written: {error}");
            return ExitCode::FAILURE;
        }
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the seeds, each on the next free thread.
fn run(args: &Args) -> Totals {
    let (first, count) = args.seed.map_or((args.first, args.seeds), |seed| (seed, 1));
    let mutation = args.mutate.map(|mutate| match mutate {
        Mutate::WalDropped => Mutation::WalDropped,
        Mutate::SendBeforeSync => Mutation::SendBeforeSync,
    });
    let options = Options { mutation, is_traced: args.trace };
    let (next, totals) = (AtomicU64::new(first), Mutex::new(Totals::default()));
    let jobs = args.jobs.or_else(|| thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first.saturating_add(count) {
                        return;
                    }
                    let outcome = run_seed(seed, &options);
                    let again = args.check_determinism.then(|| run_seed(seed, &options));
                    let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
                    tell(&mut totals, &outcome, again.as_ref(), count);
                }
            });
        }
    });
    totals.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn tell(totals: &mut Totals, outcome: &Outcome, again: Option<&Outcome>, count: u64) {
    totals.add(outcome);
    if again.is_some_and(|again| again.trace != outcome.trace) {
        let what = "two runs of this seed differ".to_owned();
        totals.fail(Some(outcome.seed), Violation { checker: Checker::Determinism, what });
    }
    if let Some(violation) = &outcome.violation {
        eprintln!("seed {}: {violation}", outcome.seed);
    }
    if totals.seeds().is_multiple_of(TELL_EVERY) || totals.seeds() == count {
        eprintln!("{} of {count} seeds, {} failures", totals.seeds(), totals.failures().len());
    }
}
