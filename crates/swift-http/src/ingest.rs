//! Taking a file in: from a request's body to staged content, in one pass, without ever holding more than a few pieces.

use std::time::Duration;

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use swift_chain::{Action, FileEntry, FileName, FileRecord, Hash, Label, Rejection, Role, Settled};
use swift_chunks::{CHUNK_LEN, ContentRef, Staged};
use swift_p2p::driver::Publishing;
use tokio::{
    sync::mpsc::{self, Permit, PermitIterator},
    task,
    time::timeout,
};

use crate::{
    access::owns, problem::Problem, services::Services, tokens::TokenRecord, v1::Expected, wait::Wait,
};

/// A body that brings nothing for this long has broken off; what was set aside for it is free again.
const PIECE_PATIENCE: Duration = Duration::from_secs(60);
/// Pieces of a body between the network and the disk.
const PIECES_MAX: usize = 8;
/// Of these, how many have to be written before more are read, once all are there: to wake for each costs more than to
/// read it.
const PIECES_AT_ONCE: usize = 4;

/// What to do when the name holds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfTaken {
    /// Refuse, unless it is the same content.
    Refuse,
    /// Put the new content in its place.
    Replace,
}

/// A file that was taken in: durable here whatever happens.
pub(crate) struct Ingested {
    /// As the ledger has it, or will.
    pub(crate) file: FileEntry,
    /// The block; none when that was not to be waited for.
    pub(crate) settled: Option<Settled>,
}

/// A file on its way in, with everything checked that can be known before its first byte.
pub(crate) struct Ingest<'s> {
    services: &'s Services,
    name: FileName,
    replaces: Option<Hash>,
    label: Label,
}

impl<'s> Ingest<'s> {
    /// Checks name, role and ownership before a body is read.
    pub(crate) async fn begin(
        services: &'s Services,
        token: &TokenRecord,
        name: FileName,
        if_taken: IfTaken,
        expected: &Expected,
        len: Option<u64>,
    ) -> Result<Self, Problem> {
        let (node, checked_name) = (services.key.id(), name.clone());
        let live = services.ledger.read(move |reader| reader.file(&checked_name.key())).await?;
        let role = services.ledger.members().member(&node).map(|member| member.role);
        if role.is_none_or(|role| role < Role::Publisher) {
            return Err(Problem::forbidden("this node's role in the network does not allow it to publish"));
        }
        expected.check(live.as_ref().filter(|live| live.entry.name == name))?;
        let mut replaces = None;
        if let Some(live) = live {
            let is_same_file = live.entry.name == name && live.publisher == node;
            match if_taken {
                IfTaken::Replace if live.entry.name == name => {
                    if !owns(token, published_by(services, &live).await?.as_ref()) {
                        return Err(Problem::forbidden(format!(
                            "{:?} was not published with this token; that needs the scope admin",
                            name.as_str()
                        )));
                    }
                    replaces = Some(live.entry.file_id);
                }
                // Only the content can tell whether this is the same file once more.
                IfTaken::Refuse if is_same_file && len.is_none_or(|len| len == live.entry.size) => {}
                _ => {
                    let (name, publisher) = (live.entry.name, live.publisher);
                    let file_id = live.entry.file_id;
                    return Err(Rejection::NameTaken { name, publisher, file_id }.into());
                }
            }
        }
        Ok(Self { services, name, replaces, label: token.label.clone() })
    }

    /// Reads the body to its end, publishes it and waits as wanted. When the body breaks off, nothing remains of it.
    pub(crate) async fn take<E: std::fmt::Display>(
        self,
        body: impl Stream<Item = Result<Bytes, E>>,
        len: Option<u64>,
        wait: Wait,
    ) -> Result<Ingested, Problem> {
        let Self { services, name, replaces, label } = self;
        let staged = stage(services, body, len).await?;
        let publishing = services.publisher.publish(staged, name, replaces, Some(label), random()?).await?;
        settled(services, publishing, wait).await
    }

    /// Publishes content that is whole here already, and waits as wanted.
    pub(crate) async fn publish_again(self, content: ContentRef, wait: Wait) -> Result<Ingested, Problem> {
        let Self { services, name, label, .. } = self;
        let publishing = services.publisher.publish_again(content, name, Some(label), random()?).await?;
        settled(services, publishing, wait).await
    }
}

async fn settled(services: &Services, publishing: Publishing, wait: Wait) -> Result<Ingested, Problem> {
    if wait == Wait::None && publishing.is_open() {
        return Ok(Ingested { file: publishing.file().clone(), settled: None });
    }
    let published = services.finality.within(publishing.settled()).await??;
    Ok(Ingested { file: published.file, settled: Some(published.settled) })
}

/// Which token published a live file, as the block says; none for one of another node.
pub(crate) async fn published_by(services: &Services, live: &FileRecord) -> Result<Option<Label>, Problem> {
    if live.publisher != services.key.id() {
        return Ok(None);
    }
    let (height, name) = (live.height, live.entry.name.clone());
    let sealed = services.ledger.read(move |reader| reader.block(height)).await?;
    let transactions = sealed.map(|sealed| sealed.block.transactions).unwrap_or_default();
    let published =
        transactions.into_iter().rev().map(|signed| signed.transaction).find(
            |transaction| matches!(&transaction.action, Action::AddFile { file, .. } if file.name == name),
        );
    Ok(published.and_then(|transaction| transaction.on_behalf_of))
}

/// What goes from the network to the disk. A body that breaks off has no end.
enum Piece {
    Bytes(Bytes),
    End,
}

/// The next place between the network and the disk; none if the writer has given up.
async fn place<'a>(
    pieces: &'a mpsc::Sender<Piece>,
    places: &mut Option<PermitIterator<'a, Piece>>,
) -> Option<Permit<'a, Piece>> {
    if let Some(place) = places.as_mut().and_then(Iterator::next) {
        return Some(place);
    }
    places.insert(pieces.reserve_many(PIECES_AT_ONCE).await.ok()?).next()
}

async fn stage<E: std::fmt::Display>(
    services: &Services,
    body: impl Stream<Item = Result<Bytes, E>>,
    len: Option<u64>,
) -> Result<Staged, Problem> {
    let store = services.store.clone();
    // Room is set aside, or refused, before the first byte is asked for.
    let begun = task::spawn_blocking(move || store.begin_upload(len)).await;
    let mut upload = begun.map_err(|error| Problem::internal(&error))??;
    let (pieces, mut inbox) = mpsc::channel(PIECES_MAX);
    // Hashing and writing block, so they have a thread of their own for as long as the body comes.
    let writer = task::spawn_blocking(move || {
        while let Some(piece) = inbox.blocking_recv() {
            match piece {
                Piece::Bytes(bytes) => upload.write(&bytes)?,
                Piece::End => return upload.finish().map(Some),
            }
        }
        Ok(None)
    });
    let mut body = std::pin::pin!(body);
    let (mut broken, mut places) = (None, None);
    loop {
        let piece = match timeout(PIECE_PATIENCE, body.next()).await {
            Ok(Some(piece)) => piece,
            Ok(None) => break,
            Err(_) => {
                broken = Some(format!("nothing came for {} s", PIECE_PATIENCE.as_secs()));
                break;
            }
        };
        match piece {
            Ok(bytes) => {
                services.metrics().content().received(bytes.len());
                // The writer has given up; it says why below.
                let Some(place) = place(&pieces, &mut places).await else { break };
                place.send(Piece::Bytes(bytes));
            }
            Err(error) => {
                broken = Some(error.to_string());
                break;
            }
        }
    }
    if broken.is_none()
        && let Some(place) = place(&pieces, &mut places).await
    {
        place.send(Piece::End);
    }
    drop(places);
    drop(pieces);
    let staged = writer.await.map_err(|error| Problem::internal(&error))??;
    if let Some(staged) = &staged {
        services.metrics().content().took_in(staged.len.div_ceil(CHUNK_LEN));
    }
    staged.ok_or_else(|| {
        let why = broken.unwrap_or_default();
        Problem::new(
            axum::http::StatusCode::BAD_REQUEST,
            "length_mismatch",
            format!("the body broke off: {why}; nothing was stored"),
        )
    })
}

/// How long a body says it is.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse().ok())
}

/// Bytes from the system's random source.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Problem::internal(&error))?;
    Ok(bytes)
}
