//! The command line as a whole.

use clap::{Parser, Subcommand};

use crate::{
    client::Client,
    command::{
        chain, dashboard, download, files, invite, keep, limit, log, node, nodes, peers, priority, proof,
        refusals, scrub, status, token, transfers, trash, upload, watch,
    },
    error::Error,
    output::{Format, Output, Shown},
    target::{NodeOptions, Settings, Target},
};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  wrong usage
  3  not found
  4  denied: no token, an unknown one, or one that does not allow it
  5  integrity: content, chain or receipt is not what it must be
  6  not in time: not final, no quorum of the validators, not complete, or too many requests
  7  the node cannot be reached, or another one answers in its place";

/// Talks to a SwiftServe node.
#[derive(Parser)]
#[command(name = "swiftctl", version, about, after_help = EXIT_CODES, subcommand_required = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    node: NodeOptions,
    /// How data is printed; also taken behind the command
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    output: Option<Format>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Publishes files or whole folders
    Upload(upload::Args),
    /// Fetches a file, verified; goes on where an interrupted download stopped
    Download(download::Args),
    /// Lists files
    Ls(files::LsArgs),
    /// Withdraws files
    Rm(files::RmArgs),
    /// Lists, restores or deletes for good what was removed and is still here
    #[command(subcommand)]
    Trash(trash::TrashCommand),
    /// Shows or sets which files the node keeps
    Keep(keep::KeepArgs),
    /// Keeps files whatever the node's rule says; they come by themselves
    Pin(keep::PinArgs),
    /// Leaves pinned files to the node's rule again
    Unpin(keep::PinArgs),
    /// Shows which files the node has promised to keep for others, and by whose promises it let go of files
    Promises(Shown),
    /// Lists the network's members
    Nodes(Shown),
    /// Manages one member
    #[command(subcommand)]
    Node(node::NodeCommand),
    /// Shows how the node and its network are
    Status(Shown),
    /// Reads what the node stores again, to find what has rotted and have it repaired
    Scrub(scrub::Args),
    /// Shows what is coming in and going out, and how fast
    Transfers(Shown),
    /// Lists the other members as the node has found them: what moved, and what they did wrong
    Peers(Shown),
    /// Shows the limits on what moves between the node and other members, or sets one
    Limit(limit::Args),
    /// Shows which files on their way are wanted sooner or later than others, or sets that
    Priority(priority::Args),
    /// Shows writes that were refused after they had waited for a block
    Refusals(refusals::Args),
    /// Shows who did what and when, from the ledger: all of it, or what concerns a name or a node
    Log(log::Args),
    /// Shows what happens on the node, as it happens, until it is interrupted
    Watch(watch::Args),
    /// Makes a ticket, with which one machine can join
    Invite(invite::Args),
    /// Manages the tokens of clients
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Prints an address that signs a browser in, once and within ten minutes
    Dashboard(Shown),
    /// Lists the ledger's blocks, or verifies all of it
    InspectChain(chain::Args),
    /// Writes the proof of who published a file, or verifies one without any node
    Proof(proof::Args),
}

/// What every command gets: where the node is, once somebody asks, and how to print.
pub(crate) struct Context {
    settings: Settings,
    format: Format,
}

impl Context {
    /// The node's address, and how to say it on a command line.
    pub(crate) fn target(&self) -> Result<Target, Error> {
        Target::find(&self.settings)
    }

    /// A client of the node.
    pub(crate) fn client(&self) -> Result<Client, Error> {
        Client::new(self.target()?)
    }

    /// The token alone.
    pub(crate) fn token(&self) -> Result<String, Error> {
        Target::find_token(&self.settings)
    }

    /// Prints as the command's own options say, else as those before it.
    pub(crate) fn output(&self, shown: &Shown) -> Output {
        Output::new(shown.format().unwrap_or(self.format))
    }

    /// Prints as the options before the command say.
    pub(crate) fn plain_output(&self) -> Output {
        Output::new(self.format)
    }
}

/// Runs one command to its end.
pub(crate) async fn run(cli: Cli) -> Result<(), Error> {
    let settings = Settings::new(cli.node, |name| std::env::var_os(name));
    let context = Context { settings, format: cli.output.unwrap_or_default() };
    let context = &context;
    match &cli.command {
        Command::Upload(args) => upload::run(context, args).await,
        Command::Download(args) => download::run(context, args).await,
        Command::Ls(args) => files::ls(context, args).await,
        Command::Rm(args) => files::rm(context, args).await,
        Command::Trash(command) => trash::run(context, command).await,
        Command::Keep(args) => keep::keep(context, args).await,
        Command::Pin(args) => keep::pin(context, args).await,
        Command::Unpin(args) => keep::unpin(context, args).await,
        Command::Promises(shown) => keep::promises(context, shown).await,
        Command::Nodes(shown) => nodes::list(context, shown).await,
        Command::Node(command) => node::run(context, command).await,
        Command::Status(shown) => status::run(context, shown).await,
        Command::Scrub(args) => scrub::run(context, args).await,
        Command::Transfers(shown) => transfers::run(context, shown).await,
        Command::Peers(shown) => peers::list(context, shown).await,
        Command::Limit(args) => limit::run(context, args).await,
        Command::Priority(args) => priority::run(context, args).await,
        Command::Refusals(args) => refusals::run(context, args).await,
        Command::Log(args) => log::run(context, args).await,
        Command::Watch(args) => watch::run(context, args).await,
        Command::Invite(args) => invite::run(context, args).await,
        Command::Token(command) => token::run(context, command).await,
        Command::Dashboard(shown) => dashboard::run(context, shown).await,
        Command::InspectChain(args) => chain::run(context, args).await,
        Command::Proof(args) => proof::run(context, args).await,
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
    fn the_format_is_taken_before_and_behind_the_command() {
        for line in [["swiftctl", "-o", "json", "ls"], ["swiftctl", "ls", "-o", "json"]] {
            let cli = Cli::try_parse_from(line).unwrap();
            let Command::Ls(args) = &cli.command else { panic!("no ls") };
            assert_eq!(args.shown.format().or(cli.output), Some(Format::Json));
        }
    }

    #[test]
    fn o_is_the_target_of_a_download() {
        let cli = Cli::try_parse_from(["swiftctl", "download", "a", "-o", "b"]).unwrap();
        assert!(matches!(cli.command, Command::Download(_)));
        assert_eq!(cli.output, None);
    }

    #[test]
    fn the_help_documents_every_exit_code() {
        let help = Cli::command().render_help().to_string();
        for code in 0..=7 {
            assert!(help.lines().any(|line| line.trim_start().starts_with(&format!("{code}  "))), "{code}");
        }
    }
}
