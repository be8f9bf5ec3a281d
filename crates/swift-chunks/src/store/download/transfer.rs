//! From written to durable.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use super::progress::{Changes, SharedProgress};
use super::writer::WrittenChunk;
use crate::layout::ChunkIndex;
use crate::store::Core;
use crate::store::content::Content;
use crate::store::disk::Synced;
use crate::store::error::StoreError;
use crate::store::space::Reservation;

/// What the download and its writers share. While one of them lives, no other download of the content begins.
pub(super) struct Transfer {
    pub(super) content: Arc<Content>,
    pub(super) progress: SharedProgress,
    /// Held while a manifest is installed.
    pub(super) installing: Mutex<()>,
    room: Room,
}

/// For what room is set aside.
pub(super) enum Room {
    /// For all of the content, in the index.
    Whole,
    /// For each chunk from when it begins to come until it is durable.
    ByChunk(Mutex<HashMap<ChunkIndex, Reservation>>),
}

impl Transfer {
    pub(super) fn begin(content: &Arc<Content>, room: Room) -> Result<Arc<Self>, StoreError> {
        if content.downloading.swap(true, Ordering::AcqRel) {
            return Err(StoreError::Busy(content.key.file_id));
        }
        Ok(Arc::new(Self {
            content: Arc::clone(content),
            progress: content.progress.clone(),
            installing: Mutex::new(()),
            room,
        }))
    }

    /// Fails unless there is room for a chunk of which `len` bytes are about to be written.
    pub(super) fn make_room(&self, core: &Arc<Core>, chunk: ChunkIndex, len: u64) -> Result<(), StoreError> {
        if let Room::ByChunk(coming) = &self.room {
            let mut coming = coming.lock().unwrap_or_else(PoisonError::into_inner);
            if let Entry::Vacant(entry) = coming.entry(chunk) {
                entry.insert(Reservation::new(core, self.content.layout.chunk_len(chunk))?);
            }
        }
        core.check_floor(len)
    }

    pub(super) fn record(self: &Arc<Self>, chunk: WrittenChunk) -> Result<(), StoreError> {
        let index = chunk.verified().index();
        let is_recorded = chunk.is_of(self) && self.progress.lock().record(index, chunk.epoch());
        if !is_recorded {
            return Err(StoreError::ChunkLost { file_id: self.content.key.file_id, chunk: index.get() });
        }
        chunk.keep();
        Ok(())
    }

    /// Synchronises the data under everything that is recorded, and under verified grains. On failure all of it counts
    /// as lost, whatever a later synchronisation says: the system may have dropped the bytes and forgotten that it did.
    pub(super) fn sync(&self, core: &Core) -> Result<Option<Synced<Changes>>, StoreError> {
        let changes = self.progress.lock().take_changes();
        let data = self.content.live().data.clone();
        let Some(data) = data.filter(|_| !changes.is_empty()) else { return Ok(None) };
        let path = core.paths.part(self.content.key.file_id, self.content.id);
        let chunks = changes.chunks.clone();
        let synced = data.sync_data(&path, changes);
        if synced.is_err() {
            self.progress.lock().end_epoch(chunks);
        }
        synced.map(Some)
    }

    /// The chunks are durable: that is what counts for them from now on.
    pub(super) fn release(&self, chunks: &[ChunkIndex]) {
        {
            let mut progress = self.progress.lock();
            for &chunk in chunks {
                progress.close_chunk(chunk);
            }
        }
        if let Room::ByChunk(coming) = &self.room {
            let mut coming = coming.lock().unwrap_or_else(PoisonError::into_inner);
            coming.retain(|chunk, _| !chunks.contains(chunk));
        }
    }

    pub(super) fn put_back(&self, synced: Synced<Changes>) {
        self.progress.lock().record_again(synced.into_inner().chunks);
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.content.downloading.store(false, Ordering::Release);
    }
}
