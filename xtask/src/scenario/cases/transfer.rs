//! What scenarios ask about files on their way.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::scenario::data::assert_same;
use crate::scenario::node::Node;
use crate::scenario::world::World;

/// How long a file may take to arrive. Generous: it bounds a failure, not a transfer.
pub(super) const ARRIVAL: Duration = Duration::from_secs(120);

/// Waits until the file is complete on a node and the same as the original.
pub(super) fn arrives(world: &World, node: &mut Node, original: &Path) -> Result<()> {
    let name = original.file_name().context("a file without a name")?;
    let shown = node.files_dir().join(name);
    let what = format!("{} to have {}", node.name(), name.to_string_lossy());
    world.patience().until(&what, ARRIVAL, || {
        node.assert_running()?;
        Ok(shown.exists().then_some(()))
    })?;
    assert_same(original, &shown)
}

/// Waits until a transfer is under way: some of the file is here and some is not. Gives the bytes that are.
pub(super) fn is_midway(world: &World, node: &Node, name: &str) -> Result<u64> {
    let token = node.token()?;
    let what = format!("{name} to be on its way to {}", node.name());
    world.patience().until(&what, ARRIVAL, || {
        let answer = node.http("GET", "/v1/transfers", Some(&token), b"")?.expect(200)?.json()?;
        if let Some(durable) = durable_bytes(&answer, name).filter(|durable| *durable > 0) {
            return Ok(Some(durable));
        }
        if node.files_dir().join(name).exists() {
            bail!(
                "{name} was complete before it was seen on its way: the file is too small for this machine"
            );
        }
        Ok(None)
    })
}

/// Waits until a node has so many verified bytes of a file, durable or not, and not all of it. Gives how many.
pub(super) fn has_some(world: &World, node: &Node, name: &str, at_least: u64) -> Result<u64> {
    has_some_that_are(world, node, name, "done_bytes", at_least)
}

/// The same of bytes that are durable.
pub(super) fn has_some_durable(world: &World, node: &Node, name: &str, at_least: u64) -> Result<u64> {
    has_some_that_are(world, node, name, "durable_bytes", at_least)
}

fn has_some_that_are(world: &World, node: &Node, name: &str, field: &str, at_least: u64) -> Result<u64> {
    let what = format!("{} to have {at_least} {field} of {name}", node.name());
    world.patience().until(&what, ARRIVAL, || {
        let transfers = node.get("/v1/transfers")?;
        let done = of_file(&transfers, name).and_then(|transfer| transfer[field].as_u64());
        if done.is_none() && node.files_dir().join(name).exists() {
            bail!(
                "{name} was complete before it was seen on its way: the file is too small for this machine"
            );
        }
        Ok(done.filter(|done| *done >= at_least))
    })
}

/// Waits until a node knows that a file is complete on these nodes and on no other.
pub(super) fn has_copies(world: &World, asked: &Node, name: &str, holders: &[&Node]) -> Result<()> {
    let mut ids: Vec<String> = holders.iter().map(|node| node.id()).collect::<Result<_>>()?;
    ids.sort();
    let what = format!("{} to know of {} copies of {name}", asked.name(), ids.len());
    world.patience().until(&what, ARRIVAL, || {
        let answer = asked.get(&format!("/v1/files/{name}?copies"))?;
        let listed = answer["complete"].as_array().context("no list of complete copies")?;
        let mut listed: Vec<&str> = listed.iter().filter_map(Value::as_str).collect();
        listed.sort_unstable();
        Ok((listed == ids).then_some(()))
    })
}

/// Bytes of a file that a node has verified and synced, as its list of transfers says.
pub(super) fn durable_bytes(transfers: &Value, name: &str) -> Option<u64> {
    of_file(transfers, name)?["durable_bytes"].as_u64()
}

fn of_file<'a>(transfers: &'a Value, name: &str) -> Option<&'a Value> {
    let is_it = |transfer: &&Value| transfer["file"] == name && transfer["direction"] == "in";
    transfers["transfers"].as_array()?.iter().find(is_it)
}

/// Waits until two nodes have the same last block.
pub(super) fn are_level(world: &World, one: &Node, other: &Node) -> Result<()> {
    let head = |node: &Node| node.ctl_json(&[&"status"]).map(|status| status["head_hash"].clone());
    world
        .patience()
        .until("the ledgers to be level", ARRIVAL, || Ok((head(one)? == head(other)?).then_some(())))
}
