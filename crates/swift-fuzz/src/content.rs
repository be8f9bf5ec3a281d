//! What describes content.

use swift_chunks::{FileId, Manifest, ManifestCheck, ManifestHash};

/// A manifest for a file of a length that the first bytes say. Its hash and id are not those of any file, so it is judged to
/// its end and never taken.
pub fn manifest(bytes: &[u8]) {
    let Some((len, encoded)) = bytes.split_first_chunk::<8>() else { return };
    let (file_id, hash) = (FileId::from_bytes([1; 32]), ManifestHash::from_bytes([2; 32]));
    let Ok(check) = ManifestCheck::new(file_id, hash, u64::from_le_bytes(*len)) else { return };
    assert!(Manifest::read(encoded, &check).is_err(), "a manifest with another hash was taken");
}
