//! For which client a node signed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::LABEL_LEN_MAX;

/// For which client a node signed a transaction: the label of that client's token. The node asserts it, nobody proves
/// it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(String);

/// A text that is no label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a label has 1 to {LABEL_LEN_MAX} bytes and no control characters")]
pub struct LabelError;

impl Label {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Label {
    type Error = LabelError;

    fn try_from(text: String) -> Result<Self, LabelError> {
        let fits = (1..=LABEL_LEN_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        if fits { Ok(Self(text)) } else { Err(LabelError) }
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.0
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short_and_printable() {
        assert!(Label::try_from("ci-runner".to_owned()).is_ok());
        for text in ["".to_owned(), "x".repeat(65), "a\u{7}b".to_owned()] {
            assert_eq!(Label::try_from(text), Err(LabelError));
        }
    }
}
