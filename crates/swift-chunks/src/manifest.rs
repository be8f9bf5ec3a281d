//! The manifest: what a file's chunks must be, checked once and then trusted.
//!
//! The same bytes stand on disk and travel between nodes. All integers are little-endian.
//!
//! ```text
//! offset        bytes  what
//! 0             6      "swmani"
//! 6             2      format version, 1
//! 8             8      length of the file in bytes
//! 16 + 52 * i   20     SHA-1 of chunk i
//! 36 + 52 * i   32     BLAKE3 of chunk i as a subtree of the file
//! ```
//!
//! There is one entry per chunk, none for an empty file, and nothing after the last one. The BLAKE3 value of
//! a chunk is its non-root chaining value; the single chunk of a one-chunk file is finalised as the root, so
//! there the value is the file id. Merging the values gives the file id in either case.
//!
//! The **manifest hash** is SHA-256 of all these bytes. Everything in a manifest follows from the content, so
//! a file has one true manifest: two different manifest hashes for one file id mean that one of them lies.

mod builder;
mod check;

pub use builder::{Manifest, ManifestBuilder};
pub use check::{ManifestCheck, ManifestFault};

use crate::digest::ChunkDigest;
use crate::layout::{ChunkIndex, ChunkLayout};

const MAGIC: [u8; 6] = *b"swmani";
const VERSION: u16 = 1;

/// Bytes before the first entry.
pub(crate) const HEADER_LEN: usize = 16;
/// Bytes in an entry.
pub(crate) const ENTRY_LEN: usize = 52;

/// Bytes in the encoded manifest of a file of this layout: at most 218,103,824.
pub const fn manifest_len(layout: ChunkLayout) -> u64 {
    HEADER_LEN as u64 + ENTRY_LEN as u64 * layout.chunk_count() as u64
}

/// The offset of a chunk's entry in the encoded manifest.
pub(crate) const fn entry_offset(chunk: ChunkIndex) -> u64 {
    HEADER_LEN as u64 + ENTRY_LEN as u64 * chunk.as_u64()
}

pub(crate) fn encode_header(file_len: u64) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..6].copy_from_slice(&MAGIC);
    header[6..8].copy_from_slice(&VERSION.to_le_bytes());
    header[8..].copy_from_slice(&file_len.to_le_bytes());
    header
}

pub(crate) fn encode_entry(digest: &ChunkDigest) -> [u8; ENTRY_LEN] {
    let mut entry = [0; ENTRY_LEN];
    entry[..20].copy_from_slice(&digest.sha1);
    entry[20..].copy_from_slice(&digest.chaining_value);
    entry
}

pub(crate) fn decode_entry(entry: &[u8; ENTRY_LEN]) -> ChunkDigest {
    let mut digest = ChunkDigest { sha1: [0; 20], chaining_value: [0; 32] };
    digest.sha1.copy_from_slice(&entry[..20]);
    digest.chaining_value.copy_from_slice(&entry[20..]);
    digest
}
