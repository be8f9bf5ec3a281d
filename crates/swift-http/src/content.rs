//! Sending a file: whole or in ranges, checked against its manifest before any byte leaves.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use futures_util::stream;
use swift_chain::{FileRecord, NodeId};
use swift_chunks::{CHUNK_LEN, ContentReader, FileId, ReadError, StoreError};
use swift_p2p::driver::{GRAINS_HEADER, SendGuard};
use tokio::task;

use crate::{
    problem::Problem,
    range::{self, Wanted},
    services::Services,
};

/// What other nodes, which check every byte themselves, are sent per read.
const RAW_READ_LEN: u64 = 512 * 1024;

/// Answers a request for a file.
///
/// A member gets the bytes as they are on disk, also of a file that is still on its way here, and checks them. The
/// swarm is told of what it is sent. If it asks for the grain tree of the chunk, the head of the answer has it.
pub(crate) async fn send(
    services: &Services,
    record: &FileRecord,
    method: &Method,
    headers: &HeaderMap,
    member: Option<NodeId>,
) -> Result<Response, Problem> {
    let file_id = FileId::from_bytes(*record.entry.file_id.as_bytes());
    let etag = format!("\"{file_id}\"");
    if matches_etag(headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    // Ranges are defined for GET only (RFC 9110, section 14.2).
    let wanted_of =
        |len| if *method == Method::GET { range::wanted(headers, len, &etag) } else { Wanted::Whole };
    let mut wanted = wanted_of(record.entry.size);
    let Opened { reader, grains, mut guard } = match member {
        Some(member) => {
            let part = wanted.only_part(record.entry.size).filter(|_| *method == Method::GET);
            let wants_grains = headers.contains_key(GRAINS_HEADER);
            open_for_member(services, file_id, member, part.unwrap_or_default(), wants_grains).await?
        }
        None => open(services, file_id).await?,
    };
    // Not what the ledger says: the same bytes may be published under a false length and manifest as well.
    let len = reader.layout().file_len();
    if len != record.entry.size {
        (wanted, guard) = (wanted_of(len), None);
    }
    let is_it = reader.is_complete() && len == record.entry.size;
    if !is_it {
        if member.is_none() {
            return Err(not_here(services, record).await?);
        }
        check_held(&reader, &wanted, record)?;
    }
    let source = Source::new(reader, member.is_some(), guard);
    let mut response = match wanted {
        Wanted::Whole => whole(source, len, method),
        Wanted::Parts(parts) => match parts.as_slice() {
            [part] => single(source, part.clone(), len, method),
            _ => several(source, &parts, len, method, file_id),
        },
        Wanted::Unsatisfiable => {
            let range = format!("bytes */{len}");
            (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, range)]).into_response()
        }
    };
    if let Some(grains) = grains.and_then(|grains| HeaderValue::try_from(grains).ok()) {
        response.headers_mut().insert(GRAINS_HEADER, grains);
    }
    describe(response.headers_mut(), record, &etag);
    Ok(response)
}

/// A file that is about to be sent.
struct Opened {
    reader: ContentReader,
    /// The grain tree that was asked for.
    grains: Option<String>,
    guard: Option<SendGuard>,
}

async fn open(services: &Services, file_id: FileId) -> Result<Opened, Problem> {
    let store = services.store.clone();
    let reader = task::spawn_blocking(move || store.reader(file_id)).await;
    let reader = reader.map_err(|error| Problem::internal(&error))??;
    Ok(Opened { reader, grains: None, guard: None })
}

async fn open_for_member(
    services: &Services,
    file_id: FileId,
    member: NodeId,
    part: Range<u64>,
    wants_grains: bool,
) -> Result<Opened, Problem> {
    let serving = services.swarm.serve(member, file_id, part.clone()).await?;
    if serving.is_given_up() {
        return Err(Problem::conflict("manifest_false", "the file's manifest is false; it was given up"));
    }
    let store = services.store.clone();
    let opened = task::spawn_blocking(move || -> Result<Opened, ReadError> {
        let reader = serving.reader(&store)?;
        let chunk =
            reader.layout().chunk(part.start / CHUNK_LEN).filter(|_| wants_grains && !part.is_empty());
        // What is not here is said by whoever looks at the range.
        let chunk = chunk.filter(|_| reader.can_read(part));
        let grains = chunk.map(|chunk| serving.grains(&reader, chunk)).transpose()?;
        Ok(Opened { reader, grains, guard: serving.into_guard() })
    });
    opened.await.map_err(|error| Problem::internal(&error))?.map_err(|error| match error {
        ReadError::Store(error @ StoreError::NotFound(_)) => Problem::not_found(error.to_string()),
        error @ (ReadError::NotHeld { .. } | ReadError::Rotten { .. }) => {
            Problem::not_found(error.to_string())
        }
        ReadError::Store(error) => error.into(),
    })
}

/// Why a client does not get a file that is not complete here.
async fn not_here(services: &Services, record: &FileRecord) -> Result<Problem, Problem> {
    let (store, file_id) = (services.store.clone(), FileId::from_bytes(*record.entry.file_id.as_bytes()));
    let is_kept = task::spawn_blocking(move || store.is_kept(file_id)).await;
    let name = record.entry.name.as_str();
    Ok(Problem::unavailable(match is_kept.map_err(|error| Problem::internal(&error))?? {
        true => format!("{name:?} is still on its way to this node; ask again"),
        false => format!("this node does not keep {name:?}: pin it here, or ask a node that has it"),
    }))
}

/// Lets members have what is here of a file that is not complete.
fn check_held(reader: &ContentReader, wanted: &Wanted, record: &FileRecord) -> Result<(), Problem> {
    let name = record.entry.name.as_str();
    let parts = wanted.parts(reader.layout().file_len());
    if parts.into_iter().all(|part| reader.can_read(part)) {
        return Ok(());
    }
    Err(Problem::not_found(format!("these bytes of {name:?} are not here yet")))
}

/// Headers of every answer about a file.
fn describe(headers: &mut HeaderMap, record: &FileRecord, etag: &str) {
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Ok(etag) = HeaderValue::from_str(etag) {
        headers.insert(header::ETAG, etag);
    }
    attach(headers, last_part(record));
}

/// What a file is called without its folders.
pub(crate) fn last_part(record: &FileRecord) -> &str {
    record.entry.name.as_str().rsplit('/').next().unwrap_or_default()
}

/// Makes an answer a download under this name, never a page of this origin.
pub(crate) fn attach(headers: &mut HeaderMap, name: &str) {
    headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    let disposition = format!("attachment; filename*=UTF-8''{}", percent_encoded(name));
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
}

fn whole(source: Source, len: u64, method: &Method) -> Response {
    let segments = VecDeque::from([Segment::Content(0..len)]);
    let mut response = source.body(segments, method).into_response();
    response.headers_mut().insert(header::CONTENT_LENGTH, len.into());
    response
}

fn single(source: Source, part: Range<u64>, len: u64, method: &Method) -> Response {
    let content_range = content_range(&part, len);
    let part_len = part.end - part.start;
    let segments = VecDeque::from([Segment::Content(part)]);
    let body = source.body(segments, method);
    let mut response =
        (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, content_range)], body).into_response();
    response.headers_mut().insert(header::CONTENT_LENGTH, part_len.into());
    response
}

/// `multipart/byteranges` (RFC 9110, section 14.6).
fn several(source: Source, parts: &[Range<u64>], len: u64, method: &Method, file_id: FileId) -> Response {
    // Must not occur in the content; nobody can make content that contains a part of its own hash.
    let boundary = HEXLOWER.encode(&file_id.as_bytes()[..16]);
    let (mut segments, mut total) = (VecDeque::new(), 0);
    for part in parts {
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: {}\r\n\r\n",
            content_range(part, len)
        );
        total += head.len() as u64 + (part.end - part.start);
        segments.push_back(Segment::Text(head));
        segments.push_back(Segment::Content(part.clone()));
    }
    let tail = format!("\r\n--{boundary}--\r\n");
    total += tail.len() as u64;
    segments.push_back(Segment::Text(tail));
    let content_type = format!("multipart/byteranges; boundary={boundary}");
    let body = source.body(segments, method);
    let mut response =
        (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_TYPE, content_type)], body).into_response();
    response.headers_mut().insert(header::CONTENT_LENGTH, total.into());
    response
}

fn content_range(part: &Range<u64>, len: u64) -> String {
    format!("bytes {}-{}/{len}", part.start, part.end - 1)
}

fn matches_etag(headers: &HeaderMap, etag: &str) -> bool {
    let given = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    // If-None-Match compares weakly (RFC 9110, section 13.1.2).
    let is_it = |tag: &str| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag;
    given.is_some_and(|tags| tags.split(',').map(str::trim).any(is_it))
}

/// A piece of a body.
enum Segment {
    Text(String),
    Content(Range<u64>),
}

/// Where content comes from.
struct Source {
    content: Arc<Content>,
    guard: Option<SendGuard>,
}

/// What a blocking thread reads from.
struct Content {
    reader: ContentReader,
    is_raw: bool,
    /// Buffers of this body that are free again.
    free: Mutex<Vec<Vec<u8>>>,
}

impl Source {
    fn new(reader: ContentReader, is_raw: bool, guard: Option<SendGuard>) -> Self {
        Self { content: Arc::new(Content { reader, is_raw, free: Mutex::default() }), guard }
    }

    fn body(self, segments: VecDeque<Segment>, method: &Method) -> Body {
        if *method == Method::HEAD {
            return Body::empty();
        }
        let state = (self, segments);
        Body::from_stream(stream::try_unfold(state, |(source, mut segments)| async move {
            loop {
                match segments.pop_front() {
                    None => return Ok::<_, ReadFailed>(None),
                    Some(Segment::Text(text)) => return Ok(Some((Bytes::from(text), (source, segments)))),
                    Some(Segment::Content(range)) if range.is_empty() => {}
                    Some(Segment::Content(range)) => {
                        let at = range.start;
                        let piece = read(source.content.clone(), range.clone()).await?;
                        segments.push_front(Segment::Content(at + piece.len() as u64..range.end));
                        if let Some(guard) = &source.guard {
                            guard.sent(piece.len());
                        }
                        return Ok(Some((piece, (source, segments))));
                    }
                }
            }
        }))
    }
}

/// The first bytes of a range: as many as one read gives.
async fn read(content: Arc<Content>, range: Range<u64>) -> Result<Bytes, ReadFailed> {
    let read = task::spawn_blocking(move || {
        if content.is_raw { read_raw(&content, &range) } else { content.read_verified(&range) }
    });
    match read.await {
        Ok(Ok(piece)) if !piece.is_empty() => Ok(piece),
        Ok(Ok(_)) => Err(ReadFailed("the content ends before its length".into())),
        Ok(Err(error)) => {
            // The status line is gone; the connection breaks off, and the store has quarantined what is rotten.
            tracing::error!(%error, "a download broke off");
            Err(ReadFailed(error.to_string()))
        }
        Err(error) => Err(ReadFailed(error.to_string())),
    }
}

/// Reads into a buffer that comes back when the connection is done with it: two serve a body of any length.
fn read_raw(content: &Arc<Content>, range: &Range<u64>) -> Result<Bytes, ReadError> {
    let len = usize::try_from((range.end - range.start).min(RAW_READ_LEN)).unwrap_or(usize::MAX);
    let mut buffer = content.free().pop().unwrap_or_default();
    buffer.resize(len, 0);
    let len = content.reader.read_at(range.start, &mut buffer)?;
    buffer.truncate(len);
    Ok(Bytes::from_owner(Lent { buffer, home: content.clone() }))
}

impl Content {
    fn read_verified(&self, range: &Range<u64>) -> Result<Bytes, ReadError> {
        let layout = self.reader.layout();
        let Some(chunk) = layout.chunk(range.start / CHUNK_LEN) else { return Ok(Bytes::new()) };
        let mut buffer = Vec::new();
        self.reader.read_verified_chunk(chunk, &mut buffer)?;
        let chunk = layout.range(chunk);
        let within = |offset: u64| usize::try_from(offset - chunk.start).unwrap_or(usize::MAX);
        Ok(Bytes::from(buffer).slice(within(range.start)..within(range.end.min(chunk.end))))
    }

    fn free(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer on its way out.
struct Lent {
    buffer: Vec<u8>,
    home: Arc<Content>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.home.free().push(std::mem::take(&mut self.buffer));
    }
}

/// Breaks a body off.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct ReadFailed(String);

/// RFC 8187's `ext-value` and RFC 3986's unreserved characters.
fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
