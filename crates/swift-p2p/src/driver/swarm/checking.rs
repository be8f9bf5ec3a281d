//! Chunks that came in several slices, looked at as a whole.

use std::sync::Arc;

use swift_chunks::{ChunkIndex, ChunkWriteError, Download, FileId, StoreError};
use tracing::warn;

use super::{
    events::{CheckEnd, Event},
    incoming::Incoming,
    owner::Owner,
};
use crate::swarm::{CheckOutcome, FetchOutcome, Input};

impl Owner {
    /// Reads a chunk back, in a thread that may block, and reports. Chunks of one file that come to this close together
    /// are read in one go.
    pub(super) fn check_chunk(&self, file: FileId, chunk: ChunkIndex) {
        let Some(receiving) = self.files.get(&file).and_then(|entry| entry.receiving()) else { return };
        let (incoming, events) = (receiving.incoming.clone(), self.events.clone());
        if incoming.line_up(chunk) {
            self.work.spawn_blocking(move || {
                while let chunks = incoming.next_unchecked()
                    && !chunks.is_empty()
                {
                    for (chunk, end) in check(&incoming, &chunks) {
                        let _ = events.send(Event::Checked { file, chunk, end });
                    }
                }
            });
        }
    }

    pub(super) fn on_checked(&mut self, file: FileId, chunk: ChunkIndex, end: CheckEnd) {
        match end.outcome {
            CheckOutcome::Verified => {
                self.note_readable(file);
                self.note_verified(file, chunk);
            }
            CheckOutcome::Damaged => {
                warn!(%file, chunk = chunk.get(), reason = end.detail, "a chunk was not kept; it is fetched again");
                if end.is_disk_to_blame {
                    self.block(file, end.detail);
                }
            }
            CheckOutcome::ManifestFalse => {
                warn!(%file, chunk = chunk.get(), reason = end.detail, "the manifest is false");
            }
        }
        self.tell(Input::ChunkChecked { file, chunk, outcome: end.outcome });
    }
}

fn check(incoming: &Arc<Incoming>, chunks: &[ChunkIndex]) -> Vec<(ChunkIndex, CheckEnd)> {
    // Of a chunk whose grains are here since an earlier run, nothing has opened the download yet.
    let download = match incoming.open() {
        Ok(download) => download,
        Err(error) => {
            let is_false = matches!(error, StoreError::ManifestFalse(_));
            let outcome = if is_false { CheckOutcome::ManifestFalse } else { CheckOutcome::Damaged };
            let end = || CheckEnd { outcome, detail: error.to_string(), is_disk_to_blame: !is_false };
            return chunks.iter().map(|&chunk| (chunk, end())).collect();
        }
    };
    let settled = match *chunks {
        [a, b] => incoming.settle_both(&download, [a, b]).into(),
        _ => chunks.iter().map(|&chunk| incoming.settle(&download, chunk)).collect::<Vec<_>>(),
    };
    let ends = chunks.iter().zip(settled);
    ends.map(|(&chunk, settled)| (chunk, judged(incoming, &download, chunk, settled))).collect()
}

fn judged(
    incoming: &Incoming,
    download: &Download,
    chunk: ChunkIndex,
    settled: Result<(), ChunkWriteError>,
) -> CheckEnd {
    let ended = |outcome, detail: String, is_disk_to_blame| CheckEnd { outcome, detail, is_disk_to_blame };
    match settled {
        Ok(()) => ended(CheckOutcome::Verified, String::new(), false),
        // What a failed synchronisation took away was reported where it failed.
        Err(ChunkWriteError::Store(
            error @ (StoreError::GrainsMissing { .. }
            | StoreError::ChunkLost { .. }
            | StoreError::ChunkTaken { .. }),
        )) => ended(CheckOutcome::Damaged, error.to_string(), false),
        Err(error) => {
            let end = incoming.verdict(download, chunk, error);
            match end.outcome {
                FetchOutcome::ManifestFalse => ended(CheckOutcome::ManifestFalse, end.detail, false),
                _ => ended(CheckOutcome::Damaged, end.detail, true),
            }
        }
    }
}
