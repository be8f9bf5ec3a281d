//! Limits that were set while a node ran, as they are kept for its next start.
//!
//! Beside each stands what it was set instead of: the operator's setting at that time. If that setting is another one at
//! the next start, it is the later word, and what was set before it is forgotten.

use serde::{Deserialize, Serialize};

use super::LimitSettings;

/// Longer than anything that is written here.
const LEN_MAX: usize = 4096;

/// A limit that was set, and the setting that it was set instead of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    set: String,
    instead_of: String,
}

/// Everything that was set. As texts, as people write them: the file may be read by some.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    up: Option<Set>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    down: Option<Set>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    connections: Option<Set>,
}

/// The kept limits cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the limits that were set with `swiftctl limit` cannot be read: {0}; remove the file to go on without them"
)]
pub struct StoredLimitsError(String);

/// What a limit is called in a text, with or without a value.
fn text<T: ToString>(limit: Option<T>) -> String {
    limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string())
}

impl Stored {
    /// Reads what [`Self::encode`] wrote.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoredLimitsError> {
        if bytes.len() > LEN_MAX {
            return Err(StoredLimitsError(format!("{} bytes are too many", bytes.len())));
        }
        serde_json::from_slice(bytes).map_err(|error| StoredLimitsError(error.to_string()))
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        // Texts in a struct: nothing that JSON could not hold.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// What differs from the operator's settings.
    pub(super) fn of(now: &LimitSettings, configured: &LimitSettings) -> Self {
        fn set<T: ToString + PartialEq>(now: Option<T>, configured: Option<T>) -> Option<Set> {
            (now != configured).then(|| Set { set: text(now), instead_of: text(configured) })
        }
        Self {
            up: set(now.up, configured.up),
            down: set(now.down, configured.down),
            connections: set(now.connections, configured.connections),
        }
    }

    /// The limits to start with.
    pub(super) fn over(&self, configured: LimitSettings) -> Result<LimitSettings, StoredLimitsError> {
        fn pick<T, P>(
            set: Option<&Set>,
            configured: Option<T>,
            limit: fn(P) -> Option<T>,
        ) -> Result<Option<T>, StoredLimitsError>
        where
            T: ToString + Copy,
            P: std::str::FromStr<Err: std::fmt::Display>,
        {
            match set.filter(|set| set.instead_of == text(configured)) {
                None => Ok(configured),
                Some(set) => {
                    set.set.parse().map(limit).map_err(|error: P::Err| StoredLimitsError(error.to_string()))
                }
            }
        }
        Ok(LimitSettings {
            up: pick(self.up.as_ref(), configured.up, |super::RateLimit(limit)| limit)?,
            down: pick(self.down.as_ref(), configured.down, |super::RateLimit(limit)| limit)?,
            connections: pick(
                self.connections.as_ref(),
                configured.connections,
                |super::ConnectionsAllowed(limit)| limit,
            )?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::limits::{ConnectionLimit, Rate};

    fn settings(up: Option<u64>, connections: Option<u32>) -> LimitSettings {
        LimitSettings {
            up: up.map(|rate| Rate::new(rate).unwrap()),
            down: None,
            connections: connections.map(|limit| ConnectionLimit::new(limit).unwrap()),
        }
    }

    #[test]
    fn what_was_set_holds_again_after_a_restart_also_when_it_took_a_limit_away() {
        for (now, configured) in [
            (settings(Some(1 << 20), None), settings(None, None)),
            (settings(None, Some(8)), settings(Some(50_000), None)),
            (settings(Some(12_345), Some(9)), settings(Some(12_345), Some(10))),
        ] {
            let stored = Stored::decode(&Stored::of(&now, &configured).encode()).unwrap();
            assert_eq!(stored.over(configured), Ok(now));
        }
    }

    #[test]
    fn a_setting_that_was_changed_since_is_the_later_word() {
        let stored = Stored::of(&settings(Some(1 << 20), Some(8)), &settings(Some(2 << 20), Some(64)));
        assert_eq!(stored.over(settings(Some(3 << 20), Some(64))), Ok(settings(Some(3 << 20), Some(8))));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let long = vec![b' '; LEN_MAX + 1];
        for bytes in [&b""[..], b"3", b"{\"sideways\":1}", &long] {
            assert!(Stored::decode(bytes).is_err());
        }
        let stored = Stored::decode(br#"{"up":{"set":"fast","instead_of":"none"}}"#).unwrap();
        assert!(stored.over(LimitSettings::default()).unwrap_err().to_string().contains("\"fast\""));
    }
}
