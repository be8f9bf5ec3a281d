//! The end of a fetch: all bytes are here. What was collected aside goes into its place.

use std::{sync::Arc, time::Duration};

use swift_chunks::{Download, GRAIN_LEN, GrainTree, Slice, StoreError};
use tokio::time::{Instant, sleep};

use super::{
    BATCH_LEN, Fetch, FetchEnd,
    sink::{ChunkSink, PartSink, blame_part},
};
use crate::swarm::FetchFailure;

/// How long verified bytes wait for another fetch to let go of their place.
const PLACE_DEADLINE: Duration = Duration::from_secs(5);
const PLACE_PAUSE: Duration = Duration::from_millis(2);

impl Fetch {
    pub(super) async fn land_chunk(&self, download: &Arc<Download>, sink: ChunkSink) -> Result<(), FetchEnd> {
        match sink {
            ChunkSink::InPlace(writer, _turn, _note) => {
                self.file.land(download, *writer).map_err(|error| self.blame_chunk(download, error))
            }
            ChunkSink::Aside(verifier, bytes) => {
                verifier.finish().map_err(|fault| self.blame_chunk(download, fault.into()))?;
                self.place_chunk(download, &bytes).await
            }
        }
    }

    pub(super) async fn land_part(
        &self,
        download: &Arc<Download>,
        tree: &GrainTree,
        sink: PartSink,
    ) -> Result<(), FetchEnd> {
        match sink {
            PartSink::InPlace(writer, _note) => writer.finish().map(drop).map_err(blame_part),
            PartSink::Aside(verifier, bytes) => {
                verifier.finish().map_err(|fault| blame_part(fault.into()))?;
                self.place_grains(download, tree, &bytes).await
            }
        }
    }

    /// Writes a chunk that is verified already, unless another fetch has done so meanwhile.
    async fn place_chunk(&self, download: &Arc<Download>, bytes: &[u8]) -> Result<(), FetchEnd> {
        let (chunk, grains) = (self.slice.chunk(), self.grains(download));
        let deadline = Instant::now() + PLACE_DEADLINE;
        while !self.file.is_held(download, chunk) {
            if !download.grains(chunk).is_empty() {
                return self.complete_chunk(download, bytes).await;
            }
            if let Some((mut writer, _note)) = self.chunk_writer(download)? {
                for piece in bytes.chunks(BATCH_LEN) {
                    writer.write(piece).map_err(|error| self.blame_chunk(download, error))?;
                }
                return self.file.land(download, writer).map_err(|error| self.blame_chunk(download, error));
            }
            self.file.stop_writers(chunk, grains);
            wait_for_place(deadline).await?;
        }
        Ok(())
    }

    /// Others have written some of the chunk's grains: verified bytes are not written again, so only the rest is.
    async fn complete_chunk(&self, download: &Arc<Download>, bytes: &[u8]) -> Result<(), FetchEnd> {
        let chunk = self.slice.chunk();
        let tree = GrainTree::of_chunk(download.layout(), chunk, bytes);
        let tree = tree.map_err(|error| FetchEnd::failed(FetchFailure::Storage, error.to_string()))?;
        self.place_grains(download, &tree, bytes).await?;
        self.file.settle(download, chunk).map_err(|error| self.blame_chunk(download, error))
    }

    /// Writes those grains of a verified slice that nobody else has written.
    async fn place_grains(
        &self,
        download: &Arc<Download>,
        tree: &GrainTree,
        bytes: &[u8],
    ) -> Result<(), FetchEnd> {
        let deadline = Instant::now() + PLACE_DEADLINE;
        let numbers = self.slice.first_grain()..;
        for (number, piece) in numbers.zip(bytes.chunks(usize::try_from(GRAIN_LEN).unwrap_or(BATCH_LEN))) {
            let Some(grain) = Slice::around(download.layout(), self.slice.chunk(), number, 0) else { break };
            self.place_grain(download, tree, (grain, piece), deadline).await?;
        }
        Ok(())
    }

    async fn place_grain(
        &self,
        download: &Arc<Download>,
        tree: &GrainTree,
        (grain, bytes): (Slice, &[u8]),
        deadline: Instant,
    ) -> Result<(), FetchEnd> {
        let grains = grain.grains(download.layout());
        while !self.is_here(download, grains) {
            match download.slice_writer(grain, tree) {
                Ok(mut writer) => {
                    writer.write(bytes).map_err(blame_part)?;
                    return writer.finish().map(drop).map_err(blame_part);
                }
                Err(StoreError::SliceTaken { .. }) => {
                    self.file.stop_writers(grain.chunk(), grains);
                    wait_for_place(deadline).await?;
                }
                Err(error) => return Err(FetchEnd::of_store(&error)),
            }
        }
        Ok(())
    }
}

async fn wait_for_place(deadline: Instant) -> Result<(), FetchEnd> {
    if Instant::now() >= deadline {
        return Err(FetchEnd::failed(FetchFailure::Storage, "another fetch holds on to the place"));
    }
    sleep(PLACE_PAUSE).await;
    Ok(())
}
