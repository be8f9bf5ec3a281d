//! Merkle trees as in RFC 6962, section 2.1, with SHA-256: the root that a block's header carries, and the path that
//! proves one transaction of it.

use serde::{Deserialize, Serialize};

use crate::hash::{Hash, sha256};

/// The root over leaves in order; of none it is SHA-256 of nothing.
pub(crate) fn root<'a>(leaves: impl IntoIterator<Item = &'a [u8]>) -> Hash {
    let hashes: Vec<Hash> = leaves.into_iter().map(leaf_hash).collect();
    root_of(&hashes)
}

/// The hashes beside the way from one leaf up to the root, the leaf's own neighbour first (RFC 6962, section 2.1.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MerklePath {
    /// Position of the leaf, from 0.
    pub index: u32,
    /// Number of leaves.
    pub leaf_count: u32,
    /// The neighbours.
    pub neighbours: Vec<Hash>,
}

impl MerklePath {
    /// The path of leaf `index`; none when there is no such leaf.
    pub fn of<'a>(leaves: impl IntoIterator<Item = &'a [u8]>, index: u32) -> Option<Self> {
        let hashes: Vec<Hash> = leaves.into_iter().map(leaf_hash).collect();
        let leaf_count = u32::try_from(hashes.len()).ok()?;
        if index >= leaf_count {
            return None;
        }
        let mut neighbours = Vec::new();
        collect_path(&hashes, index as usize, &mut neighbours);
        Some(Self { index, leaf_count, neighbours })
    }

    /// The root that this path leads to from `leaf`; none when the path does not have the form of such a tree.
    pub fn root_from(&self, leaf: &[u8]) -> Option<Hash> {
        let mut neighbours = self.neighbours.iter();
        let root = climb(leaf_hash(leaf), self.index as usize, self.leaf_count as usize, &mut neighbours)?;
        neighbours.next().is_none().then_some(root)
    }
}

/// The hash of one leaf.
pub(crate) fn leaf_hash(leaf: &[u8]) -> Hash {
    Hash::from_bytes(sha256(&[&[0], leaf]))
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash::from_bytes(sha256(&[&[1], left.as_bytes(), right.as_bytes()]))
}

/// Leaves of the left subtree: the largest power of two below the number of leaves.
fn split(leaf_count: usize) -> usize {
    leaf_count.next_power_of_two() / 2
}

/// The root over leaves whose hashes are known.
pub(crate) fn root_of(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => Hash::from_bytes(sha256(&[])),
        [one] => *one,
        _ => {
            let (left, right) = hashes.split_at(split(hashes.len()));
            node_hash(&root_of(left), &root_of(right))
        }
    }
}

fn collect_path(hashes: &[Hash], index: usize, neighbours: &mut Vec<Hash>) {
    if hashes.len() < 2 {
        return;
    }
    let at = split(hashes.len());
    let (left, right) = hashes.split_at(at);
    if index < at {
        collect_path(left, index, neighbours);
        neighbours.push(root_of(right));
    } else {
        collect_path(right, index - at, neighbours);
        neighbours.push(root_of(left));
    }
}

fn climb<'a>(
    leaf: Hash,
    index: usize,
    leaf_count: usize,
    neighbours: &mut impl Iterator<Item = &'a Hash>,
) -> Option<Hash> {
    if index >= leaf_count {
        return None;
    }
    if leaf_count == 1 {
        return Some(leaf);
    }
    let at = split(leaf_count);
    if index < at {
        let left = climb(leaf, index, at, neighbours)?;
        neighbours.next().map(|right| node_hash(&left, right))
    } else {
        let right = climb(leaf, index - at, leaf_count - at, neighbours)?;
        neighbours.next().map(|left| node_hash(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The tree of RFC 6962's reference test vectors (certificate-transparency, `merkletree/tree_hasher` inputs).
    #[test]
    fn roots_are_those_of_the_reference_vectors() {
        let leaves: [&[u8]; 3] = [&[], &[0x00], &[0x10]];
        let expected = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        ];
        for (count, root_text) in expected.iter().enumerate() {
            assert_eq!(root(leaves[..count].iter().copied()).to_string(), *root_text);
        }
    }

    proptest! {
        #[test]
        fn every_path_leads_to_the_root_and_no_other_leaf_does(count in 1usize..70, pick: prop::sample::Index) {
            let leaves: Vec<Vec<u8>> = (0..count).map(|n| n.to_be_bytes().to_vec()).collect();
            let slices = || leaves.iter().map(Vec::as_slice);
            let index = pick.index(count);
            let path = MerklePath::of(slices(), u32::try_from(index).unwrap()).unwrap();
            prop_assert_eq!(path.root_from(&leaves[index]), Some(root(slices())));
            prop_assert_ne!(path.root_from(b"another leaf"), Some(root(slices())));
            let mut longer = path.clone();
            longer.neighbours.push(Hash::default());
            prop_assert_eq!(longer.root_from(&leaves[index]), None);
        }
    }
}
