//! `cargo xtask bench start`: a node whose folder has many files, from the start of its process until it is ready, and how
//! long it takes to list them.
//!
//! The folder is made by `many_files`, an example of the node: a real ledger, sparse contents.

mod pages;

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::machine_load;
use crate::demo::size::ByteSize;
use crate::interrupt::Interrupt;
use crate::scenario::binaries::{Binaries, Profile};
use crate::scenario::process;
use crate::scenario::wait::Patience;
use crate::scenario::world::World;

const MAKER: &str = "many_files";
/// A start may take this long.
const START_BAR: Duration = Duration::from_secs(2);
/// Memory of a node at rest, whatever it has.
const MEMORY_BAR: u64 = 100 << 20;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Files in the folder; 100,000 have 1 TiB
    #[arg(long, default_value_t = 100_000)]
    files: u64,
    /// Starts that are measured
    #[arg(long, default_value_t = 5)]
    repeat: usize,
    /// Where the folder is made [default: the system's temporary folder]
    #[arg(long)]
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, interrupt: &Interrupt) -> Result<()> {
    let (binaries, examples) = Binaries::find_or_build_with(Profile::Release, &[MAKER])?;
    let maker = examples.first().context("the example was not built")?;
    let dir = args.dir.clone().unwrap_or_else(env::temp_dir);
    let mut world = World::new_in(&dir, "bench-start", Arc::new(binaries), Patience::new(interrupt))?;
    let spec = world.spec()?;
    let mut make: Command = process::command(maker);
    make.arg("--dir").arg(&spec.data_dir).arg("--port").arg(spec.port.to_string());
    let made = make.arg("--files").arg(args.files.to_string()).output().context("cannot run the example")?;
    ensure!(made.status.success(), "the folder was not made: {}", String::from_utf8_lossy(&made.stderr));
    let made: serde_json::Value = serde_json::from_slice(&made.stdout)?;
    let bytes = ByteSize::of(made["bytes"].as_u64().unwrap_or(0));
    println!("{} files, {bytes} (load of the machine: {})", args.files, machine_load());

    println!("start until /readyz   CPU   anonymous memory   page of 1,000 files   swiftctl status");
    let (mut took, mut memory, mut are_pages_fast) = (Vec::new(), 0, true);
    let mut node = None;
    for repeat in 0..args.repeat.max(1) {
        interrupt.check()?;
        let begun = Instant::now();
        let started = match node.take() {
            None => world.start(spec.clone())?,
            Some(stopped) => {
                let mut stopped: crate::scenario::node::Node = stopped;
                stopped.restart()?;
                stopped
            }
        };
        let start = begun.elapsed();
        let usage = started.usage()?;
        let begun = Instant::now();
        let page = started.get("/v1/files?limit=1000")?;
        let (page_took, listed) = (begun.elapsed(), page["files"].as_array().map_or(0, Vec::len));
        ensure!(listed as u64 == args.files.min(1000), "a page has {listed} files");
        let begun = Instant::now();
        started.ctl(&[&"status"])?.ok()?;
        let status_took = begun.elapsed();
        let anonymous = started.usage()?.anonymous_bytes;
        println!(
            "{:>14.3} s  {:>6.2} s  {:>12}  {:>18.3} s  {:>14.3} s",
            start.as_secs_f64(),
            usage.cpu.as_secs_f64(),
            ByteSize::of(anonymous),
            page_took.as_secs_f64(),
            status_took.as_secs_f64()
        );
        took.push(start);
        memory = memory.max(anonymous);
        if repeat + 1 == args.repeat.max(1) {
            are_pages_fast = pages::measure(&started, args.files, interrupt)?;
        }
        let mut started = started;
        started.stop()?;
        node = Some(started);
    }
    took.sort_unstable();
    let median = took[took.len() / 2];
    let met = |is_met: bool| if is_met { "yes" } else { "NO" };
    println!(
        "median {:.3} s: under {} s? {}",
        median.as_secs_f64(),
        START_BAR.as_secs(),
        met(median < START_BAR)
    );
    println!(
        "memory {}: under {}? {}",
        ByteSize::of(memory),
        ByteSize::of(MEMORY_BAR),
        met(memory < MEMORY_BAR)
    );
    ensure!(median < START_BAR && memory < MEMORY_BAR && are_pages_fast, "a bar was missed");
    Ok(())
}
