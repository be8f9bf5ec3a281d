//! One chunk from one peer: requested, hashed and written as it comes.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::{Response, StatusCode, header::RANGE};
use swift_chain::NodeId;
use swift_chunks::{
    ChunkFault, ChunkIndex, ChunkVerifier, ChunkWriteError, ChunkWriter, Download, WrittenChunk,
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    events::FetchEnd,
    incoming::{Arrived, Incoming, note_arrived, writer},
    manifest::{refused, unreachable},
};
use crate::{
    swarm::{FetchFailure, Unit},
    transport::PeerClients,
};

/// Bytes that are hashed and written at once: a TLS record at a time would cost four times the calls.
const BATCH_LEN: usize = 64 * 1024;
/// How long a verified chunk waits for another fetch to let go of its place.
const PLACE_DEADLINE: Duration = Duration::from_secs(5);
const PLACE_PAUSE: Duration = Duration::from_millis(2);

/// An order to fetch.
pub(super) struct Fetch {
    pub(super) from: NodeId,
    pub(super) unit: Unit,
    pub(super) file: Arc<Incoming>,
    pub(super) arrived: Arc<Arrived>,
    pub(super) stop: CancellationToken,
}

impl Fetch {
    /// Carries the order out. Dropped half way, it leaves the chunk unheld.
    pub(super) async fn run(&self, clients: &PeerClients) -> FetchEnd {
        match self.attempt(clients).await {
            Ok(()) => FetchEnd::verified(),
            Err(end) => end,
        }
    }

    async fn attempt(&self, clients: &PeerClients) -> Result<(), FetchEnd> {
        let unreached = |error: crate::transport::DialError| {
            FetchEnd::failed(FetchFailure::Unreachable, error.to_string())
        };
        let client = clients.client(&self.from).map_err(unreached)?;
        let download = self.file.ready(&client, &self.arrived).await?;
        let chunk = self.unit.chunk();
        if download.is_complete() || self.file.is_written(chunk) {
            return Ok(());
        }
        let mut sink = self.sink(&download, chunk)?;
        let range = download.layout().range(chunk);
        let request = client.get(&format!("/download?id={}", self.file.content.file_id));
        let request = request.header(RANGE, format!("bytes={}-{}", range.start, range.end - 1));
        let response = request.send().await.map_err(|error| unreachable(&error))?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {}
            StatusCode::OK if download.layout().chunk_count() == 1 => {}
            status => return Err(refused(status)),
        }
        self.drain(response, &mut sink, &download).await?;
        self.take_in(&download, sink).await
    }

    /// Bytes are written in place, unless somebody else is at it: then they are collected, and who has all of them
    /// first wins.
    fn sink(&self, download: &Download, chunk: ChunkIndex) -> Result<Sink, FetchEnd> {
        let writer = writer(download, chunk).map_err(|error| FetchEnd::of_store(&error))?;
        if let Some(writer) = writer {
            self.file.note_writer(chunk, self.stop.clone());
            return Ok(Sink::InPlace(writer));
        }
        let digest = download.digest(chunk).map_err(|error| FetchEnd::of_store(&error))?;
        let verifier = ChunkVerifier::new(self.file.content.file_id, download.layout(), chunk, digest);
        Ok(Sink::Collected(verifier, Vec::new()))
    }

    async fn drain(
        &self,
        mut response: Response,
        sink: &mut Sink,
        download: &Download,
    ) -> Result<(), FetchEnd> {
        let mut batch = Vec::with_capacity(BATCH_LEN);
        let mut give = |bytes: &[u8]| sink.take(bytes).map_err(|error| self.verdict(download, error));
        while let Some(frame) = response.chunk().await.map_err(|error| unreachable(&error))? {
            note_arrived(&self.arrived, frame.len());
            push(&mut batch, frame, &mut give)?;
        }
        if batch.is_empty() { Ok(()) } else { give(&batch) }
    }

    async fn take_in(&self, download: &Arc<Download>, sink: Sink) -> Result<(), FetchEnd> {
        let chunk = self.unit.chunk();
        let written = match sink {
            Sink::InPlace(writer) => writer.finish().map_err(|error| self.verdict(download, error))?,
            Sink::Collected(verifier, bytes) => {
                verifier.finish().map_err(|fault| self.verdict(download, fault.into()))?;
                match self.write_collected(download, &bytes).await? {
                    Some(written) => written,
                    None => return Ok(()),
                }
            }
        };
        debug_assert_eq!(written.verified().index(), chunk);
        self.file.record(download, written).map_err(|error| FetchEnd::of_store(&error))
    }

    /// Writes a chunk that is verified already; nothing if another fetch has done so meanwhile.
    async fn write_collected(
        &self,
        download: &Download,
        bytes: &[u8],
    ) -> Result<Option<WrittenChunk>, FetchEnd> {
        let chunk = self.unit.chunk();
        let deadline = Instant::now() + PLACE_DEADLINE;
        loop {
            if self.file.is_written(chunk) || download.is_complete() || download.held().contains(chunk) {
                return Ok(None);
            }
            let place = writer(download, chunk).map_err(|error| FetchEnd::of_store(&error))?;
            if let Some(mut writer) = place {
                for piece in bytes.chunks(BATCH_LEN) {
                    writer.write(piece).map_err(|error| self.verdict(download, error))?;
                }
                return writer.finish().map(Some).map_err(|error| self.verdict(download, error));
            }
            if Instant::now() >= deadline {
                return Err(FetchEnd::failed(FetchFailure::Storage, "another fetch holds on to the chunk"));
            }
            self.file.stop_writer(chunk);
            sleep(PLACE_PAUSE).await;
        }
    }

    /// Whom a failure blames. A chunk that proves the manifest false is kept as the proof.
    fn verdict(&self, download: &Download, error: ChunkWriteError) -> FetchEnd {
        match error {
            ChunkWriteError::Store(error) => FetchEnd::of_store(&error),
            ChunkWriteError::Fault(fault @ ChunkFault::ManifestFalse) => {
                match download.condemn(self.unit.chunk()) {
                    Ok(()) => FetchEnd::manifest_false(fault.to_string()),
                    Err(error) => {
                        FetchEnd::manifest_false(format!("{fault}; the proof was not kept: {error}"))
                    }
                }
            }
            ChunkWriteError::Fault(fault) => FetchEnd::wrong(fault.to_string()),
        }
    }
}

/// Where the bytes of a fetch go.
enum Sink {
    InPlace(ChunkWriter),
    Collected(ChunkVerifier, Vec<u8>),
}

impl Sink {
    fn take(&mut self, bytes: &[u8]) -> Result<(), ChunkWriteError> {
        match self {
            Self::InPlace(writer) => writer.write(bytes),
            Self::Collected(verifier, collected) => {
                verifier.update(bytes)?;
                collected.extend_from_slice(bytes);
                Ok(())
            }
        }
    }
}

/// Collects frames until there is a batch. A frame as large as one goes through as it is.
fn push(
    batch: &mut Vec<u8>,
    mut frame: Bytes,
    give: &mut impl FnMut(&[u8]) -> Result<(), FetchEnd>,
) -> Result<(), FetchEnd> {
    while !frame.is_empty() {
        if batch.is_empty() && frame.len() >= BATCH_LEN {
            return give(&frame);
        }
        let len = frame.len().min(BATCH_LEN - batch.len());
        batch.extend_from_slice(&frame.split_to(len));
        if batch.len() == BATCH_LEN {
            give(batch)?;
            batch.clear();
        }
    }
    Ok(())
}
