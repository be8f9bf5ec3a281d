//! `cargo xtask scenario`: stories played by real node processes.
//!
//! A story is a function over a [`World`], in a file of its own under `scenario/cases`, and one row of
//! the table there. What goes wrong leaves the world's folder behind, with every node's log and the output of every
//! command.

pub(crate) mod binaries;
mod cases;
pub(crate) mod ctl;
pub(crate) mod data;
pub(crate) mod http;
mod lan;
pub(crate) mod node;
mod outcome;
mod port;
pub(crate) mod process;
pub(crate) mod usage;
pub(crate) mod wait;
pub(crate) mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, anyhow, bail};

use crate::interrupt::Interrupt;
use binaries::{Binaries, Profile};
use cases::CASES;
use lan::Lan;
use outcome::{Outcome, Tally};
use wait::Patience;
use world::{Chance, Network, World, moment};

/// A story that real processes play.
pub(crate) struct Scenario {
    /// What the command line calls it, and what it claims.
    pub(crate) name: &'static str,
    /// One line on what happens.
    pub(crate) about: &'static str,
    /// What its nodes are on.
    pub(crate) on: On,
    pub(crate) play: fn(&mut World) -> Result<()>,
}

/// What a scenario wants of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    /// Nothing: all nodes live on loopback, which is quicker.
    Loopback,
    /// Cables that can be cut and have a speed, where these are allowed. What cannot be played without it leaves out.
    Links,
}

/// What `Links` are played on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Choice {
    /// Namespaces where this process may make them, else loopback
    Auto,
    /// Namespaces, or nothing
    Namespaces,
    /// Loopback
    Loopback,
}

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    what: What,
    /// Plays with release builds
    #[arg(long)]
    release: bool,
    /// What nodes are on whose links should be cut or slow
    #[arg(long, value_enum, default_value_t = Choice::Auto)]
    network: Choice,
    #[command(flatten)]
    chance: Chance,
}

/// One of these. In a structure of its own, since its members exclude each other.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct What {
    /// The scenarios to play
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Plays all of them
    #[arg(long)]
    all: bool,
    /// Names them and plays none
    #[arg(long)]
    list: bool,
}

impl Args {
    /// All scenarios with dev builds, as the checks play them.
    pub(crate) fn all() -> Self {
        let what = What { names: Vec::new(), all: true, list: false };
        Self { what, release: false, network: Choice::Auto, chance: Chance::default() }
    }
}

pub(crate) fn run(args: &Args, interrupt: &Interrupt) -> Result<()> {
    if args.what.list {
        for scenario in CASES {
            println!("{:<32} {}", scenario.name, scenario.about);
        }
        return Ok(());
    }
    let chosen = choose(CASES, &args.what)?;
    let profile = if args.release { Profile::Release } else { Profile::Dev };
    let binaries = Arc::new(Binaries::find_or_build(profile)?);
    let no_links = if chosen.iter().any(|s| s.on == On::Links) { why_no_links(args.network)? } else { None };
    let patience = Patience::new(interrupt);
    let mut tally = Tally::default();
    for scenario in chosen {
        println!("\nscenario {}: {}", scenario.name, scenario.about);
        let begun = Instant::now();
        let outcome = play(scenario, no_links.as_deref(), args.chance, &binaries, &patience);
        tally.note(scenario.name, outcome, begun.elapsed());
        interrupt.check()?;
    }
    println!("\n{tally}");
    let failed = tally.failed();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

/// Looks once, and says, whether nodes can be on links, and takes down what killed runs left.
fn why_no_links(choice: Choice) -> Result<Option<String>> {
    let obstacle = match choice {
        Choice::Loopback => Some("loopback was asked for".to_owned()),
        Choice::Auto | Choice::Namespaces => Lan::obstacle(moment()),
    };
    match &obstacle {
        None => {
            println!("network: namespaces with shaped links");
            let left = lan::sweep()?;
            if left > 0 {
                println!("network: {left} namespaces of killed runs are gone now");
            }
        }
        Some(why) if choice == Choice::Namespaces => bail!("there can be no links: {why}"),
        Some(why) => println!("network: loopback only, since there are no links: {why}"),
    }
    Ok(obstacle)
}

fn choose<'a>(cases: &'a [Scenario], what: &What) -> Result<Vec<&'a Scenario>> {
    if what.all {
        return Ok(cases.iter().collect());
    }
    let find = |name: &String| {
        let unknown = || anyhow!("no scenario is called {name}; `cargo xtask scenario --list` names them");
        cases.iter().find(|s| s.name == *name).ok_or_else(unknown)
    };
    what.names.iter().map(find).collect()
}

/// Plays one scenario in a world of its own, which a failure leaves behind.
fn play(
    scenario: &Scenario,
    no_links: Option<&str>,
    chance: Chance,
    binaries: &Arc<Binaries>,
    patience: &Patience,
) -> Outcome {
    let made = World::new(scenario.name, Arc::clone(binaries), patience.clone());
    let made = made.map(|world| world.with(chance));
    let made = made.and_then(|world| match (scenario.on, no_links) {
        (On::Loopback, _) => Ok(world),
        (On::Links, Some(why)) => Ok(world.on(Network::Loopback { because: why.to_owned() })),
        (On::Links, None) => Ok(world.on(Network::Links(Lan::new(moment())?))),
    });
    let mut world = match made {
        Ok(world) => world,
        Err(error) => return Outcome::of(Err(error), Vec::new()),
    };
    let ended = play_in(&mut world, scenario);
    let outcome = Outcome::of(ended, world.left_out());
    if matches!(outcome, Outcome::Failed { .. }) {
        world.keep();
    }
    outcome
}

/// A panic is a failure like another: the processes end with the nodes that hold them either way.
fn play_in(world: &mut World, scenario: &Scenario) -> Result<()> {
    let ended = catch_unwind(AssertUnwindSafe(|| (scenario.play)(world)));
    ended.unwrap_or_else(|panic| {
        let says =
            panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(anyhow!("panicked: {}", says.unwrap_or("(no message)")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(names: &[&str]) -> What {
        What { names: names.iter().map(|n| (*n).to_owned()).collect(), all: false, list: false }
    }

    #[test]
    fn names_in_the_table_are_sentences_and_occur_once() {
        let mut names: Vec<_> = CASES.iter().map(|s| s.name).collect();
        for scenario in CASES {
            assert!(scenario.name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{}", scenario.name);
            assert!(!scenario.about.is_empty() && !scenario.about.contains('\n'), "{}", scenario.name);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CASES.len());
    }

    #[test]
    fn scenarios_are_chosen_by_name_or_all_at_once() -> Result<()> {
        assert_eq!(choose(CASES, &Args::all().what)?.len(), CASES.len());
        assert_eq!(choose(CASES, &what(&["one_node_serves_what_it_took"]))?.len(), 1);
        assert!(choose(CASES, &what(&["no_such_story"])).is_err());
        Ok(())
    }

    #[test]
    fn a_scenario_that_panics_fails_and_the_next_one_can_run() -> Result<()> {
        let scenario = |play| Scenario { name: "made_up", about: "a test", on: On::Loopback, play };
        let binaries = Arc::new(Binaries { node: "none".into(), ctl: "none".into() });
        let mut world = World::new("test", binaries, Patience::new(&Interrupt::default()))?;
        let error = play_in(&mut world, &scenario(|_| panic!("on purpose"))).unwrap_err();
        assert_eq!(error.to_string(), "panicked: on purpose");
        play_in(&mut world, &scenario(|_| Ok(())))
    }
}
