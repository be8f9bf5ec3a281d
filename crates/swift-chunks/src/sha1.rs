//! SHA-1 of one message, or of two in turn.
//!
//! Each step of SHA-1 needs the one before it, so most of the time a processor's instructions for it wait for each other.
//! Given a block of one message and then a block of another, it works at both at once: two chunks take a third less time
//! together than one after the other (`docs/decisions/0016`). The compression is the `sha1` crate's; here is what stands
//! around it (FIPS 180-4, sections 5.1.1 and 6.1).

use std::slice;

use sha1::block_api::compress;

const BLOCK_LEN: usize = 64;
/// Where the message's length in bits stands in the last block.
const LEN_AT: usize = BLOCK_LEN - 8;
const START: [u32; 5] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];

type Block = [u8; BLOCK_LEN];

/// A message whose bytes are passing.
#[derive(Clone)]
pub(crate) struct Sha1 {
    state: [u32; 5],
    len: u64,
    /// The bytes since the last whole block, and how many.
    rest: Block,
    rest_len: usize,
}

impl Sha1 {
    pub(crate) fn new() -> Self {
        Self { state: START, len: 0, rest: [0; BLOCK_LEN], rest_len: 0 }
    }

    /// Takes the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let bytes = self.complete_block(bytes);
        let (blocks, rest) = bytes.as_chunks();
        compress(&mut self.state, blocks);
        self.keep(rest);
    }

    /// Takes the next bytes of two messages.
    pub(crate) fn update_both((a, a_bytes): (&mut Self, &[u8]), (b, b_bytes): (&mut Self, &[u8])) {
        let (a_blocks, a_rest) = a.complete_block(a_bytes).as_chunks();
        let (b_blocks, b_rest) = b.complete_block(b_bytes).as_chunks();
        for (a_block, b_block) in a_blocks.iter().zip(b_blocks) {
            compress(&mut a.state, slice::from_ref(a_block));
            compress(&mut b.state, slice::from_ref(b_block));
        }
        let both = a_blocks.len().min(b_blocks.len());
        compress(&mut a.state, &a_blocks[both..]);
        compress(&mut b.state, &b_blocks[both..]);
        a.keep(a_rest);
        b.keep(b_rest);
    }

    /// Ends the message.
    pub(crate) fn finish(mut self) -> [u8; 20] {
        let bits = self.len.wrapping_mul(8).to_be_bytes();
        let mut last = [0; BLOCK_LEN];
        last[..self.rest_len].copy_from_slice(&self.rest[..self.rest_len]);
        last[self.rest_len] = 0x80;
        if self.rest_len >= LEN_AT {
            compress(&mut self.state, slice::from_ref(&last));
            last = [0; BLOCK_LEN];
        }
        last[LEN_AT..].copy_from_slice(&bits);
        compress(&mut self.state, slice::from_ref(&last));
        let mut digest = [0; 20];
        for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        digest
    }

    /// Counts the bytes in, and uses as many as fill the block that is begun; gives back the others. If there are some,
    /// no block is begun.
    fn complete_block<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        self.len += bytes.len() as u64;
        if self.rest_len == 0 {
            return bytes;
        }
        let (now, later) = bytes.split_at(bytes.len().min(BLOCK_LEN - self.rest_len));
        self.keep(now);
        if self.rest_len == BLOCK_LEN {
            compress(&mut self.state, slice::from_ref(&self.rest));
            self.rest_len = 0;
        }
        later
    }

    /// Keeps bytes that fill no block, or the one that is begun.
    fn keep(&mut self, bytes: &[u8]) {
        self.rest[self.rest_len..self.rest_len + bytes.len()].copy_from_slice(bytes);
        self.rest_len += bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sha1::Digest as _;

    fn expected(bytes: &[u8]) -> [u8; 20] {
        sha1::Sha1::digest(bytes).into()
    }

    #[test]
    fn the_examples_of_the_standard_come_out() {
        let mut sha1 = Sha1::new();
        sha1.update(b"abc");
        assert_eq!(
            sha1.finish(),
            [
                0xA9, 0x99, 0x3E, 0x36, 0x47, 0x06, 0x81, 0x6A, 0xBA, 0x3E, 0x25, 0x71, 0x78, 0x50, 0xC2,
                0x6C, 0x9C, 0xD0, 0xD8, 0x9D,
            ]
        );
    }

    #[test]
    fn every_length_around_a_block_is_hashed_as_the_library_does() {
        let bytes: Vec<u8> = (0..300).map(|at| (at * 7 % 251) as u8).collect();
        for len in 0..bytes.len() {
            let mut sha1 = Sha1::new();
            sha1.update(&bytes[..len]);
            assert_eq!(sha1.finish(), expected(&bytes[..len]), "{len} bytes");
        }
    }

    proptest! {
        #[test]
        fn two_in_turn_come_out_as_each_alone(
            a in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..8),
            b in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..8),
        ) {
            let (mut first, mut second) = (Sha1::new(), Sha1::new());
            for at in 0..a.len().max(b.len()) {
                match (a.get(at), b.get(at)) {
                    (Some(a), Some(b)) => Sha1::update_both((&mut first, a), (&mut second, b)),
                    (Some(a), None) => first.update(a),
                    (None, Some(b)) => second.update(b),
                    (None, None) => {}
                }
            }
            prop_assert_eq!(first.finish(), expected(&a.concat()));
            prop_assert_eq!(second.finish(), expected(&b.concat()));
        }
    }
}
