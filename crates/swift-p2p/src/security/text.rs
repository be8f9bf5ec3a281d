//! Text from elsewhere on its way into the log.

use std::fmt::{self, Write};

use swift_chain::is_unseen;

/// Characters of one text.
const LEN_MAX: usize = 256;
/// What tokens and tickets begin with.
const SECRETS: [&str; 2] = ["sst_", "swift1"];

/// A text with all to be seen that is in it, without secrets, and not too long. Of a longer one
/// no more is made than is kept.
pub(super) fn clean(text: &impl fmt::Display) -> String {
    let mut cleaned = Cleaner { out: String::new(), len: 0 };
    // Ends early when there is enough of it.
    let _ = write!(cleaned, "{text}");
    blot(cleaned.out)
}

struct Cleaner {
    out: String,
    len: usize,
}

impl Write for Cleaner {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            if self.len >= LEN_MAX {
                self.out.push('…');
                return Err(fmt::Error);
            }
            self.len += 1;
            if is_unseen(char) {
                write!(self.out, "{}", char.escape_unicode())?;
            } else {
                self.out.push(char);
            }
        }
        Ok(())
    }
}

fn blot(text: String) -> String {
    let mut text = text;
    for prefix in SECRETS {
        let mut from = 0;
        while let Some(at) = text.get(from..).and_then(|rest| rest.find(prefix)).map(|at| at + from) {
            let begin = at + prefix.len();
            let rest = text.get(begin..).unwrap_or_default();
            let len = rest.find(|char: char| !char.is_ascii_alphanumeric()).unwrap_or(rest.len());
            // A short word is none.
            if len >= 16 {
                text.replace_range(begin..begin + len, "***");
            }
            from = begin;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_foreign_steers_a_terminal() {
        assert_eq!(
            clean(&"a\u{1b}[2J\n\u{202e}b\u{9b}\u{200b}"),
            "a\\u{1b}[2J\\u{a}\\u{202e}b\\u{9b}\\u{200b}"
        );
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(clean(&"ä".repeat(1000)), format!("{}…", "ä".repeat(256)));
    }

    #[test]
    fn a_secret_that_gets_in_by_mistake_is_blotted_out() {
        let (token, ticket) = (format!("sst_{}", "a7".repeat(26)), format!("swift1{}", "b".repeat(90)));
        assert_eq!(clean(&format!("token {token}, {ticket}.")), "token sst_***, swift1***.");
        assert_eq!(clean(&"sst_short swift1 sst_"), "sst_short swift1 sst_");
    }
}
