//! Where the bytes of a fetch go: into their place, or into memory while somebody else has it.

use std::{future::Future, sync::Arc};

use swift_chunks::{
    ChunkVerifier, ChunkWriteError, ChunkWriter, Download, GrainTree, SliceVerifier, SliceWriteError,
    SliceWriter, StoreError,
};

use super::{
    super::incoming::Note,
    Fetch, FetchEnd,
    desk::{Desk, Piece, Turn},
};

/// Takes the bytes of a fetch as they come.
pub(super) trait Sink: Sized {
    /// Why it takes no more.
    type Error;

    /// Takes a piece, and gives its memory back.
    fn take(self, piece: Piece) -> impl Future<Output = Result<(Self, Piece), Self::Error>> + Send;
}

pub(super) enum ChunkSink {
    InPlace(Box<ChunkWriter>, Turn, Note),
    Aside(Box<ChunkVerifier>, Vec<u8>),
}

impl Sink for ChunkSink {
    type Error = ChunkWriteError;

    async fn take(self, piece: Piece) -> Result<(Self, Piece), ChunkWriteError> {
        match self {
            Self::InPlace(writer, turn, note) => {
                let (writer, piece) = turn.write(writer, piece).await?;
                Ok((Self::InPlace(writer, turn, note), piece))
            }
            Self::Aside(mut verifier, mut collected) => {
                verifier.update(&piece)?;
                collected.extend_from_slice(&piece);
                Ok((Self::Aside(verifier, collected), piece))
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

    async fn take(mut self, piece: Piece) -> Result<(Self, Piece), SliceWriteError> {
        match &mut self {
            Self::InPlace(writer, _) => writer.write(&piece)?,
            Self::Aside(verifier, collected) => {
                verifier.update(&piece)?;
                collected.extend_from_slice(&piece);
            }
        }
        Ok((self, piece))
    }
}

impl Fetch {
    /// Bytes are written in place, unless somebody else is at it: then they are collected, and who has all of them
    /// first wins.
    pub(super) fn sink_for_chunk(
        &self,
        download: &Download,
        desk: &Arc<Desk>,
    ) -> Result<ChunkSink, FetchEnd> {
        if let Some((writer, note)) = self.chunk_writer(download)? {
            let turn = desk.turn(self.file.content.file_id);
            return Ok(ChunkSink::InPlace(Box::new(writer), turn, note));
        }
        let chunk = self.slice.chunk();
        let digest = download.digest(chunk).map_err(|error| FetchEnd::of_store(&error))?;
        let verifier = ChunkVerifier::new(self.file.content.file_id, download.layout(), chunk, digest);
        Ok(ChunkSink::Aside(Box::new(verifier), Vec::new()))
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
