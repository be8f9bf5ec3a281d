//! `cargo xtask test`: every check of the project, in the order in which a mistake is cheapest to find.
//!
//! A step is a name, what it is for, and either cargo calls or a part of this program. Output streams through
//! unchanged: the closing lines of `cargo test` are what CI reads.

mod report;
mod step;

use std::env;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::builder::PossibleValuesParser;

use crate::interrupt::Interrupt;
pub(crate) use crate::test::step::Settings;
use report::{Outcome, Report};
use step::{STEPS, Step};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Goes on after a step that failed; the run still fails in the end
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Runs only this step; may be given several times
    #[arg(long, value_name = "STEP", value_parser = PossibleValuesParser::new(STEPS.iter().map(|s| s.name)))]
    pub(crate) only: Vec<String>,
    /// Names the steps and runs none
    #[arg(long, conflicts_with_all = ["only", "keep_going"])]
    list: bool,
}

/// Runs what the command line asks for; with `CI=true` in the environment, with the settings of CI.
pub(crate) fn run(args: &Args, interrupt: &Interrupt) -> Result<()> {
    if args.list {
        for step in STEPS {
            println!("{:<10} {}", step.name, step.about);
        }
        return Ok(());
    }
    let settings = match env::var_os("CI") {
        Some(value) if value == "true" => Settings::Ci,
        _ => Settings::Desk,
    };
    let chosen: Vec<&Step> =
        STEPS.iter().filter(|s| args.only.is_empty() || args.only.iter().any(|n| n == s.name)).collect();
    run_steps(&chosen, settings, args.keep_going, interrupt)
}

/// Runs all steps.
pub(crate) fn run_all(settings: Settings, keep_going: bool, interrupt: &Interrupt) -> Result<()> {
    run_steps(&STEPS.iter().collect::<Vec<_>>(), settings, keep_going, interrupt)
}

fn run_steps(steps: &[&Step], settings: Settings, keep_going: bool, interrupt: &Interrupt) -> Result<()> {
    let mut report = Report::default();
    play(steps, keep_going, interrupt, &mut report, |step| {
        println!("\n==> {}: {}", step.name, step.about);
        step.run(settings, interrupt)
    });
    println!("\n{report}");
    interrupt.check()?;
    match report.failed() {
        0 => Ok(()),
        n => bail!("{n} of {} steps failed", steps.len()),
    }
}

fn play(
    steps: &[&Step],
    keep_going: bool,
    interrupt: &Interrupt,
    report: &mut Report,
    mut run: impl FnMut(&Step) -> Result<()>,
) {
    let mut stopped = false;
    for step in steps {
        if stopped || interrupt.raised() {
            report.add(step.name, Outcome::Skipped);
            continue;
        }
        let begun = Instant::now();
        match run(step) {
            Ok(()) => report.add(step.name, Outcome::Passed(begun.elapsed())),
            Err(error) => {
                eprintln!("\n{} failed: {error:#}", step.name);
                eprintln!("to repeat this step: cargo xtask test --only {}", step.name);
                report.add(step.name, Outcome::Failed(begun.elapsed()));
                stopped = !keep_going;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(keep_going: bool, failing: &str) -> (Vec<&'static str>, Report) {
        let (mut seen, mut report) = (Vec::new(), Report::default());
        let steps: Vec<&Step> = STEPS.iter().collect();
        play(&steps, keep_going, &Interrupt::default(), &mut report, |step| {
            seen.push(step.name);
            if step.name == failing { bail!("made to fail") } else { Ok(()) }
        });
        (seen, report)
    }

    #[test]
    fn the_first_failure_stops_the_run() {
        let (seen, report) = played(false, "fmt");
        assert_eq!(seen, ["setup", "fmt"]);
        assert_eq!(report.failed(), 1);
    }

    #[test]
    fn with_keep_going_every_step_is_seen_and_the_failure_still_counts() {
        let (seen, report) = played(true, "fmt");
        assert_eq!(seen.len(), STEPS.len());
        assert_eq!(report.failed(), 1);
    }

    #[test]
    fn nothing_starts_after_an_interruption() {
        let interrupt = Interrupt::default();
        interrupt.raise();
        let mut report = Report::default();
        play(&STEPS.iter().collect::<Vec<_>>(), true, &interrupt, &mut report, |_| bail!("must not run"));
        assert_eq!(report.failed(), 0);
    }
}
