//! The BLAKE3 values of a chunk's grains: what slices are judged by before their chunk is whole.

use std::io::{self, Read};

use crate::digest::{Subtree, SubtreeHasher};
use crate::layout::{ChunkIndex, ChunkLayout};
use crate::slice::{GRAIN_LEN, GRAINS_PER_CHUNK, Slice, grain_count};
use crate::tree::TreeMerger;

/// Bytes of a value.
const VALUE_LEN: usize = 32;

/// The most bytes that an encoded [`GrainTree`] has.
pub const GRAIN_TREE_LEN_MAX: usize = VALUE_LEN * GRAINS_PER_CHUNK as usize;

/// Why received bytes are not the grain tree of a chunk. Both blame the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrainTreeFault {
    /// More or fewer values than the chunk has grains.
    #[error("{received} bytes where the grain tree has {expected}")]
    Length {
        /// Bytes in the chunk's grain tree.
        expected: usize,
        /// Bytes that came.
        received: usize,
    },
    /// The values do not give the chunk's chaining value.
    #[error("the values of the grains do not give that of the chunk")]
    Content,
}

/// The chaining values of all grains of one chunk, at most 2 KiB.
///
/// A value is that of the grain as a subtree of its file; the only grain of a one-grain file is the whole tree, and
/// its value is the file id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrainTree {
    layout: ChunkLayout,
    chunk: ChunkIndex,
    chaining_value: [u8; 32],
    values: Vec<[u8; VALUE_LEN]>,
}

impl GrainTree {
    /// Hashes a chunk, from its first byte to its last, as it comes. Whether these are the chunk's bytes is for the
    /// caller to see by [`Self::chaining_value`].
    pub fn of_chunk(layout: ChunkLayout, chunk: ChunkIndex, mut bytes: impl Read) -> io::Result<Self> {
        let range = layout.range(chunk);
        let grains = if layout.file_len() <= GRAIN_LEN { Subtree::WholeFile } else { Subtree::Part };
        let mut values = Vec::with_capacity(grain_count(layout, chunk) as usize);
        let mut grain = vec![0; usize::try_from(GRAIN_LEN.min(range.end - range.start)).unwrap_or(0)];
        let mut at = range.start;
        while at < range.end {
            let len = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(grain.len());
            bytes.read_exact(&mut grain[..len])?;
            let mut hasher = SubtreeHasher::at(at);
            hasher.update(&grain[..len]);
            values.push(hasher.chaining_value(grains));
            at += len as u64;
        }
        let chaining_value = merge(&values, Subtree::of(layout));
        Ok(Self { layout, chunk, chaining_value, values })
    }

    /// Takes the tree of a chunk whose chaining value the verified manifest says.
    pub fn decode(
        layout: ChunkLayout,
        chunk: ChunkIndex,
        chaining_value: [u8; 32],
        bytes: &[u8],
    ) -> Result<Self, GrainTreeFault> {
        let expected = Self::encoded_len(layout, chunk);
        if bytes.len() != expected {
            return Err(GrainTreeFault::Length { expected, received: bytes.len() });
        }
        let values = bytes.as_chunks().0;
        if merge(values, Subtree::of(layout)) != chaining_value {
            return Err(GrainTreeFault::Content);
        }
        Ok(Self { layout, chunk, chaining_value, values: values.to_vec() })
    }

    /// Bytes in the encoded tree of a chunk: at most [`GRAIN_TREE_LEN_MAX`].
    pub fn encoded_len(layout: ChunkLayout, chunk: ChunkIndex) -> usize {
        VALUE_LEN * grain_count(layout, chunk) as usize
    }

    /// The values one after another.
    pub fn encode(&self) -> Vec<u8> {
        self.values.concat()
    }

    /// The chunk.
    pub fn chunk(&self) -> ChunkIndex {
        self.chunk
    }

    /// The layout of the chunk's file.
    pub fn layout(&self) -> ChunkLayout {
        self.layout
    }

    /// The value of the chunk, as in the manifest.
    pub fn chaining_value(&self) -> [u8; 32] {
        self.chaining_value
    }

    /// The value of a slice of this chunk; of a slice that is a whole file, the file id.
    pub fn value(&self, slice: Slice) -> [u8; 32] {
        let first = slice.first_grain() as usize;
        let end = (first + (1 << slice.level())).min(self.values.len());
        merge(self.values.get(first..end).unwrap_or_default(), slice.subtree(self.layout))
    }
}

fn merge(values: &[[u8; VALUE_LEN]], whole: Subtree) -> [u8; 32] {
    let mut merger = TreeMerger::default();
    for &value in values {
        merger.push(value);
    }
    merger.finish(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CHUNK_LEN, ContentHasher, SliceFault, SliceVerifier};
    use proptest::prelude::*;

    struct Sample {
        content: Vec<u8>,
        layout: ChunkLayout,
        values: Vec<[u8; 32]>,
    }

    fn sample(len: u64) -> Sample {
        // No two grains alike.
        let block: Vec<u8> = (0..=GRAIN_LEN).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let mut content = block.repeat((len / GRAIN_LEN + 1) as usize);
        content.truncate(len as usize);
        let mut values = Vec::new();
        let mut hasher = ContentHasher::new();
        hasher.update(&content, |digest| values.push(digest.chaining_value)).unwrap();
        hasher.finish(|digest| values.push(digest.chaining_value));
        Sample { content, layout: ChunkLayout::new(len).unwrap(), values }
    }

    impl Sample {
        fn bytes(&self, range: std::ops::Range<u64>) -> &[u8] {
            &self.content[range.start as usize..range.end as usize]
        }

        fn tree(&self, chunk: ChunkIndex) -> GrainTree {
            GrainTree::of_chunk(self.layout, chunk, self.bytes(self.layout.range(chunk))).unwrap()
        }

        fn decode(&self, chunk: ChunkIndex, bytes: &[u8]) -> Result<GrainTree, GrainTreeFault> {
            GrainTree::decode(self.layout, chunk, self.values[chunk.get() as usize], bytes)
        }

        fn slice(&self, chunk: u64, grain: u32, level: u8) -> Slice {
            Slice::around(self.layout, self.layout.chunk(chunk).unwrap(), grain, level).unwrap()
        }
    }

    fn judge(slice: Slice, tree: &GrainTree, bytes: &[u8]) -> Result<(), SliceFault> {
        let mut verifier = SliceVerifier::new(slice, tree);
        for piece in bytes.chunks(70_000) {
            verifier.update(piece)?;
        }
        verifier.finish()
    }

    #[test]
    fn the_values_of_grains_give_the_value_of_the_chunk_at_every_boundary() {
        const G: u64 = GRAIN_LEN;
        const C: u64 = CHUNK_LEN;
        for len in [1, 1024, G - 1, G, G + 1, 3 * G, C - 1, C, C + 1, C + G, C + G + 1, 2 * C, 2 * C + 5 * G]
        {
            let sample = sample(len);
            for chunk in sample.layout.chunks() {
                let tree = sample.tree(chunk);
                assert_eq!(tree.chaining_value(), sample.values[chunk.get() as usize], "{len} {chunk:?}");
                assert_eq!(tree.value(Slice::of_chunk(chunk)), tree.chaining_value(), "{len} {chunk:?}");
                assert_eq!(tree.encode().len(), GrainTree::encoded_len(sample.layout, chunk));
                assert_eq!(sample.decode(chunk, &tree.encode()), Ok(tree));
            }
        }
    }

    #[test]
    fn the_only_grain_of_a_file_is_the_file() {
        let sample = sample(GRAIN_LEN);
        let tree = sample.tree(sample.layout.chunk(0).unwrap());
        let file_id = *blake3::hash(&sample.content).as_bytes();
        assert_eq!(tree.encode(), file_id);
        for level in 0..=6 {
            assert_eq!(tree.value(sample.slice(0, 0, level)), file_id);
        }
    }

    #[test]
    fn a_tree_of_another_length_is_refused() {
        let sample = sample(CHUNK_LEN + 3 * GRAIN_LEN);
        let last = sample.layout.chunk(1).unwrap();
        let mut bytes = sample.tree(last).encode();
        for len in [0, 1, 64, 95] {
            let fault = GrainTreeFault::Length { expected: 96, received: len };
            assert_eq!(sample.decode(last, &bytes[..len]), Err(fault));
        }
        bytes.push(0);
        let fault = GrainTreeFault::Length { expected: 96, received: 97 };
        assert_eq!(sample.decode(last, &bytes), Err(fault));
    }

    #[test]
    fn a_tree_of_another_chunk_is_refused() {
        let sample = sample(2 * CHUNK_LEN);
        let [first, second] = [0, 1].map(|chunk| sample.layout.chunk(chunk).unwrap());
        assert_eq!(sample.decode(first, &sample.tree(second).encode()), Err(GrainTreeFault::Content));
    }

    #[test]
    fn a_chunk_that_ends_early_has_no_tree() {
        let sample = sample(3 * GRAIN_LEN);
        let chunk = sample.layout.chunk(0).unwrap();
        assert!(GrainTree::of_chunk(sample.layout, chunk, &sample.content[1..]).is_err());
    }

    #[test]
    fn a_short_slice_one_byte_too_many_and_another_place_are_refused() {
        let sample = sample(CHUNK_LEN + 3 * GRAIN_LEN + 7);
        let slice = sample.slice(1, 2, 1);
        let tree = sample.tree(slice.chunk());
        let bytes = sample.bytes(slice.range(sample.layout));
        let expected = GRAIN_LEN + 7;
        let short = SliceFault::TooShort { expected, received: expected - 1 };
        assert_eq!(judge(slice, &tree, &bytes[1..]), Err(short));
        assert_eq!(judge(slice, &tree, &[]), Err(SliceFault::TooShort { expected, received: 0 }));
        let long = [bytes, &[0]].concat();
        assert_eq!(judge(slice, &tree, &long), Err(SliceFault::TooLong { expected }));
        let other = sample.slice(1, 0, 0);
        let elsewhere = sample.bytes(sample.slice(1, 1, 0).range(sample.layout));
        assert_eq!(judge(other, &tree, elsewhere), Err(SliceFault::Content));
    }

    #[test]
    fn a_slice_of_a_longer_file_has_no_bytes_here() {
        let (short, long) = (sample(CHUNK_LEN + 100), sample(2 * CHUNK_LEN));
        let tree = short.tree(short.layout.chunk(1).unwrap());
        let slice = long.slice(1, 5, 0);
        assert_eq!(judge(slice, &tree, &[0]), Err(SliceFault::TooLong { expected: 0 }));
        assert_eq!(judge(slice, &tree, &[]), Err(SliceFault::TooShort { expected: 0, received: 0 }));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn every_slice_is_judged_as_a_tree_of_its_own(
            len in 1..2 * CHUNK_LEN, chunk in 0..2_u64, grain in 0..64_u32, level in 0..7_u8, flip in any::<u32>(),
        ) {
            let sample = sample(len);
            let chunk = sample.layout.chunk(chunk.min(u64::from(sample.layout.chunk_count()) - 1)).unwrap();
            let grain = grain % grain_count(sample.layout, chunk);
            let slice = Slice::around(sample.layout, chunk, grain, level).unwrap();
            let tree = sample.decode(chunk, &sample.tree(chunk).encode()).unwrap();
            let mut bytes = sample.bytes(slice.range(sample.layout)).to_vec();
            prop_assert_eq!(judge(slice, &tree, &bytes), Ok(()));
            let at = flip as usize % bytes.len();
            bytes[at] ^= 1 << (flip % 8);
            prop_assert_eq!(judge(slice, &tree, &bytes), Err(SliceFault::Content));
        }

        #[test]
        fn one_flipped_bit_of_a_tree_blames_the_sender(len in 1..CHUNK_LEN + 20 * GRAIN_LEN, at in any::<u32>()) {
            let sample = sample(len);
            let chunk = sample.layout.chunks().next_back().unwrap();
            let mut bytes = sample.tree(chunk).encode();
            let at = at as usize % (8 * bytes.len());
            bytes[at / 8] ^= 1 << (at % 8);
            prop_assert_eq!(sample.decode(chunk, &bytes), Err(GrainTreeFault::Content));
        }
    }
}
