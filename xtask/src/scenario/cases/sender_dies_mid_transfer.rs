//! Of two senders one dies in the middle of a transfer.

use anyhow::Result;

use super::transfer::{arrives, is_midway};
use crate::scenario::world::World;

const SIZE: u64 = 512 << 20;

pub(super) fn play(world: &mut World) -> Result<()> {
    let mut a = world.found()?;
    let mut b = world.join(&a)?;
    let file = world.file("big.iso", SIZE, 1)?;
    a.ctl(&[&"upload", &file])?.ok()?;
    arrives(world, &mut b, &file)?;

    let mut c = world.join(&a)?;
    is_midway(world, &c, "big.iso")?;
    b.kill()?;
    arrives(world, &mut c, &file)?;

    // The one that died has lost nothing.
    b.restart()?;
    arrives(world, &mut b, &file)?;
    b.ctl(&[&"inspect-chain", &"--verify"])?.ok()?;
    a.stop()?;
    b.stop()?;
    c.stop()
}
