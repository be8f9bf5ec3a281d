//! Maps: what this node tells of itself, and what it keeps of what its neighbours tell.

use swift_chunks::{ChunkSet, Grains};

use super::Swarm;
use super::by_chunk::ByChunk;
use super::file::{FileKey, FileState, Standing};
use super::message::{Held, Interest, Map, OPEN_CHUNKS_MAX};
use super::output::{OffenceKind, Output};
use super::peer::PeerKey;
use super::time::Time;
use super::view::{Part, ReadMap, Told, View, open_chunk};

impl Swarm {
    /// This node's whole state of a file as of now.
    pub(super) fn my_map(&mut self, file: FileKey) -> Option<Map> {
        let state = self.files.get(file)?;
        // What is given up is not for others either.
        let none = ChunkSet::empty(state.layout());
        let held = if state.standing == Standing::Stopped { &none } else { &state.held };
        let held = Held::All(held.encode());
        self.map_with(file, held)
    }

    /// The same, or what is new of it if the whole would be long and the peer was told before.
    pub(super) fn map_for(&mut self, peer: PeerKey, file: FileKey) -> Option<Map> {
        let state = self.files.get_mut(file)?;
        let total = state.recent.total;
        let view = state.views.get_mut(&peer);
        let told = view.as_ref().and_then(|view| view.told);
        // A set of few chunks is short however it is encoded; so is one of all, and one of none.
        let few = state.held.layout().chunk_count() as usize / 8 <= self.config.map_bytes_cheap;
        let is_cheap = few || state.held.is_full() || state.held.is_empty();
        let added = told.filter(|_| !is_cheap).and_then(|told| state.recent.since(told.total));
        let stands =
            |told: Option<Told>| told.is_some_and(|told| self.now.since(told.all_at) < self.config.map_again);
        let (held, all_at) = match added {
            Some(added) => (Held::Added(added), told.map_or(Time::ZERO, |told| told.all_at)),
            None if !is_cheap && stands(told) => return None,
            None => (Held::All(state.held.encode()), self.now),
        };
        if let Some(view) = view {
            view.told = Some(Told { all_at, total });
        }
        self.map_with(file, held)
    }

    fn map_with(&mut self, file: FileKey, held: Held) -> Option<Map> {
        let stamp = self.next_stamp();
        let state = self.files.get(file)?;
        let mut coming: ByChunk<Grains> = ByChunk::default();
        for one in self.receiving.of_file(file).filter(|one| one.is_claimed()) {
            let grains = one.slice.grains(state.layout());
            coming.update(one.slice.chunk(), |all| *all = all.and(grains));
        }
        let mut open = Vec::with_capacity(state.open.len() + coming.len());
        state.open.beside(&coming, |chunk, held, coming| {
            open.push(open_chunk(chunk, Part { held, coming: coming.without(held) }));
        });
        open.truncate(OPEN_CHUNKS_MAX);
        Some(Map { stamp, interest: state.interest(), held, open, ahead: state.ahead().collect() })
    }

    /// Takes over what a peer says of itself, unless something later is known or there is no room.
    pub(super) fn update_view(&mut self, peer: PeerKey, file: FileKey, map: &Map) {
        let Some(state) = self.files.get(file).filter(|_| self.peers.contains(peer)) else { return };
        let Some(read) = ReadMap::read(state.layout(), map) else {
            return self.note_offence(peer, file, OffenceKind::Malformed);
        };
        let (known, is_held) = (state.views.get(&peer), state.held.is_full());
        if known.is_some_and(|view| view.stamp >= map.stamp) {
            return;
        }
        let is_new = known.is_none();
        if map.interest == Interest::Complete && read.is_full() {
            self.put(peer, file, |peer, file| Output::HeldBy { file, peer });
            // Between two complete copies nothing moves.
            if is_held {
                return self.drop_view(peer, file);
            }
        }
        if is_new && !self.make_room(peer, file) {
            return;
        }
        let Some(state) = self.files.get_mut(file) else { return };
        let view = state.views.replace(peer, read);
        if map.interest.takes_offers() && !view.interest.takes_offers() {
            // What it declined it has not been wanting.
            (view.declined_until, view.decline_streak, view.declined) = (Time::ZERO, 0, None);
        }
        (view.stamp, view.interest, view.updated) = (map.stamp, map.interest, self.now);
        if view.is_wanting() {
            self.sending.lackers.insert(file);
        } else {
            self.note_lackers(file);
        }
        self.free_forgotten(peer, file);
    }

    /// Makes room for one more map of a peer: at the cost of the peer's own oldest, never of another's.
    fn make_room(&mut self, id: PeerKey, file: FileKey) -> bool {
        let Some(cost) = self.files.get(file).map(|state| View::cost(state.layout())) else { return false };
        loop {
            let Some(peer) = self.peers.get_mut(id) else { return false };
            let many = peer.record.views.len() >= self.config.views_per_peer_max;
            let large = peer.record.view_bytes + cost > self.config.view_bytes_per_peer_max;
            let full = self.finding.view_bytes + cost > self.config.view_bytes_max;
            if !many && !large && !full {
                peer.record.views.insert(file);
                peer.record.view_bytes += cost;
                self.finding.view_bytes += cost;
                return true;
            }
            let updated = |file: &FileKey| {
                let view = self.files.get(*file).and_then(|state| state.views.get(&id));
                view.map(|view| view.updated)
            };
            let Some(oldest) = peer.record.views.iter().copied().min_by_key(updated) else { return false };
            self.drop_view(id, oldest);
        }
    }

    pub(super) fn drop_view(&mut self, id: PeerKey, file: FileKey) {
        let Some(state) = self.files.get_mut(file) else { return };
        if !state.views.remove(&id) {
            return;
        }
        let cost = View::cost(state.layout());
        self.finding.view_bytes -= cost.min(self.finding.view_bytes);
        if let Some(peer) = self.peers.get_mut(id) {
            peer.record.views.remove(&file);
            peer.record.view_bytes -= cost.min(peer.record.view_bytes);
        }
        self.note_lackers(file);
    }

    pub(super) fn drop_views_of_file(&mut self, file: FileKey) {
        let peers: Vec<PeerKey> = self
            .files
            .get(file)
            .map_or(Vec::new(), |state| state.views.iter().map(|(peer, _)| peer).collect());
        peers.into_iter().for_each(|peer| self.drop_view(peer, file));
    }

    pub(super) fn drop_views_of_peer(&mut self, id: PeerKey) {
        let files: Vec<FileKey> =
            self.peers.get(id).map_or(Vec::new(), |peer| peer.record.views.iter().copied().collect());
        files.into_iter().for_each(|file| self.drop_view(id, file));
        self.finding.askers.remove(&id);
    }

    fn note_lackers(&mut self, file: FileKey) {
        let wanted = |state: &FileState| state.views.iter().any(|(_, view)| view.is_wanting());
        if self.files.get(file).is_some_and(wanted) {
            self.sending.lackers.insert(file);
        } else {
            self.sending.lackers.remove(&file);
        }
    }
}
