//! Deciding, as a slice's bytes pass, whether they are the slice.

use crate::digest::{Subtree, SubtreeHasher};
use crate::grain_tree::GrainTree;
use crate::layout::CHUNK_LEN;
use crate::slice::{GRAIN_LEN, Slice};

/// Why received bytes are not the slice they were sent as. All blame the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SliceFault {
    /// More bytes than the slice has.
    #[error("longer than its {expected} bytes")]
    TooLong {
        /// Bytes in the slice.
        expected: u64,
    },
    /// The bytes ended early. Blames nobody if the connection broke.
    #[error("{received} bytes of {expected}")]
    TooShort {
        /// Bytes in the slice.
        expected: u64,
        /// Bytes that came.
        received: u64,
    },
    /// BLAKE3 differs: other content.
    #[error("BLAKE3 differs: these are not the slice's bytes")]
    Content,
}

/// Hashes the bytes of one slice in order and judges them at the end. SHA-1 is for the chunk, once it is whole.
#[derive(Clone)]
pub struct SliceVerifier {
    slice: Slice,
    expected: [u8; 32],
    expected_len: u64,
    received: u64,
    subtree: Subtree,
    hasher: SubtreeHasher,
}

impl SliceVerifier {
    /// Expects a slice of the chunk that `tree` is of.
    pub fn new(slice: Slice, tree: &GrainTree) -> Self {
        let layout = tree.layout();
        Self {
            slice,
            expected: tree.value(slice),
            expected_len: slice.len(layout),
            received: 0,
            subtree: slice.subtree(layout),
            // Not the range's start, which is bounded by the file: a slice of some longer file must not be a panic.
            hasher: SubtreeHasher::at(
                slice.chunk().as_u64() * CHUNK_LEN + u64::from(slice.first_grain()) * GRAIN_LEN,
            ),
        }
    }

    /// The slice expected.
    pub fn slice(&self) -> Slice {
        self.slice
    }

    /// Bytes taken so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Bytes still to come.
    pub fn remaining(&self) -> u64 {
        self.expected_len - self.received
    }

    /// Takes the next bytes. One byte too many is refused at once, and none of `bytes` is taken then.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), SliceFault> {
        if bytes.len() as u64 > self.remaining() {
            return Err(SliceFault::TooLong { expected: self.expected_len });
        }
        self.hasher.update(bytes);
        self.received += bytes.len() as u64;
        Ok(())
    }

    /// Judges what passed.
    pub fn finish(self) -> Result<(), SliceFault> {
        let Self { expected_len: expected, received, .. } = self;
        if received < expected || received == 0 {
            return Err(SliceFault::TooShort { expected, received });
        }
        if self.hasher.chaining_value(self.subtree) == self.expected {
            Ok(())
        } else {
            Err(SliceFault::Content)
        }
    }
}
