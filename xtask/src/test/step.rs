//! The steps of `cargo xtask test`: one table, read from top to bottom.

use std::process::ExitStatus;

use anyhow::{Context, Result, bail};

use crate::interrupt::Interrupt;
use crate::scenario::wait::Patience;
use crate::{browser, cargo, scenario, setup, sim, tidy};

/// Who runs the checks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settings {
    /// A person, who wants colours and quick repetition.
    Desk,
    /// CI: a clean checkout, the lock file taken as it is, nothing compiled incrementally.
    Ci,
}

pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    work: Work,
}

enum Work {
    /// Cargo calls, one after the other.
    Cargo(&'static [Call]),
    /// A part of this program.
    Setup,
    Tidy,
    Sim,
    Scenarios,
    Browser,
}

/// One call of cargo.
struct Call {
    env: Option<(&'static str, &'static str)>,
    args: &'static str,
    /// Whether the call looks at dependencies, and so takes `--locked` in CI.
    resolves: bool,
    /// What follows `--`.
    tail: &'static str,
}

const fn call(args: &'static str) -> Call {
    Call { env: None, args, resolves: true, tail: "" }
}

/// Clippy, documentation and tests share the builds of the crates of others: all use the dev profile, and so do the
/// binaries that the scenarios play with. The pure builds look at the library alone: what a crate's tests need is
/// not what it promises.
pub(crate) const STEPS: &[Step] = &[
    Step { name: "setup", about: "what the checks need on this machine", work: Work::Setup },
    Step {
        name: "fmt",
        about: "formatting",
        work: Work::Cargo(&[Call { resolves: false, ..call("fmt --all --check") }]),
    },
    Step { name: "tidy", about: "the repository's own rules", work: Work::Tidy },
    Step {
        name: "deny",
        about: "licences, banned crates and sources of what we depend on",
        work: Work::Cargo(&[Call { resolves: false, ..call("deny check licenses bans sources") }]),
    },
    Step {
        name: "clippy",
        about: "lints, also of the builds without network and without store",
        work: Work::Cargo(&[
            Call { tail: "-D warnings", ..call("clippy --workspace --all-targets") },
            Call { tail: "-D warnings", ..call("clippy -p swift-chunks --no-default-features") },
            Call { tail: "-D warnings", ..call("clippy -p swift-p2p --no-default-features") },
        ]),
    },
    Step {
        name: "docs",
        about: "documentation builds without a warning",
        work: Work::Cargo(&[Call {
            env: Some(("RUSTDOCFLAGS", "-Dwarnings")),
            ..call("doc --workspace --no-deps")
        }]),
    },
    Step {
        name: "tests",
        about: "unit, property, integration and documentation tests",
        work: Work::Cargo(&[call("test --workspace")]),
    },
    Step { name: "sim", about: "many simulated ledgers in trouble, 200 seeds", work: Work::Sim },
    Step { name: "scenarios", about: "real node processes, end to end", work: Work::Scenarios },
    Step { name: "browser", about: "the dashboard in a real Chromium, on real nodes", work: Work::Browser },
];

impl Step {
    pub(crate) fn run(&self, settings: Settings, interrupt: &Interrupt) -> Result<()> {
        match &self.work {
            Work::Cargo(calls) => calls.iter().try_for_each(|call| call.run(settings, interrupt)),
            Work::Setup => setup::run(&setup::Args::default()),
            Work::Tidy => tidy::run(),
            Work::Sim => sim::run(&sim::Args::check(), interrupt),
            Work::Scenarios => scenario::run(&scenario::Args::all(), interrupt),
            Work::Browser => browser::run(&browser::Args::all(), interrupt),
        }
    }
}

impl Call {
    fn run(&self, settings: Settings, interrupt: &Interrupt) -> Result<()> {
        let said = self.said(settings);
        println!("$ {said}");
        let mut command = cargo::command()?;
        command.args(self.words(settings));
        if let Some((name, value)) = self.env {
            command.env(name, value);
        }
        if settings == Settings::Ci {
            command.env("CARGO_INCREMENTAL", "0").env("CARGO_TERM_COLOR", "never");
        }
        let mut child = command.spawn().with_context(|| format!("cannot run `{said}`"))?;
        let ended = Patience::new(interrupt).for_ever(&said, || Ok(child.try_wait()?));
        match ended {
            Ok(status) => judged(status, &said),
            Err(error) => {
                // Interrupted: at a terminal the child had the same signal, and this is a race we may lose.
                child.kill().ok();
                child.wait().ok();
                Err(error)
            }
        }
    }

    fn words(&self, settings: Settings) -> Vec<&'static str> {
        let mut words: Vec<&str> = self.args.split_whitespace().collect();
        if self.resolves && settings == Settings::Ci {
            words.push("--locked");
        }
        if !self.tail.is_empty() {
            words.push("--");
            words.extend(self.tail.split_whitespace());
        }
        words
    }

    /// The line a person types to repeat the call.
    fn said(&self, settings: Settings) -> String {
        let env = self.env.map_or_else(String::new, |(name, value)| format!("{name}={value} "));
        format!("{env}cargo {}", self.words(settings).join(" "))
    }
}

fn judged(status: ExitStatus, said: &str) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    bail!("`{said}` ended with {status}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(step: &str, settings: Settings) -> Vec<String> {
        match STEPS.iter().find(|s| s.name == step).map(|s| &s.work) {
            Some(Work::Cargo(calls)) => calls.iter().map(|c| c.said(settings)).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn a_call_is_shown_as_a_person_would_type_it() {
        assert_eq!(
            calls("docs", Settings::Desk),
            ["RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps"]
        );
        assert_eq!(
            calls("clippy", Settings::Desk)[1],
            "cargo clippy -p swift-chunks --no-default-features -- -D warnings"
        );
    }

    #[test]
    fn ci_takes_the_lock_file_as_it_is_wherever_dependencies_matter() {
        assert_eq!(calls("tests", Settings::Ci), ["cargo test --workspace --locked"]);
        assert_eq!(
            calls("clippy", Settings::Ci)[0],
            "cargo clippy --workspace --all-targets --locked -- -D warnings"
        );
        assert_eq!(calls("fmt", Settings::Ci), ["cargo fmt --all --check"]);
    }

    #[test]
    fn every_step_has_a_name_of_its_own() {
        let mut names: Vec<_> = STEPS.iter().map(|s| s.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len());
    }
}
