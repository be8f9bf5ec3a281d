//! A disk takes what is written and cannot keep it: every synchronisation of a running node fails. The system says so in place of
//! the disk, by strace.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::transfer::arrives;
use crate::scenario::node::Node;
use crate::scenario::outcome::Skip;
use crate::scenario::world::World;

const SIZE: u64 = 5 << 20;
/// The node must not go on for long.
const END: Duration = Duration::from_secs(30);

pub(super) fn play(world: &mut World) -> Result<()> {
    let mut a = world.found()?;
    let mut b = world.join(&a)?;
    let (before, late) = (world.file("before.bin", SIZE, 1)?, world.file("late.bin", SIZE, 2)?);
    a.ctl(&[&"upload", &before])?.ok()?;
    arrives(world, &mut b, &before)?;

    let failing = FailingSyncs::of(&mut a)?;
    a.ctl(&[&"upload", &late])?.refused()?;
    let status = a.ended(END)?;
    drop(failing);
    ensure!(status.code() == Some(1), "the node ended with {status}");
    let log = a.log()?;
    for said in ["the node stops", "the store stopped: cannot synchronise", "check the disk"] {
        ensure!(log.contains(said), "the log does not say {said:?}");
    }

    // What was acknowledged is there, what was not is not, and all goes on.
    a.restart()?;
    arrives(world, &mut a, &before)?;
    let names = a.ctl(&[&"ls"])?.ok()?.stdout;
    ensure!(names.contains("before.bin") && !names.contains("late.bin"), "{names}");
    a.ctl(&[&"scrub"])?.ok()?;
    a.ctl(&[&"upload", &late])?.ok()?;
    arrives(world, &mut b, &late)?;
    a.stop()?;
    b.stop()
}

/// While it lives, no synchronisation of a process succeeds.
struct FailingSyncs(Child);

impl FailingSyncs {
    fn of(node: &mut Node) -> Result<Self> {
        let pid = node.pid()?.to_string();
        let calls = ["-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO"];
        let mut strace = Command::new("strace");
        strace.args(["-f", "-o", "/dev/null", "-p", &pid]).args(calls);
        strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let no_strace = || {
            Skip(
                "no call of a process can be made to fail, which takes strace and the right to use it".into(),
            )
        };
        let mut child = strace.spawn().map_err(|_| no_strace())?;
        let said = child.stderr.take().context("strace has no stderr")?;
        let failing = Self(child);
        // It says so when it holds every thread there is.
        let is_attached =
            BufReader::new(said).lines().map_while(Result::ok).any(|line| line.contains(" attached"));
        if is_attached { Ok(failing) } else { Err(no_strace().into()) }
    }
}

impl Drop for FailingSyncs {
    fn drop(&mut self) {
        // It may have ended with the process.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
