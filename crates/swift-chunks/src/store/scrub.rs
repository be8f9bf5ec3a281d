//! Reading content again to see whether the disk still has it, and saving what is left when it has not.

use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use super::content::{Content, Held, mtime_ns};
use super::disk::{Access, Appender, DiskFile, Existing, Move};
use super::error::StoreError;
use super::index::{
    DurableChunks, Index, ObjectRow, STATE_COMPLETE, STATE_FALSE, STATE_PARTIAL, STATE_SUSPECT, Verified,
};
use super::upload::seal_manifest;
use super::{Core, Store};
use crate::chunk_set::ChunkSet;
use crate::content_hasher::ContentHasher;
use crate::digest::{Subtree, SubtreeHasher};
use crate::id::FileId;
use crate::layout::{CHUNK_LEN, ChunkIndex};
use crate::manifest::{HEADER_LEN, encode_entry};

/// Bytes read at once.
const BLOCK_LEN: usize = 256 * 1024;

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// Chunks that were read.
    pub checked: u32,
    /// Chunks that had rotted or were changed; they count as missing now.
    pub bad: Vec<ChunkIndex>,
    /// The manifest had rotted. If the content is complete it was made again; else it must be fetched again.
    pub manifest_rotted: bool,
    /// Whether all that is held was looked at.
    pub is_whole: bool,
}

impl Store {
    /// Reads every held chunk of a content again and quarantines those that are not what they should be: the
    /// content is then partial, its files leave the files folder, and [`Store::wanted`] names it again. An
    /// object that was changed from outside is taken back as far as it is sound.
    ///
    /// `progress` gets the bytes read so far, at most every 4 MiB.
    pub fn verify(&self, file_id: FileId, mut progress: impl FnMut(u64)) -> Result<VerifyReport, StoreError> {
        let row = self.core.index()?.best(file_id)?.ok_or(StoreError::NotFound(file_id))?;
        let report = self.core.verify(&row, &mut |bytes| {
            progress(bytes);
            true
        })?;
        self.core.index()?.note_verified(&[Verified::new(&row, &report)], self.core.latest_ms())?;
        Ok(report)
    }
}

impl Core {
    /// Verifies the content of a row. Stops where `progress` says false: then the report is not whole, and what was
    /// found until then is quarantined.
    pub(super) fn verify(
        &self,
        row: &ObjectRow,
        progress: &mut dyn FnMut(u64) -> bool,
    ) -> Result<VerifyReport, StoreError> {
        let file_id = row.key.file_id;
        let (content, state) = {
            let mut index = self.index()?;
            let content = self.content(&mut index, row)?;
            // Loading looks at the file, which may have changed the state.
            let row = Index::by_id(index.read(), row.id)?.ok_or(StoreError::NotFound(file_id))?;
            (content, row.state)
        };
        match state {
            STATE_FALSE => Err(StoreError::ManifestFalse(file_id)),
            STATE_SUSPECT => {
                let report = self.take_back(&content, progress)?;
                self.show_names_of(&content)?;
                Ok(report)
            }
            _ => self.verify_in_place(&content, progress),
        }
    }

    /// Takes chunks out of what is claimed. A complete object becomes partial, and is repaired where it is
    /// once its files have left the files folder. Where the file was changed from outside, it may be somebody's
    /// edit through a hard link: then it is suspect as a whole, and not repaired where it is.
    pub(super) fn quarantine(&self, content: &Content, bad: &[ChunkIndex]) -> Result<(), StoreError> {
        let mut folder = self.folder();
        {
            let mut index = self.index()?;
            let Some(row) = Index::by_id(index.read(), content.id)? else { return Ok(()) };
            match row.state {
                STATE_COMPLETE if self.open_complete(&mut index, &row)?.is_none() => {
                    return Err(StoreError::Suspect(content.key.file_id));
                }
                STATE_COMPLETE => {
                    let mut held = content.held();
                    for &chunk in bad {
                        held.remove(chunk);
                    }
                    self.reopen_as_part(&mut index, content, held)?;
                }
                STATE_PARTIAL => {
                    let mut held = match &content.live().held {
                        Held::Some(held) => held.clone(),
                        Held::All => return Ok(()),
                    };
                    for &chunk in bad {
                        held.remove(chunk);
                    }
                    let transaction = index.begin()?;
                    Index::set_partial(&transaction, content.id, &held, row.has_manifest)?;
                    transaction.commit()?;
                    content.live_mut().held = Held::Some(held);
                }
                _ => return Ok(()),
            }
        }
        let names = self.names_of(&content.key)?;
        self.show(&mut folder, names, self.latest_ms())?;
        Ok(())
    }

    /// Makes a complete or suspect object's own file the part that is downloaded into.
    fn reopen_as_part(&self, index: &mut Index, content: &Content, held: ChunkSet) -> Result<(), StoreError> {
        let object = self.paths.object(content.key.file_id);
        let part = self.paths.part(content.key.file_id, content.id);
        // An older part would be taken for this one after a crash between the commit and the rename.
        self.disk.remove(&part)?;
        self.disk.sync_dir(&self.paths.partial())?;
        self.disk.make_writable(&object)?;
        let file =
            self.disk.open(&object, Access::Write)?.ok_or(StoreError::NotFound(content.key.file_id))?;
        let file = Arc::new(file);
        // Even to the same length this would change the time, by which files in the folder are known as ours.
        if file.metadata().map_err(StoreError::io("examine", &object))?.len() != content.key.len {
            file.set_len(content.key.len).map_err(StoreError::io("set the length of", &object))?;
        }
        let (synced, held) = file.sync_all(&object, (Arc::clone(&file), held))?.split();
        let held = DurableChunks::synced(held);

        let transaction = index.begin()?;
        Index::set_partial(&transaction, content.id, &held, content.live().manifest.is_some())?;
        transaction.commit()?;
        {
            let mut live = content.live_mut();
            live.held = Held::Some(held);
            live.data = Some(file);
        }
        content.progress.lock().forget_all();
        self.disk.place(&Move { file: &synced, from: &object, to: &part })?;
        Ok(())
    }

    fn verify_in_place(
        &self,
        content: &Content,
        progress: &mut dyn FnMut(u64) -> bool,
    ) -> Result<VerifyReport, StoreError> {
        let data = content.live().data.clone();
        let Some(data) = data else {
            return Ok(VerifyReport { checked: 0, bad: Vec::new(), manifest_rotted: false, is_whole: true });
        };
        let manifest_rotted = !content.manifest_is_sound()?;
        if manifest_rotted {
            if !content.is_complete() {
                self.drop_manifest(content)?;
                return Ok(VerifyReport { checked: 0, bad: Vec::new(), manifest_rotted, is_whole: true });
            }
            if !self.remake_manifest(content, &data, progress)? {
                // Without a manifest nobody can say which chunks are sound.
                self.drop_manifest(content)?;
                let bad: Vec<_> = content.layout.chunks().collect();
                self.quarantine(content, &bad)?;
                let checked = content.layout.chunk_count();
                return Ok(VerifyReport { checked, bad, manifest_rotted, is_whole: true });
            }
            return Ok(VerifyReport {
                checked: content.layout.chunk_count(),
                bad: Vec::new(),
                manifest_rotted,
                is_whole: true,
            });
        }
        let Looked { checked, bad, is_whole } = find_bad(content, &data, &content.held(), progress)?;
        if !bad.is_empty() {
            self.quarantine(content, &bad)?;
        }
        Ok(VerifyReport { checked, bad, manifest_rotted, is_whole })
    }

    /// Decides about an object whose file was changed from outside.
    fn take_back(
        &self,
        content: &Content,
        progress: &mut dyn FnMut(u64) -> bool,
    ) -> Result<VerifyReport, StoreError> {
        let key = &content.key;
        let path = self.paths.object(key.file_id);
        let all = ChunkSet::full(content.layout);
        let Some(data) = self.disk.open(&path, Access::Read)? else {
            self.lose(content)?;
            let bad = content.layout.chunks().collect();
            return Ok(VerifyReport { checked: 0, bad, manifest_rotted: false, is_whole: true });
        };
        let before = data.metadata().map_err(StoreError::io("examine", &path))?;

        let manifest_rotted = !content.manifest_is_sound()?;
        let (checked, bad) = if manifest_rotted {
            let is_sound = before.len() == key.len && self.remake_manifest(content, &data, progress)?;
            let bad = if is_sound { Vec::new() } else { all.iter().collect() };
            (all.len(), bad)
        } else {
            let Looked { checked, bad, is_whole } = find_bad(content, &data, &all, progress)?;
            if !is_whole {
                // Half of an answer decides nothing: it counts for nothing until the next verification.
                return Err(StoreError::Suspect(key.file_id));
            }
            (checked, bad)
        };

        let _folder = self.folder();
        let after = data.metadata().map_err(StoreError::io("examine", &path))?;
        if mtime_ns(&after) != mtime_ns(&before) || after.len() != before.len() {
            // Still being changed; the next verification sees more.
            return Err(StoreError::Suspect(key.file_id));
        }
        let mut held = all;
        for &chunk in &bad {
            held.remove(chunk);
        }
        if held.is_full() && after.len() == key.len {
            self.restore(content, data, mtime_ns(&after))?;
        } else if after.nlink() > 1 {
            self.copy_sound_chunks(content, &data, held)?;
        } else {
            self.reopen_as_part(&mut *self.index()?, content, held)?;
        }
        Ok(VerifyReport { checked, bad, manifest_rotted, is_whole: true })
    }

    /// Only the time was changed: the object counts again, under its new time.
    fn restore(&self, content: &Content, data: DiskFile, mtime_ns: i64) -> Result<(), StoreError> {
        // What was read may be in the system's memory only.
        let object = self.paths.object(content.key.file_id);
        let synced = Arc::new(data).sync(&object)?;
        let placed = self.disk.place(&Move { file: &synced, from: &object, to: &object })?;
        if placed.mtime_ns() != mtime_ns {
            return Err(StoreError::Suspect(content.key.file_id));
        }
        let mut index = self.index()?;
        let transaction = index.begin()?;
        Index::set_complete(&transaction, content.id, &content.key, &placed, self.latest_ms())?;
        Index::note_new_time(&transaction, content.id, mtime_ns)?;
        transaction.commit()?;
        let mut live = content.live_mut();
        live.data = Some(placed.file());
        live.held = Held::All;
        Ok(())
    }

    /// Somebody edited the object through a hard link. The file is theirs now; what is sound in it is copied
    /// to a new part.
    fn copy_sound_chunks(
        &self,
        content: &Content,
        data: &DiskFile,
        mut held: ChunkSet,
    ) -> Result<(), StoreError> {
        self.check_floor(held.byte_len())?;
        let part = self.paths.part(content.key.file_id, content.id);
        let file = Arc::new(self.disk.create(&part, Existing::Empty)?);
        file.set_len(content.key.len).map_err(StoreError::io("lengthen", &part))?;
        let mut block = vec![0; BLOCK_LEN];
        for chunk in held.clone().iter() {
            let copied =
                hash_chunk(content, data, chunk, &mut block, |bytes, at| file.write_all_at(bytes, at));
            let found = copied.map_err(StoreError::io("write", &part))?;
            if found != Some(content.digest(chunk)?.chaining_value) {
                held.remove(chunk);
            }
        }
        let (synced, held) = file.sync_all(&part, (Arc::clone(&file), held))?.split();
        let (placed, held) =
            (self.disk.place(&Move { file: &synced, from: &part, to: &part })?, DurableChunks::synced(held));
        let mut index = self.index()?;
        let transaction = index.begin()?;
        Index::set_partial(&transaction, content.id, &held, content.live().manifest.is_some())?;
        transaction.commit()?;
        {
            let mut live = content.live_mut();
            live.held = Held::Some(held);
            live.data = Some(placed.file());
        }
        content.progress.lock().forget_all();
        self.disk.remove(&self.paths.object(content.key.file_id))?;
        self.disk.sync_dir(&self.paths.objects())
    }

    fn lose(&self, content: &Content) -> Result<(), StoreError> {
        let mut index = self.index()?;
        let transaction = index.begin()?;
        let nothing = DurableChunks::none(content.layout);
        Index::set_partial(&transaction, content.id, &nothing, content.live().manifest.is_some())?;
        transaction.commit()?;
        {
            let mut live = content.live_mut();
            live.held = Held::Some(nothing);
            live.data = None;
        }
        content.progress.lock().forget_all();
        Ok(())
    }

    fn show_names_of(&self, content: &Content) -> Result<(), StoreError> {
        let mut folder = self.folder();
        let names = self.names_of(&content.key)?;
        self.show(&mut folder, names, self.latest_ms())?;
        Ok(())
    }

    /// Hashes the whole file; if it is the content, its manifest follows from it and is written anew.
    fn remake_manifest(
        &self,
        content: &Content,
        data: &DiskFile,
        progress: &mut dyn FnMut(u64) -> bool,
    ) -> Result<bool, StoreError> {
        let key = &content.key;
        let path = self.paths.manifest(key.file_id, content.id);
        let temporary = path.with_extension("new");
        let io = || StoreError::io("write", &temporary);
        let file = self.disk.create(&temporary, Existing::Empty)?;
        let mut manifest = BufWriter::new(Appender::new(file));
        manifest.write_all(&[0; HEADER_LEN]).map_err(io())?;

        let mut hasher = ContentHasher::new();
        let mut block = vec![0; BLOCK_LEN];
        let mut failed = Ok(());
        // What cannot be read is not the content; the hash will say so.
        while let Ok(read) = data.read_at(&mut block, hasher.len()) {
            if read == 0 {
                break;
            }
            hasher.update(&block[..read], |digest| {
                if failed.is_ok() {
                    failed = manifest.write_all(&encode_entry(&digest));
                }
            })?;
            if hasher.len().is_multiple_of(CHUNK_LEN) {
                // It goes on all the same: a part of the file says nothing about its manifest.
                let _ = progress(hasher.len());
            }
        }
        let summary = hasher.finish(|digest| {
            if failed.is_ok() {
                failed = manifest.write_all(&encode_entry(&digest));
            }
        });
        failed.map_err(io())?;
        let (hash, synced) = seal_manifest(manifest, summary, &temporary)?;
        if summary.file_id != key.file_id || hash != key.manifest_hash {
            self.disk.remove(&temporary)?;
            return Ok(false);
        }
        let placed = self.disk.place(&Move { file: &synced, from: &temporary, to: &path })?;
        let mut index = self.index()?;
        let transaction = index.begin()?;
        Index::set_manifest(&transaction, content.id, &placed)?;
        transaction.commit()?;
        content.live_mut().manifest = Some(placed.file());
        Ok(true)
    }
}

/// What came of reading chunks.
struct Looked {
    checked: u32,
    bad: Vec<ChunkIndex>,
    /// Whether all of them were read.
    is_whole: bool,
}

/// Reads the chunks of `held`, from the disk itself, and says which are not what they should be.
fn find_bad(
    content: &Content,
    data: &DiskFile,
    held: &ChunkSet,
    progress: &mut dyn FnMut(u64) -> bool,
) -> Result<Looked, StoreError> {
    let mut block = vec![0; BLOCK_LEN];
    let mut looked = Looked { checked: 0, bad: Vec::new(), is_whole: true };
    let mut read = 0;
    for chunk in held.iter() {
        data.forget_cached(content.layout.range(chunk));
        // An unreadable sector is rot like any other.
        let found = hash_chunk(content, data, chunk, &mut block, |_, _| Ok(())).unwrap_or(None);
        if found != Some(content.digest(chunk)?.chaining_value) {
            looked.bad.push(chunk);
        }
        looked.checked += 1;
        read += content.layout.chunk_len(chunk);
        if !progress(read) && looked.checked < held.len() {
            looked.is_whole = false;
            break;
        }
    }
    Ok(looked)
}

/// The chaining value of a chunk as it stands in a file, unless it cannot be read. `also` sees every block.
fn hash_chunk(
    content: &Content,
    data: &DiskFile,
    chunk: ChunkIndex,
    block: &mut [u8],
    mut also: impl FnMut(&[u8], u64) -> io::Result<()>,
) -> io::Result<Option<[u8; 32]>> {
    let range = content.layout.range(chunk);
    let mut hasher = SubtreeHasher::new(chunk);
    let mut at = range.start;
    while at < range.end {
        let len = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(block.len());
        let block = &mut block[..len];
        if data.read_exact_at(block, at).is_err() {
            return Ok(None);
        }
        hasher.update(block);
        also(block, at)?;
        at += len as u64;
    }
    Ok(Some(hasher.chaining_value(Subtree::of(content.layout))))
}
