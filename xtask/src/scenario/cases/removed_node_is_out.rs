//! Removal: nothing more for a node that was taken out, and a word why.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::transfer::arrives;
use crate::scenario::world::World;

/// How long the removed node may take to hear of it and end.
const FAREWELL: Duration = Duration::from_secs(30);

pub(super) fn play(world: &mut World) -> Result<()> {
    let mut a = world.found()?;
    let ticket = a.ticket()?;
    let mut b = world.join(&a)?;
    let first = world.file("first.bin", 5 << 20, 1)?;
    a.ctl(&[&"upload", &first, &"--wait", &"all"])?.ok()?;
    arrives(world, &mut b, &first)?;

    let id = b.ctl_json(&[&"status"])?["node_id"].as_str().unwrap_or_default().to_owned();
    a.ctl(&[&"node", &"remove", &id])?.ok()?;
    let nodes = a.ctl_json(&[&"nodes"])?;
    ensure!(
        nodes.as_array().is_some_and(|nodes| nodes.len() == 1),
        "the removed node is still listed: {nodes}"
    );

    // It is told, says so, and stops by itself.
    world
        .patience()
        .until("the removed node to stop", FAREWELL, || Ok(b.assert_running().is_err().then_some(())))?;
    ensure!(
        b.log()?.contains("this node was removed from the network by block"),
        "it does not say why it stopped"
    );

    // Nothing published since reaches it, and a fresh ticket does not bring its key back.
    let second = world.file("second.bin", 5 << 20, 2)?;
    a.ctl(&[&"upload", &second])?.ok()?;
    ensure!(!b.files_dir().join("second.bin").exists(), "a removed node got a file");
    ensure!(b.files_dir().join("first.bin").exists(), "a removed node lost what it had");
    std::fs::remove_file(b.data_dir().join("ledger.db"))?;
    let spec = world.spec()?;
    let spec = crate::scenario::node::NodeSpec {
        data_dir: b.data_dir().to_path_buf(),
        ticket: Some(ticket),
        ..spec
    };
    let again = world.start(spec);
    ensure!(again.is_err(), "a removed key joined again");
    a.stop()
}
