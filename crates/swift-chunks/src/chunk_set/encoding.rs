//! The bytes of a chunk set in a message or in the index.
//!
//! ```text
//! byte 0 = 0   runs: pairs (chunks left out, chunks in the set), each number a LEB128 varint, to the end
//! byte 0 = 1   bitmap: one bit per chunk of the file, lowest bit first, spare bits zero
//! ```
//!
//! The encoder takes the shorter form, so no set is longer than its bitmap and the decoder reads no more.

use super::{ChunkSet, WORD_BITS};
use crate::layout::ChunkLayout;

const FORM_RUNS: u8 = 0;
const FORM_BITMAP: u8 = 1;

/// Bytes that are no set of chunks of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkSetDecodeError {
    /// More bytes than the file's bitmap has.
    #[error("a chunk set of {len} bytes, where {limit} are the most")]
    TooLong {
        /// Bytes given.
        len: usize,
        /// The most there can be.
        limit: usize,
    },
    /// No bytes, an unknown form, a cut number, or a bitmap of the wrong length.
    #[error("malformed chunk set")]
    Malformed,
    /// A chunk beyond the end of the file.
    #[error("a chunk set with a chunk that the file does not have")]
    OutOfBounds,
}

impl ChunkSet {
    /// The most bytes [`Self::encode`] makes for a file of this layout.
    pub fn encoded_len_max(layout: ChunkLayout) -> usize {
        1 + bitmap_len(layout)
    }

    /// The set as bytes, compact: a few for a set of few runs.
    pub fn encode(&self) -> Vec<u8> {
        let limit = Self::encoded_len_max(self.layout);
        let mut encoded = vec![FORM_RUNS];
        let mut at = 0;
        for run in self.runs() {
            push_varint(&mut encoded, run.start - at);
            push_varint(&mut encoded, run.end - run.start);
            at = run.end;
            if encoded.len() > limit {
                return self.encode_bitmap();
            }
        }
        encoded
    }

    /// Reads what [`Self::encode`] wrote for a file of this layout. Allocates the file's bitmap and no more,
    /// whatever the bytes claim.
    pub fn decode(layout: ChunkLayout, encoded: &[u8]) -> Result<Self, ChunkSetDecodeError> {
        let limit = Self::encoded_len_max(layout);
        if encoded.len() > limit {
            return Err(ChunkSetDecodeError::TooLong { len: encoded.len(), limit });
        }
        match encoded.split_first() {
            Some((&FORM_RUNS, runs)) => Self::decode_runs(layout, runs),
            Some((&FORM_BITMAP, bitmap)) => Self::decode_bitmap(layout, bitmap),
            _ => Err(ChunkSetDecodeError::Malformed),
        }
    }

    fn encode_bitmap(&self) -> Vec<u8> {
        let mut encoded = vec![FORM_BITMAP];
        encoded.extend(self.words.iter().flat_map(|word| word.to_le_bytes()));
        encoded.truncate(1 + bitmap_len(self.layout));
        encoded
    }

    fn decode_runs(layout: ChunkLayout, mut encoded: &[u8]) -> Result<Self, ChunkSetDecodeError> {
        let mut set = Self::empty(layout);
        let mut at: u32 = 0;
        while !encoded.is_empty() {
            let gap = take_varint(&mut encoded)?;
            let len = take_varint(&mut encoded)?;
            // Touching or empty runs say the same in more bytes; there is one way to write a set.
            if len == 0 || (gap == 0 && at > 0) {
                return Err(ChunkSetDecodeError::Malformed);
            }
            let start = at.checked_add(gap).ok_or(ChunkSetDecodeError::OutOfBounds)?;
            let end = start.checked_add(len).ok_or(ChunkSetDecodeError::OutOfBounds)?;
            if end > layout.chunk_count() {
                return Err(ChunkSetDecodeError::OutOfBounds);
            }
            set.insert_run(start..end);
            at = end;
        }
        Ok(set)
    }

    fn decode_bitmap(layout: ChunkLayout, bitmap: &[u8]) -> Result<Self, ChunkSetDecodeError> {
        if bitmap.len() != bitmap_len(layout) {
            return Err(ChunkSetDecodeError::Malformed);
        }
        let mut set = Self::empty(layout);
        for (word, bytes) in set.words.iter_mut().zip(bitmap.chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(padded);
        }
        let spare_from = layout.chunk_count() % WORD_BITS;
        if spare_from > 0 && set.words.last().is_some_and(|word| word >> spare_from != 0) {
            return Err(ChunkSetDecodeError::OutOfBounds);
        }
        set.count();
        Ok(set)
    }
}

fn bitmap_len(layout: ChunkLayout) -> usize {
    layout.chunk_count().div_ceil(8) as usize
}

fn push_varint(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push((number & 0x7f) as u8);
}

fn take_varint(from: &mut &[u8]) -> Result<u32, ChunkSetDecodeError> {
    let mut number: u32 = 0;
    for shift in (0..35).step_by(7) {
        let (&byte, rest) = from.split_first().ok_or(ChunkSetDecodeError::Malformed)?;
        *from = rest;
        let bits = u32::from(byte & 0x7f);
        let shifted = bits << shift;
        if shifted >> shift != bits || (byte == 0 && shift > 0) {
            return Err(ChunkSetDecodeError::Malformed);
        }
        number |= shifted;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(ChunkSetDecodeError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{CHUNK_LEN, FILE_LEN_MAX};
    use proptest::prelude::*;

    fn layout(chunks: u64) -> ChunkLayout {
        ChunkLayout::new(chunks * CHUNK_LEN).unwrap()
    }

    #[test]
    fn golden_bytes() {
        let mut set = ChunkSet::empty(layout(1000));
        assert_eq!(set.encode(), [0]);
        set.insert_run(3..5);
        set.insert_run(300..1000);
        assert_eq!(set.encode(), [0, 3, 2, 0xa7, 0x02, 0xbc, 0x05]);
        let every_other = |chunks| {
            let mut set = ChunkSet::empty(layout(chunks));
            (0..chunks as u32).step_by(2).for_each(|at| set.insert_run(at..at + 1));
            set
        };
        assert_eq!(every_other(12).encode(), [1, 0x55, 0x05]);
    }

    #[test]
    fn the_full_set_of_16_tib_takes_six_bytes() {
        let full = ChunkSet::full(ChunkLayout::new(FILE_LEN_MAX).unwrap());
        let encoded = full.encode();
        assert!(encoded.len() <= 6);
        assert_eq!(ChunkSet::decode(full.layout(), &encoded), Ok(full));
    }

    #[test]
    fn sets_that_overreach_the_file_are_refused() {
        use ChunkSetDecodeError::{Malformed, OutOfBounds, TooLong};
        let decode = |encoded: &[u8]| ChunkSet::decode(layout(100), encoded).unwrap_err();
        assert_eq!(decode(&[]), Malformed);
        assert_eq!(decode(&[2]), Malformed);
        assert_eq!(decode(&[0, 5]), Malformed);
        assert_eq!(decode(&[0, 5, 0]), Malformed);
        assert_eq!(decode(&[0, 5, 1, 0, 1]), Malformed);
        assert_eq!(decode(&[0, 0x85, 0, 1]), Malformed);
        assert_eq!(decode(&[0, 0, 101]), OutOfBounds);
        assert_eq!(decode(&[0, 0xff, 0xff, 0xff, 0xff, 0x0f, 1]), OutOfBounds);
        assert_eq!(decode(&[0, 0xff, 0xff, 0xff, 0xff, 0x1f, 1]), Malformed);
        assert_eq!(decode(&[1, 0]), Malformed);
        assert_eq!(decode(&[&[1][..], &[0xff; 13]].concat()), OutOfBounds);
        assert_eq!(decode(&[0; 15]), TooLong { len: 15, limit: 14 });
    }

    proptest! {
        #[test]
        fn every_set_survives_the_round_trip_within_its_limit(
            chunks in 0u64..2000,
            runs in prop::collection::vec((0u32..2000, 0u32..50), 0..100),
        ) {
            let mut set = ChunkSet::empty(layout(chunks));
            runs.into_iter().for_each(|(start, len)| set.insert_run(start..start + len));
            let encoded = set.encode();
            prop_assert!(encoded.len() <= ChunkSet::encoded_len_max(set.layout()));
            prop_assert_eq!(ChunkSet::decode(set.layout(), &encoded), Ok(set));
        }

        #[test]
        fn hostile_bytes_are_a_set_of_the_file_or_an_error(
            chunks in 0u64..500,
            encoded in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            if let Ok(set) = ChunkSet::decode(layout(chunks), &encoded) {
                prop_assert!(set.iter().all(|chunk| u64::from(chunk.get()) < chunks));
                prop_assert_eq!(set.iter().count(), set.len() as usize);
            }
        }
    }
}
