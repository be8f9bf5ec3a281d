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
}

/// Bytes that are no greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a greeting of this protocol version")]
pub struct HelloError;

impl Hello {
    /// The bytes to send.
    pub fn to_bytes(self) -> Vec<u8> {
        // A number and 32 bytes: nothing that could fail.
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

impl From<HeadNote> for Hello {
    fn from(head: HeadNote) -> Self {
        Self { height: head.height, hash: head.hash }
    }
}

impl From<Hello> for HeadNote {
    fn from(hello: Hello) -> Self {
        Self { height: hello.height, hash: hello.hash }
    }
}
