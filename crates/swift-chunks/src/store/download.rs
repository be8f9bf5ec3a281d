//! Content on its way from other nodes: any order, many threads, resumed after a crash.
//!
//! The order that is never broken is carried by types: a [`WrittenChunk`] exists only after its bytes were
//! verified and written, a `Synced` only after the data was synchronised, and only that reaches the index. A
//! chunk comes whole, or in slices, and then [`Download::check_chunk`] makes it a [`WrittenChunk`]. Verified grains of
//! chunks that are not whole become durable in the same commits.

mod progress;
mod slices;
mod transfer;
mod writer;

pub(super) use progress::{Changes, PartClaim, SharedProgress};
pub use slices::{SliceWriter, WrittenSlice};
pub use writer::{ChunkWriter, WrittenChunk};

use std::io::{Read, Write as _};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use self::transfer::{Room, Transfer};
use super::content::{Content, ContentRef, Held};
use super::disk::{Appender, Disk, DiskFile, Existing, Move, Synced};
use super::error::{InstallError, StoreError};
use super::index::{Claim, DurableChunks, Index, STATE_COMPLETE, STATE_FALSE, STATE_SUSPECT};
use super::names::VisibleChanges;
use super::{Core, Store};
use crate::chunk_set::ChunkSet;
use crate::digest::ChunkDigest;
use crate::id::{FileId, ManifestHash};
use crate::layout::{ChunkIndex, ChunkLayout};
use crate::manifest::{ManifestCheck, ManifestFault, encode_header, manifest_len};

/// The one running download of a content. Everything durable survives its drop, and a crash, and is there when the
/// next one begins; what is not is forgotten.
pub struct Download {
    core: Arc<Core>,
    content: Arc<Content>,
    transfer: Arc<Transfer>,
}

impl Store {
    /// Starts or resumes a download, or refuses it now if there will be no room for it.
    ///
    /// Content that is complete already, or empty, gives a download that is complete.
    pub fn begin_download(
        &self,
        file_id: FileId,
        manifest_hash: ManifestHash,
        len: u64,
    ) -> Result<Download, StoreError> {
        self.begin(ContentRef { file_id, manifest_hash, len }, None)
    }

    /// The same for somebody who reads parts of a content that nothing keeps: room is set aside for what comes, a chunk at a
    /// time, and it is refused if what is wanted and not held will not fit.
    pub fn begin_reading(&self, content: ContentRef, wanted: &[Range<u64>]) -> Result<Download, StoreError> {
        self.begin(content, Some(wanted))
    }

    fn begin(&self, key: ContentRef, wanted: Option<&[Range<u64>]>) -> Result<Download, StoreError> {
        let (core, file_id, len) = (&self.core, key.file_id, key.len);
        let layout = ChunkLayout::new(len)?;
        let (content, transfer) = {
            // Cleanup holds the folder: what is found here cannot be deleted before it counts as running.
            let _folder = core.folder();
            let mut index = core.index()?;
            let transaction = index.begin()?;
            let row = Index::ensure(&transaction, &key)?;
            Index::refresh_use(&transaction, row.id, core.latest_ms())?;
            transaction.commit()?;

            let content = core.content(&mut index, &row)?;
            let row = Index::by_id(index.read(), row.id)?.ok_or(StoreError::NotFound(file_id))?;
            match row.state {
                STATE_FALSE => return Err(StoreError::ManifestFalse(file_id)),
                STATE_SUSPECT => return Err(StoreError::Suspect(file_id)),
                _ => {}
            }
            let room = wanted.map_or(Room::Whole, |_| Room::ByChunk(Mutex::default()));
            let transfer = Transfer::begin(&content, room)?;
            if !content.is_complete() {
                let rest = match wanted {
                    None => len,
                    Some(wanted) => {
                        let missing = missing_of(&content.held(), wanted);
                        core.check_space(&index, missing)?;
                        row.stored
                    }
                };
                core.reserve(&mut index, row.id, rest + manifest_len(layout))?;
                core.create_part(&content, row.stored > 0)?;
            }
            (content, transfer)
        };
        let download = Download { core: Arc::clone(core), content, transfer };
        download.recheck_manifest()?;
        if len == 0 && !download.is_complete() {
            download.complete_empty()?;
        }
        Ok(download)
    }
}

impl Download {
    /// The content.
    pub fn content(&self) -> ContentRef {
        self.content.key
    }

    /// Its division into chunks.
    pub fn layout(&self) -> ChunkLayout {
        self.content.layout
    }

    /// Whether the content is complete, so that nothing is left to do.
    pub fn is_complete(&self) -> bool {
        self.content.is_complete()
    }

    /// The chunks that are durable.
    pub fn held(&self) -> ChunkSet {
        self.content.held()
    }

    /// Whether the manifest is installed, so that chunks can be written.
    pub fn has_manifest(&self) -> bool {
        self.content.live().manifest.is_some()
    }

    /// Streams the manifest to disk; it is installed only if it is the one the ledger names. If it is, and is
    /// not one of the file, it is kept as evidence and the content is never wanted again.
    pub fn install_manifest(&self, encoded: impl Read) -> Result<(), InstallError> {
        let _one_at_a_time = self.transfer.installing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.has_manifest() {
            return Ok(());
        }
        let key = &self.content.key;
        let check = ManifestCheck::new(key.file_id, key.manifest_hash, key.len).map_err(StoreError::from)?;
        let path = self.core.paths.manifest(key.file_id, self.content.id);
        let temporary = path.with_extension("new");
        let disk = &self.core.disk;
        let (file, copied) = copy_manifest(disk, &check, encoded, &temporary)?;
        match &copied {
            Err(InstallError::Manifest(ManifestFault::ManifestFalse)) => {
                // The bytes are the publisher's own, and the proof.
                let evidence = self.core.paths.evidence(key.file_id, self.content.id);
                let synced = file.sync(&temporary)?;
                disk.place(&Move { file: &synced, from: &temporary, to: &evidence })?;
                let _folder = self.core.folder();
                self.core.set_false(&self.content)?;
                return copied;
            }
            Err(_) => {
                disk.remove(&temporary)?;
                return copied;
            }
            Ok(()) => {}
        }
        let synced = file.sync(&temporary)?;
        let placed = disk.place(&Move { file: &synced, from: &temporary, to: &path })?;
        let mut index = self.core.index()?;
        let transaction = index.begin()?;
        Index::set_manifest(&transaction, self.content.id, &placed)?;
        transaction.commit()?;
        self.content.live_mut().manifest = Some(placed.file());
        Ok(())
    }

    /// What the manifest says of a chunk.
    pub fn digest(&self, chunk: ChunkIndex) -> Result<ChunkDigest, StoreError> {
        self.content.digest(chunk)
    }

    /// Takes a written chunk into the next commit. Refused if a synchronisation failed since it was begun.
    pub fn record(&self, chunk: WrittenChunk) -> Result<(), StoreError> {
        self.transfer.record(chunk)
    }

    /// Makes every recorded chunk and every verified grain durable, and says which chunks are newly so. Costs one
    /// synchronisation and one commit for any number of them, as large as what is new, and nothing if nothing is.
    pub fn commit(&self) -> Result<Vec<ChunkIndex>, StoreError> {
        let Some(synced) = self.transfer.sync(&self.core)? else { return Ok(Vec::new()) };
        let committed = self.claim(&synced);
        match committed {
            Ok(()) => {
                self.transfer.release(&synced.get().chunks);
                Ok(synced.into_inner().chunks)
            }
            Err(error) => {
                // The bytes are safe; only the claim is missing. The next commit makes it.
                self.transfer.put_back(synced);
                Err(error)
            }
        }
    }

    /// Ends the download when every chunk is durable: the content is complete, and names that wait for it
    /// appear in the files folder. On failure it can be tried again.
    pub fn finish(&self, now_ms: u64) -> Result<VisibleChanges, StoreError> {
        self.core.note_time(now_ms);
        self.commit()?;
        let mut folder = self.core.folder();
        if !self.is_complete() {
            let held = self.held();
            if !held.is_full() {
                let missing = held.layout().chunk_count() - held.len();
                return Err(StoreError::Incomplete { file_id: self.content.key.file_id, missing });
            }
            // Between the last look and now nothing can have been lost: losing takes the folder too.
            self.content.manifest_file()?;
            self.core.complete_part(&self.content)?;
        }
        let waiting = self.core.names_of(&self.content.key)?;
        self.core.show(&mut folder, waiting, now_ms)
    }

    /// Records for good that the manifest is false, as a chunk proved whose writer ended in
    /// [`ChunkFault::ManifestFalse`](crate::ChunkFault::ManifestFalse). The chunk's bytes are kept beside the
    /// manifest as evidence, everything else is dropped, and the content is never wanted again.
    pub fn condemn(&self, chunk: ChunkIndex) -> Result<(), StoreError> {
        let key = &self.content.key;
        let _folder = self.core.folder();
        let data = self.content.live().data.clone().ok_or(StoreError::NotFound(key.file_id))?;
        self.core.keep_evidence(&self.content, &data, chunk)?;
        self.core.set_false(&self.content)
    }

    fn claim(&self, synced: &Synced<Changes>) -> Result<(), StoreError> {
        let mut index = self.core.index()?;
        let mut held = match &self.content.live().held {
            Held::All => return Ok(()),
            Held::Some(held) => held.clone(),
        };
        let pages = held.extend(synced);
        let (parts, closed) = {
            let mut progress = self.transfer.progress.lock();
            let parts = progress.claim_parts(synced, |chunk| held.contains(chunk));
            let is_claimed = |chunk: &ChunkIndex| !progress.durable(*chunk).is_empty();
            let closed: Vec<ChunkIndex> = synced.get().chunks.iter().copied().filter(is_claimed).collect();
            (parts, closed)
        };
        let claim = Claim {
            held: &held,
            pages: pages.into_iter().map(|page| held.page(page)).collect(),
            parts: &parts,
            closed: &closed,
        };
        let recorded = index.record_held(self.content.id, claim);
        if !matches!(recorded, Ok(true)) {
            self.transfer.progress.lock().unclaim_parts(parts);
            recorded?;
            return Err(StoreError::ManifestFalse(self.content.key.file_id));
        }
        self.content.live_mut().held = Held::Some(held);
        Ok(())
    }

    /// Before grains that were claimed may be written again, the claim is taken back.
    fn forget_grains(&self, chunk: ChunkIndex) -> Result<(), StoreError> {
        let mut index = self.core.index()?;
        let transaction = index.begin()?;
        Index::forget_grains(&transaction, self.content.id, chunk)?;
        transaction.commit()?;
        self.transfer.progress.lock().forget_chunk(chunk);
        Ok(())
    }

    /// A manifest that was installed in an earlier run is checked before it judges anybody.
    fn recheck_manifest(&self) -> Result<(), StoreError> {
        if self.has_manifest() && !self.is_complete() && !self.content.manifest_is_sound()? {
            self.core.drop_manifest(&self.content)?;
        }
        Ok(())
    }

    /// An empty file has an empty manifest, which is known without asking anybody.
    fn complete_empty(&self) -> Result<(), StoreError> {
        let installed = self.install_manifest(&encode_header(0)[..]);
        match installed {
            Ok(()) => {}
            Err(InstallError::Store(error)) => return Err(error),
            Err(InstallError::Manifest(_)) => {
                let _folder = self.core.folder();
                self.core.set_false(&self.content)?;
                return Err(StoreError::ManifestFalse(self.content.key.file_id));
            }
        }
        let _folder = self.core.folder();
        self.core.complete_part(&self.content)
    }
}

/// Copies what came to a file of its own, and says whether it is the manifest.
fn copy_manifest(
    disk: &Disk,
    check: &ManifestCheck,
    encoded: impl Read,
    temporary: &Path,
) -> Result<(Arc<DiskFile>, Result<(), InstallError>), StoreError> {
    let io = || StoreError::io("write", temporary);
    let file = Appender::new(disk.create(temporary, Existing::Empty)?);
    let mut out = std::io::BufWriter::with_capacity(64 * 1024, file);
    let copied = check.copy_verified(encoded, &mut out).map_err(|fault| match fault {
        ManifestFault::Write(error) => io()(error).into(),
        fault => InstallError::Manifest(fault),
    });
    out.flush().map_err(io())?;
    let file = out.into_inner().map_err(std::io::IntoInnerError::into_error).map_err(io())?;
    Ok((file.into_file(), copied))
}

/// Bytes of the chunks that some ranges touch and that are not held.
fn missing_of(held: &ChunkSet, wanted: &[Range<u64>]) -> u64 {
    let layout = held.layout();
    let is_touched = |chunk: &Range<u64>| {
        wanted.iter().any(|part| !part.is_empty() && part.start < chunk.end && chunk.start < part.end)
    };
    let lacking = layout.chunks().filter(|&chunk| !held.contains(chunk) && is_touched(&layout.range(chunk)));
    lacking.map(|chunk| layout.chunk_len(chunk)).sum()
}

impl Core {
    /// Sets room aside for a content, once.
    fn reserve(&self, index: &mut Index, id: i64, bytes: u64) -> Result<(), StoreError> {
        let lacking = bytes.saturating_sub(Index::reserved_of(index.read(), id)?);
        if lacking > 0 {
            self.check_space(index, lacking)?;
            let transaction = index.begin()?;
            Index::set_reserved(&transaction, id, bytes)?;
            transaction.commit()?;
        }
        Ok(())
    }

    /// A sparse file of the content's length, unless some of it is there already.
    fn create_part(&self, content: &Content, is_begun: bool) -> Result<(), StoreError> {
        if content.live().data.is_some() && is_begun {
            return Ok(());
        }
        let path = self.paths.part(content.key.file_id, content.id);
        let file = self.disk.create(&path, Existing::Empty)?;
        file.set_len(content.key.len).map_err(StoreError::io("lengthen", &path))?;
        let synced = Arc::new(file).sync(&path)?;
        // The first chunk may be claimed without another change to the directory.
        let placed = self.disk.place(&Move { file: &synced, from: &path, to: &path })?;
        content.live_mut().data = Some(placed.file());
        Ok(())
    }

    /// Renames a part whose chunks are all durable and records the content as complete.
    pub(super) fn complete_part(&self, content: &Content) -> Result<(), StoreError> {
        let key = &content.key;
        let part = self.paths.part(key.file_id, content.id);
        let object = self.paths.object(key.file_id);
        let data = content.live().data.clone().ok_or(StoreError::NotFound(key.file_id))?;
        data.set_mode(0o444).map_err(StoreError::io("make read-only", &part))?;
        let synced = data.sync(&part)?;
        let placed = self.disk.place(&Move { file: &synced, from: &part, to: &object })?;
        let mut index = self.index()?;
        let transaction = index.begin()?;
        Index::set_complete(&transaction, content.id, key, &placed, self.latest_ms())?;
        transaction.commit()?;
        content.live_mut().held = Held::All;
        self.drop_false_parts(&index, key.file_id)
    }

    /// Gives back the room of downloads under manifests that the complete file has proven false.
    pub(super) fn drop_false_parts(&self, index: &Index, file_id: FileId) -> Result<(), StoreError> {
        for row in index.false_rows(file_id)? {
            self.remove_part(&self.paths.part_of(&row))?;
        }
        Ok(())
    }

    /// Removes a part of which nothing is claimed, so that its room is free for good.
    pub(super) fn remove_part(&self, part: &Path) -> Result<(), StoreError> {
        if self.disk.remove(part)? {
            self.disk.sync_dir(&self.paths.partial())?;
        }
        Ok(())
    }

    pub(super) fn drop_manifest(&self, content: &Content) -> Result<(), StoreError> {
        let mut index = self.index()?;
        let transaction = index.begin()?;
        Index::drop_manifest(&transaction, content.id)?;
        transaction.commit()?;
        content.live_mut().manifest = None;
        Ok(())
    }

    /// As [`Self::drop_manifest`]. A complete content is suspect then: its manifest is made again when it is verified.
    pub(super) fn lose_manifest(&self, content: &Content) -> Result<(), StoreError> {
        self.drop_manifest(content)?;
        let mut index = self.index()?;
        if Index::by_id(index.read(), content.id)?.is_some_and(|row| row.state == STATE_COMPLETE) {
            self.suspect(&mut index, content.id)?;
        }
        Ok(())
    }

    fn keep_evidence(&self, content: &Content, data: &DiskFile, chunk: ChunkIndex) -> Result<(), StoreError> {
        let path = self.paths.evidence(content.key.file_id, content.id);
        let out = Arc::new(self.disk.create(&path, Existing::Empty)?);
        let range = content.layout.range(chunk);
        let mut buffer = vec![0; 256 * 1024];
        let mut at = range.start;
        while at < range.end {
            let len = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(buffer.len());
            data.read_exact_at(&mut buffer[..len], at).map_err(StoreError::io("read back", &path))?;
            out.write_all_at(&buffer[..len], at - range.start).map_err(StoreError::io("write", &path))?;
            at += len as u64;
        }
        let synced = out.sync(&path)?;
        self.disk.place(&Move { file: &synced, from: &path, to: &path })?;
        Ok(())
    }

    /// Stops a content for good; its room is given back, its manifest stays as evidence.
    fn set_false(&self, content: &Content) -> Result<(), StoreError> {
        let mut index = self.index()?;
        let transaction = index.begin()?;
        Index::set_partial(
            &transaction,
            content.id,
            &DurableChunks::none(content.layout),
            content.live().manifest.is_some(),
        )?;
        Index::forget_all_grains(&transaction, content.id)?;
        Index::set_reserved(&transaction, content.id, 0)?;
        Index::set_state(&transaction, content.id, STATE_FALSE)?;
        transaction.commit()?;
        content.progress.lock().forget_all();
        content.live_mut().held = Held::Some(DurableChunks::none(content.layout));
        self.remove_part(&self.paths.part(content.key.file_id, content.id))
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        // What was written and never committed is not claimed; it is fetched again.
        self.transfer.progress.lock().end_epoch(Vec::new());
    }
}
