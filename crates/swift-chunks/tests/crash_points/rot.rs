//! Bits that change by themselves.

use std::fs::{self, Metadata};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

pub(crate) fn mtime_ns(metadata: &Metadata) -> i64 {
    metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec()
}

/// Flips a bit as a failing disk does: nobody's clock notices.
pub(crate) fn flip(path: &Path, at: u64, bit: u32) {
    let before = fs::metadata(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    let file = fs::OpenOptions::new().write(true).read(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1 << bit], at).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
    file.set_permissions(before.permissions()).unwrap();
}
