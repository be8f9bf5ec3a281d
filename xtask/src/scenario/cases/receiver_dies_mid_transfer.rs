//! A receiver dies in the middle of a transfer, the publisher is started again, and it goes on where it was.

use anyhow::{Context, Result, ensure};

use super::transfer::{arrives, durable_bytes, has_some, is_midway};
use crate::scenario::lan::Cable;
use crate::scenario::node::NodeSpec;
use crate::scenario::world::World;

pub(super) fn play(world: &mut World) -> Result<()> {
    world.cable(Cable::both(100));
    let size: u64 = world.paced(128 << 20, 512 << 20);
    let mut a = world.found()?;
    let mut b = world.join(&a)?;
    let third = NodeSpec { ticket: Some(a.ticket()?), ..world.spec()? };
    let file = world.file("big.iso", size, 1)?;
    a.ctl(&[&"upload", &file])?.ok()?;
    // Where there are only two nodes whole chunks go, which become durable one by one. With a third, parts of many.
    let before = is_midway(world, &b, "big.iso")?;
    let mut c = world.start(third)?;
    let verified = has_some(world, &b, "big.iso", size / 2)?;
    b.kill()?;

    // What the node says it has is what it had on disk.
    a.kill()?;
    b.restart()?;
    let transfers = b.get("/v1/transfers")?;
    let kept = durable_bytes(&transfers, "big.iso").context("it is not on its way any more")?;
    ensure!(kept >= before, "{before} bytes were reported as here before the kill, {kept} after it");

    a.restart()?;
    arrives(world, &mut b, &file)?;
    arrives(world, &mut c, &file)?;
    // Counted since its restart. Parts of chunks that were not whole yet are lost with the process; what was durable
    // does not come again.
    let received = b.received()?;
    let twice = (received + verified).saturating_sub(size);
    println!("{verified} of {size} bytes were verified, {kept} of them durable; {twice} were fetched again");
    ensure!(received < size - kept + size / 10, "{received} bytes came, when {kept} of {size} were here");
    a.stop()?;
    b.stop()?;
    c.stop()
}
