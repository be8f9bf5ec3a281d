//! BLAKE3 trees from the values of their parts: of a file from its chunks, of a slice from its grains.

use blake3::hazmat::{Mode, merge_subtrees_non_root, merge_subtrees_root};

use crate::digest::Subtree;

/// Merges the chaining values of equal parts (only the last may be shorter), given in order.
///
/// Holds one value per level of the tree (22 for the chunks of 16 TiB), whatever the number of parts.
#[derive(Clone, Debug, Default)]
pub(crate) struct TreeMerger {
    /// Roots of complete subtrees, largest first: one per bit that is set in `merged`.
    complete: Vec<[u8; 32]>,
    /// Parts below `complete`.
    merged: u64,
    /// The newest value. It waits outside because the last merge of all, unlike the others, may make the root.
    newest: Option<[u8; 32]>,
}

impl TreeMerger {
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

    /// The value of all parts together; of none, the hash of an empty file.
    pub(crate) fn finish(mut self, whole: Subtree) -> [u8; 32] {
        let Some(mut right) = self.newest else { return *blake3::hash(&[]).as_bytes() };
        while let Some(left) = self.complete.pop() {
            right = if self.complete.is_empty() && whole == Subtree::WholeFile {
                *merge_subtrees_root(&left, &right, Mode::Hash).as_bytes()
            } else {
                merge_subtrees_non_root(&left, &right, Mode::Hash)
            };
        }
        // A single value never met a merge: it was finalised as what it is already.
        right
    }
}
