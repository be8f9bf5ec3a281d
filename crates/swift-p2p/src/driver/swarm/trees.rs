//! Grain trees: by which slices are judged before their chunk is whole.
//!
//! Who asks for a slice and does not have its chunk's tree yet says so in the request, and gets the tree in the head of
//! the answer: no round trip is spent on it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use data_encoding::BASE64;
use swift_chunks::{ChunkIndex, ChunkLayout, FileId, GRAIN_TREE_LEN_MAX, GrainTree, GrainTreeFault};

/// In a request for a slice: the answer is to bring the grain tree. In the answer: the tree, in base64.
pub const GRAINS_HEADER: &str = "x-swift-grains";

/// What [`GRAINS_HEADER`] says in a request.
pub(super) const GRAINS_WANTED: &str = "wanted";

/// Trees that are kept of chunks that are held: 2 KiB each.
const TREES_MAX: usize = 256;

/// The trees of chunks that were served last. One for the node.
#[derive(Default)]
pub(super) struct Trees(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    trees: BTreeMap<(FileId, ChunkIndex), (Arc<GrainTree>, u64)>,
    uses: u64,
}

impl Trees {
    pub(super) fn find(&self, file: FileId, chunk: ChunkIndex) -> Option<Arc<GrainTree>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let now = kept.uses;
        let (tree, used) = kept.trees.get_mut(&(file, chunk))?;
        *used = now;
        Some(tree.clone())
    }

    /// Keeps a tree, at the cost of the one that was used longest ago.
    pub(super) fn keep(&self, file: FileId, tree: Arc<GrainTree>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let now = kept.uses;
        kept.trees.insert((file, tree.chunk()), (tree, now));
        if kept.trees.len() > TREES_MAX
            && let Some(oldest) = kept.trees.iter().min_by_key(|(_, (_, used))| *used).map(|(&key, _)| key)
        {
            kept.trees.remove(&oldest);
        }
    }
}

/// A tree as it stands in the head of an answer.
pub(super) fn encode(tree: &GrainTree) -> String {
    BASE64.encode(&tree.encode())
}

/// Takes a tree from the head of an answer, as that of a chunk of which the verified manifest says `chaining_value`.
pub(super) fn decode(
    layout: ChunkLayout,
    chunk: ChunkIndex,
    chaining_value: [u8; 32],
    header: &[u8],
) -> Result<GrainTree, GrainTreeFault> {
    let fits = header.len() <= BASE64.encode_len(GRAIN_TREE_LEN_MAX);
    let bytes = fits.then(|| BASE64.decode(header).ok()).flatten();
    GrainTree::decode(layout, chunk, chaining_value, &bytes.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use swift_chunks::{CHUNK_LEN, Manifest};

    #[test]
    fn a_tree_survives_the_head_of_an_answer_and_anything_else_is_refused() {
        let content = vec![7; 200_000];
        let layout = ChunkLayout::new(content.len() as u64).unwrap();
        let chunk = layout.chunk(0).unwrap();
        let tree = GrainTree::of_chunk(layout, chunk, &content[..]).unwrap();
        let value = *Manifest::of(&content[..]).unwrap().file_id().as_bytes();
        let header = encode(&tree);
        assert_eq!(decode(layout, chunk, value, header.as_bytes()), Ok(tree));
        let long = vec![b'A'; 4 << 20];
        for wrong in [&b""[..], b"wanted", &header.as_bytes()[4..], &long] {
            assert!(decode(layout, chunk, value, wrong).is_err());
        }
    }

    #[test]
    fn the_trees_that_were_used_last_stay() {
        let (trees, file) = (Trees::default(), FileId::from_bytes([1; 32]));
        let layout = ChunkLayout::new(300 * CHUNK_LEN).unwrap();
        let content = vec![0; 4 << 20];
        let chunks: Vec<_> = layout.chunks().take(TREES_MAX + 1).collect();
        for &chunk in &chunks {
            let tree = GrainTree::of_chunk(layout, chunk, &content[..]).unwrap();
            trees.keep(file, Arc::new(tree));
            assert!(trees.find(file, chunks[0]).is_some(), "it is used all the time");
        }
        assert!(trees.find(file, chunks[1]).is_none());
        assert!(trees.find(file, chunks[2]).is_some());
    }
}
