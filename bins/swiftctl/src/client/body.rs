//! The body of an upload, and whether it still moves.

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use indicatif::ProgressBar;
use reqwest::{Body, RequestBuilder};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::Instant,
};
use tokio_util::io::ReaderStream;

/// Bytes read at once.
const PIECE_LEN: usize = 256 << 10;
/// How often a standstill is looked for.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// Content on its way to a node.
pub(crate) struct Upload {
    source: Box<dyn AsyncRead + Send + Sync + Unpin>,
    len: Option<u64>,
    bar: ProgressBar,
}

/// How far an upload is. The body counts, the watch looks.
#[derive(Default)]
struct Progress {
    sent: AtomicU64,
    ended: AtomicBool,
    /// What is wrong with the source.
    fault: OnceLock<String>,
}

/// Looks whether an upload still moves.
pub(super) struct Watch {
    progress: Arc<Progress>,
    /// A source without an end in sight may be a program that takes its time: only files must keep moving.
    must_move: bool,
    bar: ProgressBar,
}

impl Upload {
    /// Of a source; `len` when it is known beforehand. Not more than that is sent, should the source have grown.
    pub(crate) fn new(
        source: impl AsyncRead + Send + Sync + Unpin + 'static,
        len: Option<u64>,
        bar: ProgressBar,
    ) -> Self {
        let source: Box<dyn AsyncRead + Send + Sync + Unpin> = match len {
            Some(len) => Box::new(source.take(len)),
            None => Box::new(source),
        };
        Self { source, len, bar }
    }

    /// How long it is, when that is known.
    pub(super) fn len(&self) -> Option<u64> {
        self.len
    }

    /// Makes it the body of a request.
    pub(super) fn attach(self, request: RequestBuilder) -> (RequestBuilder, Watch) {
        let progress = Arc::new(Progress::default());
        let Self { source, len, bar } = self;
        let watch = Watch { progress: Arc::clone(&progress), must_move: len.is_some(), bar: bar.clone() };
        let request = match len {
            Some(len) => request.header("content-length", len),
            None => request,
        };
        if len == Some(0) {
            progress.ended.store(true, Ordering::Relaxed);
            return (request.body(Vec::new()), watch);
        }
        let counted = Arc::clone(&progress);
        let pieces = ReaderStream::with_capacity(source, PIECE_LEN).inspect(move |piece| match piece {
            Ok(piece) => {
                let len_now = piece.len() as u64;
                let sent = counted.sent.fetch_add(len_now, Ordering::Relaxed) + len_now;
                bar.inc(len_now);
                counted.ended.store(len.is_some_and(|len| sent >= len), Ordering::Relaxed);
            }
            Err(error) => {
                let _ = counted.fault.set(format!("its source cannot be read: {error}"));
            }
        });
        // A source of unknown length ends when it says so; another one must not end early.
        let counted = progress;
        let end = futures_util::stream::poll_fn(move |_| {
            counted.ended.store(true, Ordering::Relaxed);
            let sent = counted.sent.load(Ordering::Relaxed);
            if let Some(len) = len.filter(|len| sent < *len) {
                let _ = counted
                    .fault
                    .set(format!("its source has {sent} bytes now, and had {len}; repeat the command"));
            }
            std::task::Poll::Ready(None)
        });
        (request.body(Body::wrap_stream(pieces.chain(end))), watch)
    }
}

/// A body that never comes.
pub(super) fn held_back() -> Body {
    Body::wrap_stream(futures_util::stream::pending::<io::Result<Vec<u8>>>())
}

impl Watch {
    /// Returns when nothing was sent for the one time, or after all was sent no answer came for the other.
    pub(super) async fn stalls(&self, sending: Duration, answering: Duration) {
        let (mut last, mut since) = (self.look(), Instant::now());
        loop {
            tokio::time::sleep(WATCH_INTERVAL).await;
            let now = self.look();
            if now != last {
                (last, since) = (now, Instant::now());
            }
            let limit = match last {
                (_, true) => answering,
                (_, false) if self.must_move => sending,
                (_, false) => Duration::MAX,
            };
            if since.elapsed() >= limit {
                return;
            }
        }
    }

    /// Nothing came of it: what was sent does not count any more.
    pub(super) fn take_back(&self) {
        self.bar.dec(self.look().0);
    }

    /// Why the source, and not the node, is to blame.
    pub(super) fn fault(&self) -> Option<&str> {
        self.progress.fault.get().map(String::as_str)
    }

    fn look(&self) -> (u64, bool) {
        (self.progress.sent.load(Ordering::Relaxed), self.progress.ended.load(Ordering::Relaxed))
    }
}
