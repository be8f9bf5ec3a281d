//! Deciding, as a chunk's bytes pass, whether they are the chunk.

mod slice;

pub use slice::{SliceFault, SliceVerifier};

use crate::digest::{ChunkDigest, ChunkHasher, Subtree};
use crate::id::FileId;
use crate::layout::{ChunkIndex, ChunkLayout};
#[cfg(feature = "store")]
use crate::sha1::Sha1;

/// Why received bytes are not the chunk they were sent as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkFault {
    /// More bytes than the chunk has. Blames the sender.
    #[error("longer than its {expected} bytes")]
    TooLong {
        /// Bytes in the chunk.
        expected: u64,
    },
    /// The bytes ended early. Blames the sender, unless the connection broke.
    #[error("{received} bytes of {expected}")]
    TooShort {
        /// Bytes in the chunk.
        expected: u64,
        /// Bytes that came.
        received: u64,
    },
    /// BLAKE3 differs: other content. Blames the sender.
    #[error("BLAKE3 differs: these are not the chunk's bytes")]
    Content,
    /// BLAKE3 fits and SHA-1 does not: the manifest is false. Blames the publisher and no sender.
    #[error("BLAKE3 fits and SHA-1 does not: the manifest is false")]
    ManifestFalse,
}

/// Proof that the bytes of one chunk passed both hashes: at once, in [`ChunkVerifier::finish`], or BLAKE3 slice by slice
/// and SHA-1 when the chunk was whole.
#[derive(Debug, PartialEq, Eq)]
pub struct VerifiedChunk {
    file_id: FileId,
    index: ChunkIndex,
    len: u64,
}

impl VerifiedChunk {
    /// The file the chunk is of.
    pub fn file_id(&self) -> FileId {
        self.file_id
    }

    /// Its place there.
    pub fn index(&self) -> ChunkIndex {
        self.index
    }

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Never: a chunk has at least one byte.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Hashes the bytes of one chunk in order and judges them at the end.
#[derive(Clone)]
pub struct ChunkVerifier {
    file_id: FileId,
    index: ChunkIndex,
    expected: ChunkDigest,
    expected_len: u64,
    subtree: Subtree,
    hasher: ChunkHasher,
}

impl ChunkVerifier {
    /// Expects the chunk at `index` of `file_id`, whose verified manifest says `expected` of it.
    pub fn new(file_id: FileId, layout: ChunkLayout, index: ChunkIndex, expected: ChunkDigest) -> Self {
        Self {
            file_id,
            index,
            expected,
            expected_len: layout.chunk_len(index),
            subtree: Subtree::of(layout),
            hasher: ChunkHasher::new(index),
        }
    }

    /// The chunk expected.
    pub fn index(&self) -> ChunkIndex {
        self.index
    }

    /// Bytes taken so far.
    pub fn received(&self) -> u64 {
        self.hasher.len()
    }

    /// Bytes still to come.
    pub fn remaining(&self) -> u64 {
        self.expected_len - self.hasher.len()
    }

    /// Takes the next bytes. One byte too many is refused at once, and none of `bytes` is taken then.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), ChunkFault> {
        self.check_room(bytes)?;
        self.hasher.update(bytes);
        Ok(())
    }

    /// [`Self::update`] of two chunks at once, which takes less time than one after the other.
    #[cfg(feature = "store")]
    pub(crate) fn update_both(
        (a, a_bytes): (&mut Self, &[u8]),
        (b, b_bytes): (&mut Self, &[u8]),
    ) -> [Result<(), ChunkFault>; 2] {
        let rooms = [a.check_room(a_bytes), b.check_room(b_bytes)];
        let taken = |room: &Result<_, _>, bytes: &'_ [u8]| if room.is_ok() { bytes.len() } else { 0 };
        let (a_bytes, b_bytes) =
            (&a_bytes[..taken(&rooms[0], a_bytes)], &b_bytes[..taken(&rooms[1], b_bytes)]);
        ChunkHasher::update_both((&mut a.hasher, a_bytes), (&mut b.hasher, b_bytes));
        rooms
    }

    fn check_room(&self, bytes: &[u8]) -> Result<(), ChunkFault> {
        let has_room = bytes.len() as u64 <= self.remaining();
        has_room.then_some(()).ok_or(ChunkFault::TooLong { expected: self.expected_len })
    }

    /// Judges what passed.
    pub fn finish(self) -> Result<VerifiedChunk, ChunkFault> {
        let received = self.received();
        if received < self.expected_len || received == 0 {
            return Err(ChunkFault::TooShort { expected: self.expected_len, received });
        }
        let found = self.hasher.finish(self.subtree);
        if found.chaining_value != self.expected.chaining_value {
            return Err(ChunkFault::Content);
        }
        if found.sha1 != self.expected.sha1 {
            return Err(ChunkFault::ManifestFalse);
        }
        Ok(VerifiedChunk { file_id: self.file_id, index: self.index, len: received })
    }
}

/// SHA-1 alone over the bytes of a chunk that passed BLAKE3 slice by slice: that needs them in order, in which slices do
/// not come.
#[cfg(feature = "store")]
pub(crate) struct WholeChunkCheck {
    file_id: FileId,
    index: ChunkIndex,
    expected: [u8; 20],
    len: u64,
    sha1: Sha1,
}

#[cfg(feature = "store")]
impl WholeChunkCheck {
    /// Expects the chunk at `index` of `file_id`, whose verified manifest says `expected` of it.
    pub(crate) fn new(file_id: FileId, index: ChunkIndex, expected: ChunkDigest) -> Self {
        Self { file_id, index, expected: expected.sha1, len: 0, sha1: Sha1::new() }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.sha1.update(bytes);
        self.len += bytes.len() as u64;
    }

    /// [`Self::update`] of two chunks at once.
    pub(crate) fn update_both((a, a_bytes): (&mut Self, &[u8]), (b, b_bytes): (&mut Self, &[u8])) {
        Sha1::update_both((&mut a.sha1, a_bytes), (&mut b.sha1, b_bytes));
        a.len += a_bytes.len() as u64;
        b.len += b_bytes.len() as u64;
    }

    /// Nothing if these are other bytes than the manifest promises, or if it promises what cannot be.
    pub(crate) fn finish(self) -> Option<VerifiedChunk> {
        let fits = self.len > 0 && self.sha1.finish() == self.expected;
        fits.then_some(VerifiedChunk { file_id: self.file_id, index: self.index, len: self.len })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ContentHasher;
    use crate::layout::CHUNK_LEN;

    struct Sample {
        content: Vec<u8>,
        file_id: FileId,
        layout: ChunkLayout,
        digests: Vec<ChunkDigest>,
    }

    fn sample(len: u64) -> Sample {
        let content: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        let mut digests = Vec::new();
        let mut hasher = ContentHasher::new();
        hasher.update(&content, |digest| digests.push(digest)).unwrap();
        let summary = hasher.finish(|digest| digests.push(digest));
        Sample { content, file_id: summary.file_id, layout: ChunkLayout::new(len).unwrap(), digests }
    }

    impl Sample {
        fn verify(&self, index: u64, digest: ChunkDigest, bytes: &[u8]) -> Result<VerifiedChunk, ChunkFault> {
            let index = self.layout.chunk(index).unwrap();
            let mut verifier = ChunkVerifier::new(self.file_id, self.layout, index, digest);
            for piece in bytes.chunks(70_000) {
                verifier.update(piece)?;
            }
            verifier.finish()
        }
    }

    #[test]
    fn the_true_bytes_of_every_chunk_are_verified() {
        for len in [1, CHUNK_LEN - 1, CHUNK_LEN, CHUNK_LEN + 1, 2 * CHUNK_LEN + 5] {
            let sample = sample(len);
            for (at, bytes) in sample.content.chunks(CHUNK_LEN as usize).enumerate() {
                let chunk = sample.verify(at as u64, sample.digests[at], bytes).unwrap();
                assert_eq!((chunk.file_id(), chunk.index().get()), (sample.file_id, at as u32));
                assert_eq!(chunk.len(), bytes.len() as u64);
            }
        }
    }

    #[test]
    fn one_flipped_bit_blames_the_sender() {
        let sample = sample(CHUNK_LEN + 100);
        let mut bytes = sample.content[CHUNK_LEN as usize..].to_vec();
        bytes[99] ^= 0x10;
        assert_eq!(sample.verify(1, sample.digests[1], &bytes), Err(ChunkFault::Content));
    }

    #[test]
    fn a_chunk_of_the_same_file_at_another_place_is_refused() {
        let sample = sample(3 * CHUNK_LEN);
        let second = &sample.content[CHUNK_LEN as usize..2 * CHUNK_LEN as usize];
        assert_eq!(sample.verify(0, sample.digests[0], second), Err(ChunkFault::Content));
    }

    #[test]
    fn a_short_chunk_and_one_byte_too_many_are_refused() {
        let sample = sample(100);
        let short = sample.verify(0, sample.digests[0], &sample.content[..99]);
        assert_eq!(short, Err(ChunkFault::TooShort { expected: 100, received: 99 }));
        let empty = sample.verify(0, sample.digests[0], &[]);
        assert_eq!(empty, Err(ChunkFault::TooShort { expected: 100, received: 0 }));
        let long = [&sample.content[..], &[0]].concat();
        let long = sample.verify(0, sample.digests[0], &long);
        assert_eq!(long, Err(ChunkFault::TooLong { expected: 100 }));
    }

    #[test]
    fn true_bytes_under_a_false_sha1_blame_the_manifest() {
        let sample = sample(CHUNK_LEN);
        let mut lie = sample.digests[0];
        lie.sha1[0] ^= 1;
        assert_eq!(sample.verify(0, lie, &sample.content), Err(ChunkFault::ManifestFalse));
    }
}
