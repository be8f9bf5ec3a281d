//! Content that clients send and get.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Counts since the node started. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientContent(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    received_bytes: AtomicU64,
    received_chunks: AtomicU64,
    sent_bytes: AtomicU64,
    sent_chunks: AtomicU64,
}

/// How much moved one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) bytes: u64,
    pub(crate) chunks: u64,
}

impl ClientContent {
    /// A client sent some of an upload.
    pub(crate) fn received(&self, bytes: usize) {
        self.0.received_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// An upload came to its end.
    pub(crate) fn took_in(&self, chunks: u64) {
        self.0.received_chunks.fetch_add(chunks, Ordering::Relaxed);
    }

    /// Some of a file was handed out.
    pub(crate) fn sent(&self, bytes: usize) {
        self.0.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A chunk, or a part of one, was read and checked to be handed out.
    pub(crate) fn read_chunk(&self) {
        self.0.sent_chunks.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn all_received(&self) -> Moved {
        Self::moved(&self.0.received_bytes, &self.0.received_chunks)
    }

    pub(crate) fn all_sent(&self) -> Moved {
        Self::moved(&self.0.sent_bytes, &self.0.sent_chunks)
    }

    fn moved(bytes: &AtomicU64, chunks: &AtomicU64) -> Moved {
        Moved { bytes: bytes.load(Ordering::Relaxed), chunks: chunks.load(Ordering::Relaxed) }
    }
}
