//! What a scenario plays in: a folder, programs, and the nodes it starts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs, process};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::binaries::Binaries;
use super::data;
use super::lan::{Cable, Lan, Place};
use super::node::{Node, NodeSpec};
use super::outcome::Skip;
use super::port::Ports;
use super::wait::Patience;

/// One folder with everything in it: data folders, logs, files, the output of commands. It goes when the world is
/// dropped, unless the world was told to keep it. Nodes belong to the scenario and end with it.
#[derive(Debug)]
pub(crate) struct World {
    /// Before the folder, which what still runs on the network may write to.
    network: Network,
    /// Cables of nodes to come.
    cable: Cable,
    left_out: Vec<String>,
    folder: TempDir,
    binaries: Arc<Binaries>,
    patience: Patience,
    ports: Ports,
    started: usize,
    chance: Chance,
}

/// What a scenario leaves to chance, and how long it goes on with that.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct Chance {
    /// How often nodes are killed in scenarios that kill at random
    #[arg(long, value_name = "N")]
    kills: Option<usize>,
    /// What random choices follow from [default: another one every time]
    #[arg(long)]
    seed: Option<u64>,
}

/// What carries what nodes say to each other.
#[derive(Debug)]
pub(crate) enum Network {
    /// All of them live with us, at one address.
    Loopback {
        /// Why there are no links, for who needs some.
        because: String,
    },
    /// Each lives in a place of its own.
    Links(Lan),
}

impl World {
    /// A world on loopback.
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
        Ok(Self {
            network: Network::Loopback { because: "this is played on loopback".into() },
            cable: Cable::default(),
            left_out: Vec::new(),
            folder,
            binaries,
            patience,
            ports: Ports::new(moment()),
            started: 0,
            chance: Chance::default(),
        })
    }

    /// The same world, with as much of chance.
    pub(crate) fn with(self, chance: Chance) -> Self {
        Self { chance, ..self }
    }

    /// How often nodes are to be killed at random, if somebody said so.
    pub(crate) fn kills(&self) -> Option<usize> {
        self.chance.kills
    }

    /// What random choices are to follow from.
    pub(crate) fn seed(&self) -> u64 {
        self.chance.seed.unwrap_or_else(|| moment() % 1_000_000)
    }

    /// The same world, its nodes on another network.
    pub(crate) fn on(self, network: Network) -> Self {
        Self { network, ..self }
    }

    /// Whether nodes are on cables that can be cut and have a speed.
    pub(crate) fn has_links(&self) -> bool {
        matches!(self.network, Network::Links(_))
    }

    /// The cables. Without any the scenario is skipped.
    pub(crate) fn lan(&self) -> Result<&Lan> {
        match &self.network {
            Network::Links(lan) => Ok(lan),
            Network::Loopback { because } => Err(Skip(format!("it needs links: {because}")).into()),
        }
    }

    /// How fast the cables of nodes are that are started from now on. Without links it has no effect.
    pub(crate) fn cable(&mut self, cable: Cable) {
        self.cable = cable;
    }

    /// `shaped` where cables are as fast as they are told to be, `unshaped` where they are as fast as the machine: for
    /// what must take a while on either.
    pub(crate) fn paced<T>(&self, shaped: T, unshaped: T) -> T {
        if self.has_links() { shaped } else { unshaped }
    }

    /// Notes what of a scenario cannot be played here, and why.
    pub(crate) fn leave_out(&mut self, what: &str) {
        self.left_out.push(what.to_owned());
    }

    pub(crate) fn left_out(&self) -> Vec<String> {
        self.left_out.clone()
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

    /// A node to be, with a folder and a port of its own; for scenarios that change more than these.
    pub(crate) fn spec(&mut self) -> Result<NodeSpec> {
        self.started += 1;
        let name = format!("node-{}", self.started);
        let cable = self.cable;
        let place: Option<Place> = match &mut self.network {
            Network::Loopback { .. } => None,
            Network::Links(lan) => Some(lan.place(cable)?),
        };
        Ok(NodeSpec {
            data_dir: self.folder.path().join(&name),
            name,
            port: self.ports.free()?,
            place,
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

/// Something that differs between two worlds: to begin looking for ports at different places, and to name networks.
pub(super) fn moment() -> u64 {
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
