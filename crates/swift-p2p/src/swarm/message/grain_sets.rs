//! The bytes of an open chunk. Half of what nodes say to each other is which parts of chunks they have, so a set of
//! grains is written in the shorter of two ways: as runs that are slices, or as a bitmap of runs of equal length.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, SeqAccess, Visitor},
    ser::SerializeTuple,
};

use super::OpenChunk;

/// Bytes that a set takes at most, besides its form.
const SET_BYTES_MAX: usize = 8;
/// Forms up to here are bitmaps: none, then one for each level.
const BITMAP_FORM_MAX: u8 = 7;
/// Bits that have the same place in every pair of runs of 1, 2, 4, ... bits.
const FIRST_OF_PAIR: [u64; 6] = [
    0x5555_5555_5555_5555,
    0x3333_3333_3333_3333,
    0x0f0f_0f0f_0f0f_0f0f,
    0x00ff_00ff_00ff_00ff,
    0x0000_ffff_0000_ffff,
    0x0000_0000_ffff_ffff,
];

/// A set as it is written: four bits that say how, and the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Packed {
    form: u8,
    bytes: [u8; SET_BYTES_MAX],
    len: usize,
}

impl Packed {
    fn of(bits: u64) -> Self {
        if bits == 0 {
            return Self::default();
        }
        let level = level_of(bits);
        let bitmap_len = (SET_BYTES_MAX >> level).max(1);
        let (mut slices, mut len) = ([0; SET_BYTES_MAX], 0);
        for (slot, node) in slices.iter_mut().take(bitmap_len).zip(Runs(bits)) {
            (*slot, len) = (node, len + 1);
        }
        if usize::from(len) < bitmap_len {
            return Self { form: BITMAP_FORM_MAX + len, bytes: slices, len: len.into() };
        }
        Self { form: level + 1, bytes: (0..level).fold(bits, halved).to_le_bytes(), len: bitmap_len }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// How many bytes follow for a set of this form.
fn len_of(form: u8) -> usize {
    match form {
        0 => 0,
        1..=BITMAP_FORM_MAX => (SET_BYTES_MAX >> (form - 1)).max(1),
        _ => usize::from(form - BITMAP_FORM_MAX),
    }
}

/// The set that these bytes are, if they are one.
fn unpacked(form: u8, bytes: &[u8]) -> Option<u64> {
    if form > BITMAP_FORM_MAX {
        return bytes.iter().try_fold(0, |all, &node| Some(all | bits_of(node)?));
    }
    let mut all = [0; SET_BYTES_MAX];
    all.iter_mut().zip(bytes).for_each(|(to, &from)| *to = from);
    let bits = u64::from_le_bytes(all);
    let level = form.saturating_sub(1);
    let is_within = bits.checked_shr(64 >> level).is_none_or(|beyond| beyond == 0);
    is_within.then(|| (0..level).fold(bits, doubled))
}

/// The base-2 logarithm of the longest runs of which a set consists, or lacks, as a whole.
fn level_of(bits: u64) -> u8 {
    let differs = |&(level, first): &(u8, u64)| (bits ^ bits >> (1 << level)) & first != 0;
    (0..).zip(FIRST_OF_PAIR).find(differs).map_or(6, |(level, _)| level)
}

/// Every other bit, the first and the third and so on, side by side.
fn halved(bits: u64, _: u8) -> u64 {
    let steps = (0..).zip(FIRST_OF_PAIR.iter().skip(1));
    steps.fold(bits & FIRST_OF_PAIR[0], |bits, (step, first)| (bits | bits >> (1 << step)) & first)
}

/// Every bit of the lower half twice.
fn doubled(bits: u64, _: u8) -> u64 {
    let steps = (0..5).zip(FIRST_OF_PAIR).rev();
    let apart =
        steps.fold(bits & FIRST_OF_PAIR[5], |bits, (step, first)| (bits | bits << (1 << step)) & first);
    apart | apart << 1
}

/// The numbers of the largest slices that a set consists of, as they are counted in a chunk: 1 is all of it.
struct Runs(u64);

impl Iterator for Runs {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let first = u8::try_from(self.0.trailing_zeros()).ok().filter(|&first| first < 64)?;
        let mut level = 0;
        let run = |level: u8| (u64::MAX >> (64 - (1_u32 << level))) << first;
        while level < 6 && first.is_multiple_of(2 << level) && self.0 & run(level + 1) == run(level + 1) {
            level += 1;
        }
        self.0 &= !run(level);
        Some((1 << (6 - level)) + (first >> level))
    }
}

/// The grains of the slice with this number in its chunk.
fn bits_of(node: u8) -> Option<u64> {
    let depth = node.checked_ilog2().filter(|&depth| depth <= 6)?;
    let (len, place) = (64 >> depth, u32::from(node) - (1 << depth));
    Some((u64::MAX >> (64 - len)) << (place * len))
}

impl Serialize for OpenChunk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (held, coming) = (Packed::of(self.held), Packed::of(self.coming));
        let mut tuple = serializer.serialize_tuple(2 + held.len + coming.len)?;
        tuple.serialize_element(&self.chunk)?;
        tuple.serialize_element(&(held.form | coming.form << 4))?;
        for byte in held.bytes().iter().chain(coming.bytes()) {
            tuple.serialize_element(byte)?;
        }
        tuple.end()
    }
}

impl<'de> Deserialize<'de> for OpenChunk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As many as there can be. Postcard writes no length of a tuple, so it may be shorter.
        deserializer.deserialize_tuple(2 + 2 * SET_BYTES_MAX, OpenChunkVisitor)
    }
}

struct OpenChunkVisitor;

impl<'de> Visitor<'de> for OpenChunkVisitor {
    type Value = OpenChunk;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a chunk, the form of two sets of grains, and their bytes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<OpenChunk, A::Error> {
        let cut_short = || A::Error::custom("an open chunk is cut short");
        let chunk = bytes.next_element()?.ok_or_else(cut_short)?;
        let forms: u8 = bytes.next_element()?.ok_or_else(cut_short)?;
        let mut set = |form: u8| {
            let (mut read, len) = ([0; SET_BYTES_MAX], len_of(form));
            for byte in read.iter_mut().take(len) {
                *byte = bytes.next_element()?.ok_or_else(cut_short)?;
            }
            let set = unpacked(form, read.get(..len).unwrap_or_default());
            set.ok_or_else(|| A::Error::custom("no set of grains"))
        };
        Ok(OpenChunk { chunk, held: set(forms & 0xf)?, coming: set(forms >> 4)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sets as they come about: some slices, or anything.
    fn sets() -> impl Strategy<Value = u64> {
        let node = (1_u8..=127).prop_map(|node| bits_of(node).unwrap());
        let slices =
            prop::collection::vec(node, 0..12).prop_map(|slices| slices.iter().fold(0, |all, one| all | one));
        prop_oneof![slices, any::<u64>()]
    }

    #[test]
    fn a_set_is_written_in_the_shorter_way() {
        let packed = |bits| {
            let packed = Packed::of(bits);
            (packed.form, packed.bytes().to_vec())
        };
        assert_eq!(packed(0), (0, vec![]));
        assert_eq!(packed(u64::MAX), (7, vec![1]));
        assert_eq!(packed(1), (8, vec![64]));
        assert_eq!(packed(0b1100), (8, vec![33]));
        assert_eq!(packed(0x0000_ffff_0000_00ff), (4, vec![0b0011_0001]));
        assert_eq!(packed(0xf0f0_0f00_0ff0_f00f), (3, vec![0b0110_1001, 0b1010_0100]));
        assert_eq!(packed(0x8000_0000_0000_0001), (9, vec![64, 127]));
        assert_eq!(packed(0x5555_5555_5555_5555).1.len(), 8);
    }

    #[test]
    fn what_is_no_set_is_refused() {
        assert_eq!(unpacked(8, &[0]), None);
        assert_eq!(unpacked(9, &[1, 128]), None);
        assert_eq!(unpacked(7, &[2]), None);
        assert_eq!(unpacked(5, &[0b1_0000]), None);
        assert_eq!(unpacked(4, &[0xff]), Some(u64::MAX));
    }

    proptest! {
        #[test]
        fn every_set_reads_back_and_takes_no_more_than_a_bitmap(bits in sets()) {
            let packed = Packed::of(bits);
            prop_assert_eq!(unpacked(packed.form, packed.bytes()), Some(bits));
            prop_assert_eq!(packed.len, len_of(packed.form));
            prop_assert!(packed.form < 16 && packed.len <= SET_BYTES_MAX);
            prop_assert!(packed.len <= Runs(bits).count());
        }

        #[test]
        fn any_bytes_are_a_set_or_none(form in 0_u8..16, bytes in any::<[u8; 8]>()) {
            if let Some(bits) = unpacked(form, &bytes[..len_of(form)]) {
                prop_assert!(Packed::of(bits).len <= len_of(form));
            }
        }
    }
}
