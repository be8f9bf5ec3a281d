//! What members tell each other of their ledgers.

use std::fmt;

use serde::{Deserialize, Serialize};
use swift_chain::BlockHash;

use super::HeadNote;

/// Bytes of an encoded [`Hello`].
pub const HELLO_LEN_MAX: usize = 96;

/// A greeting, and the answer to one. Its bytes are postcard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Height of the sender's head.
    pub height: u64,
    /// Its hash.
    pub hash: BlockHash,
    /// What the sender has of the network's files.
    pub shelf: Shelf,
    /// What it runs.
    pub release: Release,
}

/// A release of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Changes with what others rely on.
    pub major: u16,
    /// Changes with what is new.
    pub minor: u16,
    /// Changes with what was mended.
    pub patch: u16,
}

impl Release {
    /// The one that this is.
    pub const THIS: Self = Self {
        major: number(env!("CARGO_PKG_VERSION_MAJOR")),
        minor: number(env!("CARGO_PKG_VERSION_MINOR")),
        patch: number(env!("CARGO_PKG_VERSION_PATCH")),
    };
}

#[expect(clippy::panic, reason = "it is called while this is compiled, and then only")]
const fn number(text: &str) -> u16 {
    match u16::from_str_radix(text, 10) {
        Ok(number) => number,
        Err(_) => panic!("a version is three numbers"),
    }
}

impl fmt::Display for Release {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// What a node has of the network's files, as it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shelf {
    /// Files that it holds whole and durable.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What it keeps by rule.
    pub keeps: Keeps,
    /// Bytes that it could still take: below its quota, and on its disk above the floor. None before it has looked.
    pub available_bytes: Option<u64>,
}

/// What a node keeps by rule; pins are not told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keeps {
    /// Every file.
    #[default]
    All,
    /// No file.
    None,
    /// Those whose names fit a pattern.
    Some,
}

/// Bytes that are no greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a greeting of this protocol version")]
pub struct HelloError;

impl Hello {
    /// The bytes to send.
    pub fn to_bytes(self) -> Vec<u8> {
        // Numbers and 32 bytes: nothing that could fail.
        postcard::to_allocvec(&self).unwrap_or_default()
    }

    /// Reads at most [`HELLO_LEN_MAX`] bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HelloError> {
        if bytes.len() > HELLO_LEN_MAX {
            return Err(HelloError);
        }
        match postcard::take_from_bytes(bytes) {
            Ok((hello, [])) => Ok(hello),
            _ => Err(HelloError),
        }
    }
}

impl Hello {
    /// A greeting of a node with this head and this shelf.
    pub fn new(head: HeadNote, shelf: Shelf) -> Self {
        Self { height: head.height, hash: head.hash, shelf, release: Release::THIS }
    }
}

impl From<Hello> for HeadNote {
    fn from(hello: Hello) -> Self {
        Self { height: hello.height, hash: hello.hash }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_has_these_bytes_and_no_others() {
        let shelf = Shelf { files: 300, bytes: u64::MAX, keeps: Keeps::Some, available_bytes: Some(3) };
        let release = Release { major: 1, minor: 20, patch: 300 };
        let hello = Hello { height: 5, hash: BlockHash::from_bytes([7; 32]), shelf, release };
        let bytes = hello.to_bytes();
        let golden =
            [&[5][..], &[7; 32], &[0xac, 2], &[0xff; 9], &[1], &[2], &[1, 3], &[1, 20, 0xac, 2]].concat();
        assert_eq!(bytes, golden);
        assert_eq!(Hello::from_bytes(&bytes), Ok(hello));
        for broken in [&bytes[..bytes.len() - 1], &[&bytes[..], &[0]].concat(), &[]] {
            assert_eq!(Hello::from_bytes(broken), Err(HelloError));
        }
        let shelf = Shelf { files: u64::MAX, available_bytes: Some(u64::MAX), ..shelf };
        let release = Release { major: u16::MAX, minor: u16::MAX, patch: u16::MAX };
        assert!(Hello { height: u64::MAX, shelf, release, ..hello }.to_bytes().len() <= HELLO_LEN_MAX);
        assert_eq!(Release::THIS.to_string(), env!("CARGO_PKG_VERSION"));
    }
}
