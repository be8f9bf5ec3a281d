//! How many connections with members there may be, and what for.

use std::{fmt, num::NonZeroU32, str::FromStr};

/// With fewer a node could not keep up with its network.
const FEWEST: u32 = 8;

/// The most connections with members, those they open and those this node opens.
///
/// Half of them are for what members open here, and a quarter for fetching content. The last quarter is for the messages
/// of the ledger and the swarm, so that content never takes their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimit(NonZeroU32);

/// A number of connections, or that there is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionsAllowed(pub Option<ConnectionLimit>);

/// A text that says no number of connections, or too low a one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionLimitError {
    /// No number.
    #[error("{0:?} is no number of connections: write for example 64, or none")]
    Unreadable(String),
    /// Too few to work with.
    #[error("{0} connections are too few: a node needs at least 8 to keep up with its network")]
    TooFew(u32),
}

impl ConnectionLimit {
    /// A limit, if it is not too low.
    pub fn new(connections: u32) -> Result<Self, ConnectionLimitError> {
        let enough = NonZeroU32::new(connections).filter(|connections| connections.get() >= FEWEST);
        enough.map(Self).ok_or(ConnectionLimitError::TooFew(connections))
    }

    /// Connections in all.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// Of these, what members may have open here.
    pub fn incoming(self) -> usize {
        self.get() as usize / 2
    }

    /// Content that is fetched at once, each over a connection of its own; as many may be open without being used.
    pub(crate) fn fetches(self) -> usize {
        (self.get() as usize / 8).max(1)
    }

    /// Members to which a connection for messages is kept.
    pub fn messages(self) -> usize {
        self.get() as usize / 4
    }
}

impl fmt::Display for ConnectionLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ConnectionsAllowed {
    type Err = ConnectionLimitError;

    fn from_str(text: &str) -> Result<Self, ConnectionLimitError> {
        match text.trim() {
            "none" => Ok(Self(None)),
            number => {
                let unreadable = || ConnectionLimitError::Unreadable(text.chars().take(40).collect());
                ConnectionLimit::new(number.parse().map_err(|_| unreadable())?).map(|limit| Self(Some(limit)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_limit_are_no_more_than_the_whole_and_none_is_empty() {
        for connections in FEWEST..1000 {
            let limit = ConnectionLimit::new(connections).unwrap();
            let parts = [limit.incoming(), 2 * limit.fetches(), limit.messages()];
            assert!(
                parts.iter().all(|&part| part > 1) && parts.iter().sum::<usize>() <= connections as usize
            );
        }
    }

    #[test]
    fn too_few_connections_are_refused() {
        assert_eq!("64".parse(), ConnectionLimit::new(64).map(|limit| ConnectionsAllowed(Some(limit))));
        assert_eq!("none".parse(), Ok(ConnectionsAllowed(None)));
        assert_eq!("7".parse::<ConnectionsAllowed>(), Err(ConnectionLimitError::TooFew(7)));
        for text in ["", "-1", "many", "99999999999"] {
            assert!(matches!(text.parse::<ConnectionsAllowed>(), Err(ConnectionLimitError::Unreadable(_))));
        }
    }
}
