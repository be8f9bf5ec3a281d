//! `trash`: what names meant and do not mean any more, as far as the node has it.

use std::io::{self, BufRead as _, IsTerminal as _};

use serde_json::json;

use super::pages::all_pages;
use crate::{
    api::{Emptied, Trashed, Written},
    cli::Context,
    client::{Client, understand},
    error::Error,
    output::{Shown, note, print, table},
    text::{date, name, printable, shell, short, size},
};

/// What to do with it.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum TrashCommand {
    /// Lists what is in the trash, by whom it was removed, and when it goes for good
    Ls(Shown),
    /// Publishes a removed file again, from the node's own copy
    Restore(RestoreArgs),
    /// Deletes now what nothing uses any more
    Empty(EmptyArgs),
}

/// What to restore.
#[derive(Debug, clap::Args)]
pub(crate) struct RestoreArgs {
    /// The name that it had
    #[arg(value_name = "NAME")]
    name: String,
    /// The name that it shall have, if the old one is taken
    #[arg(long = "as", value_name = "OTHER")]
    new_name: Option<String>,
    /// Which of several contents that the name had; the last one unless said
    #[arg(long, value_name = "FILE_ID")]
    id: Option<String>,
    #[command(flatten)]
    shown: Shown,
}

/// How to empty it.
#[derive(Debug, clap::Args)]
pub(crate) struct EmptyArgs {
    /// Does not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) async fn run(context: &Context, command: &TrashCommand) -> Result<(), Error> {
    match command {
        TrashCommand::Ls(shown) => ls(context, shown).await,
        TrashCommand::Restore(args) => restore(context, args).await,
        TrashCommand::Empty(args) => empty(context, args).await,
    }
}

async fn ls(context: &Context, shown: &Shown) -> Result<(), Error> {
    let what = "cannot list the trash";
    let rows = all_pages(&context.client()?, what, "/v1/trash", "trash", &[]).await?;
    let trash: Vec<Trashed> = rows.iter().map(|row| understand(what, row)).collect::<Result<_, _>>()?;
    context.output(shown).show(&rows, || {
        table(["name", "size", "here", "removed", "by", "until", "file id"], trash.into_iter().map(row))
    })
}

fn row(trashed: Trashed) -> [String; 7] {
    let here = match (trashed.complete, trashed.used) {
        (true, false) => "complete".to_owned(),
        (true, true) => "in use".to_owned(),
        (false, _) => format!("{} %", size::percent(trashed.held_bytes, trashed.size.max(1)).min(99)),
    };
    let by = match (trashed.removed_by, trashed.on_behalf_of) {
        (Some(member), Some(client)) => format!("{} for {client}", short(&member)),
        (Some(member), None) => short(&member),
        (None, _) => "-".to_owned(),
    };
    let name = trashed.name.unwrap_or_else(|| "-".to_owned());
    let (removed, until) = (date::rfc3339(trashed.removed_ms), date::rfc3339(trashed.expires_ms));
    [name, size::human(trashed.size), here, removed, by, until, trashed.file_id]
}

async fn restore(context: &Context, args: &RestoreArgs) -> Result<(), Error> {
    let (client, output) = (context.client()?, context.output(&args.shown));
    let what = format!("cannot restore {}", args.name);
    let mut wanted = json!({ "name": name::parse(&args.name)?.as_str() });
    if let Some(new_name) = &args.new_name {
        wanted["as"] = json!(name::parse(new_name)?.as_str());
    }
    if let Some(id) = &args.id {
        wanted["file_id"] = json!(id);
    }
    let answer = match client.post(&what, "/v1/trash", &wanted).await {
        Err(Error::Refused { problem, .. }) if problem.is("name_taken") => {
            let says = problem.says();
            let command =
                format!("{} trash restore {} --as OTHER", client.command(), shell::quote(&args.name));
            return Err(Error::Failed(format!("{what}: {says}: {command}")));
        }
        answer => answer?,
    };
    let written: Written = understand(&what, &answer)?;
    output.show(&answer, || match written.already {
        true => format!("{} has this content already, block {}", printable(&written.name), written.block),
        false => format!("restored {}, block {}", printable(&written.name), written.block),
    })
}

async fn empty(context: &Context, args: &EmptyArgs) -> Result<(), Error> {
    let (client, output) = (context.client()?, context.output(&args.shown));
    if !args.yes && !confirmed(&client).await? {
        return Err(Error::Failed("nothing was deleted".to_owned()));
    }
    let what = "cannot empty the trash";
    let answer = client.delete(what, "/v1/trash").await?;
    let Emptied { contents, bytes } = understand(what, &answer)?;
    output.show(&answer, || {
        let noun = if contents == 1 { "content" } else { "contents" };
        format!("deleted {contents} {noun}, {} are free", size::human(bytes))
    })
}

/// Shows what would be deleted and asks whoever sits there.
async fn confirmed(client: &Client) -> Result<bool, Error> {
    if !io::stdin().is_terminal() {
        return Err(Error::Usage("what is deleted cannot be restored: to do it, add --yes".to_owned()));
    }
    let what = "cannot list the trash";
    let rows = all_pages(client, what, "/v1/trash", "trash", &[]).await?;
    let trash: Vec<Trashed> = rows.iter().map(|row| understand(what, row)).collect::<Result<_, _>>()?;
    for trashed in trash.iter().filter(|trashed| !trashed.used) {
        print(&printable(trashed.name.as_deref().unwrap_or(&trashed.file_id)))?;
    }
    note("These contents will be deleted and cannot be restored on this node. Go on? [y/N]");
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Error::Failed(format!("cannot read the answer: {error}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
