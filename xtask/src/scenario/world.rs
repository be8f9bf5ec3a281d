//! What a scenario plays in: a folder, programs, and the nodes it starts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs, process};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::binaries::Binaries;
use super::data;
use super::lan::{Lan, Place};
use super::node::{Node, NodeSpec};
use super::port::Ports;
use super::wait::Patience;

/// One folder with everything in it: data folders, logs, files, the output of commands. It goes when the world is
/// dropped, unless the world was told to keep it. Nodes belong to the scenario and end with it.
#[derive(Debug)]
pub(crate) struct World {
    folder: TempDir,
    binaries: Arc<Binaries>,
    patience: Patience,
    ports: Ports,
    started: usize,
}

impl World {
    pub(crate) fn new(name: &str, binaries: Arc<Binaries>, patience: Patience) -> Result<Self> {
        Self::new_in(&env::temp_dir(), name, binaries, patience)
    }

    /// A world whose folder lies in another one.
    pub(crate) fn new_in(
        parent: &Path,
        name: &str,
        binaries: Arc<Binaries>,
        patience: Patience,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix(&format!("swiftserve-{name}-")).tempdir_in(parent);
        let folder = folder.context("cannot make a folder for the nodes")?;
        Ok(Self { folder, binaries, patience, ports: Ports::new(moment()), started: 0 })
    }

    pub(crate) fn patience(&self) -> &Patience {
        &self.patience
    }

    /// Starts a node that founds a network.
    pub(crate) fn found(&mut self) -> Result<Node> {
        let spec = self.spec()?;
        self.start(spec)
    }

    /// Starts a node that joins the network of another by a fresh ticket.
    pub(crate) fn join(&mut self, member: &Node) -> Result<Node> {
        let spec = self.spec()?;
        self.start(NodeSpec { ticket: Some(member.ticket()?), ..spec })
    }

    /// Starts a node in a place of its own, which founds a network or joins that of another.
    pub(crate) fn start_at(&mut self, place: Place, member: Option<&Node>) -> Result<Node> {
        let ticket = member.map(Node::ticket).transpose()?;
        let spec = self.spec()?;
        self.start(NodeSpec { place: Some(place), ticket, ..spec })
    }

    /// A network whose cables can be cut.
    pub(crate) fn lan(&self) -> Result<Lan> {
        Lan::new(moment())
    }

    /// A node to be, with a folder and a port of its own; for scenarios that change more than these.
    pub(crate) fn spec(&mut self) -> Result<NodeSpec> {
        self.started += 1;
        let name = format!("node-{}", self.started);
        Ok(NodeSpec {
            data_dir: self.folder.path().join(&name),
            name,
            port: self.ports.free()?,
            place: None,
            ticket: None,
            args: Vec::new(),
            env: Vec::new(),
        })
    }

    /// Starts a node and waits until it serves.
    pub(crate) fn start(&self, spec: NodeSpec) -> Result<Node> {
        Node::start(spec, Arc::clone(&self.binaries), self.patience.clone())
    }

    /// A file of random bytes that follow from `seed`; `name` may have folders in it.
    pub(crate) fn file(&self, name: &str, size: u64, seed: u64) -> Result<PathBuf> {
        let path = self.path(name)?;
        data::write_random(&path, size, seed)?;
        Ok(path)
    }

    /// A path for the scenario to write to. It lies in a folder that exists, away from those of the nodes.
    pub(crate) fn path(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.path().join("files").join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(path)
    }

    /// Leaves the folder behind, and says where it is and how each node's log ends.
    pub(crate) fn keep(&mut self) {
        self.folder.disable_cleanup(true);
        let mut logs: Vec<PathBuf> = fs::read_dir(self.folder.path())
            .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
            .unwrap_or_default();
        logs.retain(|path| path.extension().is_some_and(|ending| ending == "log"));
        logs.sort();
        for log in logs {
            let text = fs::read(&log).unwrap_or_default();
            eprintln!("{} ends:\n{}", log.display(), tail(&String::from_utf8_lossy(&text), 30));
        }
        eprintln!("data, logs and the output of every command are kept in {}", self.folder.path().display());
    }
}

/// Something that differs between two worlds, to begin looking for ports at different places.
fn moment() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(since.subsec_nanos()) << 32 | u64::from(process::id())
}

/// The last lines of a text, set apart from what surrounds them.
fn tail(text: &str, lines_max: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(lines_max)..];
    last.iter().map(|line| format!("    | {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interrupt::Interrupt;

    fn world() -> Result<World> {
        let binaries = Arc::new(Binaries { node: "none".into(), ctl: "none".into() });
        World::new("test", binaries, Patience::new(&Interrupt::default()))
    }

    #[test]
    fn every_node_gets_a_folder_and_a_port_of_its_own() -> Result<()> {
        let mut world = world()?;
        let (a, b) = (world.spec()?, world.spec()?);
        assert_ne!(a.port, b.port);
        assert_ne!(a.data_dir, b.data_dir);
        assert_eq!((a.name.as_str(), b.name.as_str()), ("node-1", "node-2"));
        Ok(())
    }

    #[test]
    fn the_folder_goes_with_the_world_unless_it_is_kept() -> Result<()> {
        let mut kept = world()?;
        let gone = world()?.folder.path().to_path_buf();
        assert!(!gone.exists());
        kept.file("deep/x", 10, 1)?;
        kept.keep();
        let folder = kept.folder.path().to_path_buf();
        drop(kept);
        assert_eq!(fs::metadata(folder.join("files/deep/x"))?.len(), 10);
        Ok(fs::remove_dir_all(folder)?)
    }

    #[test]
    fn a_program_that_is_not_there_is_named() -> Result<()> {
        let error = world()?.found().unwrap_err();
        assert!(format!("{error:#}").contains("cannot start none"), "{error:#}");
        Ok(())
    }

    #[test]
    fn a_tail_is_the_end_of_a_log() {
        assert_eq!(tail("a\nb\nc\n", 2), "    | b\n    | c\n");
        assert_eq!(tail("", 2), "");
    }
}
