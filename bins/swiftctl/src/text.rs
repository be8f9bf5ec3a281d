//! How values are read from and written for people.

pub(crate) mod date;
pub(crate) mod duration;
pub(crate) mod moment;
pub(crate) mod name;
pub(crate) mod shell;
pub(crate) mod size;

/// Text from elsewhere, without what would steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
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
        assert_eq!(printable("a\u{1b}[2Jb"), "a\u{fffd}[2Jb");
    }
}
