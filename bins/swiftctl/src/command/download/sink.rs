//! Content that is passed on as it comes, and judged at its end.

use std::io::Write;

use swift_chunks::{ContentHasher, FileId};

use super::Receive;
use crate::{error::Error, output::output_error};

/// Writes and hashes.
pub(super) struct Sink<W> {
    out: W,
    hasher: ContentHasher,
}

impl<W: Write> Sink<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, hasher: ContentHasher::new() }
    }

    /// The end: whether what went through was right.
    pub(super) fn verify(mut self, file_id: &FileId, size: u64, what: &str) -> Result<(), Error> {
        self.out.flush().map_err(|error| output_error(&error))?;
        let found = self.hasher.finish(|_| ());
        if (&found.file_id, found.len) == (file_id, size) {
            return Ok(());
        }
        Err(Error::Integrity(format!(
            "{what}: what was written is not its content ({} bytes, BLAKE3 {}): throw it away",
            found.len, found.file_id
        )))
    }
}

impl<W: Write> Receive for Sink<W> {
    fn len(&self) -> u64 {
        self.hasher.len()
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let hashed = self.hasher.update(bytes, |_| ());
        hashed.map_err(|error| Error::Integrity(error.to_string()))?;
        self.out.write_all(bytes).map_err(|error| output_error(&error))
    }
}
