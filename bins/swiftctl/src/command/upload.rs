//! `upload`: files and folders to a node.

mod copies;
mod tree;

use std::{
    collections::BTreeMap,
    fs,
    io::{Cursor, Read},
    path::PathBuf,
    time::Duration,
};

use futures_util::{StreamExt, stream};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use swift_chain::FileName;
use tokio::sync::Semaphore;

use self::{
    copies::Wanted,
    tree::{Item, Source},
};
use super::{progress, series::Series};
use crate::{
    api::Written,
    cli::Context,
    client::{Client, Patience, Upload, understand},
    error::Error,
    output::{Output, Shown, facts, note, print},
    text::{duration, name, shell, size},
};

/// Files that are on their way at once, or wait for copies.
const UPLOADS_MAX: usize = 128;
/// Places of those that are on their way: a small file takes one.
const PLACES: u32 = 128;
/// A larger one takes a place for so many bytes.
const BYTES_PER_PLACE: u64 = 1 << 20;
/// The most it takes: so many that four large ones go side by side.
const PLACES_MAX: u32 = PLACES / 4;
/// Bytes of a file that is read at once.
const SMALL_LEN: u64 = 64 << 10;

/// What to upload.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files and folders; - is the standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Publishes under this name instead of the path's own; a folder's files below it
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    /// Puts the content in the place of what the name holds
    #[arg(long)]
    replace: bool,
    /// Waits for so many complete copies, or for one on all members that are online and keep the file
    #[arg(long, value_name = "N|all")]
    wait: Option<Wanted>,
    /// How long to wait for copies
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration::parse)]
    timeout: Duration,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), Error> {
    if args.name.is_some() && args.paths.len() > 1 {
        return Err(Error::Usage("--as gives one name: upload one path at a time with it".into()));
    }
    let (client, output) = (context.client()?, context.output(&args.shown));
    let (mut series, mut told) = (Series::default(), BTreeMap::new());
    let ended = upload_all(&client, args, output, &mut series, &mut told).await;
    // What went well is shown, whatever came after it.
    if output.is_json() {
        let results: Vec<&Value> = told.values().map(|result| &result.answer).collect();
        output.show(&results, String::new)?;
    } else if let Some(name) = told.values().rev().find_map(|result| result.name.as_ref()) {
        let command = client.command();
        print(&format!("next: {command} download {}", shell::quote(name)))?;
    }
    ended.and_then(|()| series.finish())
}

/// What became of one file.
struct Told {
    answer: Value,
    /// Its name, if it is published.
    name: Option<String>,
}

impl Told {
    fn failed(name: &str, error: &Error) -> Self {
        let answer = json!({"status": false, "name": name, "reason": error.to_string()});
        Self { answer, name: None }
    }
}

/// Uploads files side by side: what each waits for, a block and the disk, is the same for many at once. Results are
/// under the numbers of their files, in the order in which these were named.
async fn upload_all(
    client: &Client,
    args: &Args,
    output: Output,
    series: &mut Series,
    told: &mut BTreeMap<usize, Told>,
) -> Result<(), Error> {
    let (mut items, mut numbers) = (Vec::new(), 0..);
    for path in &args.paths {
        match tree::items(path, args.name.as_deref()) {
            Ok(found) => items.extend(found.into_iter().zip(&mut numbers)),
            Err(error) => {
                let shown = path.to_string_lossy();
                told.extend(numbers.next().map(|number| (number, Told::failed(&shown, &error))));
                series.failed(&shown, error)?;
            }
        }
    }
    let bar = bar_of(&items);
    let places = Semaphore::new(PLACES as usize);
    let uploads = items.into_iter().map(|(item, number)| {
        let (bar, places) = (bar.clone(), &places);
        async move {
            let shown = item.shown();
            (number, shown, upload_one(client, args, item, bar, places).await)
        }
    });
    let mut ended = stream::iter(uploads).buffer_unordered(UPLOADS_MAX);
    while let Some((number, shown, outcome)) = ended.next().await {
        match outcome {
            Ok(Uploaded { answer, written, waited }) => {
                if !output.is_json() {
                    bar.suspend(|| print(&describe(&written)))?;
                }
                told.insert(number, Told { answer, name: Some(written.name) });
                match waited {
                    Ok(()) => series.done(),
                    Err(error) => series.failed(&shown, error)?,
                }
            }
            Err(error) => {
                told.insert(number, Told::failed(&shown, &error));
                series.failed(&shown, error)?;
            }
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// A published file. It is told even if the copies do not come.
struct Uploaded {
    answer: Value,
    written: Written,
    waited: Result<(), Error>,
}

async fn upload_one(
    client: &Client,
    args: &Args,
    item: Item,
    bar: ProgressBar,
    places: &Semaphore,
) -> Result<Uploaded, Error> {
    let (len, name) = (item.source.len(), item.name?);
    let place = places.acquire_many(places_of(len)).await;
    let what = format!("cannot upload {name}");
    let path = name::path_of(&name);
    let target = if args.replace { format!("{path}?replace") } else { path.clone() };
    let mut patience = Patience::default();
    let mut answer = loop {
        let upload = open(&item.source, bar.clone())?;
        match (client.put(&what, &target, upload).await, &item.source) {
            (Ok(answer), _) => break answer,
            (Err(error), Source::File(_)) => client.wait(&mut patience, error).await?,
            (Err(error), Source::Stdin) if error.asks_to_wait().is_some() => {
                return Err(Error::NotInTime(format!(
                    "{what}: the node is asked too often, and the standard input cannot be read a second time; repeat \
                     the command a little later"
                )));
            }
            (Err(error), Source::Stdin) => return Err(error),
        }
    };
    drop(place);
    let mut written = understand(&what, &answer)?;
    let waited = wait(client, args, &name, &mut answer, &mut written).await;
    Ok(Uploaded { answer, written, waited })
}

/// A large file keeps disk and connection busy by itself; small ones mostly wait.
fn places_of(len: Option<u64>) -> u32 {
    let len = len.unwrap_or(u64::MAX);
    u32::try_from(len / BYTES_PER_PLACE).unwrap_or(PLACES_MAX).clamp(1, PLACES_MAX)
}

/// One bar for everything.
fn bar_of(items: &[(Item, usize)]) -> ProgressBar {
    let len = items.iter().map(|(item, _)| item.source.len()).sum();
    match items {
        [(item, _)] => progress::bar(&item.shown(), len),
        _ => progress::bar(&format!("{} files", items.len()), len),
    }
}

/// Waits for the copies that were asked for, if any were.
async fn wait(
    client: &Client,
    args: &Args,
    name: &FileName,
    answer: &mut Value,
    written: &mut Written,
) -> Result<(), Error> {
    let Some(wanted) = args.wait else { return Ok(()) };
    written.copies = copies::wait(client, name, wanted, args.timeout).await?;
    if let Some(fields) = answer.as_object_mut() {
        fields.insert("copies".into(), written.copies.into());
    }
    Ok(())
}

fn open(source: &Source, bar: ProgressBar) -> Result<Upload, Error> {
    let Source::File(path) = source else { return Ok(Upload::new(tokio::io::stdin(), None, bar)) };
    let unreadable = |error| Error::file("read", path, &error);
    let mut file = fs::File::open(path).map_err(unreadable)?;
    let len = file.metadata().map_err(unreadable)?.len();
    if len > SMALL_LEN {
        return Ok(Upload::new(tokio::fs::File::from_std(file), Some(len), bar));
    }
    // Read at once: handing it piece by piece from another thread would cost more than reading it.
    let mut bytes = Vec::new();
    file.by_ref().take(len).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(Upload::new(Cursor::new(bytes), Some(len), bar))
}

fn describe(written: &Written) -> String {
    let Written { name, file_id, size, block, already, copies } = written;
    if *already {
        note(&format!("note: {name} was published with this content before"));
    }
    let size = format!("{} ({size} bytes)", size::human(*size));
    let facts = facts([
        ("name:", name.clone()),
        ("size:", size),
        ("file id:", file_id.clone()),
        ("block:", block.to_string()),
    ]);
    format!("{facts}copies: {copies}")
}
