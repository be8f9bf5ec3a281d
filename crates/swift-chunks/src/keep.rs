//! Which files a node keeps by rule: all, none, or those whose names fit a pattern.

use std::fmt;
use std::str::FromStr;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Patterns in one rule, at most.
pub const KEEP_PATTERNS_MAX: usize = 64;
/// Bytes of one pattern, at most.
pub const KEEP_PATTERN_LEN_MAX: usize = 256;

/// Which files a node keeps by rule. Pins are kept besides.
///
/// A pattern fits a whole name, in its own case. `*` and `?` stand for anything but `/`, `**` for any number of
/// folders, `[a-z]` for one of these, `{a,b}` for either.
///
/// ```
/// let rule: swift_chunks::KeepRule = "*.iso,images/**".parse()?;
/// assert!(rule.covers("big.iso") && rule.covers("images/2024/a.png"));
/// assert!(!rule.covers("old/big.iso"));
/// # Ok::<(), swift_chunks::KeepRuleError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KeepRule {
    /// Every file.
    #[default]
    All,
    /// No file.
    None,
    /// Those whose names fit.
    Patterns(KeepPatterns),
}

/// Patterns that can be matched. They are as they were given, in their order.
#[derive(Clone, Debug)]
pub struct KeepPatterns {
    texts: Vec<String>,
    set: GlobSet,
}

/// A rule that cannot be used. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeepRuleError {
    /// A list of patterns without any.
    #[error("there is no pattern: give `all`, `none`, or patterns of names")]
    Empty,
    /// Too many patterns.
    #[error("{len} patterns, where {KEEP_PATTERNS_MAX} are the most: join some with {{a,b}}")]
    TooMany {
        /// How many.
        len: usize,
    },
    /// A pattern that is too long.
    #[error("a pattern of {len} bytes, where {KEEP_PATTERN_LEN_MAX} are the most")]
    TooLong {
        /// Its bytes.
        len: usize,
    },
    /// A pattern that cannot be understood.
    #[error("the pattern {pattern:?} cannot be used: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// Why.
        reason: String,
    },
}

impl KeepRule {
    /// A rule of patterns.
    pub fn of_patterns(patterns: Vec<String>) -> Result<Self, KeepRuleError> {
        if patterns.is_empty() {
            return Err(KeepRuleError::Empty);
        }
        if patterns.len() > KEEP_PATTERNS_MAX {
            return Err(KeepRuleError::TooMany { len: patterns.len() });
        }
        let mut set = GlobSetBuilder::new();
        for pattern in &patterns {
            if pattern.len() > KEEP_PATTERN_LEN_MAX {
                return Err(KeepRuleError::TooLong { len: pattern.len() });
            }
            let refused =
                |reason: &str| KeepRuleError::Pattern { pattern: pattern.clone(), reason: reason.into() };
            if pattern.is_empty() {
                return Err(refused("it is empty"));
            }
            if pattern.chars().any(char::is_control) {
                return Err(refused("no name has a control character"));
            }
            if pattern.starts_with('/') {
                return Err(refused("no name begins with a slash"));
            }
            let glob = GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build();
            set.add(glob.map_err(|error| refused(&error.kind().to_string()))?);
        }
        let built = set.build().map_err(|error| KeepRuleError::Pattern {
            pattern: patterns.join(","),
            reason: error.kind().to_string(),
        });
        Ok(Self::Patterns(KeepPatterns { texts: patterns, set: built? }))
    }

    /// Whether the rule covers a name.
    pub fn covers(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Patterns(patterns) => patterns.set.is_match(name),
        }
    }

    /// The patterns, if it is a rule of patterns.
    pub fn patterns(&self) -> Option<&[String]> {
        match self {
            Self::Patterns(patterns) => Some(&patterns.texts),
            Self::All | Self::None => None,
        }
    }

    /// One line each: how the index stores it. No pattern has a line break.
    pub(crate) fn to_stored(&self) -> String {
        match self {
            Self::All => "all".into(),
            Self::None => "none".into(),
            Self::Patterns(patterns) => format!("patterns\n{}", patterns.texts.join("\n")),
        }
    }

    pub(crate) fn from_stored(text: &str) -> Result<Self, KeepRuleError> {
        match text.split_once('\n') {
            Some(("patterns", list)) => Self::of_patterns(list.split('\n').map(str::to_owned).collect()),
            _ => text.parse(),
        }
    }
}

impl PartialEq for KeepPatterns {
    fn eq(&self, other: &Self) -> bool {
        self.texts == other.texts
    }
}

impl Eq for KeepPatterns {}

impl fmt::Display for KeepRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::None => f.write_str("none"),
            Self::Patterns(patterns) => f.write_str(&patterns.texts.join(",")),
        }
    }
}

impl FromStr for KeepRule {
    type Err = KeepRuleError;

    /// Reads `all`, `none`, or patterns with commas between them; a comma within `{}` or `[]` is the pattern's own.
    fn from_str(text: &str) -> Result<Self, KeepRuleError> {
        match text.trim() {
            "all" => return Ok(Self::All),
            "none" => return Ok(Self::None),
            _ => {}
        }
        let (mut patterns, mut depth) = (vec![String::new()], 0_u32);
        for letter in text.chars() {
            match letter {
                '{' | '[' => depth += 1,
                '}' | ']' => depth = depth.saturating_sub(1),
                ',' if depth == 0 => {
                    patterns.push(String::new());
                    continue;
                }
                _ => {}
            }
            if let Some(pattern) = patterns.last_mut() {
                pattern.push(letter);
            }
        }
        let patterns = patterns.iter().map(|pattern| pattern.trim().to_owned());
        Self::of_patterns(patterns.filter(|pattern| !pattern.is_empty()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> KeepRule {
        text.parse().unwrap()
    }

    #[test]
    fn a_star_stops_at_a_slash_and_two_do_not() {
        assert!(rule("*").covers("a") && !rule("*").covers("a/b"));
        assert!(rule("**").covers("a") && rule("**").covers("a/b/c"));
        assert!(rule("a/*").covers("a/b") && !rule("a/*").covers("a/b/c"));
        assert!(rule("**/*.iso").covers("x.iso") && rule("**/*.iso").covers("a/b/x.iso"));
        assert!(!rule("a?b").covers("a/b") && rule("a?b").covers("a,b"));
        assert!(!rule("*.ISO").covers("x.iso"));
    }

    #[test]
    fn commas_part_patterns_but_not_within_braces() {
        assert_eq!(rule("a, b/** ,").patterns().unwrap(), ["a", "b/**"]);
        assert_eq!(rule("*.{iso,img},c").patterns().unwrap(), ["*.{iso,img}", "c"]);
        assert!(rule("*.{iso,img}").covers("x.img"));
        assert_eq!((rule(" all "), rule("none")), (KeepRule::All, KeepRule::None));
        assert!(rule("[a]ll").covers("all"));
    }

    #[test]
    fn what_cannot_be_a_rule_is_refused_with_the_reason() {
        let long = "x".repeat(KEEP_PATTERN_LEN_MAX + 1);
        let many = vec!["x"; KEEP_PATTERNS_MAX + 1].join(",");
        for (text, reason) in [
            ("", "there is no pattern"),
            (" , ", "there is no pattern"),
            ("a[", "cannot be used"),
            ("{a", "cannot be used"),
            ("/etc/*", "no name begins with a slash"),
            ("a\nb", "control character"),
            (&long, "257 bytes"),
            (&many, "65 patterns"),
        ] {
            let error = text.parse::<KeepRule>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_rule_is_stored_and_shown_as_it_was_given() {
        for text in ["all", "none", "a", "*.{iso,img},b/**"] {
            assert_eq!(rule(text).to_string(), text);
            assert_eq!(KeepRule::from_stored(&rule(text).to_stored()), Ok(rule(text)));
        }
        assert!(KeepRule::from_stored("patterns\n").is_err());
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_not() {
        let slow = rule(&format!("{}b", "*a".repeat(100)));
        assert!(!slow.covers(&"a".repeat(1024)));
    }
}
