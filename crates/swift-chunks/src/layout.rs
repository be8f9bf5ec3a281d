//! How a file of a given length divides into chunks.

use std::ops::Range;

/// Bytes in a chunk; the last chunk of a file may be shorter.
pub const CHUNK_LEN: u64 = 4 * 1024 * 1024;

/// The longest file there can be: 16 TiB.
pub const FILE_LEN_MAX: u64 = 16 * 1024 * 1024 * 1024 * 1024;

/// A length above [`FILE_LEN_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a file of {len} bytes is too long: the limit is {FILE_LEN_MAX} (16 TiB)")]
pub struct FileTooLong {
    /// The length that was asked for.
    pub len: u64,
}

/// The place of a chunk in its file, counted from 0.
///
/// Minted only by a [`ChunkLayout`] (or by walking a [`ChunkSet`](crate::ChunkSet)), so it was within bounds
/// for that layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkIndex(u32);

impl ChunkIndex {
    /// Only for walkers that have checked the index against a layout.
    pub(crate) const fn minted(index: u32) -> Self {
        Self(index)
    }

    /// The index as a number, from 0.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The index as a number, from 0, in the type that offsets are in.
    pub const fn as_u64(self) -> u64 {
        self.0 as u64
    }
}

/// The division of a file of one length into chunks of [`CHUNK_LEN`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChunkLayout {
    file_len: u64,
    chunk_count: u32,
}

impl ChunkLayout {
    /// The layout of a file of `file_len` bytes.
    pub const fn new(file_len: u64) -> Result<Self, FileTooLong> {
        if file_len > FILE_LEN_MAX {
            return Err(FileTooLong { len: file_len });
        }
        #[expect(clippy::cast_possible_truncation, reason = "16 TiB / 4 MiB is 2^22")]
        let chunk_count = file_len.div_ceil(CHUNK_LEN) as u32;
        Ok(Self { file_len, chunk_count })
    }

    /// Bytes in the file.
    pub const fn file_len(&self) -> u64 {
        self.file_len
    }

    /// Chunks in the file; none if it is empty.
    pub const fn chunk_count(&self) -> u32 {
        self.chunk_count
    }

    /// The chunk with this number, counted from 0, if the file has it.
    pub fn chunk(&self, index: u64) -> Option<ChunkIndex> {
        let index = u32::try_from(index).ok()?;
        (index < self.chunk_count).then_some(ChunkIndex(index))
    }

    /// Every chunk in order.
    pub fn chunks(&self) -> impl DoubleEndedIterator<Item = ChunkIndex> + ExactSizeIterator + use<> {
        (0..self.chunk_count).map(ChunkIndex)
    }

    /// The bytes of the file that the chunk is; empty at the file's end for a chunk of some longer file.
    pub fn range(&self, chunk: ChunkIndex) -> Range<u64> {
        let start = (chunk.as_u64() * CHUNK_LEN).min(self.file_len);
        start..(start + CHUNK_LEN).min(self.file_len)
    }

    /// Bytes in the chunk.
    pub fn chunk_len(&self, chunk: ChunkIndex) -> u64 {
        let range = self.range(chunk);
        range.end - range.start
    }

    /// The chunks that hold at least one byte of `bytes`; what lies beyond the file's end is ignored.
    pub fn chunks_covering(
        &self,
        bytes: Range<u64>,
    ) -> impl DoubleEndedIterator<Item = ChunkIndex> + ExactSizeIterator + use<> {
        let end = bytes.end.min(self.file_len);
        let covered =
            if bytes.start >= end { 0..0 } else { bytes.start / CHUNK_LEN..end.div_ceil(CHUNK_LEN) };
        #[expect(clippy::cast_possible_truncation, reason = "bounded by chunk_count")]
        let covered = covered.start as u32..covered.end as u32;
        covered.map(ChunkIndex)
    }

    /// Whether the whole file is one chunk, whose BLAKE3 hash is then finalised as the root.
    pub(crate) const fn is_single_chunk(&self) -> bool {
        self.chunk_count == 1
    }

    pub(crate) const fn contains(&self, chunk: ChunkIndex) -> bool {
        chunk.0 < self.chunk_count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_file_has_no_chunk() {
        let layout = ChunkLayout::new(0).unwrap();
        assert_eq!(layout.chunk_count(), 0);
        assert_eq!(layout.chunk(0), None);
        assert_eq!(layout.chunks().count(), 0);
        assert_eq!(layout.chunks_covering(0..u64::MAX).count(), 0);
    }

    #[test]
    fn the_last_chunk_of_16_tib_ends_at_16_tib() {
        let layout = ChunkLayout::new(FILE_LEN_MAX).unwrap();
        assert_eq!(layout.chunk_count(), 1 << 22);
        let last = layout.chunk((1 << 22) - 1).unwrap();
        assert_eq!(layout.range(last), FILE_LEN_MAX - CHUNK_LEN..FILE_LEN_MAX);
        assert_eq!(layout.chunk(1 << 22), None);
        assert_eq!(layout.chunk(u64::MAX), None);
        assert_eq!(layout.chunks_covering(0..u64::MAX).len(), 1 << 22);
        assert_eq!(ChunkLayout::new(FILE_LEN_MAX + 1), Err(FileTooLong { len: FILE_LEN_MAX + 1 }));
        assert!(ChunkLayout::new(u64::MAX).is_err());
    }

    #[test]
    fn a_byte_range_is_covered_by_the_chunks_it_touches_and_no_other() {
        let layout = ChunkLayout::new(3 * CHUNK_LEN + 1).unwrap();
        let covering =
            |range: Range<u64>| layout.chunks_covering(range).map(ChunkIndex::get).collect::<Vec<_>>();
        assert_eq!(covering(0..1), [0]);
        assert_eq!(covering(0..CHUNK_LEN), [0]);
        assert_eq!(covering(CHUNK_LEN - 1..CHUNK_LEN + 1), [0, 1]);
        assert_eq!(covering(3 * CHUNK_LEN..u64::MAX), [3]);
        assert_eq!(covering(3 * CHUNK_LEN + 1..u64::MAX), [0; 0]);
        assert_eq!(covering(5..5), [0; 0]);
    }

    proptest! {
        #[test]
        fn chunk_ranges_tile_the_file(len in 0..40 * CHUNK_LEN) {
            let layout = ChunkLayout::new(len).unwrap();
            let mut at = 0;
            for chunk in layout.chunks() {
                let range = layout.range(chunk);
                prop_assert_eq!(range.start, at);
                prop_assert!(range.end > range.start && range.end - range.start <= CHUNK_LEN);
                at = range.end;
            }
            prop_assert_eq!(at, len);
        }
    }
}
