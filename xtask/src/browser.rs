//! `cargo xtask browser`: the dashboard in a real Chromium, on real nodes.
//!
//! A test is a function over the [`Stage`] and a [`Page`], in a file under `browser/cases`, and one row of the table
//! there. Every test has a browser of its own that nobody has used before, and ends with a look at its console. What
//! goes wrong leaves a screenshot, the page's elements and its console in the target folder.

pub(crate) mod axe;
mod cases;
mod driver;
mod page;
pub(crate) mod programs;
pub(crate) mod screenshots;
mod session;
mod stage;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::cargo;
use crate::interrupt::Interrupt;
use crate::scenario::binaries::{Binaries, Profile};
use crate::scenario::wait::Patience;
use cases::CASES;
use page::{Page, Width};
use programs::Programs;
use stage::Stage;

/// One thing that the dashboard promises.
pub(crate) struct Case {
    /// What the command line calls it, and what it claims.
    pub(crate) name: &'static str,
    /// The widths it is played at, each in a browser of its own.
    pub(crate) at: &'static [Width],
    pub(crate) play: fn(&mut Stage, &Page) -> Result<()>,
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The tests to play; all unless named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Names them and plays none
    #[arg(long, conflicts_with = "names")]
    list: bool,
}

impl Args {
    /// All tests, as the checks play them.
    pub(crate) fn all() -> Self {
        Self { names: Vec::new(), list: false }
    }
}

pub(crate) fn run(args: &Args, interrupt: &Interrupt) -> Result<()> {
    if args.list {
        CASES.iter().for_each(|case| println!("{}", case.name));
        return Ok(());
    }
    let chosen = choose(&args.names)?;
    let programs = Programs::find()?;
    let binaries = Binaries::find_or_build(Profile::Dev)?;
    let records = cargo::target_dir()?.join("browser");
    let patience = Patience::new(interrupt);
    let mut stage = Stage::found(binaries, &programs, &patience)?;
    let (mut passed, mut failed) = (0, Vec::new());
    for case in chosen {
        for width in case.at {
            interrupt.check()?;
            let begun = Instant::now();
            let ended = play(case, *width, &mut stage, &records);
            let took = begun.elapsed().as_secs_f64();
            let what = format!("{} at {} px", case.name, width.px());
            match ended {
                Ok(()) => {
                    passed += 1;
                    println!("browser {what} ok, {took:.1} s");
                }
                Err(error) => {
                    eprintln!("browser {what} FAILED, {took:.1} s: {error:#}");
                    eprintln!("to repeat it: cargo xtask browser {}", case.name);
                    failed.push(what);
                }
            }
        }
    }
    if failed.is_empty() {
        stage.stop()?;
    } else if !interrupt.raised() {
        stage.keep();
    }
    println!("\nbrowser: {passed} passed, {} failed", failed.len());
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn choose(names: &[String]) -> Result<Vec<&'static Case>> {
    if names.is_empty() {
        return Ok(CASES.iter().collect());
    }
    let find = |name: &String| {
        let unknown = || format!("no test is called {name}; `cargo xtask browser --list` names them");
        CASES.iter().find(|case| case.name == *name).with_context(unknown)
    };
    names.iter().map(find).collect()
}

/// Plays one test in a fresh browser.
fn play(case: &Case, width: Width, stage: &mut Stage, records: &Path) -> Result<()> {
    let page = stage.page(width)?;
    let ended =
        (case.play)(stage, &page).and_then(|()| page.assert_quiet()).and_then(|()| stage.assert_running());
    if ended.is_err() && !stage.patience().is_interrupted() {
        let record = records.join(format!("{}-{}", case.name, width.px()));
        match keep(&page, &record) {
            Ok(()) => eprintln!("what the page was like: {}.png, .html, .console", record.display()),
            Err(error) => eprintln!("what the page was like could not be kept: {error:#}"),
        }
    }
    let closed = page.close();
    ended.and(closed)
}

fn keep(page: &Page, record: &Path) -> Result<()> {
    fs::create_dir_all(record.parent().context("a record lies in a folder")?)?;
    let mut console = String::new();
    for line in page.console()? {
        writeln!(console, "{}: {}", line.level, line.text)?;
    }
    fs::write(record.with_extension("console"), console)?;
    fs::write(record.with_extension("html"), page.source()?)?;
    fs::write(record.with_extension("png"), page.screenshot()?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_table_are_sentences_and_occur_once() {
        let mut names: Vec<_> = CASES.iter().map(|case| case.name).collect();
        for case in CASES {
            assert!(case.name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{}", case.name);
            assert!(!case.at.is_empty(), "{} is never played", case.name);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CASES.len());
    }

    #[test]
    fn tests_are_chosen_by_name_or_all_at_once() -> Result<()> {
        assert_eq!(choose(&[])?.len(), CASES.len());
        assert_eq!(choose(&[CASES[0].name.to_owned()])?.len(), 1);
        assert!(choose(&["no_such_test".to_owned()]).is_err());
        Ok(())
    }
}
