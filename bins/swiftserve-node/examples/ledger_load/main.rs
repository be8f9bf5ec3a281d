//! Puts load on a network's ledger and measures it. Started by `cargo xtask bench ledger`, which brings the network up.
//!
//! It joins with nodes of its own, the **authors**, makes the nodes it is told of validators, and then writes: one by
//! one for the time that a single write takes, many at once for the rate. All writes publish one small content under
//! ever new names, so that the ledger is measured and no transfer. It prints one line of JSON.
//!
//! ```text
//! ledger_load --dir FOLDER --author PORT=TICKET [--author ..] --validators ID,ID,..
//! ```

mod author;
mod load;
mod report;

use std::{error::Error, path::PathBuf, str::FromStr, time::Duration};

use clap::Parser;
use swift_chain::{NodeId, Ticket};

use author::Author;
use report::Report;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Writes before anything is measured: connections are made, caches warm.
const WARM_UP: usize = 20;
/// Between single writes, so that each finds a network at rest.
const REST: Duration = Duration::from_millis(40);

#[derive(Debug, Parser)]
struct Args {
    /// Where the authors keep their folders
    #[arg(long)]
    dir: PathBuf,
    /// A node to join with: its port and an admin's ticket
    #[arg(long = "author", required = true, value_name = "PORT=TICKET")]
    authors: Vec<Seat>,
    /// Who decides blocks; nobody else does, the authors included, unless --authors-decide
    #[arg(long, value_delimiter = ',')]
    validators: Vec<NodeId>,
    /// The authors are validators too
    #[arg(long)]
    authors_decide: bool,
    /// Writes one after the other
    #[arg(long, default_value_t = 200)]
    singles: usize,
    /// Writes at once, in all
    #[arg(long, default_value_t = 20_000)]
    writes: usize,
    /// How many of these wait at any time, per author
    #[arg(long, default_value_t = 2_000)]
    in_flight: usize,
}

/// Where an author listens, and what lets it in.
#[derive(Clone, Debug)]
struct Seat {
    port: u16,
    ticket: Ticket,
}

impl FromStr for Seat {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (port, ticket) = text.split_once('=').ok_or("expected PORT=TICKET")?;
        let port = port.parse().map_err(|_| format!("{port:?} is no port"))?;
        Ok(Self { port, ticket: ticket.parse().map_err(|error| format!("{error}"))? })
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let mut authors = Vec::new();
    for (at, seat) in args.authors.iter().enumerate() {
        authors.push(Author::join(&args.dir.join(format!("author-{}", at + 1)), seat).await?);
    }
    let entry = authors[0].publish("content").await?;
    let mut validators = args.validators.clone();
    if args.authors_decide {
        validators.extend(authors.iter().map(Author::id));
    }
    authors[0].appoint(&validators).await?;

    load::one_by_one(&authors[0], &entry, "warm-up", WARM_UP, REST).await?;
    let first_height = authors[0].height() + 1;
    let singles = load::one_by_one(&authors[0], &entry, "single", args.singles, REST).await?;
    let batch = load::at_once(&authors, &entry, args.writes, args.in_flight).await?;
    let late_rounds = authors[0].late_rounds(first_height).await?;
    let report = Report { validators: validators.len(), authors: authors.len(), singles, batch, late_rounds };
    println!("{}", report.to_json());

    for author in authors {
        author.stop().await;
    }
    Ok(())
}
