//! The publisher is unplugged and dies when little more than one copy has left it. What it sent is
//! spread over the others, none of whom has all of it, and they put it together.

use anyhow::{Context, Result, ensure};

use super::transfer::{ARRIVAL, arrives};
use crate::scenario::lan::Cable;
use crate::scenario::node::Node;
use crate::scenario::world::World;

const SIZE: u64 = 32 << 20;
const RECEIVERS: usize = 4;

pub(super) fn play(world: &mut World) -> Result<()> {
    // Skipped without.
    world.lan()?;
    // Faster than the others, or they would have passed everything on before it sends anything twice.
    world.cable(Cable::both(60));
    let mut a = world.found()?;
    world.cable(Cable { up: 15, down: 60 });
    let mut others = Vec::new();
    for _ in 0..RECEIVERS {
        others.push(world.join(&a)?);
    }
    let file = world.file("big.iso", SIZE, 1)?;
    let before = a.sent()?;
    a.ctl(&[&"upload", &file])?.ok()?;

    let sent = world.patience().until("a copy and a little to leave the publisher", ARRIVAL, || {
        let sent = a.sent()? - before;
        // On the wire, where a twentieth is not content.
        Ok((sent >= SIZE + SIZE / 7).then_some(sent))
    })?;
    world.lan()?.cut(a.place().context("it has a place")?)?;
    a.kill()?;
    let copies = sent as f64 / SIZE as f64;
    println!("the publisher sent {copies:.2} copies to {RECEIVERS} receivers");
    ensure!(copies < 1.3, "{copies:.2} copies had left before it was unplugged: this machine is too busy");
    for node in &others {
        ensure!(!node.files_dir().join("big.iso").exists(), "{} needed the publisher no more", node.name());
    }

    for node in &mut others {
        arrives(world, node, &file)?;
    }
    others.iter_mut().try_for_each(Node::stop)
}
