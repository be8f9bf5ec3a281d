//! A receiver dies in the middle of a transfer and goes on where it was.

use anyhow::{Result, ensure};

use super::transfer::{arrives, durable_bytes, is_midway};
use crate::scenario::world::World;

const SIZE: u64 = 512 << 20;

pub(super) fn play(world: &mut World) -> Result<()> {
    let mut a = world.found()?;
    let file = world.file("big.iso", SIZE, 1)?;
    a.ctl(&[&"upload", &file])?.ok()?;
    let mut b = world.join(&a)?;
    let before = is_midway(world, &b, "big.iso")?;
    b.kill()?;

    // Nobody to fetch from: what the node says it has is what it had on disk.
    a.kill()?;
    b.restart()?;
    let token = b.token()?;
    let transfers = b.http("GET", "/v1/transfers", Some(&token), b"")?.expect(200)?.json()?;
    let kept = durable_bytes(&transfers, "big.iso").unwrap_or_default();
    ensure!(kept >= before, "{before} bytes were reported as here before the kill, {kept} after it");

    a.restart()?;
    arrives(world, &mut b, &file)?;
    a.stop()?;
    b.stop()
}
