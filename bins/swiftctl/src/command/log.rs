//! `log`: who did what, when, as the ledger says.

use serde::Deserialize;
use serde_json::Value;

use super::{
    chain::told_action,
    nodes,
    pages::{List, first_rows},
};
use crate::{
    cli::Context,
    client::understand,
    error::Error,
    output::{Shown, note, table},
    text::{date, moment, name, short},
};

/// How long equal security events are counted together, and a little.
const GOES_ON_MS: u64 = 70_000;

/// What to show.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only what gave this name a meaning, or took it: also what it meant before
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Only what this member did, and what was done to it: its id, or at least 6 characters from its beginning
    #[arg(long, value_name = "ID")]
    member: Option<String>,
    /// Only what is not older: so long ago (2h, 3d), a day (2026-03-01), or a time (2026-03-01T14:30:00Z)
    #[arg(long, value_name = "T")]
    since: Option<String>,
    /// At most so many, the newest; they are shown last
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Instead what this node alone noted: who was refused, who came too often, who did wrong
    #[arg(long, conflicts_with_all = ["name", "member"])]
    security: bool,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Deserialize)]
struct Row {
    height: u64,
    #[serde(default)]
    time_ms: u64,
    author: String,
    #[serde(default)]
    on_behalf_of: Option<String>,
    action: Value,
}

fn limit_of(args: &Args) -> usize {
    usize::try_from(args.limit).unwrap_or(usize::MAX)
}

/// Reads what `--since` says.
pub(super) fn since_ms(since: &str) -> Result<u64, Error> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    moment::parse(since, u64::try_from(now.as_millis()).unwrap_or(u64::MAX)).map_err(Error::Usage)
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), Error> {
    if args.security {
        return security(context, args).await;
    }
    let what = "cannot show the log";
    let mut query = Vec::new();
    if let Some(text) = &args.name {
        query.push(("name", name::parse(text)?.as_str().to_owned()));
    }
    if let Some(since) = &args.since {
        query.push(("since_ms", since_ms(since)?.to_string()));
    }
    let (client, output) = (context.client()?, context.output(&args.shown));
    if let Some(id) = &args.member {
        query.push(("node", nodes::find(&client, id).await?));
    }
    let query: Vec<(&str, &str)> = query.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let list = List { path: "/v1/transactions", field: "transactions", query: &query };
    let (mut rows, is_all) = first_rows(&client, what, list, limit_of(args), |_| true).await?;
    rows.reverse();
    let told: Vec<Row> = rows.iter().map(|row| understand(what, row)).collect::<Result<_, _>>()?;
    if told.is_empty() && !output.is_json() {
        note("the ledger has nothing of that");
        return Ok(());
    }
    output.show(&rows, || table(["block", "time", "by", "for", "what"], told.into_iter().map(row)))?;
    if !is_all {
        note(&format!("there is more before that: give a larger --limit than {}", args.limit));
    }
    Ok(())
}

fn row(row: Row) -> [String; 5] {
    let label = row.on_behalf_of.unwrap_or_else(|| "-".to_owned());
    let (height, time) = (row.height.to_string(), date::rfc3339(row.time_ms));
    [height, time, short(&row.author), label, told_action(&row.action)]
}

#[derive(Deserialize)]
struct Noted {
    time_ms: u64,
    last_ms: u64,
    kind: String,
    who: String,
    #[serde(default)]
    detail: String,
    count: u64,
}

async fn security(context: &Context, args: &Args) -> Result<(), Error> {
    let what = "cannot show the security log";
    let since_ms = args.since.as_deref().map(since_ms).transpose()?.unwrap_or(0);
    // Rows stand in the order in which they began; what goes on is counted with them for a minute.
    let is_new_enough = |row: &Value| {
        row.get("time_ms")
            .and_then(Value::as_u64)
            .is_none_or(|time_ms| time_ms >= since_ms.saturating_sub(GOES_ON_MS))
    };
    let (client, output) = (context.client()?, context.output(&args.shown));
    let list = List { path: "/v1/security", field: "events", query: &[] };
    let (mut rows, is_all) = first_rows(&client, what, list, limit_of(args), is_new_enough).await?;
    rows.retain(|row| row.get("last_ms").and_then(Value::as_u64).is_none_or(|last_ms| last_ms >= since_ms));
    rows.reverse();
    let told: Vec<Noted> = rows.iter().map(|row| understand(what, row)).collect::<Result<_, _>>()?;
    if told.is_empty() && !output.is_json() {
        note("this node has noted nothing of that");
        return Ok(());
    }
    output.show(&rows, || {
        let row = |noted: Noted| {
            let first = date::rfc3339(noted.time_ms);
            let last = if noted.count > 1 { date::rfc3339(noted.last_ms) } else { "-".to_owned() };
            [first, last, noted.count.to_string(), noted.kind.replace('_', " "), noted.who, noted.detail]
        };
        table(["time", "last", "times", "what", "who", "detail"], told.into_iter().map(row))
    })?;
    if !is_all {
        note(&format!("there is more before that: give a larger --limit than {}", args.limit));
    }
    Ok(())
}
