//! A single node founds a network, takes a file, gives it back, and still has it after a power cut.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::scenario::data::assert_same;
use crate::scenario::node::Node;
use crate::scenario::world::World;

/// Two whole chunks, a part of a third, and an odd end.
const SIZE: u64 = (9 << 20) + 3;

pub(super) fn play(world: &mut World) -> Result<()> {
    let mut node = world.found()?;
    let file = world.file("story.bin", SIZE, 1)?;

    node.ctl(&[&"upload", &file])?.ok()?;
    has_it(world, &node, &file)?;

    // Asking again for what is already true is success; taking a name twice is not.
    let height = node.ctl_json(&[&"status"])?["height"].clone();
    node.ctl(&[&"upload", &file])?.ok()?;
    let other = world.file("other/story.bin", SIZE, 2)?;
    node.ctl(&[&"upload", &other])?.refused()?;
    ensure!(node.ctl_json(&[&"status"])?["height"] == height, "a repeated or refused upload added a block");
    has_it(world, &node, &file)?;

    node.kill()?;
    node.restart()?;
    has_it(world, &node, &file)?;
    node.stop()
}

/// The file is visible, can be downloaded, and the ledger that speaks of it is sound.
fn has_it(world: &World, node: &Node, file: &Path) -> Result<()> {
    assert_same(file, &node.files_dir().join("story.bin"))?;
    let copy = world.path("copy.bin")?;
    node.ctl(&[&"download", &"story.bin", &"-o", &copy])?.ok()?;
    assert_same(file, &copy)?;
    fs::remove_file(copy)?;
    node.ctl(&[&"inspect-chain", &"--verify"])?.ok()?;
    Ok(())
}
