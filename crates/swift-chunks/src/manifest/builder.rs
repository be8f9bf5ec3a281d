//! A whole manifest in memory: for files whose manifest is small, tests and simulations.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

use super::{
    ENTRY_LEN, ManifestCheck, ManifestFault, decode_entry, encode_entry, encode_header, entry_offset,
};
use crate::content_hasher::{ContentHasher, ContentSummary};
use crate::digest::ChunkDigest;
use crate::id::{FileId, ManifestHash};
use crate::layout::{ChunkIndex, ChunkLayout, FileTooLong};

/// A verified manifest held in memory: 52 bytes for every 4 MiB of the file.
///
/// The store keeps manifests on disk and reads single entries; it has no use for this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    layout: ChunkLayout,
    file_id: FileId,
    hash: ManifestHash,
    encoded: Vec<u8>,
}

impl Manifest {
    /// Hashes all of `content` and makes its manifest.
    pub fn of(mut content: impl Read) -> io::Result<Self> {
        let mut hasher = ContentHasher::new();
        let mut builder = ManifestBuilder::new();
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let read = match content.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            hasher.update(&buffer[..read], |digest| builder.push(&digest)).map_err(io::Error::other)?;
        }
        let summary = hasher.finish(|digest| builder.push(&digest));
        builder.finish(summary).map_err(io::Error::other)
    }

    /// Reads an encoded manifest that must be the one `check` expects.
    pub fn read(encoded: impl Read, check: &ManifestCheck) -> Result<Self, ManifestFault> {
        let mut copy = Vec::new();
        check.copy_verified(encoded, &mut copy)?;
        Ok(Self {
            layout: check.layout(),
            file_id: check.file_id(),
            hash: check.manifest_hash(),
            encoded: copy,
        })
    }

    /// The file's division into chunks.
    pub fn layout(&self) -> ChunkLayout {
        self.layout
    }

    /// The file it is the manifest of.
    pub fn file_id(&self) -> FileId {
        self.file_id
    }

    /// SHA-256 of [`Self::encoded`].
    pub fn hash(&self) -> ManifestHash {
        self.hash
    }

    /// The bytes that travel.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// What it says of one chunk, unless the chunk is of some longer file.
    pub fn digest(&self, chunk: ChunkIndex) -> Option<ChunkDigest> {
        let start = usize::try_from(entry_offset(chunk)).ok()?;
        self.encoded.get(start..)?.first_chunk().map(decode_entry)
    }
}

/// Collects the digests of a file that is being hashed; see [`ContentHasher`].
#[derive(Clone, Debug, Default)]
pub struct ManifestBuilder {
    entries: Vec<u8>,
}

impl ManifestBuilder {
    /// Without any entry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next chunk's digest.
    pub fn push(&mut self, digest: &ChunkDigest) {
        self.entries.extend_from_slice(&encode_entry(digest));
    }

    /// Ends the manifest of the file that `summary` is of, which must be the one the digests came from.
    ///
    /// # Panics
    /// If the number of digests is not that of the file: a manifest of some other file must never get out.
    pub fn finish(self, summary: ContentSummary) -> Result<Manifest, FileTooLong> {
        let layout = ChunkLayout::new(summary.len)?;
        assert_eq!(
            self.entries.len(),
            layout.chunk_count() as usize * ENTRY_LEN,
            "a manifest has one entry per chunk"
        );
        let mut encoded = encode_header(summary.len).to_vec();
        encoded.extend_from_slice(&self.entries);
        let hash = ManifestHash::from_bytes(Sha256::digest(&encoded).into());
        Ok(Manifest { layout, file_id: summary.file_id, hash, encoded })
    }
}
