//! How commands fail, and with which exit code.

use std::{io, path::Path, time::Duration};

use crate::{api::Problem, text::printable};

/// A failed command: one sentence that says what failed, why, and what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Something outside the other kinds: files of this machine, answers nobody understands.
    #[error("{0}")]
    Failed(String),
    /// The command makes no sense.
    #[error("{0}")]
    Usage(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// This machine keeps something from its user.
    #[error("{0}")]
    Denied(String),
    /// The node refused.
    #[error("{what}: {}{}", .problem.says(), .problem.advice())]
    Refused {
        /// What was asked for.
        what: String,
        /// Its answer.
        problem: Problem,
    },
    /// Content or chain is not what it must be.
    #[error("{0}")]
    Integrity(String),
    /// It may become true later.
    #[error("{0}")]
    NotInTime(String),
    /// Nobody answers, or nobody any more.
    #[error("{0}")]
    Unreachable(String),
    /// Whoever reads the standard output has gone.
    #[error("nobody reads the output")]
    OutputClosed,
}

impl Error {
    /// A file of this machine could not be used.
    pub(crate) fn file(what: &str, path: &Path, error: &io::Error) -> Self {
        let says = format!("cannot {what} {}: {error}", path.display());
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound(says),
            _ => Self::Failed(says),
        }
    }

    /// What the program exits with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) | Self::OutputClosed => 1,
            Self::Usage(_) => 2,
            Self::NotFound(_) => 3,
            Self::Denied(_) => 4,
            Self::Refused { problem, .. } => problem.exit_code(),
            Self::Integrity(_) => 5,
            Self::NotInTime(_) => 6,
            Self::Unreachable(_) => 7,
        }
    }

    /// Whether trying the same with another file is pointless.
    pub(crate) fn concerns_all(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Usage(_) | Self::OutputClosed => true,
            Self::Refused { problem, .. } => problem.concerns_all(),
            _ => false,
        }
    }

    /// Whether the node has no such thing.
    pub(crate) fn is_not_found(&self) -> bool {
        self.exit_code() == 3
    }

    /// Whether the node has the name, and not yet the content.
    pub(crate) fn is_unavailable(&self) -> bool {
        matches!(self, Self::Refused { problem, .. } if problem.status == 503)
    }

    /// Whether the same may go well a little later: the node starts, stops, or has too much to do.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused { problem, .. } => problem.status >= 500 || problem.status == 429,
            _ => false,
        }
    }

    /// How long the node wants to be left alone, if it refused because it is asked too often. It did nothing then, so the
    /// same may be said again, a write as well.
    pub(crate) fn asks_to_wait(&self) -> Option<Duration> {
        match self {
            Self::Refused { problem, .. } if problem.status == 429 => {
                Some(problem.retry_after.unwrap_or(Duration::from_secs(1)))
            }
            _ => None,
        }
    }

    /// Whether a connection that broke may have swallowed what the node had to say.
    pub(crate) fn lacks_reasons(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused { problem, .. } => problem.is_bare(),
            _ => false,
        }
    }

    /// Says it to the user.
    pub(crate) fn report(&self) {
        if !matches!(self, Self::OutputClosed) {
            eprintln!("swiftctl: {}", printable(&self.to_string()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str) -> Error {
        let problem = Problem::new(status, Some(code.to_owned()), Some("because".to_owned()));
        Error::Refused { what: "cannot do it".into(), problem }
    }

    #[test]
    fn every_problem_of_the_interface_has_its_exit_code() {
        let codes = [
            (401, "unauthorized", 4),
            (403, "forbidden", 4),
            (404, "not_found", 3),
            (400, "bad_name", 1),
            (400, "bad_request", 1),
            (409, "name_taken", 1),
            (409, "conflict", 1),
            (400, "length_mismatch", 1),
            (413, "too_large", 1),
            (507, "no_space", 1),
            (504, "not_final", 6),
            (504, "no_quorum", 6),
            (409, "no_quorum_after", 1),
            (503, "unavailable", 6),
            (429, "rate_limited", 6),
            (500, "internal", 1),
        ];
        for (status, code, exit) in codes {
            assert_eq!(refused(status, code).exit_code(), exit, "{code}");
        }
    }

    #[test]
    fn a_status_without_a_code_is_understood_too() {
        for (status, exit) in [(401, 4), (403, 4), (404, 3), (503, 6), (504, 6), (418, 1)] {
            let problem = Problem::new(status, None, None);
            assert_eq!(problem.exit_code(), exit, "{status}");
        }
    }

    #[test]
    fn a_refusal_says_what_failed_why_and_what_to_do() {
        let says = refused(409, "name_taken").to_string();
        assert!(says.starts_with("cannot do it: because"), "{says}");
        assert!(says.contains("--replace"), "{says}");
    }

    #[test]
    fn only_what_no_other_file_could_change_ends_a_series() {
        assert!(refused(401, "unauthorized").concerns_all());
        assert!(refused(504, "no_quorum").concerns_all());
        assert!(!refused(504, "not_final").concerns_all());
        assert!(!refused(403, "forbidden").concerns_all());
        assert!(!refused(409, "name_taken").concerns_all());
        assert!(Error::Unreachable(String::new()).concerns_all());
    }
}
