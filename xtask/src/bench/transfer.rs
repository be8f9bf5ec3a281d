//! `cargo xtask bench transfer`: what it costs to bring a file to one and to several nodes, many small files to another,
//! a file to a node by each way there is, and one from it.
//!
//! All nodes are processes on loopback. Costs are CPU seconds per GB (10^9 bytes) that was delivered, of all nodes
//! together. The same machine is twice as fast on one day as on another, so the plainest cost there is stands beside them:
//! reading each byte from memory and putting it through both hashes.

mod clients;
mod reference;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use self::clients::{Way, download, upload};
use self::reference::hashing;
use super::machine_load;
use crate::demo::size::ByteSize;
use crate::interrupt::Interrupt;
use crate::scenario::binaries::{Binaries, Profile};
use crate::scenario::data::assert_same;
use crate::scenario::node::Node;
use crate::scenario::wait::Patience;
use crate::scenario::world::World;

/// Where disks have no say, if the system has it.
const IN_MEMORY: &str = "/dev/shm";
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(5);
const SMALL_LEN: u64 = 10 << 10;
/// Small files a second, from one command until another node has them.
const SMALL_BAR: f64 = 500.0;
/// Memory of a node.
const MEMORY_BAR: u64 = 100 << 20;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Bytes of the file
    #[arg(long, default_value = "1GiB")]
    size: ByteSize,
    /// Receivers, for each run
    #[arg(long, value_delimiter = ',', default_value = "1,4")]
    receivers: Vec<usize>,
    /// Small files of 10 KiB
    #[arg(long, default_value_t = 10_000)]
    files: usize,
    /// How often each is measured; medians count
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// Where the nodes keep their folders [default: memory, if the system has such a folder]
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// What one run came to.
#[derive(Clone, Copy, Debug)]
struct Measured {
    wall: Duration,
    /// Of all nodes.
    cpu: Duration,
    /// Of the node that had most.
    peak_bytes: u64,
    anonymous_bytes: u64,
    delivered: u64,
}

impl Measured {
    fn cpu_per_gb(&self) -> f64 {
        self.cpu.as_secs_f64() / (self.delivered as f64 / 1e9)
    }
}

pub(crate) fn run(args: &Args, interrupt: &Interrupt) -> Result<()> {
    ensure!(args.size.bytes() > 0 && args.repeat > 0, "nothing to measure");
    let in_memory = || Some(PathBuf::from(IN_MEMORY)).filter(|dir| dir.is_dir());
    let bench = Bench {
        args,
        binaries: Arc::new(Binaries::find_or_build(Profile::Release)?),
        dir: args.dir.clone().or_else(in_memory).unwrap_or_else(env::temp_dir),
        patience: Patience::new(interrupt),
    };
    println!("in {}, load of the machine: {}", bench.dir.display(), machine_load());
    let reference = hashing()?.as_secs_f64();
    println!("SHA-1 and BLAKE3 of memory on this machine, now: {reference:.2} CPU s/GB");
    println!(
        "{:<28} {:>9} {:>9} {:>9} {:>8} {:>11} {:>11}",
        "", "wall s", "MB/s", "CPU s/GB", "x hashes", "peak", "anonymous"
    );
    let (mut memory, mut small) = (0, 0.0_f64);
    for &receivers in &args.receivers {
        ensure!(receivers > 0, "at least one node has to receive");
        let row = bench.median(&format!("1 to {receivers}, {}", args.size), reference, |world| {
            one_to_many(world, args, receivers)
        })?;
        memory = memory.max(row.anonymous_bytes);
        interrupt.check()?;
    }
    for way in Way::ALL {
        let row = bench
            .median(&format!("upload by {way}"), reference, |world| upload(world, args.size.bytes(), way))?;
        memory = memory.max(row.anonymous_bytes);
        interrupt.check()?;
    }
    let row =
        bench.median("download by plain HTTP", reference, |world| download(world, args.size.bytes()))?;
    memory = memory.max(row.anonymous_bytes);
    if args.files > 0 {
        let row = bench.median(&format!("{} files of 10 KiB", args.files), reference, |world| {
            many_small(world, args.files)
        })?;
        memory = memory.max(row.anonymous_bytes);
        small = args.files as f64 / row.wall.as_secs_f64();
    }
    let met = |is_met: bool| if is_met { "yes" } else { "NO" };
    println!(
        "anonymous memory {}: under {}? {}",
        ByteSize::of(memory),
        ByteSize::of(MEMORY_BAR),
        met(memory < MEMORY_BAR)
    );
    if args.files > 0 {
        println!("{small:.0} small files/s: at least {SMALL_BAR:.0}? {}", met(small >= SMALL_BAR));
        ensure!(small >= SMALL_BAR, "a bar was missed");
    }
    ensure!(memory < MEMORY_BAR, "a bar was missed");
    Ok(())
}

struct Bench<'a> {
    args: &'a Args,
    binaries: Arc<Binaries>,
    dir: PathBuf,
    patience: Patience,
}

impl Bench<'_> {
    /// Measures several times, each in a world of its own, and prints the run whose CPU time is the median.
    fn median(
        &self,
        what: &str,
        reference: f64,
        play: impl Fn(&mut World) -> Result<Measured>,
    ) -> Result<Measured> {
        let mut runs = Vec::new();
        for _ in 0..self.args.repeat {
            let mut world = World::new_in(
                &self.dir,
                "bench-transfer",
                Arc::clone(&self.binaries),
                self.patience.clone(),
            )?;
            let played = play(&mut world);
            if played.is_err() && !self.patience.is_interrupted() {
                world.keep();
            }
            runs.push(played.with_context(|| what.to_owned())?);
        }
        runs.sort_by_key(|run| run.cpu);
        let row = runs[runs.len() / 2];
        println!(
            "{what:<28} {:>9.2} {:>9.0} {:>9.2} {:>8.1} {:>11} {:>11}",
            row.wall.as_secs_f64(),
            row.delivered as f64 / 1e6 / row.wall.as_secs_f64(),
            row.cpu_per_gb(),
            row.cpu_per_gb() / reference,
            ByteSize::of(row.peak_bytes).to_string(),
            ByteSize::of(row.anonymous_bytes).to_string(),
        );
        Ok(row)
    }
}

/// What nodes have used, and since when.
struct Clock {
    begun: Instant,
    used: Duration,
}

impl Clock {
    fn start(nodes: &[&Node]) -> Result<Self> {
        let used = nodes.iter().map(|node| Ok(node.usage()?.cpu)).sum::<Result<_>>()?;
        Ok(Self { begun: Instant::now(), used })
    }

    /// Nodes that were started since count from their start.
    fn stop(self, nodes: &[&Node], delivered: u64) -> Result<Measured> {
        let mut measured = Measured {
            wall: self.begun.elapsed(),
            cpu: Duration::ZERO,
            peak_bytes: 0,
            anonymous_bytes: 0,
            delivered,
        };
        for node in nodes {
            let usage = node.usage()?;
            measured.cpu += usage.cpu;
            measured.peak_bytes = measured.peak_bytes.max(usage.peak_bytes);
            measured.anonymous_bytes = measured.anonymous_bytes.max(usage.anonymous_bytes);
        }
        measured.cpu = measured.cpu.saturating_sub(self.used);
        Ok(measured)
    }
}

/// From the start of the receivers, which have a ticket and nothing else, until all of them show the file.
fn one_to_many(world: &mut World, args: &Args, receivers: usize) -> Result<Measured> {
    let file = world.file("content", args.size.bytes(), 1)?;
    let source = world.found()?;
    source.ctl_within(LIMIT, &[&"upload", &file])?.ok()?;
    let mut specs = Vec::new();
    for _ in 0..receivers {
        let ticket = Some(source.ticket()?);
        specs.push(crate::scenario::node::NodeSpec { ticket, ..world.spec()? });
    }
    let shown: Vec<PathBuf> = specs.iter().map(|spec| spec.data_dir.join("files/content")).collect();
    let clock = Clock::start(&[&source])?;
    let world = &*world;
    let (mut nodes, measured) = thread::scope(|scope| {
        let starting: Vec<_> = specs.into_iter().map(|spec| scope.spawn(move || world.start(spec))).collect();
        let arrived = wait_for(|| shown.iter().all(|path| path.exists()));
        let started = starting
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| anyhow::bail!("a start panicked")));
        let nodes = started.collect::<Result<Vec<Node>>>()?;
        arrived?;
        let all: Vec<&Node> = nodes.iter().chain([&source]).collect();
        let measured = clock.stop(&all, args.size.bytes() * receivers as u64)?;
        Ok::<_, anyhow::Error>((nodes, measured))
    })?;
    for path in &shown {
        assert_same(&file, path)?;
    }
    nodes.push(source);
    nodes.iter_mut().try_for_each(Node::stop)?;
    Ok(measured)
}

/// From the start of one command until another node, which was there before, has all the files.
fn many_small(world: &mut World, files: usize) -> Result<Measured> {
    let mut folder = PathBuf::new();
    for number in 0..files {
        let file = world.file(&format!("many/{number:06}"), SMALL_LEN, number as u64)?;
        folder = file.parent().map(Path::to_path_buf).context("a file is in a folder")?;
    }
    let mut source = world.found()?;
    let mut receiver = world.join(&source)?;
    let shown = receiver.files_dir().join("many");
    let clock = Clock::start(&[&source, &receiver])?;
    let measured = thread::scope(|scope| {
        let uploading = scope.spawn(|| source.ctl_within(LIMIT, &[&"upload", &folder]));
        let arrived = wait_for(|| fs::read_dir(&shown).is_ok_and(|entries| entries.count() >= files));
        let measured = clock.stop(&[&source, &receiver], files as u64 * SMALL_LEN);
        uploading.join().unwrap_or_else(|_| anyhow::bail!("the upload panicked"))?.ok()?;
        arrived?;
        measured
    })?;
    for number in (0..files).step_by(97) {
        let name = format!("{number:06}");
        assert_same(&folder.join(&name), &shown.join(&name))?;
    }
    source.stop()?;
    receiver.stop()?;
    Ok(measured)
}

fn wait_for(mut is_so: impl FnMut() -> bool) -> Result<()> {
    let begun = Instant::now();
    while !is_so() {
        ensure!(begun.elapsed() < LIMIT, "it took longer than {} s", LIMIT.as_secs());
        // tidy: sleep-ok because a folder tells nobody when it changes
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}
