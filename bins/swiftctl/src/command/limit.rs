//! `limit`: how fast content may move between the node and other members, and over how many connections.

use clap::ValueEnum;
use serde_json::json;

use crate::{
    api::{LimitValues, Limits},
    cli::Context,
    client::understand,
    error::Error,
    output::{Shown, table},
    text::size,
};

/// Shows the limits, or sets one.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which limit to set
    #[arg(value_enum, requires = "value")]
    what: Option<What>,
    /// A rate as 50MiB/s, 500kB/s or 80Mbit/s, or a number of connections; `none` takes the limit away, `default` goes
    /// back to what the node was started with
    value: Option<String>,
    #[command(flatten)]
    shown: Shown,
}

/// A limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// What other members are sent, in all
    Up,
    /// What other members send, in all
    Down,
    /// Connections with other members
    Connections,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let (path, client) = ("/v1/limits", context.client()?);
    let (what, answer) = match (args.what, &args.value) {
        (Some(limit), Some(value)) => {
            let what = "cannot set the limit";
            let body = match limit {
                What::Up => json!({ "up": value }),
                What::Down => json!({ "down": value }),
                What::Connections => json!({ "connections": value }),
            };
            (what, client.patch(what, path, &body).await?)
        }
        _ => {
            let what = "cannot show the limits";
            (what, client.get(what, path).await?)
        }
    };
    let limits: Limits = understand(what, &answer)?;
    context.output(&args.shown).show(&answer, || table(["limit", "now", "at start"], rows(&limits)))
}

fn rows(limits: &Limits) -> [[String; 3]; 3] {
    let row =
        |name: &str, of: fn(&LimitValues) -> String| [name.to_owned(), of(&limits.now), of(&limits.at_start)];
    [
        row("up", |values| rate(values.up_bytes_per_second)),
        row("down", |values| rate(values.down_bytes_per_second)),
        row("connections", |values| values.connections.map_or_else(none, |number| number.to_string())),
    ]
}

fn rate(bytes_per_second: Option<u64>) -> String {
    bytes_per_second.map_or_else(none, |bytes| format!("{}/s", size::human(bytes)))
}

fn none() -> String {
    "none".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_stands_beside_what_the_node_was_started_with() {
        let values = |up_bytes_per_second, connections| LimitValues {
            up_bytes_per_second,
            down_bytes_per_second: None,
            connections,
        };
        let limits = Limits { now: values(Some(10 << 20), None), at_start: values(Some(50 << 20), Some(64)) };
        let shown = rows(&limits).map(|row| row.join("|"));
        assert_eq!(shown, ["up|10.0 MiB/s|50.0 MiB/s", "down|none|none", "connections|none|64"]);
    }
}
