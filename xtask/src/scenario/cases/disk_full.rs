//! The disk of a receiver is full: a real file system of 48 MiB, mounted for this.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use super::transfer::{ARRIVAL, arrives};
use crate::scenario::node::NodeSpec;
use crate::scenario::outcome::Skip;
use crate::scenario::world::World;

const DISK: &str = "48m";
const FILLER: u64 = 32 << 20;
const SIZE: u64 = 24 << 20;

pub(super) fn play(world: &mut World) -> Result<()> {
    let disk = SmallDisk::mount(&world.path("disk/mounted-here")?)?;
    let mut a = world.found()?;
    let filler = disk.0.join("filler");
    std::fs::write(&filler, vec![1; usize::try_from(FILLER)?])?;

    let spec = world.spec()?;
    let args = vec!["--free-floor".into(), "1MiB".into()];
    let spec = NodeSpec { data_dir: disk.0.join("node"), ticket: Some(a.ticket()?), args, ..spec };
    let mut b = world.start(spec)?;
    let file = world.file("big.iso", SIZE, 1)?;
    a.ctl(&[&"upload", &file])?.ok()?;

    world.patience().until("the node to say that its disk is full", ARRIVAL, || {
        b.assert_running()?;
        let problem = b.ctl_json(&[&"status"])?["problem"].clone();
        Ok(problem.as_str().is_some_and(|text| text.contains("no space")).then_some(()))
    })?;
    ensure!(b.log()?.contains("no space"), "the log does not say that the disk is full");
    ensure!(!b.files_dir().join("big.iso").exists(), "a file that does not fit is shown");

    // It still serves, and goes on by itself when there is room.
    b.ctl(&[&"inspect-chain", &"--verify"])?.ok()?;
    std::fs::remove_file(filler)?;
    arrives(world, &mut b, &file)?;
    let problem = b.ctl_json(&[&"status"])?["problem"].clone();
    ensure!(problem.is_null(), "the problem is over, status still says {problem}");
    a.stop()?;
    b.stop()?;
    disk.unmount()
}

/// A file system of its own, in memory. Mounting needs root, which the machines that run all checks give.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Result<Self> {
        std::fs::create_dir_all(at)?;
        let size = format!("size={DISK}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).status();
        if !mounted.is_ok_and(|status| status.success()) {
            return Err(Skip("a small file system cannot be mounted, which takes root".into()).into());
        }
        Ok(Self(at.to_path_buf()))
    }

    fn unmount(&self) -> Result<()> {
        let unmounted = Command::new("umount").arg(&self.0).status()?;
        ensure!(unmounted.success(), "{} cannot be unmounted", self.0.display());
        Ok(())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // After a failure nodes may still have files open there: then it goes when they do.
        let _ = Command::new("umount").args(["-l", "-q"]).arg(&self.0).output();
    }
}
