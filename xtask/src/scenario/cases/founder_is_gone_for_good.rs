//! The only validator and its disk are lost: nothing can be written, until an admin founds the network anew.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::transfer::{are_level, arrives};
use crate::scenario::node::NodeSpec;
use crate::scenario::world::World;

const SIZE: u64 = (9 << 20) + 1;

pub(super) fn play(world: &mut World) -> Result<()> {
    let mut founder = world.found()?;
    let invited = founder.ctl_json(&[&"invite", &"--role", &"admin"])?;
    let ticket = invited["ticket"].as_str().context("no ticket")?.to_owned();
    let spec = world.spec()?;
    let mut admin = world.start(NodeSpec { ticket: Some(ticket), ..spec })?;
    let mut member = world.join(&founder)?;
    let first = world.file("first.bin", SIZE, 1)?;
    founder.ctl(&[&"upload", &first])?.ok()?;
    arrives(world, &mut admin, &first)?;
    arrives(world, &mut member, &first)?;
    are_level(world, &admin, &member)?;
    let old = network(&admin.ctl_json(&[&"status"])?)?;
    founder.kill()?;
    fs::remove_dir_all(founder.data_dir())?;

    // Nobody can write; it is said so.
    let second = world.file("second.bin", SIZE, 2)?;
    ensure!(member.ctl(&[&"upload", &second])?.refused()? == 6, "a write without a validator");
    admin.stop()?;
    member.stop()?;

    let file = world.path("recovery.chain")?;
    let folder = admin.data_dir().to_owned();
    let shown = admin.program(&[&"recover", &"--data-dir", &folder])?.ok()?;
    ensure!(
        shown.stdout.contains(&old) && !file.exists(),
        "it does not show what it would do: {}",
        shown.stdout
    );
    admin.program(&[&"recover", &"--data-dir", &folder, &"--out", &file, &"--yes"])?.ok()?;
    let folder = member.data_dir().to_owned();
    member.program(&[&"accept-recovery", &file, &"--data-dir", &folder])?.ok()?;

    // The admin has what it had, before anybody could send it; the write that waited is finished.
    admin.restart()?;
    arrives(world, &mut admin, &first)?;
    member.restart()?;
    arrives(world, &mut admin, &second)?;
    let new = network(&member.ctl_json(&[&"status"])?)?;
    ensure!(new != old, "the network has its old id");

    // A machine that never saw the old network checks all of it, and so does one that has only the file.
    let mut newcomer = world.join(&admin)?;
    arrives(world, &mut newcomer, &first)?;
    are_level(world, &newcomer, &member)?;
    let chain = world.path("exported.chain")?;
    newcomer.ctl(&[&"inspect-chain", &"--verify", &"--export", &chain])?.ok()?;
    let verdict = newcomer.ctl_json(&[&"inspect-chain", &"--file", &chain, &"--network", &new])?;
    ensure!(
        verdict["origin"]["network_id"] == old.as_str(),
        "the chain does not say where it comes from: {verdict}"
    );
    for node in [&mut admin, &mut member, &mut newcomer] {
        node.stop()?;
    }
    Ok(())
}

fn network(status: &serde_json::Value) -> Result<String> {
    Ok(status["network_id"].as_str().context("status has no network_id")?.to_owned())
}
