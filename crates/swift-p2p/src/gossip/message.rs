//! What members tell each other of their ledgers.

use serde::{Deserialize, Serialize};
use swift_chain::BlockHash;

use super::HeadNote;

/// Bytes of an encoded [`Hello`].
pub const HELLO_LEN_MAX: usize = 64;

/// A greeting, and the answer to one. Its bytes are postcard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Height of the sender's head.
    pub height: u64,
    /// Its hash.
    pub hash: BlockHash,
    /// What the sender has of the network's files.
    pub shelf: Shelf,
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
        Self { height: head.height, hash: head.hash, shelf }
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
        let shelf = Shelf { files: 300, bytes: u64::MAX, keeps: Keeps::Some };
        let hello = Hello { height: 5, hash: BlockHash::from_bytes([7; 32]), shelf };
        let bytes = hello.to_bytes();
        let golden = [&[5][..], &[7; 32], &[0xac, 2], &[0xff; 9], &[1], &[2]].concat();
        assert_eq!(bytes, golden);
        assert_eq!(Hello::from_bytes(&bytes), Ok(hello));
        for broken in [&bytes[..bytes.len() - 1], &[&bytes[..], &[0]].concat(), &[]] {
            assert_eq!(Hello::from_bytes(broken), Err(HelloError));
        }
        let longest = Shelf { files: u64::MAX, ..shelf };
        assert!(Hello { height: u64::MAX, shelf: longest, ..hello }.to_bytes().len() <= HELLO_LEN_MAX);
    }
}
