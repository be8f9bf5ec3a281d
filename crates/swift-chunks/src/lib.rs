//! Verified content: under construction.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod chunk_set;
mod content_hasher;
mod digest;
mod id;
mod layout;
mod manifest;
mod tree;
mod verify;

pub use chunk_set::{ChunkSet, ChunkSetDecodeError};
pub use content_hasher::{ContentHasher, ContentSummary};
pub use digest::ChunkDigest;
pub use id::{FileId, HexError, ManifestHash};
pub use layout::{CHUNK_LEN, ChunkIndex, ChunkLayout, FILE_LEN_MAX, FileTooLong};
pub use manifest::{Manifest, ManifestBuilder, ManifestCheck, ManifestFault, manifest_len};
pub use verify::{ChunkFault, ChunkVerifier, VerifiedChunk};
