//! What a receipt proves, in words and as JSON.

use std::path::Path;

use serde_json::{Value, json};
use swift_chain::{CheckpointOutcome, Expectation, Proven, Receipt};

use crate::{
    command::chain::told_action,
    error::Error,
    output::{Output, facts},
    text::{date, size},
};

/// Reads and verifies a receipt; else says why it is none.
pub(super) fn judge(bytes: &[u8], expected: &Expectation) -> Result<Proven, String> {
    let receipt = Receipt::from_bytes(bytes).map_err(|error| error.to_string())?;
    receipt.verify(expected).map_err(|error| error.to_string())
}

/// A receipt that proved right.
pub(super) struct Verdict<'a> {
    pub(super) proven: &'a Proven,
    /// Where the receipt is.
    pub(super) path: &'a Path,
    /// A copy that proved to be its file.
    pub(super) content: Option<&'a Path>,
}

impl Verdict<'_> {
    pub(super) fn show(&self, output: Output) -> Result<(), Error> {
        output.show(&self.json(), || self.text())
    }

    fn json(&self) -> Value {
        let proven = self.proven;
        let checkpoint = match proven.checkpoint {
            CheckpointOutcome::NotGiven => None,
            CheckpointOutcome::NotCovered => Some("not_covered"),
            CheckpointOutcome::Matches => Some("matches"),
        };
        json!({
            "valid": true,
            "network_id": proven.network,
            "height": proven.height,
            "block_hash": proven.block,
            "time_ms": proven.time_ms,
            "transaction_id": proven.transaction,
            "author": proven.author,
            "on_behalf_of": proven.on_behalf_of,
            "action": proven.action,
            "name": proven.file().map(|file| &file.name),
            "size": proven.file().map(|file| file.size),
            "file_id": proven.file().map(|file| file.file_id),
            "manifest_hash": proven.file().map(|file| file.manifest_hash),
            "signers": proven.signers,
            "validators": proven.validators.len(),
            "validator_changes": proven.changes,
            "checkpoint": checkpoint,
            "content": self.content.map(|path| path.to_string_lossy()),
            "path": self.path.to_string_lossy(),
        })
    }

    fn text(&self) -> String {
        let proven = self.proven;
        let mut pairs = vec![("receipt", "valid".to_owned())];
        match proven.file() {
            Some(file) => pairs.extend([
                ("name", file.name.as_str().to_owned()),
                ("size", format!("{} ({} bytes)", size::human(file.size), file.size)),
                ("file id", file.file_id.to_string()),
                ("manifest hash", file.manifest_hash.to_string()),
            ]),
            None => pairs.push(("write", told_action(&json!(proven.action)))),
        }
        let label = proven.on_behalf_of.as_ref().map(|label| format!(", for {}", label.as_str()));
        let by = if proven.file().is_some() { "published by" } else { "signed by" };
        pairs.push((by, format!("{}{}", proven.author, label.unwrap_or_default())));
        pairs.push(("block", format!("{}, {}", proven.height, date::rfc3339(proven.time_ms))));
        pairs.push(("block hash", proven.block.to_string()));
        pairs.push(("certified by", self.certifiers()));
        pairs.push(("network id", proven.network.to_string()));
        if proven.checkpoint == CheckpointOutcome::Matches {
            pairs.push(("checkpoint", "matches".into()));
        }
        pairs.extend(self.content.map(|path| ("content", format!("{} is that file", path.display()))));
        facts(pairs)
    }

    fn certifiers(&self) -> String {
        let proven = self.proven;
        let changes = match proven.changes {
            0 => String::new(),
            1 => ", after 1 change of the set".to_owned(),
            changes => format!(", after {changes} changes of the set"),
        };
        format!("{} of {} validators{changes}", proven.signers.len(), proven.validators.len())
    }
}

/// The verdict that something is wrong, also for programs.
pub(super) fn invalid(output: Output, says: String, why: &str) -> Error {
    if output.is_json()
        && let Err(error) = output.show(&json!({"valid": false, "reason": why}), String::new)
    {
        return error;
    }
    Error::Integrity(says)
}
