//! A network falls into two halves while files of both spread, and comes together again.

use anyhow::{Context, Result, ensure};

use super::transfer::{arrives, has_copies, has_some};
use crate::scenario::lan::{Cable, Place};
use crate::scenario::node::Node;
use crate::scenario::world::World;

pub(super) fn play(world: &mut World) -> Result<()> {
    world.cable(Cable::both(60));
    let size: u64 = world.paced(24 << 20, 96 << 20);
    let a = world.found()?;
    let b = world.join(&a)?;
    let mut here = [a, b];
    let mut there = [world.join(&here[0])?, world.join(&here[0])?, world.join(&here[0])?];
    let of_here = world.file("of-here.iso", size, 1)?;
    let of_there = world.file("of-there.iso", size, 2)?;
    here[0].ctl(&[&"upload", &of_here])?.ok()?;
    there[0].ctl(&[&"upload", &of_there])?.ok()?;
    // Each half has begun with what is whole in the other only.
    has_some(world, &here[1], "of-there.iso", 1)?;
    let kept = has_some(world, &there[1], "of-here.iso", 1)?;
    println!("parted when the far half had {kept} bytes of {size} of the near half's file");
    part(world, &here, &mut there)?;

    // Each half puts together what there is a whole copy of in it, and counts its own copies.
    arrives(world, &mut here[1], &of_here)?;
    has_copies(world, &here[0], "of-here.iso", &[&here[0], &here[1]])?;
    if world.has_links() {
        for node in &mut there[1..] {
            arrives(world, node, &of_there)?;
        }
        has_copies(world, &there[1], "of-there.iso", &there.each_ref())?;
    }

    heal(world, &here, &mut there)?;
    for node in here.iter_mut().chain(&mut there) {
        arrives(world, node, &of_here)?;
        arrives(world, node, &of_there)?;
    }
    let all: Vec<&Node> = here.iter().chain(&there).collect();
    for name in ["of-here.iso", "of-there.iso"] {
        has_copies(world, all[0], name, &all)?;
        has_copies(world, all[all.len() - 1], name, &all)?;
    }
    for (at, node) in all.iter().enumerate() {
        // The publishers lacked one of the files only.
        let lacked = if at == 0 || at == 2 { size } else { 2 * size };
        let received = node.received()?;
        println!("{} lacked {lacked} bytes and received {received}", node.name());
        ensure!(received < lacked + size / 4, "{} received {received} bytes for {lacked}", node.name());
    }
    here.iter_mut().chain(&mut there).try_for_each(Node::stop)
}

/// On loopback one half stands still, as if all the others had lost it.
fn part(world: &mut World, here: &[Node], there: &mut [Node]) -> Result<()> {
    if world.has_links() {
        return world.lan()?.part(&places(here)?);
    }
    world.leave_out("the far half going on by itself: on loopback it can only stand still");
    there.iter_mut().try_for_each(Node::pause)
}

fn heal(world: &World, here: &[Node], there: &mut [Node]) -> Result<()> {
    if world.has_links() {
        return world.lan()?.heal(&places(here)?);
    }
    there.iter_mut().try_for_each(Node::resume)
}

fn places(nodes: &[Node]) -> Result<Vec<&Place>> {
    nodes.iter().map(|node| node.place().context("it has a place")).collect()
}
