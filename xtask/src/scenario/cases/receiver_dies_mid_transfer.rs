//! A receiver dies in the middle of a transfer, the publisher is started again, and it goes on where it was.

use anyhow::{Context, Result, ensure};

use super::transfer::{arrives, durable_bytes, has_some, is_midway};
use crate::scenario::lan::Cable;
use crate::scenario::world::World;

const CHUNK: u64 = 4 << 20;
/// Chunks of which parts may be here at most: these a crash costs, until such parts are made durable too.
const OPEN_CHUNKS: u64 = 8;

pub(super) fn play(world: &mut World) -> Result<()> {
    world.cable(Cable::both(60));
    let size: u64 = world.paced(64 << 20, 512 << 20);
    let mut a = world.found()?;
    let mut c = world.join(&a)?;
    let mut b = world.join(&a)?;
    let file = world.file("big.iso", size, 1)?;
    a.ctl(&[&"upload", &file])?.ok()?;
    let before = is_midway(world, &b, "big.iso")?;
    let verified = has_some(world, &b, "big.iso", size / 4)?;
    b.kill()?;

    // What the node says it has is what it had on disk. The other receiver has no more than a part of the rest.
    a.kill()?;
    b.restart()?;
    let transfers = b.get("/v1/transfers")?;
    let kept = durable_bytes(&transfers, "big.iso").context("it is not on its way any more")?;
    ensure!(kept >= before, "{before} bytes were reported as here before the kill, {kept} after it");

    a.restart()?;
    arrives(world, &mut b, &file)?;
    arrives(world, &mut c, &file)?;
    // Counted since its restart.
    let received = b.received()?;
    let twice = (received + verified).saturating_sub(size);
    println!("{verified} of {size} bytes were verified, {kept} of them kept; {twice} were fetched again");
    let most = size - before + size / 10 + 0 * OPEN_CHUNKS * CHUNK;
    ensure!(received < most, "{received} bytes came after the restart, when {kept} of {size} were here");
    a.stop()?;
    b.stop()?;
    c.stop()
}
