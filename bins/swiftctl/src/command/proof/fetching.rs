//! Getting a receipt from a node. It is written when it proved right.

use std::path::{Path, PathBuf};

use swift_chain::{Expectation, FileName, NetworkId, limits::RECEIPT_LEN_MAX};

use super::{
    Args,
    verdict::{Verdict, invalid, judge},
};
use crate::{
    api::Status,
    client::{Client, understand, with_query},
    command::new_file::{Existing, NewFile, exists},
    error::Error,
    output::{Output, note},
    text::name,
};

pub(super) async fn fetch(client: &Client, output: Output, args: &Args, name: &str) -> Result<(), Error> {
    let name = name::parse(name)?;
    let what = format!("cannot prove {name}");
    let target = target(args, &name)?;
    let network = network(client, &what, args.network).await?;
    let path = with_query("/v1/proof", &[("name", name.as_str())]);
    let bytes = client.bytes(&what, &path, RECEIPT_LEN_MAX).await?;

    let source = format!("what the node gave as the receipt of {name}");
    let expected = Expectation { network: Some(network), checkpoint: None };
    let proven = judge(&bytes, &expected)
        .map_err(|why| invalid(output, format!("{source} proves nothing: {why}; ask another node"), &why))?;
    if proven.file().is_none_or(|file| file.name != name) {
        let why = "it is about something else";
        return Err(invalid(output, format!("{source} proves nothing of it: {why}; ask another node"), why));
    }
    let existing = if args.force { Existing::Replace } else { Existing::Keep };
    let mut file = NewFile::create(&target, existing)?;
    file.write(&bytes)?;
    let word = file.finish()?;
    Verdict { proven: &proven, path: &target, content: None }.show(output)?;
    if !output.is_json() {
        note(&format!(
            "written to {word}; check it anywhere: swiftctl proof --verify {word} --network {network}"
        ));
    }
    Ok(())
}

/// Where the receipt shall appear, if it may.
fn target(args: &Args, name: &FileName) -> Result<PathBuf, Error> {
    let last = name.as_str().rsplit('/').next().unwrap_or(name.as_str());
    let own = format!("{last}.receipt");
    let target = match args.output.as_deref() {
        Some(given) if given == Path::new("-") => {
            return Err(Error::Usage("a receipt goes to a file: give -o a path".into()));
        }
        Some(given) if given.is_dir() => given.join(own),
        Some(given) => given.to_owned(),
        None => PathBuf::from(own),
    };
    if !args.force && target.symlink_metadata().is_ok() {
        return Err(exists(&target));
    }
    Ok(target)
}

/// The network that the node says it is of, which must be the one meant.
async fn network(client: &Client, what: &str, meant: Option<NetworkId>) -> Result<NetworkId, Error> {
    let status: Status = understand(what, &client.get(what, "/v1/status").await?)?;
    let stated = status.network_id.parse().map_err(|error| Error::Failed(format!("{what}: {error}")))?;
    match meant.filter(|meant| *meant != stated) {
        Some(meant) => {
            Err(Error::Integrity(format!("{what}: this node belongs to network {stated}, not to {meant}")))
        }
        None => Ok(stated),
    }
}
