//! Sending a file: whole or in ranges, checked against its manifest before any byte leaves.

mod body;
mod buffers;

use std::{collections::VecDeque, ops::Range, time::Duration};

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use data_encoding::HEXLOWER;
use swift_chain::{FileRecord, NodeId};
use swift_chunks::{CHUNK_LEN, ContentReader, FileId, ReadError, StoreError};

use swift_p2p::driver::{Arriving, GRAINS_HEADER, SendGuard};
use tokio::{task, time::timeout};

use crate::{
    problem::Problem,
    range::{self, Wanted},
    services::Services,
};
use body::{Segment, Source};
pub(crate) use buffers::Buffers;

/// How long the first bytes of a file that is on its way are waited for. A second later, when it was asked who has it, the
/// client is told to come again.
const FIRST_WAIT: Duration = Duration::from_secs(29);

/// Answers a request for a file.
///
/// A member gets the bytes as they are on disk, also of a file that is still on its way here, and checks them. The
/// swarm is told of what it is sent. If it asks for the grain tree of the chunk, the head of the answer has it.
/// A client gets a file that is on its way in order, as fast as it comes.
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
    let mut opened = match member {
        Some(member) => {
            let part = wanted.only_part(record.entry.size).filter(|_| *method == Method::GET);
            let wants_grains = headers.contains_key(GRAINS_HEADER);
            open_for_member(services, file_id, member, part.unwrap_or_default(), wants_grains).await?
        }
        None => open(services, file_id).await?,
    };
    // What a client asks for before it is here is sent as it comes. A head alone begins nothing.
    let mut arriving = None;
    if member.is_none() && !opened.reader.is_complete() {
        arriving = match *method == Method::GET && wanted.has_bytes(record.entry.size) {
            true => services.swarm.read(file_id, wanted.parts(record.entry.size)).await??,
            false => services.swarm.arriving(file_id).await?,
        };
        if arriving.is_none() {
            // It may have come to its end since.
            opened = open(services, file_id).await?;
        }
    }
    let Opened { reader, grains, mut guard, mut first } = opened;
    let is_whole = reader.is_complete();
    // Not what the ledger says: the same bytes may be published under a false length and manifest as well.
    let len = arriving.as_ref().map_or(reader.layout(), Arriving::layout).file_len();
    if len != record.entry.size {
        (wanted, guard, first) = (wanted_of(len), None, Bytes::new());
    }
    let is_it = is_whole && len == record.entry.size;
    if !is_it && arriving.is_none() {
        if member.is_some() {
            check_held(&reader, &wanted, record)?;
        } else if is_whole || *method == Method::GET && wanted.has_bytes(len) {
            return Err(not_had(record));
        }
    }
    let source = match (member, arriving) {
        (_, Some(arriving)) => begin(services, arriving, &wanted, record, method).await?,
        (Some(_), None) => {
            let (up, buffers) = (services.limits.up().clone(), services.buffers().clone());
            Source::for_member(reader, first, guard, up, buffers, services.swarm.clone())
        }
        (None, None) => {
            Source::verified(reader, services.swarm.clone()).counted(services.metrics().content().clone())
        }
    };
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
    // A member asked for the bytes by their hash and does nothing with what else there is to say of them.
    if member.is_none() {
        describe(response.headers_mut(), record, &etag);
    }
    Ok(response)
}

/// A file that is about to be sent.
struct Opened {
    reader: ContentReader,
    /// The grain tree that was asked for.
    grains: Option<String>,
    guard: Option<SendGuard>,
    /// The first bytes of the part that a member asked for.
    first: Bytes,
}

async fn open(services: &Services, file_id: FileId) -> Result<Opened, Problem> {
    let store = services.store.clone();
    let reader = task::spawn_blocking(move || store.reader(file_id)).await;
    let reader = reader.map_err(|error| Problem::internal(&error))??;
    Ok(Opened { reader, grains: None, guard: None, first: Bytes::new() })
}

/// Does all that blocks before the first byte of an answer in one go: members ask often, and mostly for little.
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
    let (store, buffers) = (services.store.clone(), services.buffers().clone());
    let opened = task::spawn_blocking(move || -> Result<Opened, ReadError> {
        let reader = serving.reader(&store)?;
        // What is not here is said by whoever looks at the range.
        if part.is_empty() || !reader.can_read(part.clone()) {
            return Ok(Opened { reader, grains: None, guard: serving.into_guard(), first: Bytes::new() });
        }
        let chunk = reader.layout().chunk(part.start / CHUNK_LEN).filter(|_| wants_grains);
        let grains = chunk.map(|chunk| serving.grains(&reader, chunk)).transpose()?;
        let first = body::read_raw(&reader, &part, &buffers)?;
        Ok(Opened { reader, grains, guard: serving.into_guard(), first })
    });
    opened.await.map_err(|error| Problem::internal(&error))?.map_err(|error| match error {
        ReadError::Store(error @ StoreError::NotFound(_)) => Problem::not_found(error.to_string()),
        error @ (ReadError::NotHeld { .. } | ReadError::Rotten { .. }) => {
            Problem::not_found(error.to_string())
        }
        ReadError::Store(error) => error.into(),
    })
}

/// Why a client does not get a file that is neither complete here nor on its way.
fn not_had(record: &FileRecord) -> Problem {
    let name = record.entry.name.as_str();
    Problem::unavailable(format!("{name:?} cannot be had now: ask again, or look at the node's transfers"))
}

/// Begins to send what is on its way. Before the first byte is here nothing is promised.
async fn begin(
    services: &Services,
    arriving: Arriving,
    wanted: &Wanted,
    record: &FileRecord,
    method: &Method,
) -> Result<Source, Problem> {
    let parts = wanted.parts(arriving.layout().file_len());
    let counted = services.metrics().content().clone();
    let mut source = Source::arriving(arriving, services.swarm.clone()).counted(counted);
    let Some(first) = parts.into_iter().next().filter(|part| *method == Method::GET && !part.is_empty())
    else {
        return Ok(source);
    };
    match timeout(FIRST_WAIT, source.look_ahead(first)).await {
        Ok(Ok(())) => Ok(source),
        Ok(Err(error)) => Err(Problem::unavailable(error.to_string())),
        Err(_) => Err(not_yet(services, record).await?),
    }
}

/// Why a file that is on its way has not come so far that its first bytes could be sent.
async fn not_yet(services: &Services, record: &FileRecord) -> Result<Problem, Problem> {
    let (store, file_id) = (services.store.clone(), FileId::from_bytes(*record.entry.file_id.as_bytes()));
    let is_kept = task::spawn_blocking(move || store.is_kept(file_id)).await;
    let is_kept = is_kept.map_err(|error| Problem::internal(&error))??;
    let name = record.entry.name.as_str();
    Ok(Problem::unavailable(match services.swarm.holders(file_id).await?.is_empty() {
        true if is_kept => {
            format!(
                "{name:?} is still on its way to this node, and nobody can be reached who has all of it; ask again"
            )
        }
        true => format!(
            "this node does not keep {name:?}, and nobody can be reached who has all of it; ask again"
        ),
        false => format!("{name:?} is still on its way to this node; ask again"),
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

/// Headers of every answer about a file to a client.
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

pub(crate) fn matches_etag(headers: &HeaderMap, etag: &str) -> bool {
    let given = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    // If-None-Match compares weakly (RFC 9110, section 13.1.2).
    let is_it = |tag: &str| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag;
    given.is_some_and(|tags| tags.split(',').map(str::trim).any(is_it))
}

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
