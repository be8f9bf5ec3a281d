//! The publisher is unplugged and dies when little more than one copy has left it. What it sent is spread over the others,
//! who put it together.

use anyhow::{Result, ensure};

use super::transfer::{ARRIVAL, arrives};
use crate::scenario::lan::Cable;
use crate::scenario::world::World;

const RECEIVERS: usize = 4;

pub(super) fn play(world: &mut World) -> Result<()> {
    world.cable(Cable::both(60));
    let size: u64 = world.paced(48 << 20, 512 << 20);
    let mut a = world.found()?;
    let mut others = Vec::new();
    for _ in 0..RECEIVERS {
        others.push(world.join(&a)?);
    }
    let file = world.file("big.iso", size, 1)?;
    let before = a.sent()?;
    a.ctl(&[&"upload", &file])?.ok()?;

    let sent = world.patience().until("a copy and a tenth to leave the publisher", ARRIVAL, || {
        let sent = a.sent()? - before;
        Ok((sent >= size + size / 10).then_some(sent))
    })?;
    if let Some(place) = a.place() {
        world.lan()?.cut(place)?;
    }
    a.kill()?;
    let copies = sent as f64 / size as f64;
    println!("the publisher sent {copies:.2} copies to {RECEIVERS} receivers");
    ensure!(copies < 1.3, "{copies:.2} copies had left before it was unplugged: this machine is too busy");

    for node in &mut others {
        arrives(world, node, &file)?;
    }
    others.iter_mut().try_for_each(|node| node.stop())
}
