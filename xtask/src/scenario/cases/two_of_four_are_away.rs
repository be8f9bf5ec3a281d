//! Two of four validators away: no quorum. Writes wait and are not lost; reading goes on.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::validators::{are_level, height, nobody_lied, note, promote, write};
use crate::scenario::data::assert_same;
use crate::scenario::world::World;

/// What `swiftctl` ends with when a write is not final in time.
const NOT_FINAL: i32 = 6;
/// How long it may take to say so.
const ANSWER: Duration = Duration::from_secs(60);

pub(super) fn play(world: &mut World) -> Result<()> {
    let mut a = world.found()?;
    let mut b = world.join(&a)?;
    let mut c = world.join(&a)?;
    let mut d = world.join(&a)?;
    promote(&a, &[&b, &c, &d])?;
    let known = world.file("known.bin", 5 << 20, 1)?;
    a.ctl(&[&"upload", &known, &"--wait", &"all"])?.ok()?;
    are_level(world, &[&a, &b, &c, &d])?;

    c.kill()?;
    d.kill()?;
    let before = height(&a)?;
    let waiting = [note(world, "waits-a.txt")?, note(world, "waits-b.txt")?];
    for (node, file) in [(&a, &waiting[0]), (&b, &waiting[1])] {
        let refused = node.ctl_within(ANSWER, &[&"upload", file])?;
        ensure!(refused.refused()? == NOT_FINAL, "not told that there is no quorum: {}", refused.stderr);
        ensure!(refused.stderr.contains("quorum"), "the answer does not name the reason: {}", refused.stderr);
    }
    ensure!(height(&a)? == before, "two of four made a block");

    // What is known can be had, from a node whose ledger stands still.
    let copy = world.path("copy.bin")?;
    b.ctl(&[&"download", &"known.bin", &"-o", &copy])?.ok()?;
    assert_same(&known, &copy)?;
    a.ctl(&[&"ls"])?.ok()?;

    // Also over a restart of those who wait.
    b.kill()?;
    b.restart()?;
    c.restart()?;
    d.restart()?;
    for file in &waiting {
        let name = file.file_name().unwrap_or_default();
        world.patience().until("a write that waited to be final", ANSWER, || {
            Ok(d.files_dir().join(name).exists().then_some(()))
        })?;
    }
    // Asked again, it is what it is: no second one.
    let level = are_level(world, &[&a, &b, &c, &d])?;
    a.ctl(&[&"upload", &waiting[0]])?.ok()?;
    ensure!(height(&a)? == level, "a repeated write made a block");
    write(world, &c, "after.txt")?;
    are_level(world, &[&a, &b, &c, &d])?;
    nobody_lied(&[&a, &b, &c, &d])?;
    for node in [&mut a, &mut b, &mut c, &mut d] {
        node.stop()?;
    }
    Ok(())
}
