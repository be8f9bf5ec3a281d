//! `node`: changes of one member.

use clap::Subcommand;
use serde_json::{Value, json};
use swift_chain::{Role, limits::VALIDATOR_WEIGHT_MAX};

use super::nodes;
use crate::{
    api::Changed,
    cli::Context,
    client::understand,
    error::Error,
    output::{Shown, note},
    text::short,
};

/// What to do with a member.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Makes a member a validator, or changes its weight
    Promote(PromoteArgs),
    /// Makes a validator an ordinary member
    Demote(DemoteArgs),
    /// Gives a member another role
    Role(RoleArgs),
    /// Removes a member for good; its key cannot come back
    Remove(RemoveArgs),
}

/// Whom.
#[derive(Debug, clap::Args)]
struct Which {
    /// The node's id, or at least 6 characters from its beginning
    #[arg(value_name = "ID")]
    id: String,
}

/// Whatever the others say.
#[derive(Debug, clap::Args)]
struct Force {
    /// Does it even if the validators that can be reached would be no quorum then: nothing becomes final before enough
    /// of the others are back
    #[arg(long)]
    force: bool,
}

/// Whom to make a validator.
#[derive(Debug, clap::Args)]
pub(crate) struct PromoteArgs {
    #[command(flatten)]
    which: Which,
    /// What its vote counts; a block takes more than two thirds of the weight of all
    #[arg(long, value_name = "W", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(VALIDATOR_WEIGHT_MAX)))]
    weight: u32,
    #[command(flatten)]
    force: Force,
    #[command(flatten)]
    shown: Shown,
}

/// Who shall be no validator.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoteArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    force: Force,
    #[command(flatten)]
    shown: Shown,
}

/// Who shall be what.
#[derive(Debug, clap::Args)]
pub(crate) struct RoleArgs {
    #[command(flatten)]
    which: Which,
    /// admin, publisher or reader
    #[arg(value_name = "ROLE")]
    role: Role,
    #[command(flatten)]
    shown: Shown,
}

/// Whom to remove.
#[derive(Debug, clap::Args)]
pub(crate) struct RemoveArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    force: Force,
    #[command(flatten)]
    shown: Shown,
}

/// A command as it goes to the node.
struct Request<'a> {
    which: &'a Which,
    /// Of a member that is not removed.
    update: Option<Value>,
    is_forced: bool,
    shown: &'a Shown,
}

pub(crate) async fn run(context: &Context, command: &NodeCommand) -> Result<(), Error> {
    let request = match command {
        NodeCommand::Promote(PromoteArgs { which, weight, force, shown }) => {
            Request { which, update: Some(json!({ "weight": weight })), is_forced: force.force, shown }
        }
        NodeCommand::Demote(DemoteArgs { which, force, shown }) => {
            Request { which, update: Some(json!({ "weight": 0 })), is_forced: force.force, shown }
        }
        NodeCommand::Role(RoleArgs { which, role, shown }) => {
            Request { which, update: Some(json!({ "role": role })), is_forced: false, shown }
        }
        NodeCommand::Remove(RemoveArgs { which, force, shown }) => {
            Request { which, update: None, is_forced: force.force, shown }
        }
    };
    let Request { which, update, is_forced, shown } = request;
    let client = context.client()?;
    let id = nodes::find(&client, &which.id).await?;
    let path = format!("/v1/nodes/{id}{}", if is_forced { "?force" } else { "" });
    let what = format!("cannot {} node {}", verb(command), short(&id));
    let answer = match update {
        Some(update) => client.patch(&what, &path, &update).await?,
        None => client.delete(&what, &path).await?,
    };
    let changed: Changed = understand(&what, &answer)?;
    context.output(shown).show(&answer, || told(command, &id, &changed))?;
    if let Some(warning) = changed.warning {
        note(&format!("warning: {warning}"));
    }
    Ok(())
}

fn verb(command: &NodeCommand) -> &'static str {
    match command {
        NodeCommand::Promote(_) => "promote",
        NodeCommand::Demote(_) => "demote",
        NodeCommand::Role(_) => "change the role of",
        NodeCommand::Remove(_) => "remove",
    }
}

fn told(command: &NodeCommand, id: &str, changed: &Changed) -> String {
    let is = match command {
        NodeCommand::Promote(args) => format!("is a validator with weight {}", args.weight),
        NodeCommand::Demote(_) => "is no validator".into(),
        NodeCommand::Role(args) => format!("has the role {}", args.role),
        NodeCommand::Remove(_) => "is removed".into(),
    };
    let since =
        if changed.already { ", as it was before".into() } else { format!(", block {}", changed.block) };
    format!("node {id} {is}{since}")
}
