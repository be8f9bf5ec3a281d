//! Four validators: any one may be killed, stand still or be cut off, and writes go on.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::validators::{are_level, height, nobody_lied, promote, write};
use crate::scenario::node::Node;
use crate::scenario::world::World;

/// A standstill longer than every time limit between nodes.
const STANDSTILL: Duration = Duration::from_secs(60);
/// Writes while one is away: with four of them every validator has its turn to propose.
const WRITES: usize = 4;

pub(super) fn play(world: &mut World) -> Result<()> {
    let mut nodes = vec![world.found()?];
    for _ in 1..4 {
        let node = world.join(&nodes[0])?;
        nodes.push(node);
    }
    promote(&nodes[0], &nodes[1..].iter().collect::<Vec<_>>())?;
    are_level(world, &nodes.iter().collect::<Vec<_>>())?;

    for away in 0..nodes.len() {
        nodes[away].kill()?;
        writes_go_on(world, &nodes, away, "killed")?;
        nodes[away].restart()?;
        catches_up(world, &nodes, away)?;
    }
    if world.has_links() {
        for away in 0..nodes.len() {
            let place = nodes[away].place().context("it has a place")?.clone();
            world.lan()?.cut(&place)?;
            writes_go_on(world, &nodes, away, "cut-off")?;
            world.lan()?.mend(&place)?;
            catches_up(world, &nodes, away)?;
        }
    } else {
        world.leave_out("being cut off, for which there must be cables");
    }
    // One after the other would take four minutes and show no more: whose turn it is goes round meanwhile.
    nodes[1].pause()?;
    let begun = std::time::Instant::now();
    let mut round = 0;
    while begun.elapsed() < STANDSTILL {
        writes_go_on(world, &nodes, 1, &format!("standing-{round}"))?;
        round += 1;
    }
    nodes[1].resume()?;
    catches_up(world, &nodes, 1)?;

    let all: Vec<_> = nodes.iter().collect();
    nobody_lied(&all)?;
    let rested = height(&nodes[0])?;
    for node in &mut nodes {
        node.stop()?;
    }
    ensure!(rested > 0, "nothing was written");
    Ok(())
}

fn writes_go_on(world: &World, nodes: &[Node], away: usize, how: &str) -> Result<()> {
    let here: Vec<_> = nodes.iter().enumerate().filter(|(at, _)| *at != away).map(|(_, node)| node).collect();
    for number in 0..WRITES {
        write(world, here[number % here.len()], &format!("{how}-{away}-{number}.txt"))?;
    }
    are_level(world, &here)?;
    Ok(())
}

/// It has every block, and takes part in the next.
fn catches_up(world: &World, nodes: &[Node], was_away: usize) -> Result<()> {
    are_level(world, &nodes.iter().collect::<Vec<_>>())?;
    let before = height(&nodes[was_away])?;
    write(world, &nodes[was_away], &format!("back-{was_away}-{before}.txt"))?;
    are_level(world, &nodes.iter().collect::<Vec<_>>())?;
    Ok(())
}
