//! Live files that were asked for of late: a member asks for the same one with every slice of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use swift_chain::{FileRecord, Hash};

/// Files that are remembered; when there are as many, all of them are forgotten.
const FILES_MAX: usize = 256;

/// What the ledger says of files as of one block. Forgotten with the next.
#[derive(Clone, Debug, Default)]
pub(super) struct RecentFiles(Arc<Mutex<Recent>>);

#[derive(Debug, Default)]
struct Recent {
    height: u64,
    files: HashMap<Hash, FileRecord>,
}

impl RecentFiles {
    /// A file as of the block `height`, if it was looked up since that block.
    pub(super) fn find(&self, file_id: &Hash, height: u64) -> Option<FileRecord> {
        let recent = self.recent();
        recent.files.get(file_id).filter(|_| recent.height == height).cloned()
    }

    /// Remembers what was found when `height` was the last block, or a later one.
    pub(super) fn keep(&self, record: &FileRecord, height: u64) {
        let mut recent = self.recent();
        if recent.height != height || recent.files.len() >= FILES_MAX {
            recent.files.clear();
            recent.height = height;
        }
        recent.files.insert(record.entry.file_id, record.clone());
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use swift_chain::{FileEntry, NodeId};

    use super::*;

    fn record(id: u8) -> FileRecord {
        let file_id = Hash::from_bytes([id; 32]);
        let name = format!("{id}.txt").parse().unwrap();
        let entry = FileEntry { name, size: 1, file_id, manifest_hash: Hash::default() };
        FileRecord { entry, publisher: NodeId::from_bytes([1; 32]), height: 1, time_ms: 1 }
    }

    #[test]
    fn what_was_found_holds_until_the_next_block() {
        let (recent, file) = (RecentFiles::default(), record(1));
        let id = file.entry.file_id;
        assert_eq!(recent.find(&id, 5), None);
        recent.keep(&file, 5);
        assert_eq!(recent.find(&id, 5), Some(file));
        assert_eq!(recent.find(&id, 6), None);
        recent.keep(&record(2), 6);
        assert_eq!(recent.find(&id, 6), None);
    }

    #[test]
    fn there_are_no_more_files_than_there_is_room_for() {
        let recent = RecentFiles::default();
        for number in 0..=FILES_MAX as u64 {
            let mut file = record(0);
            let mut id = [0; 32];
            id[..8].copy_from_slice(&number.to_be_bytes());
            file.entry.file_id = Hash::from_bytes(id);
            recent.keep(&file, 1);
        }
        assert!(recent.recent().files.len() <= FILES_MAX);
    }
}
