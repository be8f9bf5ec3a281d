//! Nodes are killed at any moment while clients upload and read all the time: nothing that was acknowledged is lost, and
//! no client ever gets a wrong byte.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use super::transfer::ARRIVAL;
use crate::scenario::data::{Random, random_bytes};
use crate::scenario::http::{self, Request, Response};
use crate::scenario::node::Node;
use crate::scenario::world::World;

/// Kills unless told otherwise.
const KILLS: usize = 10;
/// Threads that read.
const READERS: usize = 2;
/// Uploads for each kill: the folders must not grow without an end.
const UPLOADS_PER_KILL: usize = 8;
/// How long a client waits for a node that is gone.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between attempts at a node that may be starting.
const PAUSE: Duration = Duration::from_millis(20);
/// The longest that all nodes are left alone, in milliseconds.
const REST_MAX_MS: u64 = 1200;

/// A node as its clients know it.
struct Door {
    address: SocketAddr,
    token: String,
}

/// An upload that a node has acknowledged. Its bytes follow from its number.
#[derive(Clone, Copy)]
struct Acknowledged {
    number: u64,
    /// Which node took it.
    at: usize,
}

/// What all threads share.
struct Load {
    doors: Vec<Door>,
    seed: u64,
    acknowledged: Mutex<Vec<Acknowledged>>,
    killed: AtomicUsize,
    read: AtomicUsize,
    is_over: AtomicBool,
}

pub(super) fn play(world: &mut World) -> Result<()> {
    let (kills, seed) = (world.kills().unwrap_or(KILLS), world.seed());
    let a = world.found()?;
    let (b, c) = (world.join(&a)?, world.join(&a)?);
    let mut nodes = [a, b, c];
    let doors = nodes.iter().map(|node| Ok(Door { address: node.address(), token: node.token()? }));
    let load = Load {
        doors: doors.collect::<Result<_>>()?,
        seed,
        acknowledged: Mutex::default(),
        killed: AtomicUsize::new(0),
        read: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        let uploading = scope.spawn(|| load.upload());
        let load = &load;
        let reading: Vec<_> =
            (0..READERS as u64).map(|reader| scope.spawn(move || load.read(reader))).collect();
        let killed = kill(world, &mut nodes, load, kills);
        load.is_over.store(true, Ordering::Relaxed);
        uploading.join().map_err(|_| anyhow!("the uploads panicked"))??;
        for reader in reading {
            reader.join().map_err(|_| anyhow!("a reader panicked"))??;
        }
        killed
    })
    .with_context(|| format!("with --seed {seed}"))?;

    let acknowledged = load.acknowledged();
    ensure!(!acknowledged.is_empty(), "nothing was acknowledged, so nothing could be lost");
    for one in &acknowledged {
        for node in &mut nodes {
            arrives(world, node, one.number, seed).with_context(|| format!("with --seed {seed}"))?;
        }
    }
    println!(
        "{} uploads acknowledged and {} reads beside {kills} kills; seed {seed}",
        acknowledged.len(),
        load.read.load(Ordering::Relaxed)
    );
    nodes.iter_mut().try_for_each(Node::stop)
}

/// Kills one node after the other at any moment, and starts it again.
fn kill(world: &World, nodes: &mut [Node], load: &Load, kills: usize) -> Result<()> {
    let mut random = Random::new(load.seed);
    for _ in 0..kills {
        ensure!(!world.patience().is_interrupted(), "interrupted");
        // tidy: sleep-ok because the moment is to be any
        thread::sleep(Duration::from_millis(random.word() % REST_MAX_MS));
        if load.is_over.load(Ordering::Relaxed) {
            // Somebody found something wrong.
            return Ok(());
        }
        let victim = &mut nodes[usize::try_from(random.word() % 3)?];
        victim.kill()?;
        victim.restart()?;
        load.killed.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

impl Load {
    /// Uploads to one node after the other, and notes what was acknowledged.
    fn upload(&self) -> Result<()> {
        for number in 0.. {
            if self.is_over.load(Ordering::Relaxed) {
                break;
            }
            let at = usize::try_from(number)? % self.doors.len();
            let body = content(number, self.seed);
            match self.ask(at, "PUT", number, &body) {
                Ok(answer) if answer.status == 200 => self.lock().push(Acknowledged { number, at }),
                // It was killed, or is starting, or the one who decides is: nothing was promised.
                _ => pause(),
            }
            while self.lock().len() > UPLOADS_PER_KILL * (self.killed.load(Ordering::Relaxed) + 1)
                && !self.is_over.load(Ordering::Relaxed)
            {
                pause();
            }
        }
        Ok(())
    }

    /// Reads what was acknowledged, anywhere. An answer that breaks off is nothing; one that is whole must be right, and
    /// who acknowledged a file has it.
    fn read(&self, reader: u64) -> Result<()> {
        let mut random = Random::new(self.seed ^ (reader + 1) << 32);
        while !self.is_over.load(Ordering::Relaxed) {
            let at = usize::try_from(random.word() % self.doors.len() as u64)?;
            let Some(one) = self.any(&mut random) else {
                pause();
                continue;
            };
            let checked = match self.ask(at, "GET", one.number, b"") {
                Ok(answer) => self.judge(&answer, one, at),
                Err(_) => {
                    pause();
                    Ok(())
                }
            };
            if checked.is_err() {
                self.is_over.store(true, Ordering::Relaxed);
                return checked;
            }
        }
        Ok(())
    }

    fn judge(&self, answer: &Response, one: Acknowledged, at: usize) -> Result<()> {
        let name = name(one.number);
        ensure!(answer.status != 404 || at != one.at, "{name} is lost where it was acknowledged");
        if answer.status == 200 {
            ensure!(answer.body == content(one.number, self.seed), "{name} was served with wrong bytes");
            self.read.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn any(&self, random: &mut Random) -> Option<Acknowledged> {
        let acknowledged = self.lock();
        let at = random.word().checked_rem(acknowledged.len() as u64)?;
        acknowledged.get(usize::try_from(at).ok()?).copied()
    }

    fn ask(&self, at: usize, method: &str, number: u64, body: &[u8]) -> Result<Response> {
        let Door { address, token } = &self.doors[at];
        let path = format!("/v1/files/{}", name(number));
        http::ask(*address, &Request { method, path: &path, token: Some(token), body }, PATIENCE)
    }

    fn acknowledged(&self) -> Vec<Acknowledged> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Acknowledged>> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pause() {
    // tidy: sleep-ok because a node that is being started tells nobody when it listens
    thread::sleep(PAUSE);
}

fn name(number: u64) -> String {
    format!("load/{number:06}.bin")
}

/// Mostly small, as many between 1 KiB and 2 KiB as between 256 KiB and 512 KiB, and now and then more than a chunk.
fn content(number: u64, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed ^ number << 16);
    let len = if number % 16 == 7 {
        5 << 20
    } else {
        let magnitude = 1 << (6 + random.word() % 13);
        magnitude + random.word() % magnitude
    };
    random_bytes(len, seed ^ number << 16)
}

/// Waits until a node shows a file, and compares it.
fn arrives(world: &World, node: &mut Node, number: u64, seed: u64) -> Result<()> {
    let path = node.files_dir().join(name(number));
    let what = format!("{} to have {}", node.name(), path.display());
    world.patience().until(&what, ARRIVAL, || {
        node.assert_running()?;
        Ok(path.exists().then_some(()))
    })?;
    ensure!(fs::read(&path)? == content(number, seed), "{} has other bytes", path.display());
    Ok(())
}
