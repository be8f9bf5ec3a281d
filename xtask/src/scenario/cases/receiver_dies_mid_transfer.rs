//! A receiver dies in the middle of a transfer, the publisher is started again, and it goes on where it was.

use anyhow::{Context, Result, ensure};

use super::transfer::{arrives, durable_bytes, has_some, has_some_durable, is_midway};
use crate::scenario::lan::Cable;
use crate::scenario::node::NodeSpec;
use crate::scenario::world::World;

/// Bytes that may come besides those that lacked: near the end a slice that is late is fetched from a second source as
/// well.
const RACED_MAX: u64 = 4 << 20;

pub(super) fn play(world: &mut World) -> Result<()> {
    world.cable(Cable::both(100));
    let size: u64 = world.paced(128 << 20, 512 << 20);
    let mut a = world.found()?;
    let mut b = world.join(&a)?;
    let third = NodeSpec { ticket: Some(a.ticket()?), ..world.spec()? };
    let file = world.file("big.iso", size, 1)?;
    a.ctl(&[&"upload", &file])?.ok()?;
    // Where there are only two nodes whole chunks go. With a third, parts of many: chunks become whole near the end, and
    // their parts are durable long before.
    is_midway(world, &b, "big.iso")?;
    let mut c = world.start(third)?;
    let durable = has_some_durable(world, &b, "big.iso", size / 2)?;
    let verified = has_some(world, &b, "big.iso", size / 2)?;
    b.kill()?;

    // What the node says it has is what it had on disk.
    a.kill()?;
    b.restart()?;
    let transfers = b.get("/v1/transfers")?;
    let kept = durable_bytes(&transfers, "big.iso").context("it is not on its way any more")?;
    ensure!(kept >= durable, "{durable} bytes were reported as durable before the kill, {kept} after it");

    a.restart()?;
    arrives(world, &mut b, &file)?;
    arrives(world, &mut c, &file)?;
    // Counted since its restart.
    let received = b.received()?;
    let twice = (received + verified).saturating_sub(size);
    println!(
        "{verified} of {size} bytes were verified, {durable} of them durable; {twice} were fetched again"
    );
    let lacking = size - durable;
    ensure!(
        received <= lacking + RACED_MAX,
        "{received} bytes came, when {durable} of {size} were durable and {lacking} lacked"
    );
    a.stop()?;
    b.stop()?;
    c.stop()
}
