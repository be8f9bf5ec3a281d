//! Verifying a receipt without any node.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use swift_chain::{CheckpointOutcome, Expectation, FileEntry, NetworkId, Proven, limits::RECEIPT_LEN_MAX};
use swift_chunks::{ContentHasher, ContentSummary};

use super::{
    Args,
    verdict::{Verdict, invalid, judge},
};
use crate::{
    command::progress,
    error::Error,
    output::{Output, note},
    text::shell,
};

const PIECE_LEN: usize = 1 << 20;

pub(super) fn check(output: Output, args: &Args, path: &Path, network: NetworkId) -> Result<(), Error> {
    let bytes = read(path).map_err(|error| Error::file("read", path, &error))?;
    let expected = Expectation { network: Some(network), checkpoint: args.checkpoint };
    let what = path.display();
    let proven = judge(&bytes, &expected)
        .map_err(|why| invalid(output, format!("{what} proves nothing: {why}"), &why))?;
    if let Some(content) = &args.content {
        check_content(output, path, &proven, content)?;
    }
    Verdict { proven: &proven, path, content: args.content.as_deref() }.show(output)?;
    if !output.is_json() {
        notes(&proven, args);
    }
    Ok(())
}

/// What the receipt cannot say.
fn notes(proven: &Proven, args: &Args) {
    if let (CheckpointOutcome::NotCovered, Some(checkpoint)) = (proven.checkpoint, args.checkpoint) {
        let height = checkpoint.height;
        note(&format!(
            "note: the receipt knows no block of height {height}, so nothing was compared with the checkpoint"
        ));
    }
    if let Some(file) = proven.file() {
        let name = shell::quote(file.name.as_str());
        note(&format!("whether the name still means that content, a node knows: swiftctl ls {name}"));
    }
}

/// One byte more than a receipt may have is enough to see that it is none.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(RECEIPT_LEN_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn check_content(output: Output, path: &Path, proven: &Proven, content: &Path) -> Result<(), Error> {
    let (receipt, shown) = (path.display(), content.display());
    let Some(file) = proven.file() else {
        let why = "the receipt is about no file";
        return Err(invalid(output, format!("{receipt} is valid, but says nothing of {shown}: {why}"), why));
    };
    let found = summary(content, file).map_err(|error| Error::file("read", content, &error))?;
    if (found.file_id.as_bytes(), found.len) == (file.file_id.as_bytes(), file.size) {
        return Ok(());
    }
    let why = format!(
        "{shown} has {} bytes with BLAKE3 {}, the receipt is about {} bytes with BLAKE3 {}",
        found.len, found.file_id, file.size, file.file_id
    );
    Err(invalid(output, format!("{receipt} is valid, but about another content: {why}"), &why))
}

fn summary(content: &Path, file: &FileEntry) -> io::Result<ContentSummary> {
    let (mut source, mut hasher, mut piece) =
        (File::open(content)?, ContentHasher::new(), vec![0; PIECE_LEN]);
    let bar = progress::bar(file.name.as_str(), Some(source.metadata()?.len()));
    loop {
        let len = source.read(&mut piece)?;
        if len == 0 {
            break;
        }
        hasher.update(&piece[..len], |_| ()).map_err(io::Error::other)?;
        bar.set_position(hasher.len());
    }
    bar.finish_and_clear();
    Ok(hasher.finish(|_| ()))
}
