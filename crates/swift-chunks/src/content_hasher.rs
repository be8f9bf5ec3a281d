//! One pass over a file: its id, its length, and the digest of every chunk.

use crate::digest::{ChunkDigest, ChunkHasher, Subtree};
use crate::id::FileId;
use crate::layout::{CHUNK_LEN, ChunkIndex, FILE_LEN_MAX, FileTooLong};
use crate::tree::TreeMerger;

/// What a whole file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentSummary {
    /// BLAKE3 of the content.
    pub file_id: FileId,
    /// Bytes in it.
    pub len: u64,
}

/// Hashes a file of unknown length as its bytes pass, with memory that does not grow with the file.
///
/// A chunk's digest is handed out when the byte after it arrives, or at the end: only then is it known
/// whether the chunk is the whole file, which BLAKE3 finalises differently.
pub struct ContentHasher {
    chunk: ChunkHasher,
    chunks_done: u32,
    tree: TreeMerger,
}

impl Default for ContentHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl ContentHasher {
    /// Before the first byte.
    pub fn new() -> Self {
        Self { chunk: ChunkHasher::new(ChunkIndex::minted(0)), chunks_done: 0, tree: TreeMerger::default() }
    }

    /// Bytes that passed so far.
    pub fn len(&self) -> u64 {
        u64::from(self.chunks_done) * CHUNK_LEN + self.chunk.len()
    }

    /// Whether no byte has passed yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the next bytes of the file; `on_chunk` receives, in order, the digest of every chunk that they
    /// prove to be over. If the file would become too long, nothing is taken.
    pub fn update(
        &mut self,
        mut bytes: &[u8],
        mut on_chunk: impl FnMut(ChunkDigest),
    ) -> Result<(), FileTooLong> {
        let len_after = self.len().saturating_add(bytes.len() as u64);
        if len_after > FILE_LEN_MAX {
            return Err(FileTooLong { len: len_after });
        }
        while !bytes.is_empty() {
            if self.chunk.len() == CHUNK_LEN {
                let next = ChunkHasher::new(ChunkIndex::minted(self.chunks_done + 1));
                let digest = std::mem::replace(&mut self.chunk, next).finish(Subtree::Part);
                self.chunks_done += 1;
                self.tree.push(digest.chaining_value);
                on_chunk(digest);
            }
            let room = usize::try_from(CHUNK_LEN - self.chunk.len()).unwrap_or(usize::MAX);
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            self.chunk.update(now);
            bytes = rest;
        }
        Ok(())
    }

    /// Ends the file; `on_chunk` receives the digest of the last chunk, unless the file is empty.
    pub fn finish(mut self, on_chunk: impl FnOnce(ChunkDigest)) -> ContentSummary {
        let len = self.len();
        if self.chunk.len() > 0 {
            let subtree = if self.chunks_done == 0 { Subtree::WholeFile } else { Subtree::Part };
            let digest = self.chunk.finish(subtree);
            self.tree.push(digest.chaining_value);
            on_chunk(digest);
        }
        ContentSummary { file_id: FileId::from_bytes(self.tree.finish(Subtree::WholeFile)), len }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sha1::Digest as _;

    fn pattern(len: u64) -> Vec<u8> {
        (0..len).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
    }

    fn hash_in_pieces(content: &[u8], piece_len: usize) -> (ContentSummary, Vec<ChunkDigest>) {
        let mut digests = Vec::new();
        let mut hasher = ContentHasher::new();
        for piece in content.chunks(piece_len) {
            hasher.update(piece, |digest| digests.push(digest)).unwrap();
        }
        let summary = hasher.finish(|digest| digests.push(digest));
        (summary, digests)
    }

    fn assert_true_of(content: &[u8], piece_len: usize) {
        let (summary, digests) = hash_in_pieces(content, piece_len);
        assert_eq!(summary.file_id.as_bytes(), blake3::hash(content).as_bytes(), "{} bytes", content.len());
        assert_eq!(summary.len, content.len() as u64);
        let chunks: Vec<_> = content.chunks(CHUNK_LEN as usize).collect();
        assert_eq!(digests.len(), chunks.len());
        for (digest, chunk) in digests.iter().zip(chunks) {
            assert_eq!(digest.sha1, <[u8; 20]>::from(sha1::Sha1::digest(chunk)));
        }
    }

    #[test]
    fn the_file_id_is_blake3_of_the_content_around_every_boundary() {
        const C: u64 = CHUNK_LEN;
        for len in [0, 1, 1023, 1024, 1025, C - 1, C, C + 1, 2 * C, 2 * C + 3, 3 * C, 4 * C, 5 * C + 7, 7 * C]
        {
            assert_true_of(&pattern(len), 100_003);
        }
    }

    #[test]
    fn the_only_chunk_of_a_file_is_finalised_as_the_root() {
        let (summary, digests) = hash_in_pieces(&pattern(CHUNK_LEN), 1 << 20);
        assert_eq!(digests[0].chaining_value, *summary.file_id.as_bytes());
        let (_, two) = hash_in_pieces(&pattern(CHUNK_LEN + 1), 1 << 20);
        assert_ne!(two[0].chaining_value, *summary.file_id.as_bytes());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn the_size_of_the_pieces_does_not_matter(len in 0..3 * CHUNK_LEN, piece_len in 1_000usize..6_000_000) {
            assert_true_of(&pattern(len), piece_len);
        }
    }
}
