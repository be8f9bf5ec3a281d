//! What a manifest says of one chunk, and the pass over its bytes that computes it.

use blake3::hazmat::HasherExt as _;

use crate::layout::{CHUNK_LEN, ChunkIndex, ChunkLayout};
use crate::sha1::Sha1;

/// Bytes that go through one hash and then the other while they are still in the processor's cache.
const FUSED_BLOCK_LEN: usize = 64 * 1024;

/// The two hashes of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChunkDigest {
    /// SHA-1 of the chunk's bytes.
    pub sha1: [u8; 20],
    /// BLAKE3 of the chunk as a subtree of its file.
    ///
    /// For a file of several chunks this is the subtree's non-root chaining value. The only chunk of a
    /// one-chunk file *is* the tree, so there it is the root hash: the file id itself.
    pub chaining_value: [u8; 32],
}

/// Whether a subtree is the whole tree or is merged with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subtree {
    WholeFile,
    Part,
}

impl Subtree {
    /// What the chunks of a file of this layout are.
    pub(crate) fn of(layout: ChunkLayout) -> Self {
        if layout.is_single_chunk() { Self::WholeFile } else { Self::Part }
    }
}

/// BLAKE3 alone over the bytes of one chunk or slice: all that is needed to trust bytes that were verified once.
#[derive(Clone)]
pub(crate) struct SubtreeHasher(blake3::Hasher);

impl SubtreeHasher {
    pub(crate) fn new(chunk: ChunkIndex) -> Self {
        Self::at(chunk.as_u64() * CHUNK_LEN)
    }

    /// For a subtree whose first byte is at `offset` of its file: a multiple of a power of two of KiB, which the
    /// subtree is not longer than.
    pub(crate) fn at(offset: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset(offset);
        Self(hasher)
    }

    /// No more bytes in all may pass than the subtree has: [`CHUNK_LEN`] for a chunk.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// At least one byte must have passed.
    pub(crate) fn chaining_value(&self, subtree: Subtree) -> [u8; 32] {
        match subtree {
            Subtree::WholeFile => *self.0.finalize().as_bytes(),
            Subtree::Part => self.0.finalize_non_root(),
        }
    }
}

/// Both hashes over the bytes of one chunk, in one pass.
#[derive(Clone)]
pub(crate) struct ChunkHasher {
    sha1: Sha1,
    blake3: SubtreeHasher,
    len: u64,
}

impl ChunkHasher {
    pub(crate) fn new(chunk: ChunkIndex) -> Self {
        Self { sha1: Sha1::new(), blake3: SubtreeHasher::new(chunk), len: 0 }
    }

    /// Bytes that passed so far.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// See [`SubtreeHasher::update`] for the bound.
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (block, later) = bytes.split_at(self.block_len(bytes));
            self.sha1.update(block);
            self.pass(block);
            bytes = later;
        }
    }

    /// [`Self::update`] of two chunks at once, which takes less time than one after the other.
    #[cfg(feature = "store")]
    pub(crate) fn update_both((a, mut a_bytes): (&mut Self, &[u8]), (b, mut b_bytes): (&mut Self, &[u8])) {
        while !a_bytes.is_empty() && !b_bytes.is_empty() {
            let (a_block, a_later) = a_bytes.split_at(a.block_len(a_bytes));
            let (b_block, b_later) = b_bytes.split_at(b.block_len(b_bytes));
            Sha1::update_both((&mut a.sha1, a_block), (&mut b.sha1, b_block));
            a.pass(a_block);
            b.pass(b_block);
            (a_bytes, b_bytes) = (a_later, b_later);
        }
        a.update(a_bytes);
        b.update(b_bytes);
    }

    /// Takes the next bytes without SHA-1, which gets them later: see [`Self::catch_up`].
    pub(crate) fn update_without_sha1(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (block, later) = bytes.split_at(self.block_len(bytes));
            self.pass(block);
            bytes = later;
        }
    }

    /// [`Self::update`], and beside it SHA-1 of another chunk gets as many bytes that it has missed.
    pub(crate) fn update_beside(&mut self, mut bytes: &[u8], behind: &mut Self, mut missed: &[u8]) {
        while !bytes.is_empty() {
            let (block, later) = bytes.split_at(self.block_len(bytes));
            let (missed_block, missed_later) = missed.split_at(block.len().min(missed.len()));
            Sha1::update_both((&mut self.sha1, block), (&mut behind.sha1, missed_block));
            self.pass(block);
            (bytes, missed) = (later, missed_later);
        }
    }

    /// Gives SHA-1 the bytes that it has missed.
    pub(crate) fn catch_up(&mut self, missed: &[u8]) {
        self.sha1.update(missed);
    }

    /// How many of these bytes go next: up to where a block ends in the chunk. From there on BLAKE3 has whole subtrees,
    /// of which it hashes many at a time.
    fn block_len(&self, bytes: &[u8]) -> usize {
        let begun = usize::try_from(self.len % FUSED_BLOCK_LEN as u64).unwrap_or(0);
        bytes.len().min(FUSED_BLOCK_LEN - begun)
    }

    /// What SHA-1 has had.
    fn pass(&mut self, block: &[u8]) {
        self.blake3.update(block);
        self.len += block.len() as u64;
    }

    pub(crate) fn finish(self, subtree: Subtree) -> ChunkDigest {
        ChunkDigest { sha1: self.sha1.finish(), chaining_value: self.blake3.chaining_value(subtree) }
    }
}
