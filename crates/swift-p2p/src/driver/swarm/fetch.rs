//! One slice from one peer: requested, hashed and written as it comes.

mod desk;
mod landing;
mod sink;
mod whole;

use std::{ops::Range, sync::Arc, time::Duration};

use hyper::{StatusCode, header::RANGE};
use swift_chain::NodeId;
use swift_chunks::{Download, GrainTree, Grains, Slice};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    events::FetchEnd,
    incoming::{Arrival, Arrived, Incoming},
    manifest::{refused, unreachable},
    trees::{self, GRAINS_HEADER, GRAINS_WANTED},
};
use crate::{
    driver::{intake::Intake, limits::Throttle},
    swarm::FetchFailure,
    transport::{PeerClient, PeerClients, PeerResponse},
};
use desk::{Desk, Piece};
use sink::{Sink, blame_part};

pub(super) use whole::SmallTurns;

/// Bytes that are hashed and written at once: a TLS record at a time would cost four times the calls.
const BATCH_LEN: usize = 64 * 1024;

/// How long a source that has no room for another connection is left alone before it is asked again: a slice of somebody
/// else is soon through. Not so long in all that it would seem to stall.
const NO_ROOM_PAUSES: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_millis(600),
    Duration::from_millis(1000),
];

/// An order to fetch.
pub(super) struct Fetch {
    /// Another one for every order.
    pub(super) id: u64,
    pub(super) from: NodeId,
    pub(super) slice: Slice,
    pub(super) file: Arc<Incoming>,
    pub(super) arrived: Arc<Arrived>,
    pub(super) stop: CancellationToken,
    /// Whether this node is to have all of the file.
    pub(super) is_kept: bool,
}

/// What the fetches of one lane work with.
pub(super) struct Means {
    /// Connections belong to the runtime that opened them, so every lane has clients of its own.
    pub(super) clients: Arc<PeerClients>,
    pub(super) down: Throttle,
    pub(super) intake: Intake,
    pub(super) desk: Arc<Desk>,
    pub(super) turns: SmallTurns,
}

impl Fetch {
    /// Carries the order out. Dropped half way, it leaves the slice unheld.
    pub(super) async fn run(&self, means: &Means) -> FetchEnd {
        let arrival = Arrival { arrived: &self.arrived, down: &means.down };
        self.attempt(means, &arrival).await.unwrap_or_else(|end| end)
    }

    async fn attempt(&self, means: &Means, arrival: &Arrival<'_>) -> Result<FetchEnd, FetchEnd> {
        let unreached = |error: crate::transport::DialError| {
            FetchEnd::failed(FetchFailure::Unreachable, error.to_string())
        };
        let client = means.clients.client(&self.from).map_err(unreached)?;
        if self.is_whole_file() && self.fetch_file(&client, arrival, means).await? {
            return Ok(FetchEnd::stored());
        }
        let download = self.file.ready(&client, arrival).await?;
        if self.slice.is_chunk() {
            self.fetch_chunk(&client, &download, arrival, &means.desk).await?;
        } else {
            self.fetch_part(&client, &download, arrival).await?;
        }
        Ok(FetchEnd::verified())
    }

    /// A whole chunk is judged by both hashes while it passes.
    async fn fetch_chunk(
        &self,
        client: &PeerClient,
        download: &Arc<Download>,
        arrival: &Arrival<'_>,
        desk: &Arc<Desk>,
    ) -> Result<(), FetchEnd> {
        if self.file.is_held(download, self.slice.chunk()) {
            return Ok(());
        }
        let sink = self.sink_for_chunk(download, desk)?;
        let response = self.request(client, None).await?;
        let sink = drain(response, arrival, sink, |error| self.blame_chunk(download, error)).await?;
        self.land_chunk(download, sink).await
    }

    /// A part of a chunk is judged by the chunk's grain tree, which comes with it unless it is here.
    async fn fetch_part(
        &self,
        client: &PeerClient,
        download: &Arc<Download>,
        arrival: &Arrival<'_>,
    ) -> Result<(), FetchEnd> {
        if self.is_here(download, self.grains(download)) {
            return Ok(());
        }
        let (tree, response) = match self.file.tree(self.slice.chunk()) {
            Some(tree) => (tree, self.request(client, None).await?),
            None => {
                let response = self.request(client, Some(GRAINS_WANTED)).await?;
                (self.tree_of(&response, download)?, response)
            }
        };
        let sink = self.sink_for_part(download, &tree)?;
        let sink = drain(response, arrival, sink, blame_part).await?;
        self.land_part(download, &tree, sink).await
    }

    /// The tree in the head of an answer, checked against the manifest.
    fn tree_of(&self, response: &PeerResponse, download: &Download) -> Result<Arc<GrainTree>, FetchEnd> {
        let chunk = self.slice.chunk();
        let expected = download.digest(chunk).map_err(|error| FetchEnd::of_store(&error))?.chaining_value;
        let header = response.headers().get(GRAINS_HEADER).map_or(&[][..], |value| value.as_bytes());
        let tree = trees::decode(download.layout(), chunk, expected, header);
        let tree = Arc::new(tree.map_err(|fault| FetchEnd::wrong(format!("its grain tree: {fault}")))?);
        self.file.keep_tree(download, tree.clone());
        Ok(tree)
    }

    async fn request(&self, client: &PeerClient, grains: Option<&str>) -> Result<PeerResponse, FetchEnd> {
        let Range { start, end } = self.slice.range(self.file.layout);
        let send = || {
            let request = client.get(&format!("/download?id={}", self.file.content.file_id));
            let request = request.header(RANGE, format!("bytes={}-{}", start, end.saturating_sub(1)));
            match grains {
                Some(grains) => request.header(GRAINS_HEADER, grains).send(),
                None => request.send(),
            }
        };
        let mut response = send().await.map_err(|error| unreachable(&error))?;
        for pause in NO_ROOM_PAUSES {
            if response.status() != StatusCode::SERVICE_UNAVAILABLE {
                break;
            }
            sleep(pause).await;
            response = send().await.map_err(|error| unreachable(&error))?;
        }
        match response.status() {
            StatusCode::PARTIAL_CONTENT => Ok(response),
            StatusCode::OK if end - start == self.file.layout.file_len() => Ok(response),
            status => Err(refused(status)),
        }
    }

    fn grains(&self, download: &Download) -> Grains {
        self.slice.grains(download.layout())
    }

    /// Whether these grains of the slice's chunk are verified and written.
    fn is_here(&self, download: &Download, grains: Grains) -> bool {
        download.is_complete() || download.grains(self.slice.chunk()).contains(grains)
    }
}

/// Reads an answer to its end, as fast as the limit lets it: what is not read yet slows its sender down.
async fn drain<S: Sink>(
    mut response: PeerResponse,
    arrival: &Arrival<'_>,
    mut sink: S,
    blame: impl Fn(S::Error) -> FetchEnd,
) -> Result<S, FetchEnd> {
    let mut batch = Vec::with_capacity(BATCH_LEN);
    while let Some(mut frame) = response.chunk().await.map_err(|error| unreachable(&error))? {
        while !frame.is_empty() {
            let mut piece = arrival.next(&mut frame).await;
            // A piece as large as a batch goes through as it is.
            if batch.is_empty() && piece.len() >= BATCH_LEN {
                (sink, _) = sink.take(Piece::Frame(piece)).await.map_err(&blame)?;
                continue;
            }
            while !piece.is_empty() {
                let len = piece.len().min(BATCH_LEN - batch.len());
                batch.extend_from_slice(&piece.split_to(len));
                if batch.len() == BATCH_LEN {
                    (sink, batch) = flush(sink, batch).await.map_err(&blame)?;
                }
            }
        }
    }
    if !batch.is_empty() {
        (sink, _) = flush(sink, batch).await.map_err(&blame)?;
    }
    Ok(sink)
}

/// Gives a batch to the sink and gets its memory back.
async fn flush<S: Sink>(sink: S, batch: Vec<u8>) -> Result<(S, Vec<u8>), S::Error> {
    let (sink, piece) = sink.take(Piece::Batch(batch)).await?;
    Ok((sink, piece.into_memory()))
}
