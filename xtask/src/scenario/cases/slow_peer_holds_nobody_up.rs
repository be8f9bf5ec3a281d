//! One node on a slow cable among fast ones: they do not wait for it, it gets everything in the end, and nobody takes its
//! slowness for a fault.

use anyhow::{Result, ensure};

use super::transfer::{ARRIVAL, arrives, has_copies};
use crate::scenario::data::assert_same;
use crate::scenario::lan::Cable;
use crate::scenario::node::Node;
use crate::scenario::world::World;

const SIZE: u64 = 12 << 20;
const FAST: Cable = Cable::both(40);
/// Ten times slower in either direction, so that the order does not depend on how busy this machine is.
const SLOW: Cable = Cable { up: 2, down: 4 };

pub(super) fn play(world: &mut World) -> Result<()> {
    // Skipped without.
    world.lan()?;
    world.cable(FAST);
    let mut a = world.found()?;
    let mut fast = [world.join(&a)?, world.join(&a)?, world.join(&a)?];
    world.cable(SLOW);
    let mut slow = world.join(&a)?;
    let file = world.file("big.iso", SIZE, 1)?;
    a.ctl(&[&"upload", &file])?.ok()?;

    let shown = |node: &Node| node.files_dir().join("big.iso");
    world.patience().until("the fast nodes to have the file before the slow one", ARRIVAL, || {
        let slow_has_it = shown(&slow).exists();
        let lacking: Vec<&str> = fast.iter().filter(|node| !shown(node).exists()).map(Node::name).collect();
        ensure!(lacking.is_empty() || !slow_has_it, "the slow node was complete before {lacking:?}");
        Ok(lacking.is_empty().then_some(()))
    })?;
    for node in &fast {
        assert_same(&file, &shown(node))?;
    }
    arrives(world, &mut slow, &file)?;

    // It is one of them: its copy counts, and what it publishes is taken.
    has_copies(world, &fast[0], "big.iso", &[&a, &fast[0], &fast[1], &fast[2], &slow])?;
    let own = world.file("of-the-slow-one.bin", 300_000, 2)?;
    slow.ctl(&[&"upload", &own])?.ok()?;
    for node in fast.iter_mut().chain([&mut a]) {
        arrives(world, node, &own)?;
        ensure!(!node.log()?.contains("a member did wrong"), "{} blames a member", node.name());
    }
    a.stop()?;
    fast.iter_mut().chain([&mut slow]).try_for_each(Node::stop)
}
