//! The plainest cost of checking content: each byte through both hashes.

use std::time::Duration;

use anyhow::Result;
use sha1::Digest as _;

use crate::scenario::usage::Usage;

/// Bytes that are hashed in all, a piece at a time that caches do not hold.
const LEN: usize = 1 << 30;
const BUFFER_LEN: usize = 64 << 20;
const PIECE_LEN: usize = 64 << 10;

/// Processor time for 10^9 bytes, the least of three: what else runs makes it longer, nothing makes it shorter.
pub(super) fn hashing() -> Result<Duration> {
    let buffer: Vec<u8> = (0..=250).cycle().take(BUFFER_LEN).collect();
    let used = || Usage::of(std::process::id()).map(|usage| usage.cpu);
    let once = || {
        let (begun, mut sha1, mut blake3) = (used()?, sha1::Sha1::new(), blake3::Hasher::new());
        for piece in buffer.chunks(PIECE_LEN).cycle().take(LEN / PIECE_LEN) {
            sha1.update(piece);
            blake3.update(piece);
        }
        std::hint::black_box((sha1.finalize(), blake3.finalize()));
        Ok(used()?.saturating_sub(begun))
    };
    let took = (0..3).map(|_| once()).collect::<Result<Vec<_>>>()?;
    Ok(took.into_iter().min().unwrap_or_default().mul_f64(1e9 / LEN as f64))
}
