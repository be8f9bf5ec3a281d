//! Who comes late, or comes back, gets everything.

use anyhow::Result;

use super::transfer::{are_level, arrives};
use crate::scenario::world::World;

const SIZE: u64 = (20 << 20) + 1;
/// Blocks made while a member is off.
const BLOCKS: usize = 60;

pub(super) fn play(world: &mut World) -> Result<()> {
    let mut a = world.found()?;
    let first = world.file("first.bin", SIZE, 1)?;
    a.ctl(&[&"upload", &first])?.ok()?;

    let mut late = world.join(&a)?;
    arrives(world, &mut late, &first)?;
    are_level(world, &a, &late)?;

    late.stop()?;
    let second = world.file("second.bin", SIZE, 2)?;
    a.ctl(&[&"upload", &second])?.ok()?;
    let note = world.file("note.txt", 10, 3)?;
    for _ in 0..BLOCKS / 2 {
        a.ctl(&[&"upload", &note])?.ok()?;
        a.ctl(&[&"rm", &"note.txt"])?.ok()?;
    }
    late.restart()?;
    are_level(world, &a, &late)?;
    arrives(world, &mut late, &second)?;

    // A third node learns all of it from a member that is no validator, while the founder is away.
    let mut third = world.join(&a)?;
    arrives(world, &mut third, &second)?;
    a.stop()?;
    third.stop()?;
    third.restart()?;
    third.ctl(&[&"inspect-chain", &"--verify"])?.ok()?;
    late.stop()?;
    third.stop()
}
