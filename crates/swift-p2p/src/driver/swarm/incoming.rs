//! One file on its way here: its download, opened by whoever needs it first, and who is writing where.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use swift_chunks::{
    ChunkFault, ChunkIndex, ChunkLayout, ChunkWriteError, ChunkWriter, ContentRef, Download, GrainTree,
    Grains, Slice, Store, StoreError, WrittenChunk,
};
use tokio_util::sync::CancellationToken;

use super::{arriving::Readers, events::FetchEnd, manifest, trees::Trees};
use crate::{driver::limits::Throttle, swarm::message::OPEN_CHUNKS_MAX, transport::PeerClient};

/// Grain trees of one file: of every chunk that is open, and of some that were to be.
const TREES_MAX: usize = 2 * OPEN_CHUNKS_MAX;

/// Shared by the owner, which commits, the lanes, which write, and those who serve what is here already.
pub(super) struct Incoming {
    pub(super) store: Store,
    pub(super) content: ContentRef,
    pub(super) layout: ChunkLayout,
    /// Who reads it while it arrives.
    pub(super) readers: Arc<Readers>,
    /// What is read of a file that nothing keeps.
    only: Option<Vec<Range<u64>>>,
    download: Mutex<Option<Arc<Download>>>,
    /// Bytes of the manifest that have come, by whichever fetch.
    manifest_arrived: Arrived,
    /// Held while the download is opened and its manifest comes in.
    opening: tokio::sync::Mutex<()>,
    /// Held while a chunk goes from written to recorded. Taken before the other two.
    settling: Mutex<()>,
    chunks: Mutex<Chunks>,
    /// Where the trees of chunks go that are held.
    served: Arc<Trees>,
}

#[derive(Default)]
struct Chunks {
    /// Fetches that write in place.
    writers: Vec<Writer>,
    next_writer: u64,
    /// Recorded with the download that is open now.
    written: BTreeSet<ChunkIndex>,
    /// Chunks whose every grain is verified, to be read back.
    unchecked: Vec<ChunkIndex>,
    /// Whether somebody is at it.
    is_checking: bool,
    trees: BTreeMap<ChunkIndex, Arc<GrainTree>>,
}

struct Writer {
    id: u64,
    chunk: ChunkIndex,
    grains: Grains,
    stop: CancellationToken,
}

/// Bytes of one fetch that have arrived, for whoever watches over it.
pub(super) type Arrived = AtomicU64;

/// How bytes of one fetch come in: as fast as they may, and counted.
pub(super) struct Arrival<'a> {
    pub(super) arrived: &'a Arrived,
    pub(super) down: &'a Throttle,
}

impl Arrival<'_> {
    /// The next piece of a frame, once it may pass.
    pub(super) async fn next(&self, frame: &mut Bytes) -> Bytes {
        let piece = frame.split_to(frame.len().min(self.down.piece_len()));
        self.down.pass(piece.len()).await;
        self.arrived.fetch_add(piece.len() as u64, Ordering::Relaxed);
        piece
    }
}

impl Incoming {
    pub(super) fn new(
        store: Store,
        content: ContentRef,
        layout: ChunkLayout,
        served: Arc<Trees>,
        readers: Arc<Readers>,
        only: Option<Vec<Range<u64>>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            content,
            layout,
            readers,
            only,
            download: Mutex::default(),
            manifest_arrived: Arrived::default(),
            opening: tokio::sync::Mutex::default(),
            settling: Mutex::default(),
            chunks: Mutex::default(),
            served,
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
        let begun = match &self.only {
            Some(wanted) => self.store.begin_reading(self.content, wanted),
            None => self.store.begin_download(file_id, manifest_hash, len),
        };
        let download = Arc::new(begun?);
        *slot = Some(download.clone());
        Ok(download)
    }

    /// Lets go of the download: what is not durable is lost, and the next fetch opens it anew. Says which chunks had
    /// verified grains that were not durable.
    pub(super) fn close(&self) -> Vec<ChunkIndex> {
        let mut open = self.download.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = open.take().map(|download| download.open_chunks()).unwrap_or_default();
        self.chunks().written.clear();
        lost.into_iter().map(|(chunk, _)| chunk).collect()
    }

    /// The download with its manifest, which `source` is asked for if it is missing.
    pub(super) async fn ready(
        &self,
        source: &PeerClient,
        arrival: &Arrival<'_>,
    ) -> Result<Arc<Download>, FetchEnd> {
        if let Some(download) = self.download().filter(|download| download.has_manifest()) {
            return Ok(download);
        }
        let _turn = self.opening.lock().await;
        let download = self.open().map_err(|error| FetchEnd::of_store(&error))?;
        if !download.has_manifest() && !download.is_complete() {
            manifest::fetch(source, &download, arrival, &self.manifest_arrived).await?;
        }
        Ok(download)
    }

    /// Bytes of the manifest that have come.
    pub(super) fn manifest_bytes(&self) -> u64 {
        self.manifest_arrived.load(Ordering::Relaxed)
    }

    /// Says who writes a slice, until the note is dropped.
    pub(super) fn note_writer(
        self: &Arc<Self>,
        slice: Slice,
        grains: Grains,
        stop: CancellationToken,
    ) -> Note {
        let mut chunks = self.chunks();
        let id = chunks.next_writer;
        chunks.next_writer += 1;
        chunks.writers.push(Writer { id, chunk: slice.chunk(), grains, stop });
        Note { home: self.clone(), id }
    }

    /// Breaks off whoever writes some of these grains, for one who has all of them verified.
    pub(super) fn stop_writers(&self, chunk: ChunkIndex, grains: Grains) {
        let chunks = self.chunks();
        let in_the_way = chunks.writers.iter().filter(|it| it.chunk == chunk && it.grains.meets(grains));
        in_the_way.for_each(|writer| writer.stop.cancel());
    }

    /// Whether a chunk is durable, or recorded and waits for its commit.
    pub(super) fn is_held(&self, download: &Download, chunk: ChunkIndex) -> bool {
        download.is_complete()
            || self.chunks().written.contains(&chunk)
            || download.part_reader().holds(chunk)
    }

    /// The grain tree of a chunk that is on its way.
    pub(super) fn tree(&self, chunk: ChunkIndex) -> Option<Arc<GrainTree>> {
        self.chunks().trees.get(&chunk).cloned()
    }

    /// Keeps a tree that was checked, until its chunk is held.
    pub(super) fn keep_tree(&self, download: &Download, tree: Arc<GrainTree>) {
        let mut chunks = self.chunks();
        if chunks.trees.len() >= TREES_MAX {
            // Those of chunks of which nothing came in the end. The machine has no more open ones than there is room for.
            chunks.trees.retain(|&chunk, _| !download.grains(chunk).is_empty());
        }
        if chunks.trees.len() < TREES_MAX {
            chunks.trees.insert(tree.chunk(), tree);
        }
    }

    /// Judges a chunk that came whole, and takes it into the next commit.
    pub(super) fn land(&self, download: &Arc<Download>, writer: ChunkWriter) -> Result<(), ChunkWriteError> {
        let _turn = self.settling.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.record(download, writer.finish()?)?)
    }

    /// Judges a chunk whose every grain is verified, and takes it into the next commit; if it is not there already.
    /// Blocks while it is read back.
    pub(super) fn settle(&self, download: &Arc<Download>, chunk: ChunkIndex) -> Result<(), ChunkWriteError> {
        let _turn = self.settling.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_held(download, chunk) {
            return Ok(());
        }
        Ok(self.record(download, download.check_chunk(chunk)?)?)
    }

    /// [`Self::settle`] of two chunks, which takes less time than one after the other.
    pub(super) fn settle_both(
        &self,
        download: &Arc<Download>,
        chunks: [ChunkIndex; 2],
    ) -> [Result<(), ChunkWriteError>; 2] {
        let _turn = self.settling.lock().unwrap_or_else(PoisonError::into_inner);
        let checked = match chunks.map(|chunk| self.is_held(download, chunk)) {
            [false, false] => download.check_chunks(chunks).map(Some),
            [true, false] => [None, Some(download.check_chunk(chunks[1]))],
            [false, true] => [Some(download.check_chunk(chunks[0])), None],
            [true, true] => [None, None],
        };
        checked.map(|checked| match checked {
            Some(checked) => Ok(self.record(download, checked?)?),
            None => Ok(()),
        })
    }

    /// Puts a chunk into the line of those that are to be read back. True if nobody is at it: whoever hears that is now.
    pub(super) fn line_up(&self, chunk: ChunkIndex) -> bool {
        let mut chunks = self.chunks();
        chunks.unchecked.push(chunk);
        !std::mem::replace(&mut chunks.is_checking, true)
    }

    /// Up to two chunks to read back. After none, another has to be told.
    pub(super) fn next_unchecked(&self) -> Vec<ChunkIndex> {
        let mut chunks = self.chunks();
        let len = chunks.unchecked.len().min(2);
        chunks.is_checking = len > 0;
        chunks.unchecked.drain(..len).collect()
    }

    /// Refused when the download was closed since: nobody would commit it.
    fn record(&self, download: &Arc<Download>, chunk: WrittenChunk) -> Result<(), StoreError> {
        let index = chunk.verified().index();
        let open = self.download.lock().unwrap_or_else(PoisonError::into_inner);
        if !open.as_ref().is_some_and(|open| Arc::ptr_eq(open, download)) {
            let file_id = self.content.file_id;
            return Err(StoreError::ChunkLost { file_id, chunk: index.get() });
        }
        download.record(chunk)?;
        let mut chunks = self.chunks();
        chunks.written.insert(index);
        if let Some(tree) = chunks.trees.remove(&index) {
            self.served.keep(self.content.file_id, tree);
        }
        Ok(())
    }

    /// Whom the failure of a whole chunk blames. One that proves the manifest false is kept as the proof.
    pub(super) fn verdict(&self, download: &Download, chunk: ChunkIndex, error: ChunkWriteError) -> FetchEnd {
        match error {
            ChunkWriteError::Store(error) => FetchEnd::of_store(&error),
            ChunkWriteError::Fault(fault @ ChunkFault::ManifestFalse) => match download.condemn(chunk) {
                Ok(()) => FetchEnd::manifest_false(fault.to_string()),
                Err(error) => FetchEnd::manifest_false(format!("{fault}; the proof was not kept: {error}")),
            },
            ChunkWriteError::Fault(fault) => FetchEnd::wrong(fault.to_string()),
        }
    }

    fn chunks(&self) -> MutexGuard<'_, Chunks> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that a fetch writes in place, as long as it is there.
pub(super) struct Note {
    home: Arc<Incoming>,
    id: u64,
}

impl Drop for Note {
    fn drop(&mut self) {
        self.home.chunks().writers.retain(|writer| writer.id != self.id);
    }
}
