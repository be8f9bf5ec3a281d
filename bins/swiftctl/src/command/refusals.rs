//! `refusals`: writes that nobody may have heard were refused.

use serde::Deserialize;
use serde_json::Value;

use super::chain::told_action;
use crate::{
    cli::Context,
    client::{understand, with_query},
    error::Error,
    output::{Shown, note, table},
    text::date,
};

/// What to list.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// At most so many, the latest first
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u64,
    #[command(flatten)]
    shown: Shown,
}

/// What a node answers.
#[derive(Deserialize)]
struct Page {
    refusals: Vec<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    refused_ms: u64,
    #[serde(default)]
    on_behalf_of: Option<String>,
    action: Value,
    #[serde(default)]
    reason: String,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let what = "cannot list the refusals";
    let (client, output) = (context.client()?, context.output(&args.shown));
    let path = with_query("/v1/refusals", &[("limit", &args.limit.to_string())]);
    let answer = client.get(what, &path).await?;
    let Page { refusals } = understand(what, &answer)?;
    if refusals.is_empty() && !output.is_json() {
        note("no write was refused after it had waited, since the node's start");
        return Ok(());
    }
    output.show(&answer, || table(["refused", "would have", "for", "why"], refusals.into_iter().map(row)))
}

fn row(refusal: Refusal) -> [String; 4] {
    let Refusal { refused_ms, on_behalf_of, action, reason } = refusal;
    [date::rfc3339(refused_ms), told_action(&action), on_behalf_of.unwrap_or_default(), reason]
}
