//! Parts of a chunk: what nodes pass on before a chunk is whole.
//!
//! A chunk is divided into **grains** of 64 KiB. A **slice** is a run of 1, 2, 4, … 64 grains that begins at a
//! multiple of its length: a subtree of the chunk's BLAKE3 tree, so it is verified by itself. At the end of a file
//! grains and slices are shorter, and subtrees all the same.

use std::fmt;
use std::ops::{Range, RangeInclusive};

use crate::digest::Subtree;
use crate::layout::{CHUNK_LEN, ChunkIndex, ChunkLayout};

/// Bytes in a grain; the last grain of a file may be shorter.
pub const GRAIN_LEN: u64 = 64 * 1024;

/// Grains in a chunk; the last chunk of a file may have fewer.
pub const GRAINS_PER_CHUNK: u32 = 64;

/// The level of a slice that is a whole chunk.
pub const SLICE_LEVEL_MAX: u8 = 6;

/// Some grains of one chunk.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grains(u64);

impl Grains {
    /// No grain.
    pub const NONE: Self = Self(0);

    /// The grains whose bits are set, the first grain's being the lowest.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The set as bits, the first grain's being the lowest.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Every grain of a chunk.
    pub fn all_of(layout: ChunkLayout, chunk: ChunkIndex) -> Self {
        Self(u64::MAX >> (GRAINS_PER_CHUNK - grain_count(layout, chunk).max(1)))
    }

    /// The grains of a chunk that hold at least one of these bytes of the file.
    pub fn covering(layout: ChunkLayout, chunk: ChunkIndex, bytes: &Range<u64>) -> Self {
        let range = layout.range(chunk);
        let (start, end) = (bytes.start.max(range.start), bytes.end.min(range.end));
        if start >= end {
            return Self::NONE;
        }
        let first = (start - range.start) / GRAIN_LEN;
        let last = (end - 1 - range.start) / GRAIN_LEN;
        Self(u64::MAX >> (63 - (last - first)) << first)
    }

    /// Number of grains.
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether every grain of `other` is here too.
    pub const fn contains(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// Whether some grain is in both.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The grains of both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The grains that are here and not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The bytes of these grains, given that of a file of this layout.
    pub fn bytes(self, layout: ChunkLayout, chunk: ChunkIndex) -> u64 {
        let last = grain_count(layout, chunk).saturating_sub(1);
        let short = u64::from(last + 1) * GRAIN_LEN - layout.chunk_len(chunk);
        let has_last = self.0 >> last & 1 == 1;
        u64::from(self.len()) * GRAIN_LEN - if has_last { short } else { 0 }
    }
}

impl fmt::Debug for Grains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grains({:#x})", self.0)
    }
}

/// A run of grains of one chunk that is a subtree of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slice {
    chunk: ChunkIndex,
    /// Base-2 logarithm of the grains, the file's end apart.
    level: u8,
    first: u8,
}

impl Slice {
    /// The whole chunk as one slice.
    pub const fn of_chunk(chunk: ChunkIndex) -> Self {
        Self { chunk, level: SLICE_LEVEL_MAX, first: 0 }
    }

    /// The slice of `2^level` grains that has the grain numbered `grain`; none if the chunk has no such grain. Where the
    /// file's end makes slices equal it is the longest of them, so that the same bytes are always the same slice.
    pub fn around(layout: ChunkLayout, chunk: ChunkIndex, grain: u32, level: u8) -> Option<Self> {
        let count = grain_count(layout, chunk);
        let level = level.min(SLICE_LEVEL_MAX);
        let first = u8::try_from(grain).ok()? >> level << level;
        (grain < count).then(|| Self::longest(chunk, count, first, level))
    }

    /// The slices of `2^level` grains of which every grain is among these, in order.
    pub fn within(
        layout: ChunkLayout,
        chunk: ChunkIndex,
        grains: Grains,
        level: u8,
    ) -> impl Iterator<Item = Self> {
        let (count, all) = (grain_count(layout, chunk), Grains::all_of(layout, chunk).0);
        let level = level.min(SLICE_LEVEL_MAX);
        // A bit stays set when those of the run that it begins are: what the file's end cuts off lacks in no run.
        let runs = (0..level).fold(grains.0 | !all, |runs, level| runs & runs >> (1 << level));
        let every_so_many = u64::MAX / (u64::MAX >> (GRAINS_PER_CHUNK - (1 << level)));
        let mut firsts = runs & every_so_many & all;
        std::iter::from_fn(move || {
            let first = u8::try_from(firsts.trailing_zeros()).ok().filter(|_| firsts != 0)?;
            firsts &= firsts - 1;
            Some(Self::longest(chunk, count, first, level))
        })
    }

    /// The longest slice that has the same grains, of a chunk of so many.
    fn longest(chunk: ChunkIndex, count: u32, first: u8, mut level: u8) -> Self {
        while level < SLICE_LEVEL_MAX
            && u32::from(first) + (1 << level) >= count
            && first.trailing_zeros() > u32::from(level)
        {
            level += 1;
        }
        Self { chunk, level, first }
    }

    /// The slice that a message's number means, if a file of this layout has it.
    pub fn from_number(layout: ChunkLayout, number: u32) -> Option<Self> {
        let chunk = layout.chunk((number >> 7).into())?;
        let node = number & 0x7f;
        // The nodes of the chunk's tree, counted from 1 at the top, level by level.
        let depth = node.checked_ilog2()?;
        let level = u32::from(SLICE_LEVEL_MAX).checked_sub(depth)?;
        let first = (node - (1 << depth)) << level;
        Self::around(layout, chunk, first, u8::try_from(level).ok()?)
    }

    /// The slice as a number, unlike those of all other slices of its file.
    pub const fn number(self) -> u32 {
        let node = (1 << (SLICE_LEVEL_MAX - self.level)) + (self.first >> self.level) as u32;
        self.chunk.get() << 7 | node
    }

    /// The numbers that slices of a chunk can have.
    pub const fn numbers_of(chunk: ChunkIndex) -> RangeInclusive<u32> {
        chunk.get() << 7..=chunk.get() << 7 | 0x7f
    }

    /// The chunk that the slice is, or is part of.
    pub const fn chunk(self) -> ChunkIndex {
        self.chunk
    }

    /// Base-2 logarithm of its grains, the file's end apart: 0 to [`SLICE_LEVEL_MAX`].
    pub const fn level(self) -> u8 {
        self.level
    }

    /// The number of its first grain within the chunk.
    pub const fn first_grain(self) -> u32 {
        self.first as u32
    }

    /// Whether it is a chunk whole.
    pub const fn is_chunk(self) -> bool {
        self.level == SLICE_LEVEL_MAX
    }

    /// Whether it is a tree of its own or part of one: of a file of one chunk, a slice of all grains is the tree.
    pub(crate) fn subtree(self, layout: ChunkLayout) -> Subtree {
        if self.len(layout) == layout.file_len() { Subtree::WholeFile } else { Subtree::Part }
    }

    /// Its grains within the chunk.
    pub fn grains(self, layout: ChunkLayout) -> Grains {
        let run = u64::MAX >> (64 - (1_u32 << self.level)) << self.first;
        Grains(run & Grains::all_of(layout, self.chunk).0)
    }

    /// Its bytes within the file.
    pub fn range(self, layout: ChunkLayout) -> Range<u64> {
        let chunk = layout.range(self.chunk);
        let start = chunk.start + u64::from(self.first) * GRAIN_LEN;
        start.min(chunk.end)..(start + (GRAIN_LEN << self.level)).min(chunk.end)
    }

    /// Bytes in the slice: at least one.
    pub fn len(self, layout: ChunkLayout) -> u64 {
        let range = self.range(layout);
        range.end - range.start
    }

    /// The slice that is exactly these bytes of the file, if one is.
    pub fn of_range(layout: ChunkLayout, range: &Range<u64>) -> Option<Self> {
        let chunk = layout.chunk(range.start / CHUNK_LEN)?;
        let within = range.start % CHUNK_LEN;
        let grain = u32::try_from(within / GRAIN_LEN).ok()?;
        let mut slices = (0..=SLICE_LEVEL_MAX).filter_map(|level| Self::around(layout, chunk, grain, level));
        slices.find(|slice| slice.range(layout) == *range)
    }
}

/// Grains in a chunk: 1 to 64.
pub(crate) fn grain_count(layout: ChunkLayout, chunk: ChunkIndex) -> u32 {
    u32::try_from(layout.chunk_len(chunk).div_ceil(GRAIN_LEN)).unwrap_or(GRAINS_PER_CHUNK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layout(len: u64) -> ChunkLayout {
        ChunkLayout::new(len).unwrap()
    }

    #[test]
    fn the_slices_of_a_short_last_chunk_end_with_the_file() {
        let layout = layout(CHUNK_LEN + 2 * GRAIN_LEN + 1);
        let last = layout.chunk(1).unwrap();
        assert_eq!(Grains::all_of(layout, last).len(), 3);
        let slice = |grain, level| Slice::around(layout, last, grain, level);
        assert_eq!(slice(2, 0).unwrap().len(layout), 1);
        assert_eq!(slice(2, 1), slice(2, 0));
        assert_eq!(slice(0, 2), Some(Slice::of_chunk(last)));
        assert_eq!(slice(0, 2).unwrap().len(layout), 2 * GRAIN_LEN + 1);
        assert_eq!(slice(3, 0), None);
        assert_eq!(Slice::of_chunk(last).grains(layout), Grains::from_bits(0b111));
        assert_eq!(Grains::from_bits(0b101).bytes(layout, last), GRAIN_LEN + 1);
    }

    #[test]
    fn golden_numbers() {
        let layout = layout(3 * CHUNK_LEN);
        let number =
            |grain, level| Slice::around(layout, layout.chunk(2).unwrap(), grain, level).unwrap().number();
        assert_eq!([number(0, 6), number(63, 5), number(63, 0)], [257, 259, 383]);
    }

    #[test]
    fn a_number_of_no_slice_is_refused() {
        let layout = layout(CHUNK_LEN + 1);
        for number in [0, 128, 2 << 7 | 1, 1 << 7 | 127, u32::MAX] {
            assert_eq!(Slice::from_number(layout, number), None, "{number}");
        }
    }

    #[test]
    fn bytes_are_covered_by_the_grains_they_touch_and_no_other() {
        let layout = layout(2 * CHUNK_LEN + 1);
        let covering = |chunk, bytes| Grains::covering(layout, layout.chunk(chunk).unwrap(), &bytes).bits();
        assert_eq!(covering(0, 0..1), 1);
        assert_eq!(covering(0, GRAIN_LEN - 1..GRAIN_LEN + 1), 0b11);
        assert_eq!(covering(0, GRAIN_LEN..2 * GRAIN_LEN), 0b10);
        assert_eq!(covering(0, 5..5), 0);
        assert_eq!(covering(0, CHUNK_LEN..u64::MAX), 0);
        assert_eq!(covering(1, 0..CHUNK_LEN + 1), 1);
        assert_eq!(covering(1, 0..u64::MAX), u64::MAX);
        assert_eq!(covering(1, 2 * CHUNK_LEN - 1..u64::MAX), 1 << 63);
        assert_eq!(covering(2, 0..u64::MAX), 1);
    }

    proptest! {
        #[test]
        fn number_and_range_name_a_slice(len in 1..3 * CHUNK_LEN, chunk in 0..3_u64, grain in 0..64_u32, level in 0..7_u8) {
            let layout = layout(len);
            let Some(slice) = layout.chunk(chunk).and_then(|chunk| Slice::around(layout, chunk, grain, level))
            else { return Ok(()) };
            prop_assert_eq!(Slice::from_number(layout, slice.number()), Some(slice));
            prop_assert_eq!(Slice::of_range(layout, &slice.range(layout)), Some(slice));
            prop_assert!(slice.grains(layout).contains(Grains::from_bits(1 << grain)));
            prop_assert_eq!(slice.grains(layout).bytes(layout, slice.chunk()), slice.len(layout));
            prop_assert!(slice.len(layout) >= 1);
        }

        #[test]
        fn the_slices_within_some_grains_are_those_that_have_no_other(
            len in 1..2 * CHUNK_LEN,
            blocks in any::<u64>(),
            some in any::<u64>(),
            level in 0..7_u8,
        ) {
            let layout = layout(len);
            // Whole blocks of eight among others, so that long slices fit as well.
            let blocks = (0..8).filter(|at| blocks >> at & 1 == 1).fold(0, |all, at| all | 0xff << (8 * at));
            for chunk in layout.chunks() {
                let grains = Grains(Grains::all_of(layout, chunk).0 & (blocks | some & some >> 1));
                let around = |grain| Slice::around(layout, chunk, grain, level);
                let all = (0..64).step_by(1 << level).map_while(around);
                let within: Vec<_> = all.filter(|slice| grains.contains(slice.grains(layout))).collect();
                prop_assert_eq!(Slice::within(layout, chunk, grains, level).collect::<Vec<_>>(), within);
            }
        }

        #[test]
        fn the_slices_of_one_level_tile_the_chunk(len in 1..2 * CHUNK_LEN, level in 0..7_u8) {
            let layout = layout(len);
            for chunk in layout.chunks() {
                let mut at = layout.range(chunk).start;
                let slices = (0..64).step_by(1 << level).map_while(|grain| Slice::around(layout, chunk, grain, level));
                for slice in slices {
                    prop_assert_eq!(slice.range(layout).start, at);
                    at = slice.range(layout).end;
                }
                prop_assert_eq!(at, layout.range(chunk).end);
            }
        }
    }
}
