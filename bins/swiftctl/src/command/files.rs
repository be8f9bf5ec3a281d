//! `ls` and `rm`: the live files.

use serde_json::Value;

use super::{pages::all_pages, series::Series};
use crate::{
    api::FileRecord,
    cli::Context,
    client::{Client, understand},
    error::Error,
    output::{Shown, print, table},
    text::{date, name, short, size},
};

/// What to list.
#[derive(Debug, clap::Args)]
pub(crate) struct LsArgs {
    /// Only names that begin with this
    #[arg(value_name = "PREFIX")]
    prefix: Option<String>,
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// What to withdraw.
#[derive(Debug, clap::Args)]
pub(crate) struct RmArgs {
    /// The files' names
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) async fn ls(context: &Context, args: &LsArgs) -> Result<(), Error> {
    let what = "cannot list the files";
    let mut query = vec![("copies", "1")];
    query.extend(args.prefix.as_deref().map(|prefix| ("prefix", prefix)));
    let rows = all_pages(&context.client()?, what, "/v1/files", "files", &query).await?;
    let records: Vec<FileRecord> = rows.iter().map(|row| understand(what, row)).collect::<Result<_, _>>()?;
    context.output(&args.shown).show(&rows, || {
        table(["name", "size", "published", "by", "block", "here", "copies"], records.into_iter().map(row))
    })
}

fn row(file: FileRecord) -> [String; 7] {
    let here = match file.complete {
        true => "complete".into(),
        false => format!("{} %", size::percent(file.held_bytes, file.size.max(1)).min(99)),
    };
    let published = date::rfc3339(file.time_ms);
    let copies = file.copies.map_or_else(|| "-".into(), |copies| copies.to_string());
    let (size, by, height) = (size::human(file.size), short(&file.publisher), file.height.to_string());
    [file.name, size, published, by, height, here, copies]
}

pub(crate) async fn rm(context: &Context, args: &RmArgs) -> Result<(), Error> {
    let (client, output) = (context.client()?, context.output(&args.shown));
    let (mut series, mut results) = (Series::default(), Vec::new());
    let ended = remove_all(&client, args, &mut series, &mut results).await;
    if output.is_json() {
        output.show(&results, String::new)?;
    } else {
        for result in &results {
            let field = |name| result.get(name).map(|value: &Value| value.to_string()).unwrap_or_default();
            let name = result.get("name").and_then(Value::as_str).unwrap_or_default();
            print(&format!("removed {name}, block {}", field("block")))?;
        }
    }
    ended.and_then(|()| series.finish())
}

async fn remove_all(
    client: &Client,
    args: &RmArgs,
    series: &mut Series,
    results: &mut Vec<Value>,
) -> Result<(), Error> {
    for text in &args.names {
        let what = format!("cannot remove {text}");
        let removed = match name::parse(text) {
            Ok(name) => client.delete(&what, &name::path_of(&name)).await,
            Err(error) => Err(error),
        };
        match removed {
            Ok(answer) => {
                results.push(answer);
                series.done();
            }
            Err(error) => series.failed(text, error)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(held_bytes: u64, complete: bool) -> FileRecord {
        FileRecord {
            name: "big.iso".into(),
            size: 1 << 30,
            file_id: "ab".repeat(32),
            publisher: "a".repeat(52),
            height: 3,
            time_ms: 0,
            held_bytes,
            complete,
            copies: complete.then_some(2),
        }
    }

    #[test]
    fn a_row_says_how_much_is_here() {
        let text = |file| row(file).join("|");
        assert_eq!(
            text(record(1 << 30, true)),
            "big.iso|1.0 GiB|1970-01-01T00:00:00Z|aaaaaaaaaa|3|complete|2"
        );
        assert!(text(record(1 << 29, false)).ends_with("|50 %|-"));
        assert!(text(record(1 << 30, false)).ends_with("|99 %|-"));
    }
}
