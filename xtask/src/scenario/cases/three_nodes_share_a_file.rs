//! The main job: a file put on one node is on every node, verified, and the ledger proves it.

use anyhow::{Result, ensure};

use super::transfer::{are_level, arrives};
use crate::scenario::data::assert_same;
use crate::scenario::world::World;

const SIZE: u64 = (64 << 20) + 12_345;

pub(super) fn play(world: &mut World) -> Result<()> {
    let mut a = world.found()?;
    let mut b = world.join(&a)?;
    let mut c = world.join(&a)?;
    let file = world.file("big.iso", SIZE, 1)?;

    let uploaded = a.ctl(&[&"upload", &file, &"--wait", &"all"])?.ok()?;
    ensure!(
        uploaded.stdout.contains("copies: 3"),
        "the upload does not say how many have it: {}",
        uploaded.stdout
    );
    arrives(world, &mut b, &file)?;
    arrives(world, &mut c, &file)?;

    // From the last one it can be had, and each proves the chain for itself.
    let copy = world.path("copy.iso")?;
    c.ctl(&[&"download", &"big.iso", &"-o", &copy])?.ok()?;
    assert_same(&file, &copy)?;
    for node in [&a, &b, &c] {
        node.ctl(&[&"inspect-chain", &"--verify"])?.ok()?;
    }

    // Files of no bytes, one byte and one whole chunk take the same way, from another node.
    for (name, size) in [("empty", 0), ("one", 1), ("chunk", 4 << 20)] {
        let small = world.file(name, size, size)?;
        b.ctl(&[&"upload", &small, &"--wait", &"all"])?.ok()?;
        arrives(world, &mut c, &small)?;
    }

    // What is removed is gone everywhere.
    a.ctl(&[&"rm", &"big.iso"])?.ok()?;
    are_level(world, &a, &c)?;
    let shown = c.files_dir().join("big.iso");
    world
        .patience()
        .until("the removed file to go", super::transfer::ARRIVAL, || Ok((!shown.exists()).then_some(())))?;
    a.stop()?;
    b.stop()?;
    c.stop()
}
