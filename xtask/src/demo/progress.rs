//! How far each node is, live.
//!
//! A node has the file when it shows it in its folder, which it does once all of it is verified; that is looked at
//! often, since it is what is timed. How much of it a node has is asked for now and then, for the eye.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use crate::scenario::node::Node;

const ASK_EVERY: Duration = Duration::from_millis(250);
/// Where lines cannot be drawn over, a new one now and then must do.
const PRINT_EVERY: Duration = Duration::from_secs(2);
const BAR_LEN: u64 = 20;

/// The state of one node.
#[derive(Clone, Debug)]
struct Row {
    name: String,
    /// What this node's API wants to see.
    token: String,
    /// Where the complete file will be.
    file: PathBuf,
    permille: u64,
    completed_after: Option<Duration>,
}

pub(crate) struct Progress {
    file: String,
    rows: Vec<Row>,
    asked: Option<Duration>,
    printed: Option<Duration>,
    live: bool,
}

impl Progress {
    pub(crate) fn new(nodes: &[Node], file: &str) -> Result<Self> {
        let row = |node: &Node| {
            let (name, token) = (node.name().to_owned(), node.token()?);
            Ok(Row { name, token, file: node.files_dir().join(file), permille: 0, completed_after: None })
        };
        let rows = nodes.iter().map(row).collect::<Result<_>>()?;
        Ok(Self { file: file.to_owned(), rows, asked: None, printed: None, live: io::stdout().is_terminal() })
    }

    /// Looks at the nodes, and draws when something is worth it. `now` counts from the start of the upload.
    pub(crate) fn show(&mut self, now: Duration, nodes: &[Node]) {
        for row in &mut self.rows {
            if row.completed_after.is_none() && row.file.exists() {
                row.permille = 1000;
                row.completed_after = Some(now);
            }
        }
        if is_due(self.asked, now, ASK_EVERY) {
            self.asked = Some(now);
            for (row, node) in self.rows.iter_mut().zip(nodes) {
                if row.completed_after.is_none() {
                    row.permille = transferred_permille(node, &row.token, &self.file).unwrap_or(row.permille);
                }
            }
        }
        let every = if self.live { ASK_EVERY } else { PRINT_EVERY };
        if is_due(self.printed, now, every) {
            self.draw(now);
        }
    }

    /// Whether every node has the whole file.
    pub(crate) fn is_complete(&self) -> bool {
        self.rows.iter().all(|row| row.completed_after.is_some())
    }

    /// When the last node had it, if all do.
    pub(crate) fn completed_after(&self) -> Option<Duration> {
        let times: Option<Vec<Duration>> = self.rows.iter().map(|row| row.completed_after).collect();
        times?.into_iter().max()
    }

    /// Draws the last state and leaves it standing.
    pub(crate) fn finish(&mut self) {
        self.draw(self.completed_after().unwrap_or_default());
    }

    fn draw(&mut self, now: Duration) {
        let mut text = String::new();
        if self.live && self.printed.is_some() {
            // Back to the first line of the last drawing.
            text.push_str(&format!("\x1b[{}A", self.rows.len()));
        }
        let clear = if self.live { "\x1b[K" } else { "" };
        for row in &self.rows {
            text.push_str(&format!("{}{clear}\n", line(row, now)));
        }
        self.printed = Some(now);
        let mut out = io::stdout().lock();
        // A terminal that went away is no reason to stop.
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
    }
}

fn is_due(last: Option<Duration>, now: Duration, every: Duration) -> bool {
    last.is_none_or(|last| now.saturating_sub(last) >= every)
}

fn line(row: &Row, now: Duration) -> String {
    let full = usize::try_from(row.permille * BAR_LEN / 1000).unwrap_or_default();
    let empty = usize::try_from(BAR_LEN).unwrap_or_default().saturating_sub(full);
    let (bar, rest) = ("#".repeat(full), ".".repeat(empty));
    let (whole, tenth) = (row.permille / 10, row.permille % 10);
    let time = row.completed_after.unwrap_or(now).as_secs_f64();
    let state = if row.completed_after.is_some() { "complete after" } else { "at" };
    format!("  {:<8} [{bar}{rest}] {whole:>3}.{tenth} %  {state} {time:.2} s", row.name)
}

/// How much of a file a node has, as its API tells. None while it says nothing of it: before the transfer begins,
/// and when the answer is not understood, since a picture is not worth a failure.
fn transferred_permille(node: &Node, token: &str, file: &str) -> Option<u64> {
    let response = node.http("GET", "/v1/transfers", Some(token), b"").ok()?;
    permille_of(&response.expect(200).ok()?.json().ok()?, file)
}

/// The answer has a list of `{"file": NAME, "done_bytes": N, "total_bytes": N, …}`.
fn permille_of(transfers: &Value, file: &str) -> Option<u64> {
    let of_file = |transfer: &&Value| transfer.get("file").and_then(Value::as_str) == Some(file);
    let transfer = transfers.get("transfers")?.as_array()?.iter().find(of_file)?;
    let (done, total) = (transfer.get("done_bytes")?.as_u64()?, transfer.get("total_bytes")?.as_u64()?);
    // 999 at most: only a file that is there is complete.
    let permille = u128::from(done) * 1000 / u128::from(total.max(1));
    u64::try_from(permille.min(999)).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_transfer_of_the_file_is_picked_out() {
        let answer = json!({ "transfers": [
            {"file": "other", "done_bytes": 1, "total_bytes": 1},
            {"file": "x", "done_bytes": 250, "total_bytes": 1000, "peers": 3},
        ]});
        assert_eq!(permille_of(&answer, "x"), Some(250));
        assert_eq!(permille_of(&answer, "gone"), None);
    }

    #[test]
    fn only_a_visible_file_is_complete() {
        let of = |done: i64, total: i64| {
            let row = json!({"file": "x", "done_bytes": done, "total_bytes": total});
            permille_of(&json!({ "transfers": [row] }), "x")
        };
        assert_eq!(of(7, 7), Some(999));
        assert_eq!(of(0, 0), Some(0));
        assert_eq!(of(-1, 5), None);
        assert_eq!(permille_of(&json!({"items": []}), "x"), None);
    }

    #[test]
    fn a_row_shows_how_far_and_for_how_long() {
        let mut row = Row {
            name: "node-1".into(),
            token: String::new(),
            file: PathBuf::new(),
            permille: 505,
            completed_after: None,
        };
        let now = Duration::from_millis(1500);
        assert_eq!(line(&row, now), "  node-1   [##########..........]  50.5 %  at 1.50 s");
        row.permille = 1000;
        row.completed_after = Some(Duration::from_millis(2250));
        assert_eq!(line(&row, now), "  node-1   [####################] 100.0 %  complete after 2.25 s");
    }
}
