//! Bodies with content: read piece by piece, as they are sent.

use std::{collections::VecDeque, ops::Range, time::Duration};

use axum::{body::Body, http::Method};
use bytes::Bytes;
use futures_util::stream;
use swift_chunks::{CHUNK_LEN, ContentReader, ReadError};
use swift_p2p::driver::{Arriving, SendGuard, SwarmHandle, Throttle};
use tokio::{task, time::timeout};

use super::buffers::Buffers;
use crate::metrics::ClientContent;

/// What other nodes, which check every byte themselves, are sent per read.
const RAW_READ_LEN: u64 = 512 * 1024;
/// What is read where it is sent: as much as the processor's cache still has when it is encrypted.
const CACHED_READ_LEN: usize = 128 * 1024;
/// How long a client waits for more of a file of which nothing comes.
const ARRIVAL_WAIT: Duration = Duration::from_secs(60);

/// A piece of a body.
pub(super) enum Segment {
    Text(String),
    Content(Range<u64>),
}

/// Where content comes from, and how it goes out.
pub(super) struct Source {
    content: Content,
    /// Members are sent no faster than the limit.
    pace: Option<Throttle>,
    guard: Option<SendGuard>,
    /// Is told of what clients are sent.
    counted: Option<ClientContent>,
    /// Is told of what has rotted.
    swarm: SwarmHandle,
    /// Was read, and is not sent yet.
    ready: Bytes,
}

enum Content {
    /// Checked before it leaves.
    Verified(ContentReader),
    /// As it is: its receiver checks it.
    Raw(ContentReader, Buffers),
    /// Checked, in order, as it comes.
    Arriving(Arriving),
}

/// Breaks a body off.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct ReadFailed(String);

impl Source {
    fn new(content: Content, swarm: SwarmHandle) -> Self {
        Self { content, pace: None, guard: None, counted: None, swarm, ready: Bytes::new() }
    }

    /// Counts what is read and handed out.
    pub(super) fn counted(self, counted: ClientContent) -> Self {
        Self { counted: Some(counted), ..self }
    }

    /// A complete file, for a client.
    pub(super) fn verified(reader: ContentReader, swarm: SwarmHandle) -> Self {
        Self::new(Content::Verified(reader), swarm)
    }

    /// What is here of a file, for a member. The first bytes of what will be sent may have been read already.
    pub(super) fn for_member(
        reader: ContentReader,
        first: Bytes,
        guard: Option<SendGuard>,
        up: Throttle,
        buffers: Buffers,
        swarm: SwarmHandle,
    ) -> Self {
        Self { pace: Some(up), guard, ready: first, ..Self::new(Content::Raw(reader, buffers), swarm) }
    }

    /// A file that is on its way, for a client.
    pub(super) fn arriving(arriving: Arriving, swarm: SwarmHandle) -> Self {
        Self::new(Content::Arriving(arriving), swarm)
    }

    /// Reads the first bytes of the first range that will be sent.
    pub(super) async fn look_ahead(&mut self, first: Range<u64>) -> Result<(), ReadFailed> {
        self.read(first).await
    }

    pub(super) fn body(self, segments: VecDeque<Segment>, method: &Method) -> Body {
        if *method == Method::HEAD {
            return Body::empty();
        }
        Body::from_stream(stream::try_unfold((self, segments), |(mut source, mut segments)| async move {
            let piece = source.next(&mut segments).await?;
            Ok::<_, ReadFailed>(piece.map(|piece| (piece, (source, segments))))
        }))
    }

    /// The next piece to send; none when all is sent.
    async fn next(&mut self, segments: &mut VecDeque<Segment>) -> Result<Option<Bytes>, ReadFailed> {
        loop {
            match segments.pop_front() {
                None => return Ok(None),
                Some(Segment::Text(text)) => return Ok(Some(text.into())),
                Some(Segment::Content(range)) if range.is_empty() => {}
                Some(Segment::Content(range)) => {
                    if self.ready.is_empty() {
                        self.read(range.clone()).await?;
                    }
                    let piece = self.take_ready().await;
                    segments.push_front(Segment::Content(range.start + piece.len() as u64..range.end));
                    return Ok(Some(piece));
                }
            }
        }
    }

    async fn read(&mut self, range: Range<u64>) -> Result<(), ReadFailed> {
        self.ready = self.content.read(range, &self.swarm).await?;
        if let Some(counted) = &self.counted {
            counted.read_chunk();
        }
        Ok(())
    }

    /// As much of what was read as may leave now.
    async fn take_ready(&mut self) -> Bytes {
        let Some(pace) = &self.pace else {
            if let Some(counted) = &self.counted {
                counted.sent(self.ready.len());
            }
            return std::mem::take(&mut self.ready);
        };
        let piece = self.ready.split_to(self.ready.len().min(pace.piece_len()));
        pace.pass(piece.len()).await;
        if let Some(guard) = &self.guard {
            guard.sent(piece.len());
        }
        piece
    }
}

impl Content {
    /// The first bytes of a range: as many as one read gives.
    async fn read(&mut self, range: Range<u64>, swarm: &SwarmHandle) -> Result<Bytes, ReadFailed> {
        match self {
            Self::Verified(reader) => {
                let reader = reader.clone();
                blocking(move || read_verified(&reader, &range), swarm).await
            }
            Self::Raw(reader, buffers) => {
                // What is in memory is read where it is encrypted, which costs less than to ask another thread.
                match read_cached(reader, &range, buffers) {
                    Ok(Some(piece)) => return Ok(piece),
                    Ok(None) => {}
                    Err(error) => return Err(broke_off(&error, swarm).await),
                }
                let (reader, buffers) = (reader.clone(), buffers.clone());
                blocking(move || read_raw(&reader, &range, &buffers), swarm).await
            }
            Self::Arriving(arriving) => read_arriving(arriving, range, swarm).await,
        }
    }
}

async fn blocking(
    read: impl FnOnce() -> Result<Bytes, ReadError> + Send + 'static,
    swarm: &SwarmHandle,
) -> Result<Bytes, ReadFailed> {
    match task::spawn_blocking(read).await {
        Ok(Ok(piece)) if !piece.is_empty() => Ok(piece),
        Ok(Ok(_)) => Err(ReadFailed("the content ends before its length".into())),
        Ok(Err(error)) => Err(broke_off(&error, swarm).await),
        Err(error) => Err(ReadFailed(error.to_string())),
    }
}

/// The status line is gone; the connection breaks off. What is rotten the store has quarantined, and the swarm fetches it
/// again.
async fn broke_off(error: &ReadError, swarm: &SwarmHandle) -> ReadFailed {
    tracing::error!(%error, "a download broke off");
    // A node that is stopping fetches it after its next start.
    if let ReadError::Rotten { file_id, .. } = error
        && swarm.keep_changed(Some(*file_id)).await.is_err()
    {
        tracing::debug!(%file_id, "nobody is left to fetch it again");
    }
    ReadFailed(error.to_string())
}

/// Waits until the first byte of the range is here, and reads what there is.
async fn read_arriving(
    arriving: &mut Arriving,
    range: Range<u64>,
    swarm: &SwarmHandle,
) -> Result<Bytes, ReadFailed> {
    let mut is_over = false;
    loop {
        arriving.seek(&range);
        let (content, range) = (arriving.content(), range.clone());
        match task::spawn_blocking(move || content.read(range)).await {
            Ok(Ok(Some(piece))) if !piece.is_empty() => return Ok(piece.into()),
            Ok(Ok(_)) if is_over => {
                return Err(ReadFailed("the file is not on its way to this node any more".into()));
            }
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(broke_off(&error, swarm).await),
            Err(error) => return Err(ReadFailed(error.to_string())),
        }
        match timeout(ARRIVAL_WAIT, arriving.progressed()).await {
            Ok(Ok(())) => {}
            // It is here now, as the next look shows, or it will not be.
            Ok(Err(_)) => is_over = true,
            Err(_) => return Err(ReadFailed("nothing more of the file has come for a while".into())),
        }
    }
}

/// The first bytes of a range for a member: of a slice mostly all of it.
pub(super) fn read_raw(
    reader: &ContentReader,
    range: &Range<u64>,
    buffers: &Buffers,
) -> Result<Bytes, ReadError> {
    let mut buffer = buffers.lend(raw_len(range));
    let len = reader.read_at(range.start, buffer.room())?;
    Ok(buffer.filled(len))
}

/// What of it can be read at once, without waiting for a disk.
fn read_cached(
    reader: &ContentReader,
    range: &Range<u64>,
    buffers: &Buffers,
) -> Result<Option<Bytes>, ReadError> {
    let mut buffer = buffers.lend(raw_len(range).min(CACHED_READ_LEN));
    let len = reader.read_cached_at(range.start, buffer.room())?;
    Ok((len > 0).then(|| buffer.filled(len)))
}

fn raw_len(range: &Range<u64>) -> usize {
    usize::try_from((range.end - range.start).min(RAW_READ_LEN)).unwrap_or(usize::MAX)
}

fn read_verified(reader: &ContentReader, range: &Range<u64>) -> Result<Bytes, ReadError> {
    let layout = reader.layout();
    let Some(chunk) = layout.chunk(range.start / CHUNK_LEN) else { return Ok(Bytes::new()) };
    let mut buffer = Vec::new();
    reader.read_verified_chunk(chunk, &mut buffer)?;
    let chunk = layout.range(chunk);
    let within = |offset: u64| usize::try_from(offset - chunk.start).unwrap_or(usize::MAX);
    Ok(Bytes::from(buffer).slice(within(range.start)..within(range.end.min(chunk.end))))
}
