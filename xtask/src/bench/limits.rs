//! `cargo xtask bench limits`: two nodes on loopback, one of them limited, and the rates that come of it.
//!
//! The rate is read from the node that is not limited: of an up limit by what the other node has received, of a down
//! limit by what the other one has sent, less what the system still holds between the two.

use std::env;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::interrupt::Interrupt;
use crate::scenario::binaries::{Binaries, Profile};
use crate::scenario::node::Node;
use crate::scenario::wait::Patience;
use crate::scenario::world::World;

/// Where disks have no say, if the system has it.
const IN_MEMORY: &str = "/dev/shm";
/// How far a rate may be from its limit.
const TOLERANCE_PERCENT: f64 = 5.0;
/// Over how long it is measured.
const WINDOW: Duration = Duration::from_secs(10);
/// What comes before the first window, so that connections are open and their buffers full.
const WARM_UP: Duration = Duration::from_secs(2);
/// How long the first bytes may take.
const BEGIN_LIMIT: Duration = Duration::from_secs(60);

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the nodes keep their folders [default: memory, if the system has such a folder]
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy)]
enum Direction {
    Up,
    Down,
}

impl Display for Direction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Down => "down",
        })
    }
}

/// A transfer whose limit is the first rate, then the others in turn while it runs, in KiB per second.
const RUNS: [(Direction, &[u64]); 7] = [
    (Direction::Up, &[100]),
    (Direction::Up, &[5 * KIB]),
    (Direction::Up, &[50 * KIB]),
    (Direction::Up, &[5 * KIB, 20 * KIB, 2 * KIB]),
    (Direction::Down, &[5 * KIB]),
    (Direction::Down, &[50 * KIB]),
    (Direction::Down, &[20 * KIB, 5 * KIB, 30 * KIB]),
];

pub(crate) fn run(args: &Args, interrupt: &Interrupt) -> Result<()> {
    let binaries = Arc::new(Binaries::find_or_build(Profile::Release)?);
    let in_memory = || Some(PathBuf::from(IN_MEMORY)).filter(|dir| dir.is_dir());
    let dir = args.dir.clone().or_else(in_memory).unwrap_or_else(env::temp_dir);
    let patience = Patience::new(interrupt);
    println!(
        "limit  KiB/s set  KiB/s moved  off by    within {TOLERANCE_PERCENT} % over {} s",
        WINDOW.as_secs()
    );
    let mut missed = 0;
    for (direction, rates) in RUNS {
        let bench = Bench { direction, rates, dir: &dir, patience: &patience };
        for (rate, moved) in rates.iter().zip(bench.run(&binaries)?) {
            let off = (moved - *rate as f64) / *rate as f64 * 100.0;
            let is_met = off.abs() <= TOLERANCE_PERCENT;
            missed += usize::from(!is_met);
            println!(
                "{direction:<5}  {rate:>9}  {moved:>11.1}  {off:>+5.2} %   {}",
                if is_met { "yes" } else { "NO" }
            );
        }
        interrupt.check()?;
    }
    ensure!(missed == 0, "{missed} rates were too far from their limit");
    Ok(())
}

struct Bench<'a> {
    direction: Direction,
    rates: &'a [u64],
    dir: &'a Path,
    patience: &'a Patience,
}

impl Bench<'_> {
    /// KiB per second that moved under each rate.
    fn run(&self, binaries: &Arc<Binaries>) -> Result<Vec<f64>> {
        let mut world = World::new_in(self.dir, "bench-limits", Arc::clone(binaries), self.patience.clone())?;
        let moved = self.play(&mut world);
        if moved.is_err() && !self.patience.is_interrupted() {
            world.keep();
        }
        moved
    }

    fn play(&self, world: &mut World) -> Result<Vec<f64>> {
        let mut source = world.found()?;
        let mut receiver = world.join(&source)?;
        let (limited, observer) = match self.direction {
            Direction::Up => (&source, &receiver),
            Direction::Down => (&receiver, &source),
        };
        let mut rates = self.rates.iter();
        self.limit(limited, *rates.next().context("a run has a rate")?)?;
        // Half as much again as moves while it is looked at.
        let seconds = (WARM_UP + WINDOW + WINDOW / 2).as_secs();
        let size = self.rates.iter().map(|rate| rate * KIB * seconds).sum::<u64>().max(8 * MIB);
        let file = world.file("content", size, 1)?;
        source.ctl(&[&"upload", &file])?.ok()?;
        std::fs::remove_file(&file)?;

        self.patience
            .until("the first bytes", BEGIN_LIMIT, || Ok((self.moved(observer)? > 0).then_some(())))?;
        // tidy: sleep-ok because a rate is measured over time
        thread::sleep(WARM_UP);
        let mut measured = vec![self.window(observer)?];
        for rate in rates {
            self.limit(limited, *rate)?;
            measured.push(self.window(observer)?);
        }
        source.stop()?;
        receiver.stop()?;
        Ok(measured)
    }

    fn limit(&self, node: &Node, kib: u64) -> Result<()> {
        node.ctl(&[&"limit", &self.direction.to_string(), &format!("{kib}KiB/s")])?.ok()?;
        Ok(())
    }

    /// KiB per second that move from now on.
    fn window(&self, observer: &Node) -> Result<f64> {
        let (begun, before) = (Instant::now(), self.moved(observer)?);
        // tidy: sleep-ok because a rate is measured over time
        thread::sleep(WINDOW);
        let (took, after) = (begun.elapsed(), self.moved(observer)?);
        ensure!(after > before, "nothing moved, or the transfer had ended, in {}", observer.name());
        Ok((after - before) as f64 / KIB as f64 / took.as_secs_f64())
    }

    /// Bytes that have moved so far, as the node says that is not limited.
    fn moved(&self, observer: &Node) -> Result<u64> {
        let token = observer.token()?;
        let rows = observer.http("GET", "/v1/transfers", Some(&token), b"")?.expect(200)?.json()?;
        let direction = match self.direction {
            Direction::Up => "in",
            Direction::Down => "out",
        };
        let Some(rows) = rows["transfers"].as_array() else { bail!("the transfers are no list: {rows}") };
        let rows = rows.iter().filter(|row| row["direction"] == direction);
        let peers = rows.filter_map(|row| row["peers"].as_array()).flatten();
        let counted: u64 = peers.filter_map(|peer| peer["bytes"].as_u64()).sum();
        Ok(match self.direction {
            Direction::Up => counted,
            Direction::Down => counted.saturating_sub(queued(observer.address().port())),
        })
    }
}

/// Bytes in the system's buffers at both ends of a port's connections; 0 where the system does not tell.
fn queued(port: u16) -> u64 {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    table.lines().skip(1).filter_map(|line| queued_of(line, port)).sum()
}

/// What waits on one line of the system's table: to be sent where the port is the near one, to be read at the far end.
fn queued_of(line: &str, port: u16) -> Option<u64> {
    let mut fields = line.split_whitespace().skip(1);
    let is_port = |address: &str| {
        address.split_once(':').and_then(|(_, text)| u16::from_str_radix(text, 16).ok()) == Some(port)
    };
    let (local, remote) = (fields.next()?, fields.next()?);
    let (to_send, to_read) = fields.nth(1)?.split_once(':')?;
    let queue = if is_port(local) { to_send } else { Some(to_read).filter(|_| is_port(remote))? };
    u64::from_str_radix(queue, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_found_at_both_ends_of_a_connection() {
        let near =
            "   1: 0100007F:2EE0 0100007F:9C4A 01 0002C7BE:00000007 00:00000000 00000000     0        0 5 1";
        let far =
            "   2: 0100007F:9C4A 0100007F:2EE0 01 00000003:00001000 00:00000000 00000000     0        0 6 1";
        assert_eq!((queued_of(near, 12_000), queued_of(far, 12_000)), (Some(0x2c7be), Some(0x1000)));
        assert_eq!((queued_of(near, 12_001), queued_of("", 1), queued_of("1: x y z", 1)), (None, None, None));
    }
}
