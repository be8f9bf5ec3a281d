//! What this node has and wants: files come and go, are durable, lose chunks, are evicted, and are read.

use swift_chain::NodeId;
use swift_chunks::{ChunkIndex, ChunkSet, FileId, Grains, Slice};

use super::Swarm;
use super::file::{FileKey, FileState, Standing};
use super::input::Want;
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
        let was_fetching = state.is_fetching();
        state.want = want;
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
        let (held, open, fetching) = (state.held.clone(), state.open.clone(), state.is_fetching());
        let is_here = |slice: Slice| {
            let part = open.get(slice.chunk()).unwrap_or(Grains::NONE);
            held.contains(slice.chunk()) || part.meets(slice.grains(held.layout()))
        };
        self.drop_fetches(|_, of, slice| of == file && (!fetching || is_here(slice)));
        self.put_whole(file, whole);
        if !fetching {
            self.deactivate(file);
        }
        if was_fetching && !held.is_full() && !fetching {
            // Neighbours are told, so that they offer nothing more.
            self.finding.copied.insert(file);
        }
        self.enlist(file);
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

    /// Neighbours are told where a reader is, so that they send what it waits for.
    pub(super) fn on_reading_at(&mut self, file: FileKey, chunk: Option<ChunkIndex>) {
        let Some(state) = self.files.get_mut(file) else { return };
        let chunk = chunk.filter(|chunk| chunk.get() < state.layout().chunk_count());
        if state.reading_at != chunk {
            state.reading_at = chunk;
            self.finding.changed.insert(file);
        }
    }
}
