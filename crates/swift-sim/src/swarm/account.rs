//! What one node has and did: kept apart from its machine, which it judges.

use std::ops::Range;

use swift_chunks::ChunkLayout;

use super::{
    clock::Moment,
    machine::{self, GRAIN_LEN, Kept, Piece},
};

/// Violations that are told.
pub(crate) const TOLD_MAX: usize = 20;

/// What a node has of a file.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    layout: ChunkLayout,
    /// A bit per grain that is verified here.
    pub(crate) grains: Vec<u64>,
    pub(crate) verified: u64,
    pub(crate) completed_at: Option<Moment>,
}

#[derive(Debug)]
pub(crate) struct Account {
    /// By file.
    pub(crate) copies: Vec<Copy>,
    /// Bytes of content that left.
    pub(crate) sent: u64,
    /// Bytes of letters that left.
    pub(crate) letters_sent: u64,
    /// The first things that must not be and were.
    pub(crate) violations: Vec<(Moment, String)>,
    /// Hash of all that the machine did.
    pub(crate) trace: u64,
}

impl Account {
    pub(crate) fn new(layouts: impl Iterator<Item = ChunkLayout>) -> Self {
        Self {
            copies: layouts.map(Copy::empty).collect(),
            sent: 0,
            letters_sent: 0,
            violations: Vec::new(),
            trace: 0xcbf2_9ce4_8422_2325,
        }
    }

    pub(crate) fn violate(&mut self, at: Moment, what: String) {
        if self.violations.len() < TOLD_MAX {
            self.violations.push((at, what));
        }
    }

    /// Folds something into the trace.
    pub(crate) fn note(&mut self, words: &[u64]) {
        self.trace = fold(self.trace, words);
    }

    /// Bytes of all files that are verified.
    pub(crate) fn verified(&self) -> u64 {
        self.copies.iter().map(|copy| copy.verified).sum()
    }
}

/// Folds words into a hash.
pub(crate) fn fold(hash: u64, words: &[u64]) -> u64 {
    words.iter().fold(hash, |hash, word| (hash ^ word).wrapping_mul(0x100_0000_01b3).rotate_left(23))
}

impl Copy {
    fn empty(layout: ChunkLayout) -> Self {
        let words = layout.file_len().div_ceil(GRAIN_LEN).div_ceil(64);
        let grains = vec![0; usize::try_from(words).unwrap_or(usize::MAX)];
        Self { layout, grains, verified: 0, completed_at: None }
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.verified == self.layout.file_len()
    }

    /// Whether it was complete at a moment that has passed.
    pub(crate) fn was_complete(&self, at: Moment) -> bool {
        self.completed_at.is_some_and(|completed_at| completed_at <= at)
    }

    /// Whether some of a piece is here.
    pub(crate) fn holds_some(&self, piece: Piece) -> bool {
        grains(machine::range(piece, self.layout))
            .any(|grain| self.grains[grain / 64] >> (grain % 64) & 1 == 1)
    }

    /// All of a piece is here now.
    pub(crate) fn add(&mut self, piece: Piece) {
        self.mark(machine::range(piece, self.layout));
        self.verified += machine::len(piece, self.layout);
    }

    /// Only this is here any more.
    pub(crate) fn reset(&mut self, kept: &Kept) {
        let layout = self.layout;
        self.grains.fill(0);
        kept.held.iter().for_each(|chunk| self.mark(layout.range(chunk)));
        for &(chunk, part) in &kept.parts {
            let in_part = |&grain: &usize| part.bits() >> (grain % 64) & 1 == 1;
            for grain in grains(layout.range(chunk)).filter(in_part) {
                self.grains[grain / 64] |= 1 << (grain % 64);
            }
        }
        let in_parts = kept.parts.iter().map(|&(chunk, part)| part.bytes(layout, chunk));
        let in_chunks = kept.held.iter().map(|chunk| layout.chunk_len(chunk));
        self.verified = in_chunks.sum::<u64>() + in_parts.sum::<u64>();
    }

    fn mark(&mut self, bytes: Range<u64>) {
        for grain in grains(bytes) {
            self.grains[grain / 64] |= 1 << (grain % 64);
        }
    }
}

/// The grains of these bytes, by their place in the file.
#[allow(clippy::cast_possible_truncation, reason = "a file has fewer than 2^32 grains")]
pub(crate) fn grains(bytes: Range<u64>) -> Range<usize> {
    (bytes.start / GRAIN_LEN) as usize..bytes.end.div_ceil(GRAIN_LEN) as usize
}
