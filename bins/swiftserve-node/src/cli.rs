//! The command line: a node that runs, or one thing done to the folder of a node.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use swift_p2p::driver::wall_clock_ms;
use swiftserve_node::{
    Acceptance, Args, Backup, Consent, KnownPeer, RebuildError, RebuildOptions, Rebuilt, Recovery,
};

/// Where a command finds the folder when nothing else says so.
const DEFAULT_DATA_DIR: &str = "swiftserve-data";

/// A node of a SwiftServe network: one binary, one port, one data folder.
///
/// Without --join it founds a network at its first start. Every flag but --after-restore can also be given as
/// SWIFTSERVE_FLAG in the environment (--data-dir as SWIFTSERVE_DATA_DIR), and every one but that and --config as a line
/// of a TOML file (data_dir = "...").
#[derive(Debug, Parser)]
#[command(name = "swiftserve-node", version, about, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) args: Args,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Founds this node's network anew, after its validators were lost for good
    ///
    /// For a stopped node that is an admin. Shows what would happen; does it with --yes.
    Recover(Recover),
    /// Follows a network that was founded anew by another node
    ///
    /// For a stopped node. Compares it with this node's own ledger first.
    AcceptRecovery(AcceptRecovery),
    /// Copies key, ledger, index, tokens and settings of a node, also while it runs
    ///
    /// Content is not in it: after a restore it is fetched from other nodes.
    Backup(MakeBackup),
    /// Puts a backup back as a data folder
    Restore(Restore),
    /// Makes the ledger of a node anew, after its file was damaged
    ///
    /// For a stopped node. Takes the node's own blocks as far as they prove right, and the others from members that run.
    /// The damaged file is kept, and so are writes that wait.
    RebuildLedger(RebuildLedger),
}

#[derive(Debug, clap::Args)]
struct Folder {
    /// Folder of the node [default: swiftserve-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Recover {
    #[command(flatten)]
    folder: Folder,
    /// Where to write the recovery file [default: recovery-NETWORK.chain in the data folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Does it
    #[arg(long)]
    yes: bool,
    /// Only writes the recovery file of the network the folder is in
    #[arg(long, conflicts_with = "yes")]
    file_only: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AcceptRecovery {
    /// The recovery file
    file: PathBuf,
    #[command(flatten)]
    folder: Folder,
    /// Accepts what this node cannot check, because its ledger is too short
    #[arg(long)]
    trust_recovery: bool,
    /// Gives up final blocks that only this node's side has
    #[arg(long)]
    discard_blocks: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct MakeBackup {
    /// A folder that is to be made, or is empty
    dest: PathBuf,
    #[command(flatten)]
    folder: Folder,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Restore {
    /// The backup
    source: PathBuf,
    /// The data folder that is to be made, or is empty
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RebuildLedger {
    #[command(flatten)]
    folder: Folder,
    /// A member to ask first, as `swiftctl nodes` on another node shows it; may be given again
    #[arg(long = "peer", value_name = "NODE@HOST:PORT")]
    peers: Vec<KnownPeer>,
    /// Gives up final blocks that are nowhere any more
    #[arg(long)]
    discard_blocks: bool,
}

impl Command {
    /// Does it. `environment` looks a variable up.
    pub(crate) fn run(&self, environment: impl Fn(&str) -> Option<String>) -> anyhow::Result<ExitCode> {
        match self {
            Self::Recover(command) => command.run(&command.folder.find(environment)),
            Self::AcceptRecovery(command) => command.run(&command.folder.find(environment)),
            Self::Backup(command) => command.run(&command.folder.find(environment)),
            Self::Restore(Restore { source, data_dir }) => {
                println!("{}", Backup::open(source)?.restore(data_dir)?);
                Ok(ExitCode::SUCCESS)
            }
            Self::RebuildLedger(command) => command.run(&command.folder.find(environment)),
        }
    }
}

impl Folder {
    fn find(&self, environment: impl Fn(&str) -> Option<String>) -> PathBuf {
        let named = || environment("SWIFTSERVE_DATA_DIR").filter(|text| !text.is_empty()).map(PathBuf::from);
        self.data_dir.clone().or_else(named).unwrap_or_else(|| DEFAULT_DATA_DIR.into())
    }
}

impl Recover {
    fn run(&self, folder: &Path) -> anyhow::Result<ExitCode> {
        let out = self.out.as_deref();
        if self.file_only {
            println!("wrote {}", Recovery::rewrite_file(folder, out)?.display());
            return Ok(ExitCode::SUCCESS);
        }
        let recovery = Recovery::plan(folder)?;
        println!("{recovery}");
        println!();
        if self.yes {
            println!("{}", recovery.carry_out(out)?);
        } else {
            println!("Nothing was changed. To do it, add --yes.");
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl AcceptRecovery {
    fn run(&self, folder: &Path) -> anyhow::Result<ExitCode> {
        let Some(acceptance) = Acceptance::plan(folder, &self.file)? else {
            println!("This node follows that network already. Start it as before.");
            return Ok(ExitCode::SUCCESS);
        };
        let Self { trust_recovery, discard_blocks, .. } = *self;
        println!("{}", acceptance.carry_out(Consent { trust_recovery, discard_blocks })?);
        Ok(ExitCode::SUCCESS)
    }
}

impl MakeBackup {
    fn run(&self, folder: &Path) -> anyhow::Result<ExitCode> {
        let Backup { path, manifest } = Backup::make(folder, &self.dest, wall_clock_ms())?;
        println!("Copied node {} at height {} to {}", manifest.node_id, manifest.height, path.display());
        println!("Whoever has the copy has the node's key: keep it as safe as that.");
        Ok(ExitCode::SUCCESS)
    }
}

impl RebuildLedger {
    fn run(&self, folder: &Path) -> anyhow::Result<ExitCode> {
        let options = RebuildOptions { peers: self.peers.clone(), discard_blocks: self.discard_blocks };
        let runtime = tokio::runtime::Runtime::new().map_err(RebuildError::Runtime)?;
        match runtime.block_on(Rebuilt::make(folder, options))? {
            Some(rebuilt) => println!("{rebuilt}"),
            None => println!(
                "An earlier attempt had made the ledger anew; it is in its place now. Start the node."
            ),
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_command_the_flags_are_those_of_a_node() {
        let cli = Cli::try_parse_from(["swiftserve-node", "--data-dir", "d", "--port", "1"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!((cli.args.data_dir.as_deref(), cli.args.port.as_deref()), (Some("d"), Some("1")));
        assert!(Cli::try_parse_from(["swiftserve-node", "--port", "1", "recover"]).is_err());
    }

    #[test]
    fn the_folder_comes_from_the_flag_the_environment_or_the_default() {
        let folder = |flag: Option<&str>, variable: Option<&str>| {
            let data_dir = flag.map(PathBuf::from);
            Folder { data_dir }.find(|_| variable.map(str::to_owned))
        };
        assert_eq!(folder(Some("a"), Some("b")), Path::new("a"));
        assert_eq!(folder(None, Some("b")), Path::new("b"));
        assert_eq!(folder(None, Some("")), Path::new(DEFAULT_DATA_DIR));
        assert_eq!(folder(None, None), Path::new(DEFAULT_DATA_DIR));
    }
}
