//! Seven validators and twenty members that only follow.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::validators::{are_level, height, nobody_lied, promote, write};
use crate::scenario::world::World;

const VALIDATORS: usize = 7;
const MEMBERS: usize = 20;
/// Nobody writes for so long.
const REST: Duration = Duration::from_secs(60);

pub(super) fn play(world: &mut World) -> Result<()> {
    let mut nodes = vec![world.found()?];
    for _ in 1..VALIDATORS + MEMBERS {
        let node = world.join(&nodes[0])?;
        nodes.push(node);
    }
    promote(&nodes[0], &nodes[1..VALIDATORS].iter().collect::<Vec<_>>())?;
    // A validator, a member, and the last of them.
    for (at, name) in [(3, "by-a-validator.txt"), (9, "by-a-member.txt"), (26, "by-the-last.txt")] {
        write(world, &nodes[at], name)?;
    }
    are_level(world, &nodes.iter().collect::<Vec<_>>())?;

    // Two of seven may be away.
    nodes[1].kill()?;
    nodes[5].kill()?;
    write(world, &nodes[20], "without-two.txt")?;
    nodes[1].restart()?;
    nodes[5].restart()?;
    let level = are_level(world, &nodes.iter().collect::<Vec<_>>())?;

    // Nothing happens when nobody wants anything: there is no event to wait for, only time to pass.
    let begun = std::time::Instant::now();
    world.patience().until("a minute to pass", REST * 2, || {
        ensure!(height(&nodes[0])? == level, "an idle network made a block");
        Ok((begun.elapsed() >= REST).then_some(()))
    })?;
    are_level(world, &nodes.iter().collect::<Vec<_>>())?;
    nobody_lied(&[&nodes[0], &nodes[6], &nodes[26]])?;
    for node in &mut nodes {
        node.stop()?;
    }
    Ok(())
}
