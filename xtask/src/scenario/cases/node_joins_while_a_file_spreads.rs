//! A node joins by ticket while others are in the middle of a file: it gets it too, and nobody gets much twice.

use anyhow::{Result, ensure};

use super::transfer::{arrives, has_some};
use crate::scenario::lan::Cable;
use crate::scenario::node::{Node, NodeSpec};
use crate::scenario::world::World;

pub(super) fn play(world: &mut World) -> Result<()> {
    world.cable(Cable::both(60));
    let size: u64 = world.paced(48 << 20, 256 << 20);
    let mut a = world.found()?;
    let mut others = vec![world.join(&a)?, world.join(&a)?];
    let spec = NodeSpec { ticket: Some(a.ticket()?), ..world.spec()? };
    let file = world.file("big.iso", size, 1)?;
    a.ctl(&[&"upload", &file])?.ok()?;

    has_some(world, &others[0], "big.iso", size / 20)?;
    others.push(world.start(spec)?);
    for node in &mut others {
        arrives(world, node, &file)?;
    }
    for node in &others {
        let received = node.received()?;
        println!("{} received {:.3} copies", node.name(), received as f64 / size as f64);
        // The last parts of a file may be fetched from two at once.
        ensure!(received < size + size / 10, "{} received {received} bytes of {size}", node.name());
    }
    ensure!(a.received()? == 0, "the publisher fetched what it had");
    a.stop()?;
    others.iter_mut().try_for_each(Node::stop)
}
