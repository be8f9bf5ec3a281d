//! `cargo xtask bench ledger`: final writes by 1, 4 and 7 validators on one machine, and one core's work on a chain.
//!
//! The validators are `swiftserve-node` processes. The load is a program of its own (`ledger_load`, an example of the
//! node's package) with a node in it, which every write begins at: a member that has no vote, or one more validator.

mod report;

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{disk::sync_cost, machine_load};
use crate::interrupt::Interrupt;
use crate::scenario::binaries::{Binaries, Profile};
use crate::scenario::ctl;
use crate::scenario::node::Node;
use crate::scenario::process;
use crate::scenario::wait::Patience;
use crate::scenario::world::World;
use report::{Asked, Report, Row};

const LOAD: &str = "ledger_load";
const SPEED: &str = "ledger_speed";
/// Where what is about the processor is measured, if the system has it.
const IN_MEMORY: &str = "/dev/shm";
/// One run of a program may take so long.
const LIMIT: Duration = Duration::from_secs(900);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the nodes keep their folders: the disk that is measured [default: the system's folder for temporary files]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// How many validators, each number a network of its own
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 7], value_parser = clap::value_parser!(u8).range(1..=32))]
    validators: Vec<u8>,
    /// Writes at once, in all
    #[arg(long, default_value_t = 20_000)]
    writes: usize,
    /// How many of these wait at any time, per author
    #[arg(long, default_value_t = 2_000)]
    in_flight: usize,
    /// Writes one by one
    #[arg(long, default_value_t = 200)]
    singles: usize,
    /// Nodes that the writes begin at, where these are no validators
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    authors: u8,
    /// Prints JSON instead of tables
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, interrupt: &Interrupt) -> Result<()> {
    let (binaries, examples) = Binaries::find_or_build_with(Profile::Release, &[LOAD, SPEED])?;
    let [load, speed] = examples.as_slice() else { anyhow::bail!("the examples were not built") };
    let dir = args.dir.clone().unwrap_or_else(env::temp_dir);
    let bench =
        Bench { args, binaries: Arc::new(binaries), load, dir: &dir, patience: Patience::new(interrupt) };
    let mut rows = Vec::new();
    for validators in &args.validators {
        for asked in [Asked::Member, Asked::Validator] {
            rows.push(bench.row(usize::from(*validators), asked)?);
            interrupt.check()?;
        }
    }
    let report = Report { dir: dir.clone(), rows, chain: bench.chain(speed)? };
    match args.json {
        true => println!("{}", report.to_json()),
        false => print!("{report}"),
    }
    Ok(())
}

struct Bench<'a> {
    args: &'a Args,
    binaries: Arc<Binaries>,
    load: &'a Path,
    dir: &'a Path,
    patience: Patience,
}

impl Bench<'_> {
    /// Measures one network.
    fn row(&self, validators: usize, asked: Asked) -> Result<Row> {
        let name = format!("bench-{validators}");
        let mut world = World::new_in(self.dir, &name, Arc::clone(&self.binaries), self.patience.clone())?;
        let mut nodes = Vec::new();
        let (machine_load, sync) = (machine_load(), sync_cost(self.dir)?);
        eprintln!("{validators} validators, asked {asked} (load of the machine: {machine_load})");
        let ended = self.play(&mut world, &mut nodes, validators, asked);
        if ended.is_err() && !self.patience.is_interrupted() {
            world.keep();
        }
        let measured = ended?;
        for node in &mut nodes {
            node.stop()?;
        }
        Ok(Row { validators, asked, machine_load, sync, measured })
    }

    fn play(
        &self,
        world: &mut World,
        nodes: &mut Vec<Node>,
        validators: usize,
        asked: Asked,
    ) -> Result<Value> {
        // An author that is a validator stands for one of the processes; the founder is always one.
        let others = if asked == Asked::Validator { validators - 1 } else { validators };
        nodes.push(world.found()?);
        for _ in 1..others {
            let node = world.join(&nodes[0])?;
            nodes.push(node);
        }
        let deciding = &nodes[..others];
        let ids = deciding.iter().map(id).collect::<Result<Vec<_>>>()?.join(",");

        let mut command = process::command(self.load);
        command.arg("--dir").arg(world.path("authors")?);
        command.arg("--singles").arg(self.args.singles.to_string());
        command.arg("--writes").arg(self.args.writes.to_string());
        command.arg("--in-flight").arg(self.args.in_flight.to_string());
        if !ids.is_empty() {
            command.args(["--validators", &ids]);
        }
        let authors = if asked == Asked::Validator { 1 } else { self.args.authors };
        if asked == Asked::Validator {
            command.arg("--authors-decide");
        }
        for _ in 0..authors {
            let (port, ticket) = (world.spec()?.port, admin_ticket(&nodes[0])?);
            command.arg("--author").arg(format!("{port}={ticket}"));
        }
        let output = ctl::run(&mut command, &world.path("load.out")?, LIMIT, &self.patience)?.ok()?;
        for node in nodes {
            node.assert_running()?;
        }
        // The authors' logs come first.
        let line = output.stdout.lines().last().context("the load printed nothing")?;
        serde_json::from_str(line).with_context(|| format!("the load printed no JSON: {line}"))
    }

    /// What one core does, without any network.
    fn chain(&self, speed: &Path) -> Result<Value> {
        let place = if Path::new(IN_MEMORY).is_dir() { Path::new(IN_MEMORY) } else { self.dir };
        eprintln!("one core, in {}", place.display());
        let world = World::new_in(place, "bench-chain", Arc::clone(&self.binaries), self.patience.clone())?;
        let mut command = process::command(speed);
        command.arg(world.path("chain")?.parent().context("a path in a folder")?);
        let output =
            ctl::run(&mut command, &world.path("speed.out")?, LIMIT, &self.patience)?.ok()?.json()?;
        ensure!(output.is_object(), "{SPEED} printed something else: {output}");
        Ok(output)
    }
}

fn id(node: &Node) -> Result<String> {
    let status = node.ctl_json(&[&"status"])?;
    Ok(status["node_id"].as_str().context("status has no node_id")?.to_owned())
}

fn admin_ticket(node: &Node) -> Result<String> {
    let invited = node.ctl_json(&[&"invite", &"--role", &"admin"])?;
    Ok(invited["ticket"].as_str().context("`swiftctl invite -o json` has no ticket")?.to_owned())
}
