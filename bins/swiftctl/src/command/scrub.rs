//! `scrub`: reading what the node stores again.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::progress::bar;
use crate::{
    api::{Rotten, Scrub, ScrubBegun},
    cli::Context,
    client::{Client, understand, with_query},
    error::Error,
    output::{Shown, table},
    text::{date, duration, name, size},
};

/// Between looks at how far it is.
const PAUSE: Duration = Duration::from_millis(300);

/// What to look at.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file; everything that is stored unless said
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// How fast, as 100MiB/s, or `none` for as fast as the disk [default: as the node scrubs by itself]
    #[arg(long, value_name = "RATE")]
    rate: Option<String>,
    /// How long to wait for what has rotted to be whole again
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration::parse)]
    repair_wait: Duration,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let (client, output) = (context.client()?, context.output(&args.shown));
    let what = match &args.name {
        Some(name) => format!("cannot scrub {name}"),
        None => "cannot scrub".to_owned(),
    };
    let mut wanted = json!({});
    if let Some(text) = &args.name {
        wanted["file"] = json!(name::parse(text)?.as_str());
    }
    if let Some(rate) = &args.rate {
        wanted["rate"] = json!(rate);
    }
    let begun: ScrubBegun = understand(&what, &client.post(&what, "/v1/scrub", &wanted).await?)?;
    let watch =
        Watch { client: &client, what: &what, name: args.name.as_deref(), since_ms: begun.started_ms };
    watch.to_the_end().await?;
    let (answer, scrub) = watch.for_repairs(args.repair_wait).await?;
    output.show(&answer, || watch.told(&scrub))?;
    match watch.unrepaired(&scrub) {
        0 => Ok(()),
        left => Err(Error::Integrity(format!(
            "{left} {} rotten and not whole again: nobody who can be reached has what is missing, or it is on its way \
             still",
            if left == 1 { "content is" } else { "contents are" }
        ))),
    }
}

/// A scrub that was asked for.
struct Watch<'a> {
    client: &'a Client,
    what: &'a str,
    name: Option<&'a str>,
    since_ms: u64,
}

impl Watch<'_> {
    async fn look(&self) -> Result<(Value, Scrub), Error> {
        let query: Vec<_> = self.name.iter().map(|name| ("file", *name)).collect();
        let answer = self.client.get(self.what, &with_query("/v1/scrub", &query)).await?;
        let scrub = understand(self.what, &answer)?;
        Ok((answer, scrub))
    }

    async fn to_the_end(&self) -> Result<(), Error> {
        let bar = bar(self.name.unwrap_or("verifying"), Some(0));
        loop {
            let (_, scrub) = self.look().await?;
            if self.has_ended(&scrub)? {
                return Ok(());
            }
            if let Some(running) = &scrub.running {
                bar.set_length(running.total_bytes);
                bar.set_position(running.done_bytes);
            }
            // tidy: sleep-ok because how far another process is can only be looked at
            sleep(PAUSE).await;
        }
    }

    fn has_ended(&self, scrub: &Scrub) -> Result<bool, Error> {
        let Some(_) = self.name else {
            return Ok(scrub.last.as_ref().is_some_and(|last| last.started_ms >= self.since_ms));
        };
        let file = scrub.file.as_ref();
        let file =
            file.ok_or_else(|| Error::Failed(format!("{}: the node says nothing of it", self.what)))?;
        // What had rotted may be fetched anew meanwhile, so that what was looked at is not there any more.
        let is_found = file.rotten.as_ref().is_some_and(|rotten| rotten.found_ms >= self.since_ms);
        match (file.waiting, file.verified_ms >= self.since_ms || is_found) {
            (true, _) => Ok(false),
            (false, true) => Ok(true),
            (false, false) => Err(Error::Failed(format!(
                "{}: it could not be verified now; if it is not on its way to the node, the node's log says why",
                self.what
            ))),
        }
    }

    /// Waits until what was found is whole again, so long at most.
    async fn for_repairs(&self, patience: Duration) -> Result<(Value, Scrub), Error> {
        let until = Instant::now() + patience;
        loop {
            let (answer, scrub) = self.look().await?;
            if self.unrepaired(&scrub) == 0 || Instant::now() >= until {
                return Ok((answer, scrub));
            }
            // tidy: sleep-ok because how far another process is can only be looked at
            sleep(PAUSE).await;
        }
    }

    fn unrepaired(&self, scrub: &Scrub) -> u64 {
        match self.name {
            None => scrub.unrepaired,
            Some(_) => {
                let rotten = scrub.file.as_ref().and_then(|file| file.rotten.as_ref());
                u64::from(rotten.is_some_and(|rotten| !rotten.repaired))
            }
        }
    }

    fn told(&self, scrub: &Scrub) -> String {
        if let Some(name) = self.name {
            let rotten = scrub.file.as_ref().and_then(|file| file.rotten.as_ref());
            let found = rotten.filter(|rotten| rotten.found_ms >= self.since_ms || !rotten.repaired);
            return found.map_or_else(|| format!("{name} is sound"), |rotten| rotten_told([rotten]));
        }
        let Some(last) = &scrub.last else { return String::new() };
        let bad = last.found_bad;
        let mut told = format!(
            "verified {} {}, {}: {}",
            last.contents,
            if last.contents == 1 { "content" } else { "contents" },
            size::human(last.bytes),
            if bad == 0 { "all sound".to_owned() } else { format!("{bad} rotten") }
        );
        if !scrub.rotten.is_empty() {
            told.push('\n');
            told.push_str(&rotten_told(&scrub.rotten));
        }
        told
    }
}

fn rotten_told<'a>(rotten: impl IntoIterator<Item = &'a Rotten>) -> String {
    let row = |rotten: &Rotten| {
        let name = rotten.name.clone().unwrap_or_else(|| rotten.file_id.clone());
        let state = if rotten.repaired { "whole again" } else { "NOT WHOLE" };
        [name, rotten.bad_chunks.to_string(), date::rfc3339(rotten.found_ms), state.to_owned()]
    };
    table(["rotten", "chunks", "found", "now"], rotten.into_iter().map(row))
}
