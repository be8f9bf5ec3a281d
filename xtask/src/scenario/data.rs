//! Files full of random bytes, the same for the same seed, and their comparison.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

const BLOCK: usize = 256 * 1024;

/// A small generator (xorshift64*): quick, repeatable, and nothing that a program under test could compress or
/// mistake for another file.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // The state must not be 0; an odd multiplier spreads small seeds over all bits and keeps them apart.
        Self((seed.wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15).max(1))
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(8) {
            piece.copy_from_slice(&self.word().to_le_bytes()[..piece.len()]);
        }
    }
}

/// Writes a file of `size` bytes that follow from `seed`.
pub(crate) fn write_random(path: &Path, size: u64, seed: u64) -> Result<()> {
    let mut file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    let (mut random, mut block, mut left) = (Random::new(seed), vec![0; BLOCK], size);
    while left > 0 {
        let take = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
        random.fill(&mut block[..take]);
        file.write_all(&block[..take]).with_context(|| format!("cannot write {}", path.display()))?;
        left -= take as u64;
    }
    Ok(())
}

/// So many bytes that follow from a seed.
pub(crate) fn random_bytes(size: u64, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    Random::new(seed).fill(&mut bytes);
    bytes
}

/// Fails unless both files hold the same bytes, and says where they part.
pub(crate) fn assert_same(left: &Path, right: &Path) -> Result<()> {
    let open = |path: &Path| {
        File::open(path).map(BufReader::new).with_context(|| format!("cannot open {}", path.display()))
    };
    let (mut a, mut b) = (open(left)?, open(right)?);
    let (mut from_a, mut from_b) = (vec![0; BLOCK], vec![0; BLOCK]);
    let mut offset = 0_usize;
    loop {
        let (read_a, read_b) = (read_full(&mut a, &mut from_a)?, read_full(&mut b, &mut from_b)?);
        let (block_a, block_b) = (&from_a[..read_a], &from_b[..read_b]);
        if block_a != block_b {
            let same = block_a.iter().zip(block_b).take_while(|(x, y)| x == y).count();
            bail!("{} and {} differ from byte {} on", left.display(), right.display(), offset + same);
        }
        if read_a == 0 {
            return Ok(());
        }
        offset += read_a;
    }
}

fn read_full(reader: &mut impl Read, block: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < block.len() {
        match reader.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_seed_repeats_its_file_and_another_seed_makes_another() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name);
        write_random(&path("a"), 300_003, 1)?;
        write_random(&path("again"), 300_003, 1)?;
        write_random(&path("other"), 300_003, 2)?;
        assert_eq!(fs::metadata(path("a"))?.len(), 300_003);
        assert_same(&path("a"), &path("again"))?;
        assert!(assert_same(&path("a"), &path("other")).is_err());
        Ok(())
    }

    #[test]
    fn a_difference_is_told_with_its_place() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        write_random(&a, 600_000, 3)?;
        let mut bytes = fs::read(&a)?;
        bytes[555_555] ^= 1;
        fs::write(&b, &bytes)?;
        assert!(assert_same(&a, &b).unwrap_err().to_string().ends_with("from byte 555555 on"));
        fs::write(&b, &bytes[..555_555])?;
        assert!(assert_same(&a, &b).unwrap_err().to_string().ends_with("from byte 555555 on"));
        Ok(())
    }
}
