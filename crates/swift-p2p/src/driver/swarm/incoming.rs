//! One file on its way here: its download, opened by whoever needs it first, and who is writing which chunk.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use swift_chunks::{ChunkIndex, ChunkWriter, ContentRef, Download, Store, StoreError, WrittenChunk};
use tokio_util::sync::CancellationToken;

use super::{events::FetchEnd, manifest};
use crate::{
    swarm::{FetchFailure, FetchOutcome},
    transport::PeerClient,
};

/// Shared by the owner, which commits, and the lanes, which write.
pub(super) struct Incoming {
    pub(super) store: Store,
    pub(super) content: ContentRef,
    download: Mutex<Option<Arc<Download>>>,
    /// Held while the download is opened and its manifest comes in.
    opening: tokio::sync::Mutex<()>,
    chunks: Mutex<Chunks>,
}

#[derive(Default)]
struct Chunks {
    /// Fetches that write in place, and how to make them stop.
    writing: BTreeMap<ChunkIndex, CancellationToken>,
    /// Recorded with the download that is open now.
    written: BTreeSet<ChunkIndex>,
}

/// Bytes of one fetch that have arrived, for whoever watches over it.
pub(super) type Arrived = AtomicU64;

impl Incoming {
    pub(super) fn new(store: Store, content: ContentRef) -> Arc<Self> {
        Arc::new(Self {
            store,
            content,
            download: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            chunks: Mutex::default(),
        })
    }

    /// The open download, if there is one.
    pub(super) fn download(&self) -> Option<Arc<Download>> {
        self.download.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The download, opened if it is not. Blocks.
    pub(super) fn open(&self) -> Result<Arc<Download>, StoreError> {
        let mut slot = self.download.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(download) = &*slot {
            return Ok(download.clone());
        }
        let ContentRef { file_id, manifest_hash, len } = self.content;
        let download = Arc::new(self.store.begin_download(file_id, manifest_hash, len)?);
        *slot = Some(download.clone());
        Ok(download)
    }

    /// Lets go of the download: what is not durable is lost, and the next fetch opens it anew.
    pub(super) fn close(&self) {
        let mut open = self.download.lock().unwrap_or_else(PoisonError::into_inner);
        drop(open.take());
        self.chunks().written.clear();
    }

    /// The download with its manifest, which `source` is asked for if it is missing.
    pub(super) async fn ready(
        &self,
        source: &PeerClient,
        arrived: &Arrived,
    ) -> Result<Arc<Download>, FetchEnd> {
        if let Some(download) = self.download().filter(|download| download.has_manifest()) {
            return Ok(download);
        }
        let _turn = self.opening.lock().await;
        let download = self.open().map_err(|error| FetchEnd::of_store(&error))?;
        if !download.has_manifest() && !download.is_complete() {
            manifest::fetch(source, &download, arrived).await?;
        }
        Ok(download)
    }

    /// Says who writes a chunk from now on.
    pub(super) fn note_writer(&self, chunk: ChunkIndex, stop: CancellationToken) {
        self.chunks().writing.insert(chunk, stop);
    }

    /// Breaks off whoever writes a chunk in place, for one who has all of it verified.
    pub(super) fn stop_writer(&self, chunk: ChunkIndex) {
        if let Some(stop) = self.chunks().writing.remove(&chunk) {
            stop.cancel();
        }
    }

    /// Whether a chunk is written and waits for its commit.
    pub(super) fn is_written(&self, chunk: ChunkIndex) -> bool {
        self.chunks().written.contains(&chunk)
    }

    /// Takes a written chunk into the next commit. Refused when the download was closed since: nobody would commit it.
    pub(super) fn record(&self, download: &Arc<Download>, chunk: WrittenChunk) -> Result<(), StoreError> {
        let index = chunk.verified().index();
        let open = self.download.lock().unwrap_or_else(PoisonError::into_inner);
        if !open.as_ref().is_some_and(|open| Arc::ptr_eq(open, download)) {
            let file_id = self.content.file_id;
            return Err(StoreError::ChunkLost { file_id, chunk: index.get() });
        }
        download.record(chunk)?;
        let mut chunks = self.chunks();
        chunks.writing.remove(&index);
        chunks.written.insert(index);
        Ok(())
    }

    fn chunks(&self) -> MutexGuard<'_, Chunks> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a chunk for writing in place; nothing if somebody else has it.
pub(super) fn writer(download: &Download, chunk: ChunkIndex) -> Result<Option<ChunkWriter>, StoreError> {
    match download.chunk_writer(chunk) {
        Ok(writer) => Ok(Some(writer)),
        Err(StoreError::ChunkTaken { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn note_arrived(arrived: &Arrived, bytes: usize) {
    arrived.fetch_add(bytes as u64, Ordering::Relaxed);
}

impl FetchEnd {
    pub(super) fn verified() -> Self {
        Self { outcome: FetchOutcome::Verified, detail: String::new() }
    }

    pub(super) fn failed(failure: FetchFailure, detail: impl Into<String>) -> Self {
        Self { outcome: FetchOutcome::Failed(failure), detail: detail.into() }
    }

    pub(super) fn wrong(detail: impl Into<String>) -> Self {
        Self { outcome: FetchOutcome::WrongBytes, detail: detail.into() }
    }

    pub(super) fn manifest_false(detail: impl Into<String>) -> Self {
        Self { outcome: FetchOutcome::ManifestFalse, detail: detail.into() }
    }

    /// This side failed.
    pub(super) fn of_store(error: &StoreError) -> Self {
        match error {
            StoreError::ManifestFalse(_) => Self::manifest_false(error.to_string()),
            StoreError::NoSpace { .. } => Self::failed(FetchFailure::Storage, format!("disk full: {error}")),
            _ => Self::failed(FetchFailure::Storage, error.to_string()),
        }
    }
}
