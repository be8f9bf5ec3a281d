//! A file's manifest, from a peer that holds the file.

use std::{
    io::{self, Read},
    sync::{Arc, atomic::Ordering},
};

use bytes::{Buf, Bytes};
use hyper::StatusCode;
use swift_chunks::{Download, InstallError, ManifestFault};
use tokio::{sync::mpsc, task};

use super::{
    events::FetchEnd,
    incoming::{Arrival, Arrived},
};
use crate::{
    swarm::FetchFailure,
    transport::{DialError, PeerClient},
};

/// Pieces between the connection and the thread that checks and writes them.
const PIECES_MAX: usize = 8;

/// Fetches and installs the manifest. It is judged before anything of it is used.
pub(super) async fn fetch(
    source: &PeerClient,
    download: &Arc<Download>,
    arrival: &Arrival<'_>,
    manifest_arrived: &Arrived,
) -> Result<(), FetchEnd> {
    let content = download.content();
    let path = format!("/peer/manifest?id={}&manifest={}", content.file_id, content.manifest_hash);
    let mut response = source.get(&path).send().await.map_err(|error| unreachable(&error))?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => {
            let detail = "nobody has been found who holds the file under the manifest that the ledger names";
            return Err(FetchEnd::failed(FetchFailure::OtherManifest, detail));
        }
        status => return Err(refused(status)),
    }
    let (pieces, inbox) = mpsc::channel(PIECES_MAX);
    let installing = {
        let download = download.clone();
        task::spawn_blocking(move || download.install_manifest(Pieces { inbox, rest: Bytes::new() }))
    };
    let broken = loop {
        match response.chunk().await {
            Ok(Some(mut frame)) => {
                let mut is_enough = false;
                while !frame.is_empty() && !is_enough {
                    let piece = arrival.next(&mut frame).await;
                    manifest_arrived.fetch_add(piece.len() as u64, Ordering::Relaxed);
                    // When the other end has seen enough it says so by its result.
                    is_enough = pieces.send(Ok(piece)).await.is_err();
                }
                if is_enough {
                    break None;
                }
            }
            Ok(None) => break None,
            Err(error) => {
                let _ = pieces.send(Err(io::Error::from(io::ErrorKind::ConnectionAborted))).await;
                break Some(unreachable(&error));
            }
        }
    };
    drop(pieces);
    let Ok(installed) = installing.await else {
        return Err(FetchEnd::failed(FetchFailure::Storage, "the manifest's thread ended"));
    };
    match (installed, broken) {
        (Ok(()), _) => Ok(()),
        (Err(InstallError::Manifest(fault @ ManifestFault::ManifestFalse)), _) => {
            Err(FetchEnd::manifest_false(fault.to_string()))
        }
        (Err(InstallError::Store(error)), _) => Err(FetchEnd::of_store(&error)),
        (Err(_), Some(broken)) => Err(broken),
        (Err(InstallError::Manifest(fault)), None) => Err(FetchEnd::wrong(fault.to_string())),
    }
}

/// No verdict on any bytes: the connection failed.
pub(super) fn unreachable(error: &DialError) -> FetchEnd {
    FetchEnd::failed(FetchFailure::Unreachable, error.to_string())
}

/// The peer answered, with something else than what was asked for.
pub(super) fn refused(status: StatusCode) -> FetchEnd {
    let failure = match status {
        StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::RANGE_NOT_SATISFIABLE => {
            FetchFailure::NotThere
        }
        _ => FetchFailure::Refused,
    };
    FetchEnd::failed(failure, format!("the node answered {status}"))
}

/// Pieces of a body as a reader that blocks.
struct Pieces {
    inbox: mpsc::Receiver<io::Result<Bytes>>,
    rest: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.inbox.blocking_recv() {
                Some(piece) => self.rest = piece?,
                None => return Ok(0),
            }
        }
        let len = buffer.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut buffer[..len]);
        Ok(len)
    }
}
