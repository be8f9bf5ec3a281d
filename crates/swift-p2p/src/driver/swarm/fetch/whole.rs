//! A file of one chunk that comes as a whole: it needs no place among what is on its way. It is taken in as an upload is,
//! and many such files together.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use swift_chain::NodeId;
use swift_chunks::{Adoption, Upload};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task,
};

use super::{Fetch, FetchEnd, Means, desk::Piece, drain, sink::Sink};
use crate::{
    driver::swarm::incoming::Arrival,
    swarm::{FetchFailure, FetchOutcome},
    transport::PeerClient,
};

/// Bytes of a file of which several come one after the other over the same connection.
const SMALL_LEN: u64 = 256 * 1024;
/// Requests for such files that run at once to one source: as many as there are connections that stay open. More would
/// open connections for one file each.
const SMALL_REQUESTS_MAX: usize = 4;

/// Whose turn it is among the small files of each source. One for every lane.
#[derive(Default)]
pub(in crate::driver::swarm) struct SmallTurns(Mutex<HashMap<NodeId, Arc<Semaphore>>>);

impl SmallTurns {
    /// Waits for a turn; a large file needs none.
    async fn take(&self, source: NodeId, len: u64) -> Option<OwnedSemaphorePermit> {
        if len > SMALL_LEN {
            return None;
        }
        let new = || Arc::new(Semaphore::new(SMALL_REQUESTS_MAX));
        let of_source = self.lock().entry(source).or_insert_with(new).clone();
        // It is never closed.
        of_source.acquire_owned().await.ok()
    }

    pub(in crate::driver::swarm) fn forget(&self, source: &NodeId) {
        self.lock().remove(source);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<NodeId, Arc<Semaphore>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetch {
    /// Whether the slice is all of a file that is to stay here, and nothing of it has come before.
    pub(super) fn is_whole_file(&self) -> bool {
        let is_all = self.slice.is_chunk() && self.file.layout.chunk_count() == 1;
        is_all && self.is_kept && self.file.download().is_none()
    }

    /// Takes the file into the store. Its manifest is made from its bytes, with both hashes of the one chunk: where that
    /// is the one that the ledger names, nothing is left to ask for. Says false if it is another, or the bytes are. Then
    /// the file has to come by the manifest that the ledger names, so that it is seen who is to blame.
    pub(super) async fn fetch_file(
        &self,
        client: &PeerClient,
        arrival: &Arrival<'_>,
        means: &Means,
    ) -> Result<bool, FetchEnd> {
        let content = self.file.content;
        let upload = self.file.store.begin_upload(Some(content.len));
        let upload = upload.map_err(|error| FetchEnd::of_store(&error))?;
        let sink = {
            let _turn = means.turns.take(self.from, content.len).await;
            let response = self.request(client, None).await?;
            match drain(response, arrival, FileSink { upload, len: content.len }, |end| end).await {
                // Its sender may lie, and so may its publisher about its length.
                Err(end) if end.outcome == FetchOutcome::WrongBytes => return Ok(false),
                drained => drained?,
            }
        };
        // Synchronised beside the others that are at it.
        let staged = task::spawn_blocking(move || sink.upload.finish()).await;
        let stopping = || FetchEnd::failed(FetchFailure::Storage, "this node is stopping");
        let staged = staged.map_err(|_| stopping())?.map_err(|error| FetchEnd::of_store(&error))?;
        if staged.key() != content {
            return Ok(false);
        }
        let adopted = means.intake.adopt(Adoption { staged, hold: None }).await.map_err(|_| stopping())?;
        adopted.map(|()| true).map_err(|error| FetchEnd::of_store(&error))
    }
}

/// Takes no more bytes than the file has.
struct FileSink {
    upload: Upload,
    len: u64,
}

impl Sink for FileSink {
    type Error = FetchEnd;

    async fn take(mut self, piece: Piece) -> Result<(Self, Piece), FetchEnd> {
        if self.upload.len() + piece.len() as u64 > self.len {
            return Err(FetchEnd::wrong("more bytes than the file has"));
        }
        self.upload.write(&piece).map_err(|error| FetchEnd::of_store(&error))?;
        Ok((self, piece))
    }
}
