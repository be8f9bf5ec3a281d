//! `keep`, `pin` and `unpin`: what the node keeps of the network's files.

use reqwest::Method;
use serde_json::{Value, json};

use super::series::Series;
use crate::{
    api::{KeepPromise, KeepRule, Kept, PinChanged, Promises},
    cli::Context,
    client::understand,
    error::Error,
    output::{Shown, note, print, table},
    text::{date, name, shell},
};

/// What to keep.
#[derive(Debug, clap::Args)]
pub(crate) struct KeepArgs {
    /// all, none, or patterns of names: * and ? stand for anything but /, ** for any number of folders; shows what is
    /// kept when nothing is given
    #[arg(value_name = "all|none|PATTERN")]
    what: Vec<String>,
    #[command(flatten)]
    shown: Shown,
}

/// Which files.
#[derive(Debug, clap::Args)]
pub(crate) struct PinArgs {
    /// The files' names
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) async fn keep(context: &Context, args: &KeepArgs) -> Result<(), Error> {
    let (client, output) = (context.client()?, context.output(&args.shown));
    if args.what.is_empty() {
        let what = "cannot tell what the node keeps";
        let answer = client.get(what, "/v1/keep").await?;
        let kept: Kept = understand(what, &answer)?;
        return output.show(&answer, || told(&kept.keep));
    }
    let what = "cannot set what the node keeps";
    let answer = client.set(what, "/v1/keep", &json!({ "keep": rule(&args.what)? })).await?;
    let kept: Kept = understand(what, &answer)?;
    output.show(&answer, || told(&kept.keep))?;
    if kept.already {
        note("note: it was so before");
    }
    if let Some(at_start) = kept.set_at_start.filter(|at_start| *at_start != kept.keep) {
        let at_start = told(&at_start).replace('\n', ",");
        note(&format!(
            "note: the node was started with --keep {at_start} or its like, and its next start sets that again"
        ));
    }
    Ok(())
}

/// As the node takes it. `all` and `none` are words only when they stand alone.
fn rule(what: &[String]) -> Result<Value, Error> {
    match what {
        [word] if word == "all" || word == "none" => Ok(json!(word)),
        _ => match what.iter().find(|word| *word == "all" || *word == "none") {
            Some(word) => Err(Error::Usage(format!(
                "{word} stands alone; for a file of that name write [{}]{}",
                &word[..1],
                &word[1..]
            ))),
            None => Ok(json!(what)),
        },
    }
}

/// One line each.
fn told(rule: &KeepRule) -> String {
    match rule {
        KeepRule::Word(word) => word.clone(),
        KeepRule::Patterns(patterns) => patterns.join("\n"),
    }
}

pub(crate) async fn pin(context: &Context, args: &PinArgs) -> Result<(), Error> {
    change(context, args, Method::PUT).await
}

pub(crate) async fn unpin(context: &Context, args: &PinArgs) -> Result<(), Error> {
    change(context, args, Method::DELETE).await
}

async fn change(context: &Context, args: &PinArgs, method: Method) -> Result<(), Error> {
    let (client, output) = (context.client()?, context.output(&args.shown));
    let is_pin = method == Method::PUT;
    let (verb, done) = if is_pin { ("pin", "pinned") } else { ("unpin", "unpinned") };
    let (mut series, mut results) = (Series::default(), Vec::new());
    let mut ended = Ok(());
    for text in &args.names {
        let what = format!("cannot {verb} {text}");
        let changed = match name::parse(text) {
            Ok(name) => {
                let path = format!("/v1/pins/{}", name::encode_path(name.as_str()));
                client.change(&what, method.clone(), &path).await
            }
            Err(error) => Err(error),
        };
        let changed = changed.and_then(|answer| Ok((understand::<PinChanged>(&what, &answer)?, answer)));
        ended = match changed {
            Ok((changed, answer)) => {
                if !output.is_json() {
                    print(&match (changed.already, is_pin) {
                        (false, _) => format!("{done} {}", changed.name),
                        (true, true) => format!("{} was pinned before", changed.name),
                        (true, false) => format!("{} was not pinned", changed.name),
                    })?;
                }
                results.push(answer);
                series.done();
                Ok(())
            }
            Err(error) => series.failed(text, error),
        };
        if ended.is_err() {
            break;
        }
    }
    if output.is_json() {
        output.show(&results, String::new)?;
    } else if let Some(name) = args.names.first().filter(|_| is_pin && !results.is_empty()) {
        note(&format!("it comes by itself; see: {} ls {}", client.command(), shell::quote(name)));
    }
    ended.and_then(|()| series.finish())
}

pub(crate) async fn promises(context: &Context, shown: &Shown) -> Result<(), Error> {
    let what = "cannot tell the promises";
    let answer = context.client()?.get(what, "/v1/promises").await?;
    let promises: Promises = understand(what, &answer)?;
    context.output(shown).show(&answer, || {
        let row = |direction: &str, promise: KeepPromise| {
            let node = promise.to.unwrap_or_else(|| "-".into());
            [promise.file.unwrap_or(promise.file_id), direction.into(), node, date::rfc3339(promise.until_ms)]
        };
        let given = promises.given.into_iter().map(|promise| row("kept here for", promise));
        let held = promises.held.into_iter().map(|promise| row("kept by", promise));
        table(["file", "what", "node", "until"], given.chain(held))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_and_none_stand_alone() {
        let rule = |words: &[&str]| rule(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(rule(&["all"]).unwrap(), json!("all"));
        assert_eq!(rule(&["a*", "b,c"]).unwrap(), json!(["a*", "b,c"]));
        let error = rule(&["none", "b"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("[n]one"), "{error}");
    }
}
