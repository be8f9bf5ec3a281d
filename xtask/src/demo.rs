//! `cargo xtask demo`: the service in one command. Real nodes, release builds, and at the end something to play with.

mod facts;
mod progress;
pub(crate) mod size;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::interrupt::Interrupt;
use crate::scenario::binaries::{Binaries, Profile};
use crate::scenario::data::assert_same;
use crate::scenario::node::Node;
use crate::scenario::wait::Patience;
use crate::scenario::world::World;
use progress::Progress;
use size::ByteSize;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The file to distribute; random data unless given
    file: Option<PathBuf>,
    /// How many nodes take part
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    nodes: u16,
    /// How much random data
    #[arg(long, default_value = "256MiB", conflicts_with = "file")]
    size: ByteSize,
    /// Stops everything when the file was distributed and checked; the exit code tells whether all was well
    #[arg(long)]
    once: bool,
}

pub(crate) fn run(args: &Args, interrupt: &Interrupt) -> Result<()> {
    let binaries = Arc::new(Binaries::find_or_build(Profile::Release)?);
    let mut world = World::new("demo", Arc::clone(&binaries), Patience::new(interrupt))?;
    let mut nodes = Vec::new();
    let ended = play(args, &mut world, &mut nodes, &binaries, interrupt);
    // Whatever happened, the nodes end in order; that they do is part of what is shown.
    let stopped: Result<Vec<()>> = nodes.iter_mut().map(Node::stop).collect();
    let result = ended.and(stopped.map(drop));
    if result.is_err() && !interrupt.raised() {
        world.keep();
    }
    result
}

fn play(
    args: &Args,
    world: &mut World,
    nodes: &mut Vec<Node>,
    binaries: &Binaries,
    interrupt: &Interrupt,
) -> Result<()> {
    let file = match &args.file {
        Some(file) => file.canonicalize().with_context(|| format!("cannot read {}", file.display()))?,
        None => {
            println!("making {} of random data", args.size);
            world.file("demo.bin", args.size.bytes(), seed())?
        }
    };
    start_nodes(usize::from(args.nodes), world, nodes)?;
    let sent = distribute(&file, world.patience(), nodes)?;
    check(&file, world, nodes)?;
    println!("{}", facts::told(&sent, nodes)?);
    if args.once {
        return Ok(());
    }
    println!("{}", facts::next_commands(&sent.name, nodes, binaries));
    stay_up(nodes, world.patience(), interrupt)
}

fn start_nodes(count: usize, world: &mut World, nodes: &mut Vec<Node>) -> Result<()> {
    let begun = Instant::now();
    for index in 0..count {
        let (node, how) = match nodes.first() {
            None => (world.found()?, "founded a network"),
            Some(first) => (world.join(first)?, "joined by ticket"),
        };
        let time = begun.elapsed().as_secs_f64();
        println!(
            "{} of {count}: {} at http://{}, {how} ({time:.1} s)",
            index + 1,
            node.name(),
            node.address()
        );
        nodes.push(node);
    }
    Ok(())
}

/// What became of the upload.
struct Sent {
    name: String,
    bytes: u64,
    /// What `swiftctl upload -o json` printed.
    upload: serde_json::Value,
    /// From the start of the upload until its block was final.
    until_final: Duration,
    /// From the start of the upload until every node had the whole file.
    until_everywhere: Duration,
}

/// Uploads to the first node, and watches until all have the file.
fn distribute(file: &Path, patience: &Patience, nodes: &mut [Node]) -> Result<Sent> {
    let name = file.file_name().and_then(|n| n.to_str()).context("the file's name is not UTF-8")?.to_owned();
    let bytes = file.metadata()?.len();
    // Slower than any machine this runs on: beyond it, something hangs.
    let limit = Duration::from_secs(120 + (bytes >> 20));
    let mut progress = Progress::new(nodes, &name)?;
    let begun = Instant::now();
    let (upload, until_final) = thread::scope(|scope| {
        let first = nodes.first().context("a demo has a node")?;
        let upload = scope.spawn(move || {
            let output = first.ctl_within(limit, &[&"upload", &file, &"-o", &"json"])?.ok()?;
            Ok::<_, anyhow::Error>((output.json()?, begun.elapsed()))
        });
        // Nodes have the file only after an upload that succeeded, so a failed one ends the watching first.
        patience.until("the upload to be final", limit, || {
            progress.show(begun.elapsed(), nodes);
            Ok(upload.is_finished().then_some(()))
        })?;
        upload.join().map_err(|_| anyhow::anyhow!("the upload panicked"))?
    })?;
    patience.until("every node to have the file", limit, || {
        nodes.iter_mut().try_for_each(Node::assert_running)?;
        progress.show(begun.elapsed(), nodes);
        Ok(progress.is_complete().then_some(()))
    })?;
    let until_everywhere = progress.completed_after().unwrap_or_else(|| begun.elapsed());
    progress.finish();
    Ok(Sent { name, bytes, upload, until_final, until_everywhere })
}

/// Downloads from the last node and compares; lets a node that did not take the upload verify the ledger.
fn check(file: &Path, world: &World, nodes: &[Node]) -> Result<()> {
    let name = file.file_name().context("a file has a name")?;
    let (Some(last), Some(auditor)) = (nodes.last(), nodes.get(1).or(nodes.first())) else {
        bail!("a demo has a node");
    };
    let copy = world.path("copy-of-the-last-node")?;
    let limit = Duration::from_secs(120 + (file.metadata()?.len() >> 20));
    last.ctl_within(limit, &[&"download", &name, &"-o", &copy])?.ok()?;
    assert_same(file, &copy)?;
    println!("downloaded from {}: the same, byte for byte", last.name());
    std::fs::remove_file(copy)?;
    let verified = auditor.ctl(&[&"inspect-chain", &"--verify"])?.ok()?;
    ensure!(!verified.stdout.trim().is_empty(), "inspect-chain --verify said nothing");
    println!("ledger verified from {}:", auditor.name());
    print!("{}", facts::abridged(&verified.stdout, 12));
    Ok(())
}

/// Returns when somebody interrupts, fails when a node ends by itself.
fn stay_up(nodes: &mut [Node], patience: &Patience, interrupt: &Interrupt) -> Result<()> {
    patience.for_ever("Ctrl-C", || {
        if interrupt.raised() {
            println!("\nstopping {} nodes", nodes.len());
            return Ok(Some(()));
        }
        nodes.iter_mut().try_for_each(Node::assert_running)?;
        Ok(None)
    })
}

/// Fresh data at every run: a file that the nodes have seen before would prove little.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one("demo")
}
