//! The project's own tool, run as `cargo xtask SUBCOMMAND`: its checks, its scenarios with real processes, a
//! demonstration, and benchmarks. It drives the programs from outside and depends on none of our crates, so it can neither be
//! fooled by them nor keep them from being rearranged.

mod bench;
mod browser;
mod cargo;
mod ci;
mod demo;
mod interrupt;
mod scenario;
mod setup;
mod sim;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::Parser;

use crate::interrupt::Interrupt;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Checks, scenarios, demonstrations and benchmarks of SwiftServe")]
enum Cli {
    /// Runs every check of the project, step by step
    Test(test::Args),
    /// Runs every check as CI does: lock file as it is, no incremental builds, no colours
    Ci(ci::Args),
    /// Finds what this machine lacks for the checks and installs it where it may
    Setup(setup::Args),
    /// Checks the repository's own rules: dependency direction, purity, manifests, sources, documents
    Tidy,
    /// Plays scenarios with real node processes
    Scenario(scenario::Args),
    /// Tests the dashboard in a real browser, on real nodes
    Browser(browser::Args),
    /// Takes the pictures of the dashboard that the documents show
    Screenshots(browser::screenshots::Args),
    /// Runs the seeded simulation of many nodes
    Sim(sim::Args),
    /// Founds a network of real nodes, sends a file through it and stays up to be tried
    Demo(demo::Args),
    /// Measures release builds and says which bars hold
    Bench(bench::Args),
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Never with a backtrace: it shows where this tool noticed something, not what is wrong.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let interrupt = Interrupt::install()?;
    match cli {
        Cli::Test(args) => test::run(&args, &interrupt),
        Cli::Ci(args) => ci::run(&args, &interrupt),
        Cli::Setup(args) => setup::run(&args),
        Cli::Tidy => tidy::run(),
        Cli::Scenario(args) => scenario::run(&args, &interrupt),
        Cli::Browser(args) => browser::run(&args, &interrupt),
        Cli::Screenshots(args) => browser::screenshots::run(&args, &interrupt),
        Cli::Sim(args) => sim::run(&args, &interrupt),
        Cli::Demo(args) => demo::run(&args, &interrupt),
        Cli::Bench(args) => bench::run(&args, &interrupt),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn steps_are_named_once_or_several_times() {
        let cli = Cli::try_parse_from(["xtask", "test", "--only", "fmt", "--only", "tidy", "--keep-going"]);
        let Ok(Cli::Test(args)) = cli else { panic!("not understood as `test`") };
        assert_eq!(args.only, ["fmt", "tidy"]);
        assert!(args.keep_going);
        assert!(Cli::try_parse_from(["xtask", "test", "--only", "nonsense"]).is_err());
    }

    #[test]
    fn a_scenario_run_needs_to_be_told_what_to_play() {
        assert!(Cli::try_parse_from(["xtask", "scenario"]).is_err());
        assert!(Cli::try_parse_from(["xtask", "scenario", "--all", "--list"]).is_err());
        assert!(Cli::try_parse_from(["xtask", "scenario", "--all"]).is_ok());
        assert!(Cli::try_parse_from(["xtask", "scenario", "one_node_serves_what_it_took"]).is_ok());
        for how in [&["--release"][..], &["--network", "loopback"]] {
            assert!(Cli::try_parse_from([&["xtask", "scenario", "--all"], how].concat()).is_ok());
            assert!(Cli::try_parse_from([&["xtask", "scenario"], how].concat()).is_err());
        }
    }

    #[test]
    fn a_simulation_passes_its_words_on() {
        let cli = Cli::try_parse_from(["xtask", "sim", "--release", "ledger", "--seed", "7", "--trace"]);
        assert!(matches!(cli, Ok(Cli::Sim(_))));
        assert!(Cli::try_parse_from(["xtask", "sim"]).is_err());
    }

    #[test]
    fn a_demo_has_at_least_one_node_and_a_readable_size() {
        assert!(Cli::try_parse_from(["xtask", "demo", "--nodes", "0"]).is_err());
        assert!(Cli::try_parse_from(["xtask", "demo", "--size", "lots"]).is_err());
        assert!(Cli::try_parse_from(["xtask", "demo", "--size", "64MiB", "--nodes", "5", "--once"]).is_ok());
    }
}
