//! Where the bytes of a fetch go: into their place, or into memory while somebody else has it.

use swift_chunks::{
    ChunkVerifier, ChunkWriteError, ChunkWriter, Download, GrainTree, SliceVerifier, SliceWriteError,
    SliceWriter, StoreError,
};

use super::{super::incoming::Note, Fetch, FetchEnd};

/// Takes the bytes of a fetch as they come.
pub(super) trait Sink {
    /// Why it takes no more.
    type Error;

    fn take(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
}

pub(super) enum ChunkSink {
    InPlace(ChunkWriter, Note),
    Aside(ChunkVerifier, Vec<u8>),
}

impl Sink for ChunkSink {
    type Error = ChunkWriteError;

    fn take(&mut self, bytes: &[u8]) -> Result<(), ChunkWriteError> {
        match self {
            Self::InPlace(writer, _) => writer.write(bytes),
            Self::Aside(verifier, collected) => {
                verifier.update(bytes)?;
                collected.extend_from_slice(bytes);
                Ok(())
            }
        }
    }
}

pub(super) enum PartSink {
    InPlace(SliceWriter, Note),
    Aside(SliceVerifier, Vec<u8>),
}

impl Sink for PartSink {
    type Error = SliceWriteError;

    fn take(&mut self, bytes: &[u8]) -> Result<(), SliceWriteError> {
        match self {
            Self::InPlace(writer, _) => writer.write(bytes),
            Self::Aside(verifier, collected) => {
                verifier.update(bytes)?;
                collected.extend_from_slice(bytes);
                Ok(())
            }
        }
    }
}

impl Fetch {
    /// Bytes are written in place, unless somebody else is at it: then they are collected, and who has all of them
    /// first wins.
    pub(super) fn sink_for_chunk(&self, download: &Download) -> Result<ChunkSink, FetchEnd> {
        if let Some((writer, note)) = self.chunk_writer(download)? {
            return Ok(ChunkSink::InPlace(writer, note));
        }
        let chunk = self.slice.chunk();
        let digest = download.digest(chunk).map_err(|error| FetchEnd::of_store(&error))?;
        let verifier = ChunkVerifier::new(self.file.content.file_id, download.layout(), chunk, digest);
        Ok(ChunkSink::Aside(verifier, Vec::new()))
    }

    pub(super) fn sink_for_part(&self, download: &Download, tree: &GrainTree) -> Result<PartSink, FetchEnd> {
        match download.slice_writer(self.slice, tree) {
            Ok(writer) => {
                let note = self.file.note_writer(self.slice, self.grains(download), self.stop.clone());
                Ok(PartSink::InPlace(writer, note))
            }
            Err(StoreError::SliceTaken { .. }) => {
                Ok(PartSink::Aside(SliceVerifier::new(self.slice, tree), Vec::new()))
            }
            Err(error) => Err(FetchEnd::of_store(&error)),
        }
    }

    /// Opens the chunk for writing in place; nothing if somebody else has some of it.
    pub(super) fn chunk_writer(&self, download: &Download) -> Result<Option<(ChunkWriter, Note)>, FetchEnd> {
        match download.chunk_writer(self.slice.chunk()) {
            Ok(writer) => {
                let note = self.file.note_writer(self.slice, self.grains(download), self.stop.clone());
                Ok(Some((writer, note)))
            }
            Err(StoreError::ChunkTaken { .. }) => Ok(None),
            Err(error) => Err(FetchEnd::of_store(&error)),
        }
    }

    pub(super) fn blame_chunk(&self, download: &Download, error: ChunkWriteError) -> FetchEnd {
        self.file.verdict(download, self.slice.chunk(), error)
    }
}

/// Whom the failure of a slice blames.
pub(super) fn blame_part(error: SliceWriteError) -> FetchEnd {
    match error {
        SliceWriteError::Fault(fault) => FetchEnd::wrong(fault.to_string()),
        SliceWriteError::Store(error) => FetchEnd::of_store(&error),
    }
}
