//! Progress bars: on the standard error, and only when a person looks at it.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

use crate::text::printable;

const KNOWN: &str = "{msg}  {bar:30}  {bytes}/{total_bytes}  {bytes_per_sec}  {eta}";
const UNKNOWN: &str = "{msg}  {spinner}  {bytes}  {bytes_per_sec}";

/// A bar for bytes; `len` when it is known.
pub(super) fn bar(label: &str, len: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(len, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template(if len.is_some() { KNOWN } else { UNKNOWN });
    let bar = match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    };
    // A bar whose work fails makes room for the reason.
    bar.with_message(printable(label)).with_finish(ProgressFinish::AndClear)
}
