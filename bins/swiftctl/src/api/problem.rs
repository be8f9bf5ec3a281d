//! Refusals: problem details (RFC 9457) from `/v1`, `{"status": false, "reason"}` from the older routes.

use std::time::Duration;

use serde::Deserialize;

/// Why a node refused.
#[derive(Debug)]
pub(crate) struct Problem {
    /// The HTTP status.
    pub(crate) status: u16,
    code: Option<String>,
    detail: Option<String>,
    /// When the node wants to be asked again.
    pub(crate) retry_after: Option<Duration>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    code: Option<String>,
    detail: Option<String>,
    reason: Option<String>,
    title: Option<String>,
}

impl Problem {
    /// Of its parts.
    pub(crate) fn new(status: u16, code: Option<String>, detail: Option<String>) -> Self {
        Self { status, code, detail, retry_after: None }
    }

    /// Reads an answer's body; one that is no problem leaves the status to speak.
    pub(crate) fn read(status: u16, body: &[u8]) -> Self {
        let body: Body = serde_json::from_slice(body).unwrap_or_default();
        Self::new(status, body.code, body.detail.or(body.reason).or(body.title))
    }

    /// Whether nothing but the status is known.
    pub(crate) fn is_bare(&self) -> bool {
        self.code.is_none() && self.detail.is_none()
    }

    /// Whether the node gave this reason.
    pub(crate) fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// The node's words.
    pub(crate) fn says(&self) -> String {
        self.detail.clone().unwrap_or_else(|| format!("the node answered with HTTP status {}", self.status))
    }

    /// What can be done about it, to be put behind the node's words.
    pub(crate) fn advice(&self) -> &'static str {
        match self.kind() {
            "unauthorized" => {
                "; give a token this node knows: SWIFTSERVE_TOKEN, --token-file, or --data-dir with its data folder"
            }
            "forbidden" => {
                "; it takes a token with more scopes (`swiftctl token create`), or another role of the node"
            }
            "bad_name" => "; choose another name",
            "name_taken" => "; publish under another name with --as, or put it in its place with --replace",
            "no_space" => "; `swiftctl trash empty` gives back what the trash has; then repeat the command",
            "not_final" => "; repeat the command to see whether it is done",
            "no_quorum_after" => {
                "; --force does it all the same, and then nothing becomes final before they are back"
            }
            "unavailable" => "; wait a little, or ask another node",
            "rate_limited" => "; repeat the command a little later",
            "internal" => "; the node's log says more",
            _ => "",
        }
    }

    /// Whether it would be the same with any other write.
    pub(crate) fn concerns_all(&self) -> bool {
        matches!(self.kind(), "unauthorized" | "no_quorum")
    }

    /// What the program exits with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self.kind() {
            "unauthorized" | "forbidden" => 4,
            "not_found" => 3,
            "no_quorum" | "not_final" | "unavailable" | "rate_limited" => 6,
            _ => 1,
        }
    }

    /// The code, or what the status says as a code.
    fn kind(&self) -> &str {
        match (&self.code, self.status) {
            (Some(code), _) => code,
            (None, 401) => "unauthorized",
            (None, 403) => "forbidden",
            (None, 404) => "not_found",
            (None, 429) => "rate_limited",
            (None, 503) => "unavailable",
            (None, 504) => "not_final",
            (None, 507) => "no_space",
            (None, 500) => "internal",
            (None, _) => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_of_refusals_are_read() {
        let problem =
            Problem::read(409, br#"{"title":"t","status":409,"detail":"taken","code":"name_taken"}"#);
        assert_eq!((problem.kind(), problem.says().as_str()), ("name_taken", "taken"));
        let problem = Problem::read(403, br#"{"status": false, "reason": "readers cannot"}"#);
        assert_eq!((problem.exit_code(), problem.says().as_str()), (4, "readers cannot"));
        assert!(Problem::read(502, b"<html>").says().contains("502"));
    }
}
