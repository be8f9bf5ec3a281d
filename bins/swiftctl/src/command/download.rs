//! `download`: a file from a node, verified against its id before it appears.

mod partial;
mod sink;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Response, StatusCode, header};
use serde_json::{Value, json};
use swift_chain::FileName;
use swift_chunks::FileId;
use tokio::time::Instant;

use self::{partial::Partial, sink::Sink};
use super::{new_file::exists, progress};
use crate::{
    api::FileRecord,
    cli::Context,
    client::{Client, Resume, understand},
    error::Error,
    output::note,
    text::{duration, name, shell, size},
};

const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// What to download.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file's name in the network
    #[arg(value_name = "NAME")]
    name: String,
    /// Where to put it: a file, a folder, or - for the standard output; else here, under its own name
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Overwrites a file that is there
    #[arg(long)]
    force: bool,
    /// Asks again until the node has the file, or can get it from others
    #[arg(long)]
    wait: bool,
    /// How long to wait for it
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration::parse)]
    timeout: Duration,
}

/// One file of one content to fetch.
struct Fetch<'a> {
    client: &'a Client,
    args: &'a Args,
    what: String,
    path: String,
    name: FileName,
    size: u64,
    file_id: FileId,
    begun: Instant,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), Error> {
    let (client, begun) = (context.client()?, Instant::now());
    let name = name::parse(&args.name)?;
    let what = format!("cannot download {name}");
    let path = name::path_of(&name);
    let (answer, record) = record(&client, args, &what, &path, begun).await?;
    let file_id = record.file_id.parse().map_err(|_| {
        Error::Failed(format!("{what}: the node calls its content {:?}, which is no file id", record.file_id))
    })?;
    let fetch = Fetch { client: &client, args, what, path, name, size: record.size, file_id, begun };
    match args.output.as_deref() {
        Some(target) if target == Path::new("-") => fetch.to_stdout().await,
        target => {
            let target = fetch.target(target)?;
            fetch.to_file(&target).await?;
            told(context, &fetch, &target, answer)
        }
    }
}

/// The file's record, once the node knows the name.
async fn record(
    client: &Client,
    args: &Args,
    what: &str,
    path: &str,
    begun: Instant,
) -> Result<(Value, FileRecord), Error> {
    loop {
        match client.get(what, &format!("{path}?meta")).await {
            Ok(answer) => return Ok((answer.clone(), understand(what, &answer)?)),
            Err(error) if error.is_not_found() => wait_after(error, args, begun).await?,
            Err(error) => return Err(error),
        }
    }
}

/// Passes a while, if the user wants to wait; else the error stands.
async fn wait_after(error: Error, args: &Args, begun: Instant) -> Result<(), Error> {
    if !args.wait || begun.elapsed() >= args.timeout {
        return Err(error);
    }
    tokio::time::sleep(POLL_INTERVAL).await;
    Ok(())
}

impl Fetch<'_> {
    async fn to_file(&self, target: &Path) -> Result<(), Error> {
        let mut partial = Partial::open(target, &self.file_id, self.size)?;
        if partial.len() > 0 {
            note(&format!("note: going on behind the {} that are here", size::human(partial.len())));
        }
        if partial.len() < self.size {
            let answer = self.answer(partial.len()).await?;
            if answer.status() != StatusCode::PARTIAL_CONTENT {
                partial.restart()?;
            }
            let received = self.receive(answer, &mut partial).await;
            received.map_err(|error| partial.kept(error, &self.what))?;
        }
        partial.finish(&self.file_id, self.size, self.args.force)
    }

    async fn to_stdout(&self) -> Result<(), Error> {
        let mut sink = Sink::new(std::io::stdout());
        if self.size > 0 {
            let answer = self.answer(0).await?;
            self.receive(answer, &mut sink).await?;
        }
        sink.verify(&self.file_id, self.size, &self.what)
    }

    /// The content from a byte on, or all of it, as the status tells.
    async fn answer(&self, from: u64) -> Result<Response, Error> {
        let etag = format!("\"{}\"", self.file_id);
        loop {
            let resume = (from > 0).then_some(Resume { from, etag: &etag });
            match self.client.fetch(&self.what, &self.path, resume).await {
                Ok(answer) => return self.check_head(from, &etag, answer),
                Err(error) if error.is_unavailable() => {
                    let error = self.not_here(error).await;
                    wait_after(error, self.args, self.begun).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn check_head(&self, from: u64, etag: &str, answer: Response) -> Result<Response, Error> {
        let field = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
        if field(header::ETAG).is_some_and(|found| found != etag) {
            let says = format!("{}: its content was replaced meanwhile; repeat the command", self.what);
            return Err(Error::Failed(says));
        }
        let last = self.size.saturating_sub(1);
        let expected = format!("bytes {from}-{last}/{}", self.size);
        let is_part = answer.status() == StatusCode::PARTIAL_CONTENT;
        if is_part && (from == 0 || field(header::CONTENT_RANGE) != Some(&expected)) {
            let says = format!("{}: the node sent another range than the one asked for", self.what);
            return Err(Error::Failed(says));
        }
        Ok(answer)
    }

    async fn receive(&self, mut answer: Response, into: &mut impl Receive) -> Result<(), Error> {
        let bar = progress::bar(self.name.as_str(), Some(self.size));
        bar.set_position(into.len());
        bar.reset_eta();
        while let Some(piece) = self.client.piece(&self.what, &mut answer).await? {
            let piece = piece.as_ref();
            if into.len() + piece.len() as u64 > self.size {
                return Err(Error::Integrity(format!("{}: the node sent more than its size", self.what)));
            }
            into.take(piece)?;
            bar.set_position(into.len());
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// What to say when the node cannot serve the content yet.
    async fn not_here(&self, refusal: Error) -> Error {
        let Ok((_, record)) = record(self.client, self.args, &self.what, &self.path, self.begun).await else {
            return refusal;
        };
        Error::NotInTime(format!(
            "{refusal} (it holds {} of {}); --wait asks again until it can be had",
            size::human(record.held_bytes),
            size::human(record.size)
        ))
    }

    /// Where the file shall appear, if it may.
    fn target(&self, given: Option<&Path>) -> Result<PathBuf, Error> {
        let own = self.name.as_str().rsplit('/').next().unwrap_or(self.name.as_str());
        let target = match given {
            Some(given) if given.is_dir() => given.join(own),
            Some(given) => given.to_owned(),
            None => PathBuf::from(own),
        };
        if !self.args.force && target.symlink_metadata().is_ok() {
            return Err(exists(&target));
        }
        Ok(target)
    }
}

/// Where content goes while it comes.
trait Receive {
    /// Bytes so far, those that were there before included.
    fn len(&self) -> u64;

    /// Takes the next ones.
    fn take(&mut self, bytes: &[u8]) -> Result<(), Error>;
}

fn told(context: &Context, fetch: &Fetch<'_>, target: &Path, mut answer: Value) -> Result<(), Error> {
    if let Some(fields) = answer.as_object_mut() {
        fields.insert("path".into(), json!(target.to_string_lossy()));
        fields.insert("verified".into(), json!(true));
    }
    context.plain_output().show(&answer, || {
        let path = shell::quote(&target.to_string_lossy());
        format!(
            "{path}: {} ({} bytes), verified, file id {}",
            size::human(fetch.size),
            fetch.size,
            fetch.file_id
        )
    })
}
