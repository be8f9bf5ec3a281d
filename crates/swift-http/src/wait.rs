//! What a client waits for when it writes.

use std::collections::HashMap;

use crate::problem::Problem;

/// `?wait=` of a request that writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The block, for a bounded time.
    Final,
    /// Only that the write is durable in this node's queue.
    None,
}

impl Wait {
    pub(crate) fn of(query: &HashMap<String, String>) -> Result<Self, Problem> {
        match query.get("wait").map(String::as_str) {
            None | Some("final") => Ok(Self::Final),
            Some("none") => Ok(Self::None),
            Some(_) => Err(Problem::bad_request("wait is final or none")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_waits_for_its_block_unless_told_otherwise() {
        let of = |pairs: &[(&str, &str)]| {
            Wait::of(&pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
        };
        assert_eq!(of(&[("replace", "")]), Ok(Wait::Final));
        assert_eq!(of(&[("wait", "final")]), Ok(Wait::Final));
        assert_eq!(of(&[("wait", "none")]), Ok(Wait::None));
        for value in ["", "0", "None"] {
            assert!(of(&[("wait", value)]).is_err(), "{value:?}");
        }
    }
}
