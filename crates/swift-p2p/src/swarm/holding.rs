//! What this node has and wants: files come and go, are durable, lose chunks, are evicted, and are read.

use std::collections::BTreeSet;

use swift_chain::NodeId;
use swift_chunks::{ChunkIndex, ChunkSet, FileId, Grains, Slice};

use super::Swarm;
use super::file::{FileKey, FileState, Standing};
use super::input::{Reader, Want};
use super::message::READERS_MAX;
use super::output::Output;

impl Swarm {
    pub(super) fn on_file_added(
        &mut self,
        id: FileId,
        publisher: NodeId,
        (held, parts): (ChunkSet, &[(ChunkIndex, Grains)]),
        want: Want,
    ) {
        let Some(file) = self.files.key(&id) else {
            let mut state = FileState::new(publisher, held, want);
            let whole = state.restore(parts);
            let file = self.files.insert(id, state);
            self.put_whole(file, whole);
            return self.enlist(file);
        };
        let Some(state) = self.files.get_mut(file) else { return };
        let (was_wanting, was) = (state.is_wanting(), std::mem::replace(&mut state.want, want));
        let mut whole = Vec::new();
        if state.layout() == held.layout() {
            let new: Vec<ChunkIndex> = held.difference(&state.held).collect();
            new.into_iter().for_each(|chunk| _ = state.hold(chunk));
            whole = state.restore(parts);
        }
        if state.standing == Standing::Partial && state.held.is_full() {
            state.standing = Standing::Stored;
            self.finding.copied.insert(file);
        }
        let (is_fetching, is_full) = (state.is_fetching(), state.held.is_full());
        self.drop_unwanted(file);
        self.put_whole(file, whole);
        if !is_fetching {
            self.deactivate(file);
        }
        if was_wanting && was != want && !is_full {
            // Neighbours are told, so that they offer nothing else any more.
            let told =
                if want == Want::Wanted { &mut self.finding.changed } else { &mut self.finding.copied };
            told.insert(file);
        }
        self.enlist(file);
    }

    /// Breaks off what is not to be fetched any more, or is here.
    fn drop_unwanted(&mut self, file: FileKey) {
        let Some(state) = self.files.get(file) else { return };
        let is_over = |slice: &Slice| {
            !state.wants(slice.chunk()) || state.holds(slice.chunk()).meets(slice.grains(state.layout()))
        };
        let coming = self.receiving.of_file(file).map(|coming| coming.slice);
        let over: BTreeSet<Slice> = coming.filter(is_over).collect();
        if !over.is_empty() {
            self.drop_fetches(|_, of, slice| of == file && over.contains(&slice));
        }
    }

    /// Asks to look at chunks whose every grain is here.
    fn put_whole(&mut self, file: FileKey, chunks: Vec<ChunkIndex>) {
        chunks.into_iter().for_each(|chunk| self.put_of(file, |file| Output::Whole { file, chunk }));
    }

    pub(super) fn on_file_removed(&mut self, file: FileKey) {
        self.drop_fetches(|_, of, _| of == file);
        self.free_all(|_, of| of == file);
        self.drop_views_of_file(file);
        self.deactivate(file);
        self.files.remove(file);
    }

    pub(super) fn on_durable(&mut self, file: FileKey) {
        let state = self.files.get_mut(file).filter(|state| state.standing == Standing::Verified);
        if let Some(state) = state {
            state.standing = Standing::Stored;
            self.finding.copied.insert(file);
        }
    }

    pub(super) fn on_lost(&mut self, file: FileKey, chunks: &[ChunkIndex]) {
        let Some(state) = self.files.get_mut(file) else { return };
        let lost = chunks.iter().filter(|&&chunk| state.lose(chunk)).count();
        if lost > 0 && state.standing != Standing::Stopped {
            state.standing = Standing::Partial;
            state.forget_told();
        }
        self.enlist(file);
    }

    /// Neighbours are told, so that they count on this copy no more.
    pub(super) fn on_evicted(&mut self, file: FileKey) {
        let Some(state) = self.files.get_mut(file) else { return };
        state.want = Want::Unwanted;
        let layout = state.layout();
        layout.chunks().for_each(|chunk| _ = state.lose(chunk));
        if state.standing != Standing::Stopped {
            state.standing = Standing::Partial;
        }
        state.forget_told();
        self.drop_fetches(|_, of, _| of == file);
        self.free_all(|_, of| of == file);
        self.deactivate(file);
        self.finding.copied.insert(file);
    }

    /// Neighbours are told where readers are, so that they send what these wait for.
    pub(super) fn on_reading_at(&mut self, file: FileKey, mut readers: Vec<Reader>) {
        let Some(state) = self.files.get_mut(file) else { return };
        let layout = state.layout();
        readers.retain(|reader| reader.at <= reader.last && reader.last.get() < layout.chunk_count());
        readers.truncate(READERS_MAX);
        if state.readers == readers {
            return;
        }
        state.readers = readers;
        if state.note_ahead() {
            self.finding.changed.insert(file);
        }
        if state.want == Want::Reading {
            state.forget_parts_behind();
            self.drop_unwanted(file);
            self.enlist(file);
        }
    }
}
