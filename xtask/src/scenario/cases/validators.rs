//! What scenarios with several validators have in common.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::scenario::node::Node;
use crate::scenario::world::World;

/// How long a write or a change may take to be everywhere. Generous: it bounds a failure.
pub(super) const LEVEL: Duration = Duration::from_secs(60);

pub(super) fn height(node: &Node) -> Result<u64> {
    node.ctl_json(&[&"status"])?["height"].as_u64().context("status has no height")
}

/// Gives every one of `nodes` but the founder, which has it, a weight of 1.
pub(super) fn promote(founder: &Node, nodes: &[&Node]) -> Result<()> {
    for node in nodes {
        founder.ctl(&[&"node", &"promote", &node.id()?])?.ok()?;
    }
    Ok(())
}

/// Waits until all nodes have the same head.
pub(super) fn are_level(world: &World, nodes: &[&Node]) -> Result<u64> {
    world.patience().until("all nodes to have the same head", LEVEL, || {
        let mut heads = Vec::new();
        for node in nodes {
            let status = node.ctl_json(&[&"status"])?;
            heads.push((status["height"].clone(), status["head_hash"].clone()));
        }
        ensure!(heads.iter().all(|(height, _)| height.is_u64()), "status has no height");
        let first = heads.first().cloned();
        let same = heads.iter().all(|head| Some(head) == first.as_ref());
        Ok(first.filter(|_| same).and_then(|(height, _)| height.as_u64()))
    })
}

/// A small file of its own.
pub(super) fn note(world: &World, name: &str) -> Result<PathBuf> {
    let path = world.path(name)?;
    fs::write(&path, name)?;
    Ok(path)
}

/// Uploads a small file, which must be final when the command ends.
pub(super) fn write(world: &World, node: &Node, name: &str) -> Result<()> {
    node.ctl(&[&"upload", &note(world, name)?])?.ok()?;
    Ok(())
}

/// No validator was ever caught, and every chain is right.
pub(super) fn nobody_lied(nodes: &[&Node]) -> Result<()> {
    for node in nodes {
        let evidence = node.ctl_json(&[&"status"])?["evidence"].clone();
        ensure!(evidence == 0, "{} has evidence against a validator: {evidence}", node.name());
        node.ctl(&[&"inspect-chain", &"--verify"])?.ok()?;
    }
    Ok(())
}
