//! What a demo tells in the end.

use std::fmt::Write;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Sent;
use super::size::ByteSize;
use crate::scenario::binaries::Binaries;
use crate::scenario::node::Node;

/// What happened, in a few lines.
pub(super) fn told(sent: &Sent, nodes: &[Node]) -> Result<String> {
    let first = nodes.first().context("a demo has a node")?;
    // What the upload itself did not print is asked for.
    let listed = first.ctl_json(&[&"ls"])?;
    let file_id = text_of(&sent.upload, "file_id").or_else(|| id_of_listed(&listed, &sent.name));
    let height = match number_of(&sent.upload, "height") {
        Some(height) => height,
        None => number_of(&first.ctl_json(&[&"status"])?, "height").context("status tells no height")?,
    };
    let seconds = sent.until_everywhere.as_secs_f64();
    let rate = |copies: usize| rate_mb_per_s(sent.bytes, copies, seconds);
    let mut text = String::new();
    writeln!(text, "\n{} ({})", sent.name, ByteSize::of(sent.bytes))?;
    writeln!(text, "  file id       {}", file_id.context("neither upload nor ls tells the file id")?)?;
    writeln!(text, "  block height  {height}, final after {:.2} s", sent.until_final.as_secs_f64())?;
    writeln!(text, "  on {} nodes    after {seconds:.2} s, from the start of the upload", nodes.len())?;
    write!(text, "  rate          {:.0} MB/s per copy, {:.0} MB/s in all", rate(1), rate(nodes.len()))?;
    Ok(text)
}

/// Where the nodes are, and what to type next.
pub(super) fn next_commands(name: &str, nodes: &[Node], binaries: &Binaries) -> String {
    let mut text = String::from("\nThe nodes stay up until Ctrl-C:\n");
    for node in nodes {
        text.push_str(&format!(
            "  {}  http://{}  --data-dir {}\n",
            node.name(),
            node.address(),
            node.data_dir().display()
        ));
    }
    let ctl = binaries.ctl.display();
    if let (Some(first), Some(last)) = (nodes.first(), nodes.last()) {
        let (founder, folder) = (first.data_dir().display(), last.data_dir().display());
        text.push_str("\nTry, in another terminal:\n");
        for command in ["ls", "nodes", "inspect-chain --verify", "upload Cargo.lock --wait all"] {
            text.push_str(&format!("  {ctl} --data-dir {folder} {command}\n"));
        }
        text.push_str(&format!("  {ctl} --data-dir {folder} download {name} -o copy-of-{name}\n"));
        // Those who joined are publishers; inviting takes an admin.
        text.push_str(&format!("  {ctl} --data-dir {founder} invite\n"));
    }
    text
}

/// The first lines of a long text, with a word about the rest.
pub(super) fn abridged(text: &str, lines_max: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut shown: String = lines.iter().take(lines_max).map(|line| format!("  {line}\n")).collect();
    if lines.len() > lines_max {
        shown.push_str(&format!("  … and {} more lines\n", lines.len() - lines_max));
    }
    shown
}

#[expect(clippy::cast_precision_loss, reason = "a rate is shown without decimals")]
fn rate_mb_per_s(bytes: u64, copies: usize, seconds: f64) -> f64 {
    bytes as f64 * copies as f64 / 1e6 / seconds.max(1e-3)
}

/// The value of a key, wherever in the document it stands.
fn find<'a>(document: &'a Value, key: &str) -> Option<&'a Value> {
    match document {
        Value::Object(map) => map.get(key).or_else(|| map.values().find_map(|value| find(value, key))),
        Value::Array(list) => list.iter().find_map(|value| find(value, key)),
        _ => None,
    }
}

fn text_of(document: &Value, key: &str) -> Option<String> {
    find(document, key)?.as_str().map(str::to_owned)
}

fn number_of(document: &Value, key: &str) -> Option<u64> {
    find(document, key)?.as_u64()
}

/// The file id in the row of a listing that has the name.
fn id_of_listed(listed: &Value, name: &str) -> Option<String> {
    let rows = listed.as_array().or_else(|| listed.get("files")?.as_array())?;
    let row = rows.iter().find(|row| row.get("name").and_then(Value::as_str) == Some(name))?;
    text_of(row, "file_id")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn facts_are_found_wherever_the_answer_has_them() {
        let upload = json!({"files": [{"name": "x", "file_id": "ab", "block": {"height": 4}}]});
        assert_eq!(text_of(&upload, "file_id").as_deref(), Some("ab"));
        assert_eq!(number_of(&upload, "height"), Some(4));
        assert_eq!(number_of(&upload, "nothing"), None);
    }

    #[test]
    fn a_listing_is_searched_by_name() {
        let rows = json!([{"name": "y", "file_id": "cd"}, {"name": "x", "file_id": "ab"}]);
        assert_eq!(id_of_listed(&rows, "x").as_deref(), Some("ab"));
        assert_eq!(id_of_listed(&json!({"files": rows}), "y").as_deref(), Some("cd"));
        assert_eq!(id_of_listed(&json!([]), "x"), None);
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        assert_eq!(abridged("a\nb\nc\n", 2), "  a\n  b\n  … and 1 more lines\n");
        assert_eq!(abridged("a\n", 2), "  a\n");
    }

    #[test]
    fn a_rate_counts_every_copy() {
        assert!((rate_mb_per_s(50_000_000, 3, 0.5) - 300.0).abs() < 1e-9);
    }
}
