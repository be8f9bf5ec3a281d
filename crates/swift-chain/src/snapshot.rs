//! The state that a recovered network begins with, in frames of bounded size.
//!
//! It is a list of changes of nothing, in the order that the state hash covers: members, removed keys, authors'
//! counters, live files. Parameters, rules and validators are in the genesis block. All heights are 0: the records came
//! with the founding. Sequences are 0 too, since transactions name their network; and there are no used invitations,
//! since none of the old network's is valid in the new one.
//!
//! Each frame holds as many changes as fit, so one state has one list of frames, and every node that has the state can
//! make the list by itself and compare. The genesis block names the Merkle root over the frames and their number.

mod check;
#[cfg(test)]
mod tests;

use crate::{
    encoding::{self, DecodeError},
    hash::Hash,
    identity::NodeId,
    limits::{SNAPSHOT_CHANGES_LEN_MAX, SNAPSHOT_FRAME_LEN_MAX},
    merkle,
    state::{AuthorRecord, Change, FileRecord, Member},
};

pub use check::{SnapshotCheck, SnapshotError};

/// A part of an imported state. Only its form is checked; see [`SnapshotCheck`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFrame {
    bytes: Vec<u8>,
    changes: Vec<Change>,
}

impl SnapshotFrame {
    fn new(changes: Vec<Change>) -> Self {
        Self { bytes: encoding::encode(&changes), changes }
    }

    /// Reads canonical bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let changes = encoding::decode("part of an imported state", bytes, SNAPSHOT_FRAME_LEN_MAX)?;
        Ok(Self { bytes: bytes.to_vec(), changes })
    }

    /// The canonical bytes: the changes and their number.
    pub fn to_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it makes of the state so far.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Gives the changes away.
    pub fn into_changes(self) -> Vec<Change> {
        self.changes
    }

    fn leaf(&self) -> Hash {
        merkle::leaf_hash(&self.bytes)
    }
}

/// What a genesis block says of the state it imports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commitment {
    /// Merkle root over the frames.
    pub state: Hash,
    /// Their number.
    pub frames: u32,
}

/// Packs changes, which come in their order, into frames.
#[derive(Debug, Default)]
pub(crate) struct SnapshotWriter {
    open: Vec<Change>,
    open_len: usize,
    leaves: Vec<Hash>,
}

impl SnapshotWriter {
    /// Takes the next change; gives the frame that it did not fit into.
    pub(crate) fn push(&mut self, change: Change) -> Option<SnapshotFrame> {
        let len = encoding::encode(&change).len();
        let full = if self.open_len + len > SNAPSHOT_CHANGES_LEN_MAX { self.close() } else { None };
        self.open.push(change);
        self.open_len += len;
        full
    }

    /// The last frame, and what to sign.
    pub(crate) fn finish(mut self) -> (Option<SnapshotFrame>, Commitment) {
        let last = self.close();
        let frames = u32::try_from(self.leaves.len()).unwrap_or(u32::MAX);
        (last, Commitment { state: merkle::root_of(&self.leaves), frames })
    }

    fn close(&mut self) -> Option<SnapshotFrame> {
        if self.open.is_empty() {
            return None;
        }
        self.open_len = 0;
        let frame = SnapshotFrame::new(std::mem::take(&mut self.open));
        self.leaves.push(frame.leaf());
        Some(frame)
    }
}

/// A member as it comes with the founding.
pub(crate) fn imported_member(node: NodeId, member: Member) -> Change {
    Change::Member { node, member: Some(Member { joined_height: 0, ..member }) }
}

/// A removed key as it comes with the founding.
pub(crate) fn imported_removal(node: NodeId) -> Change {
    Change::Removed { node, height: 0 }
}

/// An author's counters as they come with the founding; none of one that has no live file.
pub(crate) fn imported_author(node: NodeId, record: AuthorRecord) -> Option<Change> {
    let record = AuthorRecord { last_sequence: 0, ..record };
    (record != AuthorRecord::default()).then_some(Change::Author { node, record })
}

/// A live file as it comes with the founding.
pub(crate) fn imported_file(file: FileRecord) -> Change {
    let key = file.entry.name.key();
    Change::File { key, file: Some(FileRecord { height: 0, ..file }) }
}
