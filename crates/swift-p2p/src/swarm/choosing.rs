//! What to offer, and to whom: of a file in its turn a chunk of which a peer lacks a part that is here, and a slice of
//! that part.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};

use swift_chain::NodeId;
use swift_chunks::{CHUNK_LEN, ChunkIndex, Grains, Slice};

use super::Swarm;
use super::file::{FileKey, FileState, Standing};
use super::message::{AHEAD_MAX, Interest, OPEN_CHUNKS_MAX};
use super::peer::{Peer, PeerKey};
use super::policy::{PeerChoice, SliceChoice, SliceSizing};
use super::sends::Choice;
use super::table::Table;
use super::view::View;

/// Peers that are looked at for one offer.
const PEERS_PER_LOOK: usize = 32;
/// Files that are looked at for one offer.
const FILES_PER_LOOK: usize = 256;
/// Chunks among which one is chosen: enough for rarity to mean something, few enough to look at every time.
const SAMPLE_LEN: usize = 64;
/// Slices among which some are chosen.
const SLICES_MAX: usize = 1024;

/// Grains of a chunk that are here and that a peer neither has nor awaits.
#[derive(Clone, Copy, Debug)]
struct Lack {
    chunk: ChunkIndex,
    grains: Grains,
    /// Whether other parts of the chunk went, or go, by themselves.
    is_begun: bool,
}

impl Swarm {
    /// The next file in turn of which some peer can be offered something.
    pub(super) fn next_offer(&mut self) -> Option<(PeerKey, FileKey, Choice)> {
        let lackers = &self.sending.lackers;
        let after = self.sending.last_file.map_or(Unbounded, Excluded);
        let in_turn = lackers.range((after, Unbounded)).chain(lackers);
        let in_turn: Vec<FileKey> = in_turn.take(lackers.len().min(FILES_PER_LOOK)).copied().collect();
        for file in in_turn {
            self.sending.last_file = Some(file);
            if let Some((to, choice)) = self.next_of_file(file) {
                return Some((to, file, choice));
            }
        }
        None
    }

    /// Nothing here is lacking there: no need to look again before one of the two has changed.
    fn note_nothing(&mut self, peer: PeerKey, file: FileKey) {
        let Some(state) = self.files.get_mut(file) else { return };
        let gained = state.gained;
        if let Some(view) = state.views.get_mut(&peer) {
            view.nothing_at = Some(gained);
        }
    }

    fn next_of_file(&mut self, file: FileKey) -> Option<(PeerKey, Choice)> {
        let state = self.files.get(file).filter(|state| state.standing != Standing::Stopped)?;
        let is_shared = self.peers.len() > 1;
        let mut peers = Vec::with_capacity(PEERS_PER_LOOK);
        let mut choices = Vec::with_capacity(PEERS_PER_LOOK);
        let first = Table::<NodeId, Peer>::slot(self.random.below(self.peers.slots()));
        for (peer, view) in state.views.iter_from(first) {
            if peers.len() >= PEERS_PER_LOOK {
                break;
            }
            if !view.interest.takes_offers() || view.nothing_at == Some(state.gained) {
                continue;
            }
            let Some(known) = self.peers.get(peer) else { continue };
            let ready_at = known.busy_until.max(view.declined_until);
            if ready_at <= self.now {
                peers.push(peer);
                let rested = known.sent_at.map(|at| self.now.since(at));
                let is_warm = rested.is_some_and(|rested| rested < self.config.warm);
                choices.push(PeerChoice {
                    open_sends: known.open_sends,
                    confirmed: is_shared.then_some(known.confirmed),
                    is_warm,
                    lacking: view.lacking().saturating_sub(self.uplink.sent_in(self.now.since(view.updated))),
                });
            } else if self.sending.retry_at.is_none_or(|at| ready_at < at) {
                self.sending.retry_at = Some(ready_at);
            }
        }
        while let Some(at) = self.policy.choose_peer(&choices, &mut self.random) {
            choices.swap_remove(at);
            let peer = peers.swap_remove(at);
            if let Some(choice) = self.choose_slices(peer, file) {
                return Some((peer, choice));
            }
            self.note_nothing(peer, file);
        }
        None
    }

    /// What to offer to a peer of a file next, if it lacks anything that is here.
    fn choose_slices(&mut self, peer: PeerKey, file: FileKey) -> Option<Choice> {
        let state = self.files.get(file)?;
        let view = state.views.get(&peer)?;
        let own = self.sending.open_to(peer, file);
        let known = self.peers.get(peer);
        let sizing = SliceSizing {
            file_len: state.layout().file_len(),
            sent: state.sent.bytes,
            lacking: u64::from(state.layout().chunk_count() - view.held().len()) * CHUNK_LEN,
            neighbours: state.views.len(),
            is_shared: self.peers.len() > 1,
            uplink_rate: self.uplink.rate,
            peer_rate: known.and_then(|peer| peer.record.rate_to),
            round_trip: known.and_then(|peer| peer.record.round_trip_least),
        };
        let level = self.policy.slice_level(sizing);
        let lack = |chunk| {
            let grains = state.holds(chunk).without(view.has_or_awaits(chunk));
            let is_begun = view.open().contains(chunk) || own.iter().any(|slice| slice.chunk() == chunk);
            Lack { chunk, grains: without(state, grains, chunk, &own), is_begun }
        };
        if let Some(lack) = urgent(state, view, lack) {
            return first_of(state, lack, level).map(|slice| Choice { slices: vec![slice] });
        }
        if view.interest == Interest::Reading {
            return None;
        }
        let start = self.random.below(state.layout().chunk_count());
        let mut lacks = Vec::with_capacity(SAMPLE_LEN);
        let mut alternatives = 1;
        let is_open_to_it = |lack: &Lack| Some(lack.chunk) != view.declined;
        if state.held.is_full() {
            let offered = self.sending.offered(file);
            unsent(state, view, start, lack, &offered, &mut lacks);
            lacks.retain(is_open_to_it);
        }
        if lacks.is_empty() {
            lacking(state, view, start, lack, &mut lacks);
            alternatives = self.config.alternatives;
            if lacks.len() > 1 {
                lacks.retain(is_open_to_it);
            }
        }
        let (mut slices, mut choices) = (Vec::with_capacity(SLICES_MAX), Vec::with_capacity(SLICES_MAX));
        for lack in lacks {
            let rarity = state.views.rarity(lack.chunk);
            let before = slices.len();
            slices_of(state, lack, level, &mut slices);
            choices.extend(slices.iter().skip(before).map(|slice| SliceChoice {
                known: rarity.known(slice.first_grain()),
                is_begun: lack.is_begun,
            }));
            if slices.len() >= SLICES_MAX {
                break;
            }
        }
        let chosen = self.policy.choose_slices(&choices, alternatives, self.uplink.rate, &mut self.random);
        let slices: Vec<Slice> = chosen.into_iter().filter_map(|at| slices.get(at).copied()).collect();
        (!slices.is_empty()).then_some(Choice { slices })
    }
}

/// The slices of what is lacking of a chunk: as large as they should be, or as large as there are.
fn slices_of(state: &FileState, lack: Lack, level: u8, slices: &mut Vec<Slice>) {
    let before = slices.len();
    for level in (0..=level).rev() {
        slices.extend(Slice::within(state.layout(), lack.chunk, lack.grains, level));
        if slices.len() > before {
            break;
        }
    }
}

/// Grains of a chunk that are in none of these slices.
fn without(state: &FileState, grains: Grains, chunk: ChunkIndex, slices: &[Slice]) -> Grains {
    let of_chunk = slices.iter().filter(|slice| slice.chunk() == chunk);
    of_chunk.fold(grains, |grains, slice| grains.without(slice.grains(state.layout())))
}

/// The slice at the beginning of what is lacking, as large as it should be if it can.
fn first_of(state: &FileState, lack: Lack, level: u8) -> Option<Slice> {
    let grain = lack.grains.bits().trailing_zeros();
    let slices =
        (0..=level).rev().filter_map(|level| Slice::around(state.layout(), lack.chunk, grain, level));
    let mut fitting = slices.filter(|slice| lack.grains.contains(slice.grains(state.layout())));
    fitting.next()
}

/// What is lacking nearest to where somebody reads it there. Several readers get theirs in turn.
fn urgent(state: &FileState, view: &View, lack: impl Fn(ChunkIndex) -> Lack) -> Option<Lack> {
    let numbers = (0..AHEAD_MAX).flat_map(|step| {
        let reached = view.ahead.iter().filter(move |ahead| step < ahead.count);
        reached.map(move |ahead| ahead.first.saturating_add(step))
    });
    let chunks = numbers.filter_map(|number| state.layout().chunk(number.into()));
    chunks.map(lack).find(|lack| !lack.grains.is_empty())
}

/// What a source has neither sent nor offered in this round, and the peer lacks: first of chunks that are begun.
fn unsent(
    state: &FileState,
    view: &View,
    start: u32,
    lack: impl Fn(ChunkIndex) -> Lack,
    offered: &[Slice],
    lacks: &mut Vec<Lack>,
) {
    let begun: BTreeSet<ChunkIndex> =
        state.sent.begun().chain(offered.iter().map(|slice| slice.chunk())).collect();
    let unsent = |chunk| {
        let lack = lack(chunk);
        let grains = lack.grains.without(state.sent.grains(chunk));
        let is_begun = lack.is_begun || begun.contains(&chunk);
        Lack { chunk, grains: without(state, grains, chunk, offered), is_begun }
    };
    let ahead = state.sent.unsent_from(start);
    let wrapped = state.sent.unsent_from(0).take_while(|chunk| chunk.get() < start);
    let fresh = ahead.chain(wrapped).filter(|chunk| !begun.contains(chunk));
    let chunks = begun.iter().copied().chain(fresh).filter(|&chunk| !view.held().contains(chunk));
    let may_open = view.open().len() < OPEN_CHUNKS_MAX;
    let chunks = chunks.filter(|chunk| may_open || view.open().contains(*chunk));
    lacks.extend(chunks.map(unsent).filter(|lack| !lack.grains.is_empty()).take(SAMPLE_LEN));
}

/// What the peer lacks: parts of chunks that it has parts of, and some chunks after a random place in the file.
fn lacking(
    state: &FileState,
    view: &View,
    start: u32,
    lack: impl Fn(ChunkIndex) -> Lack,
    lacks: &mut Vec<Lack>,
) {
    let open = view.open().chunks().map(&lack);
    lacks.extend(open.filter(|lack| !lack.grains.is_empty()));
    if view.open().len() >= OPEN_CHUNKS_MAX {
        return;
    }
    let ahead = state.held.difference_from(view.held(), start);
    let wrapped = state.held.difference(view.held()).take_while(|chunk| chunk.get() < start);
    let parts = state.open.chunks().filter(|&chunk| !view.held().contains(chunk));
    let fresh = parts.chain(ahead).chain(wrapped).filter(|chunk| !view.open().contains(*chunk));
    lacks.extend(fresh.map(lack).filter(|lack| !lack.grains.is_empty()).take(SAMPLE_LEN));
}
