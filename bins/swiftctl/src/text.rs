//! How values are read from and written for people.

pub(crate) mod date;
pub(crate) mod duration;
pub(crate) mod moment;
pub(crate) mod name;
pub(crate) mod shell;
pub(crate) mod size;

use swift_chain::is_unseen;

/// Text from elsewhere on one line. What would steer a terminal, hide, or turn other text around stands there as its number.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if is_unseen(char) { shown.extend(char.escape_unicode()) } else { shown.push(char) }
    }
    shown
}

/// The first characters of an id or hash, for people.
pub(crate) fn short(id: &str) -> String {
    id.chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_foreign_steers_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\u{a}");
    }

    /// `invoice\u{202e}fdp.exe` would be shown as `invoiceexe.pdf`, and two names with nothing between them as one.
    #[test]
    fn nothing_looks_like_something_else() {
        assert_eq!(printable("invoice\u{202e}fdp.exe"), "invoice\\u{202e}fdp.exe");
        assert_eq!(printable("ad\u{200b}min\u{2066}"), "ad\\u{200b}min\\u{2066}");
        assert_eq!(printable("Grüße 日本語 a\u{301}"), "Grüße 日本語 a\u{301}");
    }
}
