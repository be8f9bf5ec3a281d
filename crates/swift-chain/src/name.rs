//! File names: relative paths that mean the same on every operating system and to every node.
//!
//! All nodes must judge a name alike, so the Unicode tables behind these rules are part of the protocol: their crates
//! are pinned to exact versions, and a test hashes what the tables say about every code point.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use unicode_normalization::{UnicodeNormalization, is_nfc};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use crate::limits::{NAME_LEN_MAX, NAME_PART_LEN_MAX};

/// A file's name in the network: a `/`-separated relative path that passed every rule of [`NameError`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileName(String);

/// The rule that a name breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No characters at all.
    #[error("a file name cannot be empty")]
    Empty,
    /// More than [`NAME_LEN_MAX`] bytes.
    #[error("the file name has {0} bytes, {NAME_LEN_MAX} are allowed")]
    TooLong(usize),
    /// Begins with `/`.
    #[error("the file name is an absolute path; it must be relative")]
    Absolute,
    /// Two slashes in a row, or one at the end.
    #[error("the file name has an empty part (two slashes in a row, or one at its end)")]
    EmptyPart,
    /// A part of more than [`NAME_PART_LEN_MAX`] bytes.
    #[error("a part of the file name has {0} bytes, {NAME_PART_LEN_MAX} are allowed")]
    PartTooLong(usize),
    /// A part that is `.` or `..`.
    #[error("the file name has a part {0:?}")]
    DotPart(String),
    /// A part that ends in a dot or a space, which Windows drops.
    #[error("the part {0:?} of the file name ends in a dot or a space")]
    PartEnd(String),
    /// A part that is a device on Windows, with or without an extension.
    #[error("the part {0:?} of the file name is a reserved name on Windows")]
    Reserved(String),
    /// One of `<>:"\|?*`.
    #[error("the file name has the character {0:?}, which some systems do not allow")]
    Forbidden(char),
    /// A control character, a line separator, or one that turns the writing direction.
    #[error("the file name has the control character {0:?}")]
    Control(char),
    /// A code point without a meaning in this protocol's version of Unicode.
    #[error("the file name has the character {0:?}, which Unicode does not assign")]
    Unassigned(char),
    /// Not in Unicode normalization form C.
    #[error("the file name is not in Unicode normalization form C")]
    NotNormalized,
}

impl FileName {
    /// Brings a name into normalization form C, then applies the rules. For names as people and systems give them.
    pub fn normalized(text: &str) -> Result<Self, NameError> {
        if text.len() > NAME_LEN_MAX * 4 {
            return Err(NameError::TooLong(text.len()));
        }
        text.nfc().collect::<String>().parse()
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form under which a name is unique.
    pub fn key(&self) -> NameKey {
        NameKey(fold(&self.0))
    }
}

/// Unicode 3.13, D145: canonical caseless matching compares NFD(toCasefold(NFD(X))); NFC of that is as unique.
fn fold(text: &str) -> String {
    caseless::default_case_fold_str(&text.nfd().collect::<String>()).nfc().collect()
}

fn check(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > NAME_LEN_MAX {
        return Err(NameError::TooLong(text.len()));
    }
    if text.starts_with('/') {
        return Err(NameError::Absolute);
    }
    text.chars().try_for_each(check_char)?;
    text.split('/').try_for_each(check_part)?;
    if is_nfc(text) { Ok(()) } else { Err(NameError::NotNormalized) }
}

fn check_char(char: char) -> Result<(), NameError> {
    match char {
        '<' | '>' | ':' | '"' | '\\' | '|' | '?' | '*' => return Err(NameError::Forbidden(char)),
        // Explicit direction marks make a name look like another one.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => return Err(NameError::Control(char)),
        _ => {}
    }
    match char.general_category() {
        GeneralCategory::Control | GeneralCategory::LineSeparator | GeneralCategory::ParagraphSeparator => {
            Err(NameError::Control(char))
        }
        GeneralCategory::Unassigned => Err(NameError::Unassigned(char)),
        _ => Ok(()),
    }
}

fn check_part(part: &str) -> Result<(), NameError> {
    if part.is_empty() {
        return Err(NameError::EmptyPart);
    }
    if part.len() > NAME_PART_LEN_MAX {
        return Err(NameError::PartTooLong(part.len()));
    }
    if part == "." || part == ".." {
        return Err(NameError::DotPart(part.to_owned()));
    }
    if part.ends_with(['.', ' ']) {
        return Err(NameError::PartEnd(part.to_owned()));
    }
    if is_windows_device(part) { Err(NameError::Reserved(part.to_owned())) } else { Ok(()) }
}

/// Whether Windows opens a device under this name: the reserved words, also with an extension or trailing spaces.
fn is_windows_device(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or(part).trim_end_matches(' ').to_ascii_uppercase();
    match stem.as_str() {
        "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" => true,
        _ => {
            let number = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
            number.is_some_and(|number| {
                let mut chars = number.chars();
                matches!(
                    (chars.next(), chars.next()),
                    (Some('0'..='9' | '\u{b9}' | '\u{b2}' | '\u{b3}'), None)
                )
            })
        }
    }
}

impl FromStr for FileName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for FileName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        check(&text)?;
        Ok(Self(text))
    }
}

impl From<FileName> for String {
    fn from(name: FileName) -> Self {
        name.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A name after case folding. Two live names never share one, and none is a directory above another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NameKey(String);

impl NameKey {
    /// Wraps a key that the ledger's own storage gives back.
    pub(crate) fn from_stored(key: String) -> Self {
        Self(key)
    }

    /// What the keys of names that begin with `text`, in any case, begin with.
    pub fn fold_prefix(text: &str) -> String {
        fold(text)
    }

    /// The folded text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The keys of all directories above this name, the nearest first.
    pub fn directories(&self) -> impl Iterator<Item = NameKey> + '_ {
        std::iter::successors(self.0.rsplit_once('/'), |(above, _)| above.rsplit_once('/'))
            .map(|(above, _)| NameKey(above.to_owned()))
    }

    /// The bounds of the keys below this name, were it a directory: `key/` up to but excluding `key0`, because `0`
    /// follows `/` in the alphabet.
    pub fn below(&self) -> (String, String) {
        (format!("{}/", self.0), format!("{}0", self.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hash::{Hash, sha256};

    fn error(text: &str) -> NameError {
        text.parse::<FileName>().unwrap_err()
    }

    #[test]
    fn ordinary_names_pass() {
        for name in [
            "a",
            "notes.txt",
            "dir/sub dir/файл.bin",
            "日本語/ø.tar.gz",
            ".hidden",
            "CONSOLE",
            "com10",
            "e\u{301}x",
        ] {
            assert!(FileName::normalized(name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn each_rule_names_itself() {
        assert_eq!(error(""), NameError::Empty);
        assert_eq!(error(&"a/".repeat(1000)), NameError::TooLong(2000));
        assert_eq!(error("/etc/x"), NameError::Absolute);
        assert_eq!(error("../x"), NameError::DotPart("..".into()));
        assert_eq!(error("a/./b"), NameError::DotPart(".".into()));
        assert_eq!(error("a//b"), NameError::EmptyPart);
        assert_eq!(error("a/"), NameError::EmptyPart);
        assert_eq!(error(&"x".repeat(241)), NameError::PartTooLong(241));
        assert_eq!(error("a./b"), NameError::PartEnd("a.".into()));
        assert_eq!(error("b "), NameError::PartEnd("b ".into()));
        assert_eq!(error("CON"), NameError::Reserved("CON".into()));
        assert_eq!(error("x/lpt1.txt"), NameError::Reserved("lpt1.txt".into()));
        assert_eq!(error("com\u{b9}"), NameError::Reserved("com\u{b9}".into()));
        assert_eq!(error("nul .x"), NameError::Reserved("nul .x".into()));
        assert_eq!(error("a\\b"), NameError::Forbidden('\\'));
        assert_eq!(error("a\nb"), NameError::Control('\n'));
        assert_eq!(error("evil\u{202e}gpj.exe"), NameError::Control('\u{202e}'));
        assert_eq!(error("a\u{378}"), NameError::Unassigned('\u{378}'));
        assert_eq!(error("e\u{301}"), NameError::NotNormalized);
    }

    #[test]
    fn names_that_differ_in_case_only_share_a_key() {
        let key = |text| FileName::normalized(text).unwrap().key();
        assert_eq!(key("Straße/README"), key("STRASSE/readme"));
        assert_eq!(key("É"), key("e\u{301}"));
        assert_ne!(key("a"), key("b"));
    }

    #[test]
    fn directories_come_nearest_first() {
        let key = FileName::normalized("A/b/c").unwrap().key();
        let above: Vec<_> = key.directories().map(|key| key.as_str().to_owned()).collect();
        assert_eq!(above, ["a/b", "a"]);
    }

    /// The tables are protocol: a dependency that judges one code point differently splits the network.
    #[test]
    fn the_unicode_tables_are_those_of_protocol_version_1() {
        let mut judged = Vec::new();
        for char in '\0'..=char::MAX {
            judged.push(u8::from(check_char(char).is_ok()));
            judged.extend(char.nfc().collect::<String>().bytes());
            judged.extend(caseless::default_case_fold_str(char.encode_utf8(&mut [0; 4])).bytes());
        }
        let hash = Hash::from_bytes(sha256(&[&judged]));
        assert_eq!(hash.to_string(), "651e4ac489c2853cf7bce1763f5e271eae4019dd3a576cf13276e0fa9416d9cf");
    }

    proptest! {
        #[test]
        fn a_name_that_passes_is_a_safe_relative_path(text in "\\PC{0,40}|[a-zA-Z./ \\\\:]{0,12}") {
            if let Ok(name) = FileName::normalized(&text) {
                let path = std::path::Path::new(name.as_str());
                prop_assert!(path.components().all(|part| matches!(part, std::path::Component::Normal(_))));
                prop_assert_eq!(name.as_str().parse::<FileName>().unwrap(), name.clone());
                let (from, to) = name.key().below();
                prop_assert!(from.as_str() < to.as_str());
            }
        }
    }
}
