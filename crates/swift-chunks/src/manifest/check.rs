//! Judging the bytes of a manifest while they stream from somewhere to somewhere.

use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

use super::{ENTRY_LEN, HEADER_LEN, decode_entry, encode_header, manifest_len};
use crate::digest::Subtree;
use crate::id::{FileId, ManifestHash};
use crate::layout::{ChunkLayout, FileTooLong};
use crate::tree::TreeMerger;

/// Entries that are read at once.
const BATCH_ENTRIES: usize = 1260;

/// About as much is passed on of a manifest of a file with another length, which may be large for a small file.
const PROOF_LEN_MAX: usize = 1 << 20;

/// Why bytes are not the manifest that was expected.
#[derive(Debug, thiserror::Error)]
pub enum ManifestFault {
    /// The source failed.
    #[error("cannot read the manifest: {0}")]
    Read(#[source] io::Error),
    /// The destination failed.
    #[error("cannot write the manifest: {0}")]
    Write(#[source] io::Error),
    /// The bytes ended early. Blames the sender, unless the connection broke.
    #[error("the manifest ends before its {expected} bytes")]
    TooShort {
        /// Bytes in the manifest of a file of this length.
        expected: u64,
    },
    /// More bytes follow. Blames the sender.
    #[error("the manifest is longer than its {expected} bytes")]
    TooLong {
        /// Bytes in the manifest of a file of this length.
        expected: u64,
    },
    /// SHA-256 differs: other bytes. Blames the sender.
    #[error("SHA-256 differs: these are not the manifest's bytes")]
    Content,
    /// SHA-256 fits, but the header or the merged chaining values do not fit the file. Blames the publisher
    /// and no sender.
    #[error("SHA-256 fits, but the manifest is not one of this file: its publisher lied")]
    ManifestFalse,
}

/// What the ledger says of a file, against which the bytes of a manifest are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestCheck {
    file_id: FileId,
    manifest_hash: ManifestHash,
    layout: ChunkLayout,
}

impl ManifestCheck {
    /// Expects the manifest with this hash, of the file with this id and length.
    pub fn new(file_id: FileId, manifest_hash: ManifestHash, file_len: u64) -> Result<Self, FileTooLong> {
        Ok(Self { file_id, manifest_hash, layout: ChunkLayout::new(file_len)? })
    }

    /// The file's id.
    pub fn file_id(&self) -> FileId {
        self.file_id
    }

    /// The expected SHA-256.
    pub fn manifest_hash(&self) -> ManifestHash {
        self.manifest_hash
    }

    /// The file's division into chunks.
    pub fn layout(&self) -> ChunkLayout {
        self.layout
    }

    /// Copies `encoded` to `out` while judging it, in small pieces. Reads one byte more than the manifest has
    /// at most, or than one has of a file with the length that its header names. What `out` received is worth something only if the answer is `Ok`.
    pub fn copy_verified(&self, encoded: impl Read, out: impl Write) -> Result<(), ManifestFault> {
        let (hash, is_of_file) = self.judge(encoded, out)?;
        // In this order: a sender is never blamed for a publisher's lie, nor the other way round.
        if hash != self.manifest_hash {
            return Err(ManifestFault::Content);
        }
        if is_of_file { Ok(()) } else { Err(ManifestFault::ManifestFalse) }
    }

    fn judge(
        &self,
        mut encoded: impl Read,
        mut out: impl Write,
    ) -> Result<(ManifestHash, bool), ManifestFault> {
        let expected = manifest_len(self.layout);
        let mut sha256 = Sha256::new();
        let mut tree = TreeMerger::default();

        let mut header = [0; HEADER_LEN];
        read_exact(&mut encoded, &mut header, expected)?;
        sha256.update(header);
        out.write_all(&header).map_err(ManifestFault::Write)?;
        if header != encode_header(self.layout.file_len()) {
            let len = claimed_len(&header).unwrap_or(expected);
            return Ok((hash_rest(sha256, encoded, out, len - HEADER_LEN as u64)?, false));
        }

        let mut batch = vec![0; BATCH_ENTRIES * ENTRY_LEN];
        let mut entries_left = self.layout.chunk_count() as usize;
        while entries_left > 0 {
            let entries = entries_left.min(BATCH_ENTRIES);
            let batch = &mut batch[..entries * ENTRY_LEN];
            read_exact(&mut encoded, batch, expected)?;
            sha256.update(&*batch);
            for entry in batch.as_chunks().0 {
                tree.push(decode_entry(entry).chaining_value);
            }
            out.write_all(batch).map_err(ManifestFault::Write)?;
            entries_left -= entries;
        }
        if !is_at_end(&mut encoded)? {
            return Err(ManifestFault::TooLong { expected });
        }
        let is_of_file = tree.finish(Subtree::WholeFile) == *self.file_id.as_bytes();
        Ok((ManifestHash::from_bytes(sha256.finalize().into()), is_of_file))
    }
}

/// Bytes of the manifest that a header is of: it may be the true one of the file, of which the ledger has a false length.
fn claimed_len(header: &[u8; HEADER_LEN]) -> Option<u64> {
    let (_, file_len) = header.split_last_chunk()?;
    let file_len = u64::from_le_bytes(*file_len);
    (*header == encode_header(file_len)).then_some(())?;
    Some(manifest_len(ChunkLayout::new(file_len).ok()?))
}

/// The SHA-256 of a manifest whose header is not that of the file: it says whether that is its publisher's doing, or its
/// sender's. The beginning of it is passed on, enough for a proof.
fn hash_rest(
    mut sha256: Sha256,
    encoded: impl Read,
    mut out: impl Write,
    len: u64,
) -> Result<ManifestHash, ManifestFault> {
    // One more, so that what goes on is another's bytes.
    let mut rest = encoded.take(len + 1);
    let mut batch = vec![0; BATCH_ENTRIES * ENTRY_LEN];
    let mut passed_on = 0;
    loop {
        let read = match rest.read(&mut batch) {
            Ok(0) => return Ok(ManifestHash::from_bytes(sha256.finalize().into())),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ManifestFault::Read(error)),
        };
        sha256.update(&batch[..read]);
        if passed_on < PROOF_LEN_MAX {
            out.write_all(&batch[..read]).map_err(ManifestFault::Write)?;
            passed_on += read;
        }
    }
}

fn read_exact(from: &mut impl Read, buffer: &mut [u8], expected: u64) -> Result<(), ManifestFault> {
    from.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ManifestFault::TooShort { expected },
        _ => ManifestFault::Read(error),
    })
}

fn is_at_end(from: &mut impl Read) -> Result<bool, ManifestFault> {
    loop {
        match from.read(&mut [0]) {
            Ok(read) => return Ok(read == 0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ManifestFault::Read(error)),
        }
    }
}
