//! What a neighbour has of a file, as it last told.

use std::collections::{BTreeMap, VecDeque};

use swift_chunks::{CHUNK_LEN, ChunkIndex, ChunkLayout, ChunkSet, GRAIN_LEN, Grains};

use super::by_chunk::ByChunk;
use super::message::{ADDED_MAX, Ahead, Held, Interest, Map, OpenChunk, Stamp};
use super::rarity::{Counts, Rarity};
use super::time::Time;

/// A part of a chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// Verified there.
    pub(super) held: Grains,
    /// On its way there.
    pub(super) coming: Grains,
}

/// A peer's state of the file.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) stamp: Stamp,
    pub(super) interest: Interest,
    held: ChunkSet,
    /// Chunks of which it has or awaits a part: as many as a map may name, and what this node sends.
    open: ByChunk<Part>,
    /// Grains of these that it has or awaits.
    open_grains: u32,
    /// What those who read it there come to next.
    pub(super) ahead: Vec<Ahead>,
    pub(super) updated: Time,
    /// No offer of this file before.
    pub(super) declined_until: Time,
    pub(super) decline_streak: u32,
    /// Of which chunk it declined a slice last: that is offered when there is nothing else. Whoever had wrong bytes of a
    /// chunk from here takes no more of it, and all the rest.
    pub(super) declined: Option<ChunkIndex>,
    /// What this node last told the peer of itself.
    pub(super) told: Option<Told>,
    /// Nothing could be offered to it when this node had gained so much: see
    /// [`FileState::gained`](super::file::FileState).
    pub(super) nothing_at: Option<u64>,
}

/// How much of this node's own state a peer was told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    /// When it was told everything.
    pub(super) all_at: Time,
    /// [`Recent::total`] of what it was told.
    pub(super) total: u64,
}

/// A map that is one of the file.
pub(super) struct ReadMap {
    held: Result<ChunkSet, Vec<ChunkIndex>>,
    open: ByChunk<Part>,
    ahead: Vec<Ahead>,
}

impl ReadMap {
    /// Reads a map of a file of this layout; nothing if it is none.
    pub(super) fn read(layout: ChunkLayout, map: &Map) -> Option<Self> {
        let chunk = |number: u32| layout.chunk(number.into());
        let held = match &map.held {
            Held::All(bytes) => Ok(ChunkSet::decode(layout, bytes).ok()?),
            Held::Added(chunks) => Err(chunks.iter().map(|&at| chunk(at)).collect::<Option<_>>()?),
        };
        let open = map.open.iter().map(|open| {
            let at = chunk(open.chunk)?;
            let all = Grains::all_of(layout, at);
            let part = Part { held: Grains::from_bits(open.held), coming: Grains::from_bits(open.coming) };
            (all.contains(part.held) && all.contains(part.coming)).then_some((at, part))
        });
        let is_of_file = |ahead: &Ahead| ahead.numbers().end <= layout.chunk_count();
        let ahead = Some(map.ahead.clone()).filter(|ahead| ahead.iter().all(is_of_file))?;
        Some(Self { held, open: open.collect::<Option<_>>()?, ahead })
    }

    /// Whether it says that every chunk is held.
    pub(super) fn is_full(&self) -> bool {
        self.held.as_ref().is_ok_and(ChunkSet::is_full)
    }
}

impl View {
    pub(super) fn new(layout: ChunkLayout) -> Self {
        Self {
            stamp: Stamp::default(),
            interest: Interest::Unwanted,
            held: ChunkSet::empty(layout),
            open: ByChunk::default(),
            open_grains: 0,
            ahead: Vec::new(),
            updated: Time::ZERO,
            declined_until: Time::ZERO,
            decline_streak: 0,
            declined: None,
            told: None,
            nothing_at: None,
        }
    }

    /// Bytes of memory, nearly.
    pub(super) fn cost(layout: ChunkLayout) -> usize {
        4096 + layout.chunk_count() as usize / 8
    }

    /// Bytes that it neither has nor awaits, nearly: a short last grain counts as a whole one, and of what it only reads,
    /// chunks of which nothing is there.
    pub(super) fn lacking(&self) -> u64 {
        if self.interest == Interest::Reading {
            let numbers = self.ahead.iter().copied().flat_map(Ahead::numbers);
            let chunks = numbers.filter_map(|number| self.held.layout().chunk(number.into()));
            return chunks.filter(|&chunk| self.has_or_awaits(chunk).is_empty()).count() as u64 * CHUNK_LEN;
        }
        let chunks = u64::from(self.held.layout().chunk_count() - self.held.len()) * CHUNK_LEN;
        chunks.saturating_sub(u64::from(self.open_grains) * GRAIN_LEN)
    }

    /// Whether it wants what it does not hold.
    pub(super) fn is_wanting(&self) -> bool {
        self.interest.takes_offers() && !self.held.is_full()
    }

    /// The chunks it holds whole.
    pub(super) fn held(&self) -> &ChunkSet {
        &self.held
    }

    /// Chunks of which it has or awaits a part.
    pub(super) fn open(&self) -> &ByChunk<Part> {
        &self.open
    }

    /// The grains of a chunk that it has.
    pub(super) fn holds(&self, chunk: ChunkIndex) -> Grains {
        if self.held.contains(chunk) {
            return Grains::from_bits(u64::MAX);
        }
        self.open.get(chunk).map_or(Grains::NONE, |part| part.held)
    }

    /// The grains of a chunk that it has or awaits.
    pub(super) fn has_or_awaits(&self, chunk: ChunkIndex) -> Grains {
        if self.held.contains(chunk) {
            return Grains::from_bits(u64::MAX);
        }
        self.open.get(chunk).map_or(Grains::NONE, |part| part.held.and(part.coming))
    }

    /// Whether it has something that is not in `mine` and `parts`.
    pub(super) fn supplies(&self, mine: &ChunkSet, parts: &ByChunk<Grains>) -> bool {
        let part_of = |chunk| parts.get(chunk).unwrap_or(Grains::NONE);
        let in_part =
            |(chunk, part): (ChunkIndex, Part)| !mine.contains(chunk) && !part_of(chunk).contains(part.held);
        self.held.difference(mine).next().is_some() || self.open.iter().any(in_part)
    }
}

/// The neighbours' views of one file, and how common each grain is among them.
///
/// Every change of a view goes through here, so that the counts are right.
#[derive(Clone, Debug)]
pub(super) struct Views<P> {
    views: BTreeMap<P, View>,
    layout: ChunkLayout,
    counts: Counts,
}

impl<P: Ord + Copy> Views<P> {
    pub(super) fn new(layout: ChunkLayout) -> Self {
        Self { views: BTreeMap::new(), layout, counts: Counts::default() }
    }

    pub(super) fn get(&self, peer: &P) -> Option<&View> {
        self.views.get(peer)
    }

    /// For everything but what the peer has or awaits.
    pub(super) fn get_mut(&mut self, peer: &P) -> Option<&mut View> {
        self.views.get_mut(peer)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (P, &View)> {
        self.views.iter().map(|(&peer, view)| (peer, view))
    }

    pub(super) fn len(&self) -> usize {
        self.views.len()
    }

    /// All of them, in a ring that begins at one.
    pub(super) fn iter_from(&self, first: P) -> impl Iterator<Item = (P, &View)> {
        let ring = self.views.range(first..).chain(self.views.range(..first));
        ring.map(|(&peer, view)| (peer, view))
    }

    /// How common a chunk is among neighbours.
    pub(super) fn rarity(&self, chunk: ChunkIndex) -> Rarity<'_> {
        self.counts.of(chunk)
    }

    pub(super) fn remove(&mut self, peer: &P) -> bool {
        let Some(view) = self.views.remove(peer) else { return false };
        view.held.iter().for_each(|chunk| self.counts.whole_less(chunk));
        view.open.iter().for_each(|(chunk, part)| self.counts.recount(chunk, part.known(), Grains::NONE));
        if self.views.is_empty() {
            self.counts = Counts::default();
        }
        true
    }

    /// Takes over what a peer tells of itself.
    pub(super) fn replace(&mut self, peer: P, map: ReadMap) -> &mut View {
        self.counts.make_room(self.layout);
        let (counts, layout) = (&mut self.counts, self.layout);
        let view = self.views.entry(peer).or_insert_with(|| View::new(layout));
        match map.held {
            Ok(held) if held == view.held => {}
            Ok(held) => {
                view.held.difference(&held).for_each(|chunk| counts.whole_less(chunk));
                held.difference(&view.held).for_each(|chunk| counts.whole_more(chunk));
                view.held = held;
            }
            Err(added) => {
                let new = added.into_iter().filter(|&chunk| view.held.insert(chunk));
                new.for_each(|chunk| counts.whole_more(chunk));
            }
        }
        let mut open = map.open;
        open.retain(|chunk| !view.held.contains(chunk));
        view.open.beside(&open, |chunk, old, new| counts.recount(chunk, old.known(), new.known()));
        view.open_grains = open.iter().map(|(_, part)| part.known().len()).sum();
        view.open = open;
        view.ahead = map.ahead;
        view.nothing_at = None;
        view
    }

    /// The peer has these grains.
    pub(super) fn now_holds(&mut self, peer: &P, chunk: ChunkIndex, grains: Grains) {
        let all = Grains::all_of(self.layout, chunk);
        self.change(peer, chunk, |part| {
            part.held = part.held.and(grains);
            part.coming = part.coming.without(grains);
        });
        let Some(view) = self.views.get_mut(peer) else { return };
        let is_whole = view.open.get(chunk).is_some_and(|part| part.held.contains(all));
        if is_whole && let Some(part) = view.open.remove(chunk) {
            let is_new = view.held.insert(chunk);
            view.open_grains -= part.known().len();
            self.counts.recount(chunk, part.known(), Grains::NONE);
            if is_new {
                self.counts.whole_more(chunk);
            }
        }
    }

    /// The peer awaits these grains.
    pub(super) fn now_awaits(&mut self, peer: &P, chunk: ChunkIndex, grains: Grains) {
        self.change(peer, chunk, |part| part.coming = part.coming.and(grains));
    }

    /// The peer does not await these grains any more.
    pub(super) fn awaits_no_more(&mut self, peer: &P, chunk: ChunkIndex, grains: Grains) {
        self.change(peer, chunk, |part| part.coming = part.coming.without(grains));
    }

    /// The peer does not have these grains, whatever it told.
    pub(super) fn lacks(&mut self, peer: &P, chunk: ChunkIndex, grains: Grains) {
        let Some(view) = self.views.get_mut(peer) else { return };
        if view.held.remove(chunk) {
            view.nothing_at = None;
            self.counts.whole_less(chunk);
        }
        self.change(peer, chunk, |part| part.held = part.held.without(grains));
    }

    /// Changes what is known of a part of a chunk that the peer does not hold whole.
    fn change(&mut self, peer: &P, chunk: ChunkIndex, change: impl FnOnce(&mut Part)) {
        let Some(view) = self.views.get_mut(peer).filter(|view| !view.held.contains(chunk)) else { return };
        let (before, after) = view.open.update(chunk, |part| {
            let before = *part;
            change(part);
            (before, *part)
        });
        if after == Part::default() {
            view.open.remove(chunk);
        }
        view.nothing_at = None;
        view.open_grains = view.open_grains + after.known().len() - before.known().len();
        self.counts.recount(chunk, before.known(), after.known());
    }
}

impl Part {
    /// Here or coming.
    fn known(self) -> Grains {
        self.held.and(self.coming)
    }
}

/// The chunks that this node completed last, so that neighbours can be told of these alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    last: VecDeque<ChunkIndex>,
    /// Chunks completed so far.
    pub(super) total: u64,
}

impl Recent {
    pub(super) fn push(&mut self, chunk: ChunkIndex) {
        if self.last.len() == ADDED_MAX {
            self.last.pop_front();
        }
        self.last.push_back(chunk);
        self.total += 1;
    }

    /// Whoever was told something until now must be told everything.
    pub(super) fn forget(&mut self) {
        self.last.clear();
        self.total += 1;
    }

    /// What was completed after the first `total` chunks, unless that is too long ago.
    pub(super) fn since(&self, total: u64) -> Option<Vec<u32>> {
        let count = usize::try_from(self.total.checked_sub(total)?).ok()?;
        let skipped = self.last.len().checked_sub(count)?;
        Some(self.last.iter().skip(skipped).map(|chunk| chunk.get()).collect())
    }
}

/// A part of a chunk, to be put into a map.
pub(super) fn open_chunk(chunk: ChunkIndex, part: Part) -> OpenChunk {
    OpenChunk { chunk: chunk.get(), held: part.held.bits(), coming: part.coming.bits() }
}
