//! The top of the BLAKE3 tree: from the chaining values of chunks to the file id.

use blake3::hazmat::{Mode, merge_subtrees_non_root, merge_subtrees_root};

use crate::id::FileId;

/// Merges chunk chaining values, given in order, into the file id.
///
/// Holds one value per level of the tree (22 for 16 TiB), whatever the number of chunks.
#[derive(Clone, Debug, Default)]
pub(crate) struct RootMerger {
    /// Roots of complete subtrees, largest first: one per bit that is set in `merged`.
    complete: Vec<[u8; 32]>,
    /// Chunks below `complete`.
    merged: u64,
    /// The newest value. It waits outside because the last merge of all, unlike the others, makes the root.
    newest: Option<[u8; 32]>,
}

impl RootMerger {
    pub(crate) fn push(&mut self, chaining_value: [u8; 32]) {
        let Some(mut subtree) = self.newest.replace(chaining_value) else { return };
        self.merged += 1;
        for _ in 0..self.merged.trailing_zeros() {
            if let Some(left) = self.complete.pop() {
                subtree = merge_subtrees_non_root(&left, &subtree, Mode::Hash);
            }
        }
        self.complete.push(subtree);
    }

    pub(crate) fn finish(mut self) -> FileId {
        let Some(mut right) = self.newest else {
            return FileId::from_bytes(*blake3::hash(&[]).as_bytes());
        };
        while let Some(left) = self.complete.pop() {
            right = if self.complete.is_empty() {
                *merge_subtrees_root(&left, &right, Mode::Hash).as_bytes()
            } else {
                merge_subtrees_non_root(&left, &right, Mode::Hash)
            };
        }
        // A single value never met a merge: it was finalised as the root already.
        FileId::from_bytes(right)
    }
}
