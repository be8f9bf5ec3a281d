//! `watch`: what happens on the node, as it happens.

mod events;
mod told;

use std::time::Duration;

use serde_json::json;

use self::events::{Event, Reader};
use crate::{
    cli::Context,
    client::{Client, with_query},
    error::Error,
    output::{Output, Shown, note, print, print_as_it_is},
    text::printable,
};

/// Before a broken stream is asked for again, unless the node says otherwise.
const RETRY: Duration = Duration::from_secs(2);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// What to watch.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these, with commas between them: ledger, file, transfer, node, security
    #[arg(long, value_name = "TYPES")]
    types: Option<String>,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let (client, output) = (context.client()?, context.output(&args.shown));
    let query: Vec<(&str, &str)> = args.types.iter().map(|types| ("types", types.as_str())).collect();
    let path = with_query("/v1/events", &query);
    let mut watch = Watch { client, output, path, last_id: None, retry: RETRY };
    // A node that was never there is not waited for.
    let mut is_connected = false;
    loop {
        match watch.follow(&mut is_connected).await {
            Err(error) if !is_connected || !error.may_pass() => return Err(error),
            Err(error) if !watch.output.is_json() => note(&format!("{error}; trying again")),
            Ok(()) | Err(_) => {}
        }
        tokio::time::sleep(watch.retry).await;
    }
}

struct Watch {
    client: Client,
    output: Output,
    path: String,
    /// Where to go on.
    last_id: Option<String>,
    retry: Duration,
}

impl Watch {
    /// Prints events until the stream ends.
    async fn follow(&mut self, is_connected: &mut bool) -> Result<(), Error> {
        let what = "cannot watch the node";
        let mut answer = self.client.stream(what, &self.path, self.last_id.as_deref()).await?;
        *is_connected = true;
        let mut reader = Reader::default();
        while let Some(piece) = self.client.piece(what, &mut answer).await? {
            reader.push(piece.as_ref());
            while let Some(event) = reader.next().map_err(|why| Error::Failed(format!("{what}: {why}")))? {
                self.take(event)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, event: Event) -> Result<(), Error> {
        if let Some(retry) = event.retry {
            self.retry = Duration::from_millis(retry).min(RETRY_MAX);
        }
        let Some(kind) = event.kind else { return Ok(()) };
        let data = serde_json::from_str(&event.data).unwrap_or_else(|_| json!(event.data));
        if self.output.is_json() {
            print_as_it_is(&json!({"id": event.id, "type": kind, "data": data}).to_string())?;
        } else {
            let lines = told::lines(&kind, &data);
            print(&lines.iter().map(|line| printable(line)).collect::<Vec<_>>().join("\n"))?;
        }
        // What was printed is not asked for again.
        self.last_id = event.id.or(self.last_id.take());
        Ok(())
    }
}
