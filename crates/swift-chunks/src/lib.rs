//! Verified content: how a file is named, divided, checked and kept.
//!
//! A file's id is BLAKE3 of its bytes (what `b3sum` prints). It is divided into chunks of 4 MiB; its manifest
//! says, per chunk, SHA-1 and the BLAKE3 subtree value, and is itself named by its SHA-256. Whoever knows
//! `(file id, manifest hash, length)` can take bytes from anybody: a chunk counts only once both hashes fit.
//!
//! | noun | is |
//! |---|---|
//! | [`FileId`], [`ManifestHash`] | the names of content |
//! | [`ChunkLayout`], [`ChunkIndex`] | the division of a length into chunks |
//! | [`ContentHasher`], [`ChunkDigest`] | one pass over a file |
//! | [`Manifest`], [`ManifestCheck`] | what a file's chunks must be; the bytes are drawn in `manifest.rs` |
//! | [`ChunkVerifier`], [`VerifiedChunk`], [`ChunkFault`] | judging received bytes, and whom to blame |
//! | [`ChunkSet`] | which chunks |
//! | [`Slice`], [`Grains`] | parts of a chunk that can be verified and passed on by themselves |
//! | [`GrainTree`], [`SliceVerifier`], [`SliceFault`] | what slices must be, and judging their bytes |
//! | `Store` (feature `store`) | content on disk: uploads, downloads, readers, trash, the files folder |
//!
//! This crate never opens a connection, never reads a clock (wall times are arguments), knows no ledger and
//! no peer, and spawns no thread: everything blocks, and callers bring the threads. Memory does not grow with
//! a file, but for one bit per chunk.
//!
//! # Hash a file and verify a piece of it
//!
//! ```
//! use swift_chunks::{ChunkVerifier, Manifest, ManifestCheck};
//!
//! // The publisher: one pass over the content.
//! let content = vec![7; 5_000_000];
//! let manifest = Manifest::of(&content[..])?;
//! println!("{}", manifest.file_id());
//!
//! // Somebody else, who trusts only the id, the manifest's hash and the length.
//! let check = ManifestCheck::new(manifest.file_id(), manifest.hash(), 5_000_000)?;
//! let received = Manifest::read(manifest.encoded(), &check)?;
//! let chunk = check.layout().chunk(1).ok_or("no such chunk")?;
//! let digest = received.digest(chunk).ok_or("no such entry")?;
//! let mut verifier = ChunkVerifier::new(check.file_id(), check.layout(), chunk, digest);
//! for piece in content[4_194_304..].chunks(65_536) {
//!     verifier.update(piece)?;
//! }
//! let proof = verifier.finish()?;
//! assert_eq!(proof.len(), 805_696);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
#![cfg_attr(
    feature = "store",
    doc = r#"
# Keep a file

```
use swift_chunks::{ChangedBy, Hold, NameChange, Store, StoreOptions};

# let data_dir = tempfile::tempdir()?;
let mut options = StoreOptions::in_dir(data_dir.path());
options.quota_bytes = Some(1 << 30);
let store = Store::open(options)?;

// Content streams in, and is held while the ledger is asked to publish it.
let now_ms = 1_763_811_489_000;
let mut upload = store.begin_upload(Some(11))?;
upload.write(b"hello world")?;
let staged = upload.finish()?;
let (file_id, manifest_hash, len) = (staged.file_id, staged.manifest_hash, staged.len);
let hold = Hold { key: b"transaction 1".to_vec(), payload: b"the signed transaction".to_vec() };
store.adopt(staged, &hold, now_ms)?;

// The ledger decided at height 1: the file appears under its name.
let (name, by) = ("notes/hello.txt".to_owned(), ChangedBy::default());
store.apply(1, &[NameChange::Put { name, file_id, manifest_hash, len, by }], now_ms)?;
store.release_hold(b"transaction 1", now_ms)?;
assert_eq!(std::fs::read(data_dir.path().join("files/notes/hello.txt"))?, b"hello world");

// Readers get bytes that were checked.
let reader = store.reader(file_id)?;
let mut chunk = Vec::new();
for index in reader.layout().chunks() {
    reader.read_verified_chunk(index, &mut chunk)?;
}
assert_eq!(chunk, b"hello world");
# Ok::<(), Box<dyn std::error::Error>>(())
```
"#
)]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "samples in tests are small"))]
#![deny(missing_docs)]

mod chunk_set;
mod content_hasher;
mod digest;
mod grain_tree;
mod id;
#[cfg(feature = "store")]
mod keep;
mod layout;
mod manifest;
mod sha1;
mod slice;
#[cfg(feature = "store")]
mod store;
mod tree;
mod verify;

pub use chunk_set::{ChunkSet, ChunkSetDecodeError};
pub use content_hasher::{ContentHasher, ContentSummary};
pub use digest::ChunkDigest;
pub use grain_tree::{GRAIN_TREE_LEN_MAX, GrainTree, GrainTreeFault};
pub use id::{FileId, HexError, ManifestHash};
#[cfg(feature = "store")]
pub use keep::{KEEP_PATTERN_LEN_MAX, KEEP_PATTERNS_MAX, KeepPatterns, KeepRule, KeepRuleError};
pub use layout::{CHUNK_LEN, ChunkIndex, ChunkLayout, FILE_LEN_MAX, FileTooLong};
pub use manifest::{Manifest, ManifestBuilder, ManifestCheck, ManifestFault, manifest_len};
pub use slice::{GRAIN_LEN, GRAINS_PER_CHUNK, Grains, SLICE_LEVEL_MAX, Slice};
#[cfg(feature = "store")]
pub use store::{
    Adoption, ChangedBy, ChunkWriteError, ChunkWriter, ContentReader, ContentRef, Download, EvictOutcome,
    Expired, FREE_FLOOR_BYTES, FolderError, GivenPromise, HeldPromise, Hold, InstallError, KeptEdit,
    LiveName, ManifestReader, NameChange, NameInfo, NoSuchPlace, ObjectInfo, ObjectState, OpenError, Pinned,
    PromiseOutcome, ReadError, Removed, Rot, ScrubDue, ScrubPass, Scrubbed, SliceWriteError, SliceWriter,
    Staged, Store, StoreError, StoreOptions, Surplus, TRASH_KEEP, TrashCursor, Upload, Usage, VerifyReport,
    VisibleChanges, VisibleProblem, Wanted, Whole, WrittenChunk, WrittenSlice, copy_index, forget_content,
};
#[cfg(feature = "store")]
#[doc(hidden)]
pub use store::{DiskOp, DiskWatcher, Place};
pub use verify::{ChunkFault, ChunkVerifier, SliceFault, SliceVerifier, VerifiedChunk};
