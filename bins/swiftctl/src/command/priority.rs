//! `priority`: which of the files on their way to the node come first.

use clap::ValueEnum;
use serde_json::json;

use super::pages::all_pages;
use crate::{
    api::PriorityRow,
    cli::Context,
    client::understand,
    error::Error,
    output::{Shown, table},
    text::{name, size},
};

/// Shows the files that are not normal, or says how soon one is wanted.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file on its way to the node
    #[arg(value_name = "NAME", requires = "level")]
    file: Option<String>,
    /// How soon it is wanted, until it is complete
    #[arg(value_enum)]
    level: Option<Level>,
    #[command(flatten)]
    shown: Shown,
}

/// How soon a file is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Level {
    /// Before all others
    High,
    /// In turn with all others
    Normal,
    /// When nothing else is
    Low,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let (client, output) = (context.client()?, context.output(&args.shown));
    if let (Some(text), Some(level)) = (&args.file, args.level) {
        let (what, file) = (format!("cannot set the priority of {text}"), name::parse(text)?);
        let path = format!("/v1/priorities/{}", name::encode_path(file.as_str()));
        let answer = client.set(&what, &path, &json!({ "priority": level.word() })).await?;
        return output.show(&answer, || format!("{text}: {}", level.word()));
    }
    let what = "cannot list the priorities";
    let answer = all_pages(&client, what, "/v1/priorities", "priorities", &[]).await?;
    let rows: Vec<PriorityRow> = answer.iter().map(|row| understand(what, row)).collect::<Result<_, _>>()?;
    let row = |row: PriorityRow| [row.name, size::human(row.size), row.priority];
    output.show(&answer, || table(["name", "size", "priority"], rows.into_iter().map(row)))
}
