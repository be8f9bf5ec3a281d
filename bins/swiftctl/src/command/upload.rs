//! `upload`: files and folders to a node.

mod copies;
mod tree;

use std::{fs, path::PathBuf, time::Duration};

use serde_json::{Value, json};
use swift_chain::FileName;

use self::{
    copies::Wanted,
    tree::{Item, Source},
};
use super::{progress, series::Series};
use crate::{
    api::Written,
    cli::Context,
    client::{Client, Upload, understand},
    error::Error,
    output::{Output, Shown, facts, note, print},
    text::{duration, name, shell, size},
};

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
    let (mut series, mut results, mut last) = (Series::default(), Vec::new(), None);
    let ended = upload_all(&client, args, output, &mut series, &mut results, &mut last).await;
    // What went well is shown, whatever came after it.
    if output.is_json() {
        output.show(&results, String::new)?;
    } else if let Some(name) = last {
        let command = client.command();
        print(&format!("next: {command} download {}", shell::quote(&name)))?;
    }
    ended.and_then(|()| series.finish())
}

async fn upload_all(
    client: &Client,
    args: &Args,
    output: Output,
    series: &mut Series,
    results: &mut Vec<Value>,
    last: &mut Option<String>,
) -> Result<(), Error> {
    for path in &args.paths {
        let items = match tree::items(path, args.name.as_deref()) {
            Ok(items) => items,
            Err(error) => {
                note_failed(results, &path.to_string_lossy(), &error);
                series.failed(&path.to_string_lossy(), error)?;
                continue;
            }
        };
        for item in items {
            let shown = item.shown();
            match upload_one(client, args, item).await {
                Ok((name, mut answer, mut written)) => {
                    // What is published is told even if the copies do not come.
                    let waited = wait(client, args, &name, &mut answer, &mut written).await;
                    if !output.is_json() {
                        print(&told(&written))?;
                    }
                    *last = Some(written.name);
                    results.push(answer);
                    match waited {
                        Ok(()) => series.done(),
                        Err(error) => series.failed(&shown, error)?,
                    }
                }
                Err(error) => {
                    note_failed(results, &shown, &error);
                    series.failed(&shown, error)?;
                }
            }
        }
    }
    Ok(())
}

async fn upload_one(client: &Client, args: &Args, item: Item) -> Result<(FileName, Value, Written), Error> {
    let name = item.name?;
    let what = format!("cannot upload {name}");
    let (upload, bar) = open(&item.source, &name).await?;
    let path = name::path_of(&name);
    let target = if args.replace { format!("{path}?replace") } else { path.clone() };
    let answer = client.put(&what, &target, upload).await;
    bar.finish_and_clear();
    let answer = answer?;
    let written = understand(&what, &answer)?;
    Ok((name, answer, written))
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

async fn open(source: &Source, name: &FileName) -> Result<(Upload, indicatif::ProgressBar), Error> {
    let Source::File(path) = source else {
        let bar = progress::bar(name.as_str(), None);
        return Ok((Upload::new(tokio::io::stdin(), None, bar.clone()), bar));
    };
    let file = fs::File::open(path).map_err(|error| Error::file("read", path, &error))?;
    let len = file.metadata().map_err(|error| Error::file("read", path, &error))?.len();
    let bar = progress::bar(name.as_str(), Some(len));
    Ok((Upload::new(tokio::fs::File::from_std(file), Some(len), bar.clone()), bar))
}

fn told(written: &Written) -> String {
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

fn note_failed(results: &mut Vec<Value>, name: &str, error: &Error) {
    results.push(json!({"status": false, "name": name, "reason": error.to_string()}));
}
