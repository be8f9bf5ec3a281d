//! One pass over a file: its id, its length, and the digest of every chunk.

use std::mem;

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
    chunks_before: u32,
    tree: TreeMerger,
    pairing: Option<Pairing>,
}

/// Lets the SHA-1 of every other chunk wait, so that it is computed beside that of the chunk after it.
#[derive(Default)]
struct Pairing {
    /// What the SHA-1 that waits has missed.
    missed: Vec<u8>,
    /// Whose SHA-1 that is, once the next chunk has begun.
    first: Option<ChunkHasher>,
}

impl Default for ContentHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl ContentHasher {
    /// Before the first byte.
    pub fn new() -> Self {
        Self {
            chunk: ChunkHasher::new(ChunkIndex::minted(0)),
            chunks_before: 0,
            tree: TreeMerger::default(),
            pairing: None,
        }
    }

    /// The same for a file of several chunks, in three quarters of the time: SHA-1 of two chunks takes less time together
    /// than one after the other. It remembers up to one chunk, 4 MiB, and hands out digests in pairs.
    pub fn paired() -> Self {
        Self { pairing: Some(Pairing::default()), ..Self::new() }
    }

    /// Bytes that passed so far.
    pub fn len(&self) -> u64 {
        u64::from(self.chunks_before) * CHUNK_LEN + self.chunk.len()
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
                self.begin_next(&mut on_chunk);
            }
            let room = usize::try_from(CHUNK_LEN - self.chunk.len()).unwrap_or(usize::MAX);
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            match &mut self.pairing {
                None => self.chunk.update(now),
                Some(pairing) => pairing.update(&mut self.chunk, now),
            }
            bytes = rest;
        }
        Ok(())
    }

    /// The chunk is over, and another follows.
    fn begin_next(&mut self, on_chunk: &mut impl FnMut(ChunkDigest)) {
        self.chunks_before += 1;
        let next = ChunkHasher::new(ChunkIndex::minted(self.chunks_before));
        let done = mem::replace(&mut self.chunk, next);
        let over = match &mut self.pairing {
            None => [None, Some(done)],
            Some(pairing) => match pairing.first.take() {
                None => {
                    pairing.first = Some(done);
                    return;
                }
                Some(first) => {
                    pairing.missed.clear();
                    [Some(first), Some(done)]
                }
            },
        };
        for chunk in over.into_iter().flatten() {
            let digest = chunk.finish(Subtree::Part);
            self.tree.push(digest.chaining_value);
            on_chunk(digest);
        }
    }

    /// Ends the file; `on_chunk` receives the digests that are not handed out yet.
    pub fn finish(mut self, mut on_chunk: impl FnMut(ChunkDigest)) -> ContentSummary {
        let len = self.len();
        if self.chunk.len() > 0 {
            let subtree = if self.chunks_before == 0 { Subtree::WholeFile } else { Subtree::Part };
            let first = self.pairing.and_then(|pairing| pairing.end(&mut self.chunk));
            let first = first.map(|first| first.finish(Subtree::Part));
            for digest in first.into_iter().chain([self.chunk.finish(subtree)]) {
                self.tree.push(digest.chaining_value);
                on_chunk(digest);
            }
        }
        ContentSummary { file_id: FileId::from_bytes(self.tree.finish(Subtree::WholeFile)), len }
    }
}

impl Pairing {
    /// Takes the next bytes of a chunk, none beyond its end.
    fn update(&mut self, chunk: &mut ChunkHasher, bytes: &[u8]) {
        if let Some(first) = &mut self.first {
            let at = usize::try_from(chunk.len()).unwrap_or(usize::MAX);
            let missed = self.missed.get(at..).unwrap_or_default();
            chunk.update_beside(bytes, first, missed);
        } else {
            chunk.update_without_sha1(bytes);
            self.missed.extend_from_slice(bytes);
        }
    }

    /// The file ends with this chunk: nothing is left to miss. Gives the chunk before it, if its digest is not out.
    fn end(self, last: &mut ChunkHasher) -> Option<ChunkHasher> {
        let Some(mut first) = self.first else {
            last.catch_up(&self.missed);
            return None;
        };
        let had = usize::try_from(last.len()).unwrap_or(usize::MAX);
        first.catch_up(self.missed.get(had..).unwrap_or_default());
        Some(first)
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

    fn hash_in_pieces(
        mut hasher: ContentHasher,
        content: &[u8],
        piece_len: usize,
    ) -> (ContentSummary, Vec<ChunkDigest>) {
        let mut digests = Vec::new();
        for piece in content.chunks(piece_len) {
            hasher.update(piece, |digest| digests.push(digest)).unwrap();
        }
        let summary = hasher.finish(|digest| digests.push(digest));
        (summary, digests)
    }

    fn assert_true_of(content: &[u8], piece_len: usize) {
        let chunks = || content.chunks(CHUNK_LEN as usize);
        let expected: Vec<[u8; 20]> = chunks().map(|chunk| sha1::Sha1::digest(chunk).into()).collect();
        let subtrees: Vec<[u8; 32]> = hash_in_pieces(ContentHasher::new(), content, content.len().max(1))
            .1
            .iter()
            .map(|digest| digest.chaining_value)
            .collect();
        for hasher in [ContentHasher::new(), ContentHasher::paired()] {
            let (summary, digests) = hash_in_pieces(hasher, content, piece_len);
            assert_eq!(
                summary.file_id.as_bytes(),
                blake3::hash(content).as_bytes(),
                "{} bytes",
                content.len()
            );
            assert_eq!(summary.len, content.len() as u64);
            assert_eq!(digests.iter().map(|digest| digest.sha1).collect::<Vec<_>>(), expected);
            assert_eq!(digests.iter().map(|digest| digest.chaining_value).collect::<Vec<_>>(), subtrees);
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
        let (summary, digests) = hash_in_pieces(ContentHasher::new(), &pattern(CHUNK_LEN), 1 << 20);
        assert_eq!(digests[0].chaining_value, *summary.file_id.as_bytes());
        let (_, two) = hash_in_pieces(ContentHasher::new(), &pattern(CHUNK_LEN + 1), 1 << 20);
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
