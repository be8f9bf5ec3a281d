//! Which chunks of a file: held, wanted, on their way.

mod encoding;
#[cfg(feature = "store")]
mod pages;

pub use encoding::ChunkSetDecodeError;
#[cfg(feature = "store")]
pub(crate) use pages::BitmapPage;

use std::fmt;
use std::ops::Range;

use crate::layout::{ChunkIndex, ChunkLayout};

const WORD_BITS: u32 = u64::BITS;

/// A set of chunks of one file, one bit each: 512 KiB for a file of 16 TiB.
///
/// Two sets that meet in an operation should be of the same layout; chunks that one of them cannot have are
/// never reported.
#[derive(Clone, PartialEq, Eq)]
pub struct ChunkSet {
    layout: ChunkLayout,
    words: Vec<u64>,
    len: u32,
}

impl ChunkSet {
    /// No chunk of a file of this layout.
    pub fn empty(layout: ChunkLayout) -> Self {
        let words = vec![0; layout.chunk_count().div_ceil(WORD_BITS) as usize];
        Self { layout, words, len: 0 }
    }

    /// Every chunk of a file of this layout.
    pub fn full(layout: ChunkLayout) -> Self {
        let mut set = Self::empty(layout);
        set.insert_run(0..layout.chunk_count());
        set
    }

    /// The layout of the file.
    pub fn layout(&self) -> ChunkLayout {
        self.layout
    }

    /// Adds a chunk; says whether it was new. A chunk of some longer file is not taken.
    pub fn insert(&mut self, chunk: ChunkIndex) -> bool {
        let new = self.layout.contains(chunk) && !self.contains(chunk);
        if new {
            self.words[word_of(chunk.get())] |= bit_of(chunk.get());
            self.len += 1;
        }
        new
    }

    /// Takes a chunk out; says whether it was there.
    pub fn remove(&mut self, chunk: ChunkIndex) -> bool {
        let there = self.contains(chunk);
        if there {
            self.words[word_of(chunk.get())] &= !bit_of(chunk.get());
            self.len -= 1;
        }
        there
    }

    /// Whether the chunk is in the set.
    pub fn contains(&self, chunk: ChunkIndex) -> bool {
        self.words.get(word_of(chunk.get())).is_some_and(|word| word & bit_of(chunk.get()) != 0)
    }

    /// Number of chunks in the set.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether no chunk is in the set.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether every chunk of the file is in the set; true for an empty file.
    pub fn is_full(&self) -> bool {
        self.len == self.layout.chunk_count()
    }

    /// The chunks in the set, in order.
    pub fn iter(&self) -> impl Iterator<Item = ChunkIndex> + '_ {
        self.ones(0, |_, word| word)
    }

    /// The chunks not in the set, in order.
    pub fn missing(&self) -> impl Iterator<Item = ChunkIndex> + '_ {
        self.missing_from(0)
    }

    /// The chunks from number `start` on that are not in the set, in order.
    pub fn missing_from(&self, start: u32) -> impl Iterator<Item = ChunkIndex> + '_ {
        self.ones(start, |_, word| !word)
    }

    /// The chunks that are here and not in `other`, in order.
    pub fn difference<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = ChunkIndex> + 'a {
        self.difference_from(other, 0)
    }

    /// The chunks from number `start` on that are here and not in `other`, in order: with a random start,
    /// a random choice.
    pub fn difference_from<'a>(
        &'a self,
        other: &'a Self,
        start: u32,
    ) -> impl Iterator<Item = ChunkIndex> + 'a {
        self.ones(start, |at, word| word & !other.words.get(at).copied().unwrap_or(0))
    }

    /// How many chunks are here and not in `other`.
    pub fn difference_len(&self, other: &Self) -> u32 {
        let others = other.words.iter().copied().chain(std::iter::repeat(0));
        self.words.iter().zip(others).map(|(word, other)| (word & !other).count_ones()).sum()
    }

    /// Adds every chunk of `other`.
    pub fn union_with(&mut self, other: &Self) {
        for run in other.runs() {
            self.insert_run(run);
        }
    }

    /// Takes out every chunk of `other`.
    pub fn subtract(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= !other;
        }
        self.count();
    }

    /// How many of the chunks with these numbers are in the set.
    pub fn count_in(&self, numbers: Range<u32>) -> u32 {
        let end = numbers.end.min(self.layout.chunk_count());
        let (mut at, mut count) = (numbers.start, 0);
        while at < end {
            let upto = end.min((at / WORD_BITS + 1) * WORD_BITS);
            let mask = (u64::MAX >> (WORD_BITS - (upto - at))) << (at % WORD_BITS);
            count += (self.words[word_of(at)] & mask).count_ones();
            at = upto;
        }
        count
    }

    /// The set as ranges of chunk numbers: in order, none empty, no two touching.
    pub fn runs(&self) -> impl Iterator<Item = Range<u32>> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let start = self.ones(at, |_, word| word).next()?.get();
            let end = self.missing_from(start).next().map_or(self.layout.chunk_count(), ChunkIndex::get);
            at = end;
            Some(start..end)
        })
    }

    /// Adds the chunks with these numbers, as far as the file has them.
    pub fn insert_run(&mut self, run: Range<u32>) {
        let end = run.end.min(self.layout.chunk_count());
        let mut at = run.start;
        while at < end {
            let word_end = (at / WORD_BITS + 1) * WORD_BITS;
            let upto = end.min(word_end);
            let ones = (u64::MAX >> (WORD_BITS - (upto - at))) << (at % WORD_BITS);
            let word = &mut self.words[word_of(at)];
            self.len += (ones & !*word).count_ones();
            *word |= ones;
            at = upto;
        }
    }

    /// Walks the set bits of `pick(position, word)`, from chunk number `start` on, within the layout.
    fn ones<'a>(
        &'a self,
        start: u32,
        pick: impl Fn(usize, u64) -> u64 + 'a,
    ) -> impl Iterator<Item = ChunkIndex> + 'a {
        let count = self.layout.chunk_count();
        let first_word = word_of(start).min(self.words.len());
        let mut skip = u64::MAX << (start % WORD_BITS);
        let words = self.words[first_word..].iter().enumerate();
        words
            .flat_map(move |(at, &word)| {
                let at = first_word + at;
                let mut bits = pick(at, word) & std::mem::replace(&mut skip, u64::MAX);
                std::iter::from_fn(move || {
                    let bit = (bits != 0).then(|| bits.trailing_zeros())?;
                    bits &= bits - 1;
                    u32::try_from(at).ok().map(|at| at * WORD_BITS + bit)
                })
            })
            .take_while(move |&index| index < count)
            .map(ChunkIndex::minted)
    }

    fn count(&mut self) {
        self.len = self.words.iter().map(|word| word.count_ones()).sum();
    }
}

impl fmt::Debug for ChunkSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChunkSet({} of {}: ", self.len, self.layout.chunk_count())?;
        f.debug_set().entries(self.runs().take(16)).finish()?;
        f.write_str(")")
    }
}

const fn word_of(index: u32) -> usize {
    (index / WORD_BITS) as usize
}

const fn bit_of(index: u32) -> u64 {
    1 << (index % WORD_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{CHUNK_LEN, FILE_LEN_MAX};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn layout(chunks: u64) -> ChunkLayout {
        ChunkLayout::new(chunks * CHUNK_LEN).unwrap()
    }

    fn set_of(chunks: u64, members: &BTreeSet<u32>) -> ChunkSet {
        let mut set = ChunkSet::empty(layout(chunks));
        for &member in members {
            if let Some(chunk) = set.layout().chunk(member.into()) {
                set.insert(chunk);
            }
        }
        set
    }

    fn numbers(chunks: impl Iterator<Item = ChunkIndex>) -> Vec<u32> {
        chunks.map(ChunkIndex::get).collect()
    }

    #[test]
    fn the_set_of_an_empty_file_is_empty_and_full() {
        let set = ChunkSet::empty(layout(0));
        assert!(set.is_empty() && set.is_full());
        assert_eq!(set.runs().count() + set.missing().count() + set.iter().count(), 0);
    }

    #[test]
    fn the_full_set_of_16_tib_is_one_run() {
        let set = ChunkSet::full(ChunkLayout::new(FILE_LEN_MAX).unwrap());
        assert!(set.is_full());
        assert!(set.runs().eq(std::iter::once(0..1 << 22)));
        assert_eq!(set.missing().next(), None);
    }

    #[test]
    fn a_chunk_of_a_longer_file_is_neither_taken_nor_found() {
        let foreign = layout(1000).chunk(999).unwrap();
        let mut set = ChunkSet::empty(layout(70));
        assert!(!set.insert(foreign));
        assert!(!set.contains(foreign));
        assert!(!set.remove(foreign));
        set.insert_run(60..1000);
        assert_eq!(set.len(), 10);
    }

    proptest! {
        #[test]
        fn it_is_the_set_that_the_standard_library_has(
            chunks in 0u64..300,
            here in prop::collection::btree_set(0u32..300, 0..200),
            there in prop::collection::btree_set(0u32..300, 0..200),
            start in 0u32..320,
        ) {
            let inside = |set: &BTreeSet<u32>| set.iter().copied().filter(|&i| u64::from(i) < chunks).collect();
            let (here, there): (BTreeSet<u32>, BTreeSet<u32>) = (inside(&here), inside(&there));
            let (a, b) = (set_of(chunks, &here), set_of(chunks, &there));
            prop_assert_eq!(a.len() as usize, here.len());
            prop_assert_eq!(numbers(a.iter()), here.iter().copied().collect::<Vec<_>>());
            let all: BTreeSet<u32> = (0..chunks as u32).collect();
            prop_assert_eq!(numbers(a.missing()), all.difference(&here).copied().collect::<Vec<_>>());
            let from: Vec<u32> = here.difference(&there).copied().filter(|&i| i >= start).collect();
            prop_assert_eq!(numbers(a.difference_from(&b, start)), from);
            prop_assert_eq!(a.difference_len(&b) as usize, here.difference(&there).count());

            let some = start / 2..start;
            let count = here.iter().filter(|&&number| some.contains(&number)).count();
            prop_assert_eq!(a.count_in(some) as usize, count);

            let mut union = a.clone();
            union.union_with(&b);
            prop_assert_eq!(&union, &set_of(chunks, &here.union(&there).copied().collect()));
            let mut rest = a.clone();
            rest.subtract(&b);
            prop_assert_eq!(&rest, &set_of(chunks, &here.difference(&there).copied().collect()));

            let mut rebuilt = ChunkSet::empty(layout(chunks));
            let runs: Vec<_> = a.runs().collect();
            prop_assert!(runs.windows(2).all(|pair| pair[0].end < pair[1].start));
            runs.into_iter().for_each(|run| rebuilt.insert_run(run));
            prop_assert_eq!(rebuilt, a);
        }
    }
}
