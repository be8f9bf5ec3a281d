//! Two nodes write at the same moment. The original service forked its chain here and lost one.

use std::thread;

use anyhow::{Result, ensure};

use super::transfer::{are_level, arrives};
use crate::scenario::world::World;

const ROUNDS: u64 = 5;

pub(super) fn play(world: &mut World) -> Result<()> {
    let mut a = world.found()?;
    let mut b = world.join(&a)?;
    for round in 0..ROUNDS {
        let of_a = world.file(&format!("a-{round}"), 5 << 20, round)?;
        let of_b = world.file(&format!("b-{round}"), 5 << 20, 100 + round)?;
        let (on_a, on_b) = thread::scope(|scope| {
            let on_a = scope.spawn(|| a.ctl(&[&"upload", &of_a]));
            let on_b = b.ctl(&[&"upload", &of_b]);
            (on_a.join(), on_b)
        });
        on_a.map_err(|_| anyhow::anyhow!("the upload thread failed"))??.ok()?;
        on_b?.ok()?;
        arrives(world, &mut b, &of_a)?;
        arrives(world, &mut a, &of_b)?;
    }

    // Different content for one name: one of them has it, the other hears why not, and all agree which.
    let of_a = world.file("from-a/same", 1 << 20, 7)?;
    let of_b = world.file("from-b/same", 1 << 20, 8)?;
    let (on_a, on_b) = thread::scope(|scope| {
        let on_a = scope.spawn(|| a.ctl(&[&"upload", &of_a]));
        let on_b = b.ctl(&[&"upload", &of_b]);
        (on_a.join(), on_b)
    });
    let on_a = on_a.map_err(|_| anyhow::anyhow!("the upload thread failed"))??;
    let on_b = on_b?;
    let winner = match (on_a.ok(), on_b.ok()) {
        (Ok(_), Err(_)) => of_a,
        (Err(_), Ok(_)) => of_b,
        (Ok(_), Ok(_)) => anyhow::bail!("two contents were published under one name"),
        (Err(one), Err(_)) => return Err(one.context("nobody got the name")),
    };
    arrives(world, &mut a, &winner)?;
    arrives(world, &mut b, &winner)?;
    are_level(world, &a, &b)?;
    let files = b.ctl_json(&[&"status"])?["files"].as_u64();
    ensure!(files == Some(2 * ROUNDS + 1), "the ledger has {files:?} files");
    b.ctl(&[&"inspect-chain", &"--verify"])?.ok()?;
    a.stop()?;
    b.stop()
}
