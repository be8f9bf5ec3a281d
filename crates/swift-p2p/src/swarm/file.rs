//! What is known of one file: what is here, what each neighbour has.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use swift_chain::NodeId;
use swift_chunks::{CHUNK_LEN, ChunkIndex, ChunkLayout, ChunkSet, Grains, Slice};

use super::by_chunk::ByChunk;
use super::input::{Priority, Reader, Want};
use super::message::{AHEAD_MAX, Ahead, Interest, OPEN_CHUNKS_MAX};
use super::peer::PeerKey;
use super::sent::Sent;
use super::table::Key;
use super::time::Time;
use super::view::{Recent, Views};

/// Chunks ahead of a reader that are asked for in order, of a file that is wanted whole: the others come by rarity, which
/// serves everybody better.
const AHEAD_OF_WHOLE: u32 = 4;
/// Members whose offences with one file are remembered.
const OFFENDERS_MAX: usize = 1024;

/// How far this node's own copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Something is missing.
    Partial,
    /// Everything is verified, not yet everything on stable storage.
    Verified,
    /// Everything is on stable storage.
    Stored,
    /// The manifest is false.
    Stopped,
}

/// A sender of wrong bytes.
#[derive(Clone, Copy, Debug)]
struct Offender {
    first: ChunkIndex,
    again: bool,
}

/// When holders are to be asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking {
    pub(super) next: Time,
    /// Questions without success so far.
    pub(super) round: u32,
    /// In which order others are asked.
    pub(super) tour: Tour,
}

/// A way through all peers that visits each once, and begins anywhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tour {
    start: u32,
    stride: u32,
}

impl Tour {
    pub(super) const fn new(start: u32, stride: u32) -> Self {
        Self { start, stride }
    }

    /// Indices below `len`: `count` of them, after those of the first `round` visits of as many.
    pub(super) fn visit(self, round: u32, count: usize, len: usize) -> impl Iterator<Item = usize> {
        let len = len as u64;
        // Every index is met once if the stride has no factor in common with their number.
        let stride =
            (u64::from(self.stride) % len.max(1)..).find(|&stride| gcd(stride, len) == 1).unwrap_or(1);
        let first = u64::from(round) * count as u64;
        let places = (first..first + (count as u64).min(len)).map(move |at| (at % len) * stride);
        places.map(move |at| usize::try_from((u64::from(self.start) + at) % len).unwrap_or(0))
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A file's short name.
pub(super) type FileKey = Key<FileState>;

/// One file of the ledger.
#[derive(Clone, Debug)]
pub(super) struct FileState {
    pub(super) publisher: NodeId,
    pub(super) want: Want,
    pub(super) priority: Priority,
    pub(super) standing: Standing,
    /// Chunks that passed both hashes.
    pub(super) held: ChunkSet,
    /// Grains that passed BLAKE3, of chunks that are not held.
    pub(super) open: ByChunk<Grains>,
    /// Chunks whose every grain is here, and that are being looked at.
    pub(super) checking: BTreeSet<ChunkIndex>,
    pub(super) recent: Recent,
    /// Grows when there is more here than before.
    pub(super) gained: u64,
    /// Where those are who read it in order.
    pub(super) readers: Vec<Reader>,
    /// What neighbours were told of what these come to next.
    told_ahead: Vec<Ahead>,
    pub(super) views: Views<PeerKey>,
    /// Slices that are accepted and not here.
    pub(super) coming_len: usize,
    /// From acceptance to verification of a slice, smoothed.
    pub(super) slice_time: Option<Duration>,
    /// Set while the file is active, that is asked about.
    pub(super) asking: Option<Asking>,
    pub(super) in_line: bool,
    /// Nothing is accepted before: this node could not write.
    pub(super) storage_until: Option<Time>,
    offenders: BTreeMap<NodeId, Offender>,
    pub(super) sent: Sent,
}

impl FileState {
    pub(super) fn new(publisher: NodeId, held: ChunkSet, want: Want) -> Self {
        Self {
            publisher,
            want,
            priority: Priority::Normal,
            standing: if held.is_full() { Standing::Stored } else { Standing::Partial },
            open: ByChunk::default(),
            gained: 0,
            checking: BTreeSet::new(),
            recent: Recent::default(),
            readers: Vec::new(),
            told_ahead: Vec::new(),
            views: Views::new(held.layout()),
            coming_len: 0,
            slice_time: None,
            asking: None,
            in_line: false,
            storage_until: None,
            offenders: BTreeMap::new(),
            sent: Sent::new(held.layout()),
            held,
        }
    }

    pub(super) fn layout(&self) -> ChunkLayout {
        self.held.layout()
    }

    /// The grains of a chunk that are here.
    pub(super) fn holds(&self, chunk: ChunkIndex) -> Grains {
        if self.held.contains(chunk) {
            return Grains::all_of(self.layout(), chunk);
        }
        self.open.get(chunk).unwrap_or(Grains::NONE)
    }

    /// Whether something is to be fetched now. Of what is only read that is nothing while its readers have enough.
    pub(super) fn is_fetching(&self) -> bool {
        self.is_wanting() && (self.want == Want::Wanted || self.missing_ahead().next().is_some())
    }

    /// Whether something may be to be fetched, now or later.
    pub(super) fn is_wanting(&self) -> bool {
        self.want != Want::Unwanted && self.standing == Standing::Partial
    }

    /// Whether this chunk may be fetched now.
    pub(super) fn wants(&self, chunk: ChunkIndex) -> bool {
        self.is_wanting() && (self.want == Want::Wanted || self.is_ahead(chunk))
    }

    pub(super) fn interest(&self) -> Interest {
        match (self.standing, self.want) {
            (Standing::Stored, _) => Interest::Complete,
            (Standing::Partial | Standing::Verified, Want::Wanted) => Interest::Wanted,
            (Standing::Partial | Standing::Verified, Want::Reading) => Interest::Reading,
            _ => Interest::Unwanted,
        }
    }

    /// What those who read it come to next.
    pub(super) fn ahead(&self) -> impl Iterator<Item = Ahead> + '_ {
        let most = if self.want == Want::Reading { AHEAD_MAX } else { AHEAD_OF_WHOLE };
        self.readers.iter().map(move |reader| {
            let first = reader.at.get();
            Ahead { first, count: (reader.last.get() - first).saturating_add(1).min(most) }
        })
    }

    /// Readers have moved: says whether neighbours are to be told. Not of each step, as a map may be long: half of what
    /// they were told is enough for them to go on with.
    pub(super) fn note_ahead(&mut self) -> bool {
        let ahead: Vec<Ahead> = self.ahead().collect();
        let is_in = |now: &Ahead, told: &Ahead, count: u32| {
            (told.first..told.first.saturating_add(count)).contains(&now.first)
        };
        // Where nobody is any more, the next map will not say so again.
        self.told_ahead.retain(|told| ahead.iter().any(|now| is_in(now, told, told.count)));
        let is_told =
            |now: &Ahead| self.told_ahead.iter().any(|told| is_in(now, told, told.count.div_ceil(2)));
        // What is here need not be told, and was not.
        let is_new = self.is_fetching() && !ahead.iter().all(is_told);
        if is_new {
            self.told_ahead = ahead;
        }
        is_new
    }

    /// Whether a reader comes to a chunk next.
    pub(super) fn is_ahead(&self, chunk: ChunkIndex) -> bool {
        self.ahead().any(|ahead| ahead.numbers().contains(&chunk.get()))
    }

    /// Chunks that readers come to next and that are not held. Where several read, one may be named more than once.
    pub(super) fn missing_ahead(&self) -> impl Iterator<Item = ChunkIndex> + '_ {
        let chunks = self.ahead().flat_map(Ahead::numbers).filter_map(|at| self.layout().chunk(at.into()));
        chunks.filter(|&chunk| !self.held.contains(chunk))
    }

    /// Peers known to hold something that is missing here.
    pub(super) fn suppliers(&self) -> impl Iterator<Item = PeerKey> + '_ {
        self.views.iter().filter(|(_, view)| view.supplies(&self.held, &self.open)).map(|(peer, _)| peer)
    }

    /// Takes in verified grains; says whether the chunk has all of them now.
    pub(super) fn add_grains(&mut self, chunk: ChunkIndex, grains: Grains) -> bool {
        let all = Grains::all_of(self.layout(), chunk);
        let here = self.holds(chunk).and(grains);
        if self.held.contains(chunk) || self.checking.contains(&chunk) {
            return false;
        }
        self.open.insert(chunk, here);
        self.gained += 1;
        here.contains(all) && self.checking.insert(chunk)
    }

    /// Takes in grains that are here since an earlier run, of as many chunks as may be open. Answers which of these have
    /// all of them.
    pub(super) fn restore(&mut self, parts: &[(ChunkIndex, Grains)]) -> Vec<ChunkIndex> {
        let mut whole = Vec::new();
        if self.standing != Standing::Partial {
            return whole;
        }
        for &(chunk, grains) in parts.iter().filter(|(_, grains)| !grains.is_empty()) {
            let is_of_file = chunk.get() < self.layout().chunk_count()
                && Grains::all_of(self.layout(), chunk).contains(grains);
            let may_open = self.open.len() < OPEN_CHUNKS_MAX || self.open.contains(chunk);
            if is_of_file && may_open && self.add_grains(chunk, grains) {
                whole.push(chunk);
            }
        }
        whole
    }

    /// Of what is only read, parts of chunks that no reader comes to next are not counted on any more when there are
    /// many: they would take the places of those that one waits for. They are on disk all the same.
    pub(super) fn forget_parts_behind(&mut self) {
        if self.open.len() <= OPEN_CHUNKS_MAX / 2 {
            return;
        }
        let is_behind = |chunk: &ChunkIndex| !self.is_ahead(*chunk) && !self.checking.contains(chunk);
        let behind: Vec<ChunkIndex> = self.open.chunks().filter(is_behind).collect();
        behind.into_iter().for_each(|chunk| _ = self.open.remove(chunk));
    }

    /// A chunk passed both hashes; says whether it is new.
    pub(super) fn hold(&mut self, chunk: ChunkIndex) -> bool {
        self.open.remove(chunk);
        self.checking.remove(&chunk);
        let new = self.held.insert(chunk);
        if new {
            self.recent.push(chunk);
            self.gained += 1;
        }
        new
    }

    /// A chunk is not here any more, nor any part of it; says whether it was held.
    pub(super) fn lose(&mut self, chunk: ChunkIndex) -> bool {
        self.open.remove(chunk);
        self.checking.remove(&chunk);
        self.held.remove(chunk)
    }

    /// Bytes that are verified.
    pub(super) fn bytes(&self) -> u64 {
        let layout = self.layout();
        let short = layout.chunks().next_back().filter(|&last| self.held.contains(last));
        let short = short.map_or(0, |last| CHUNK_LEN - layout.chunk_len(last));
        let parts = self.open.iter().map(|(chunk, grains)| grains.bytes(layout, chunk));
        u64::from(self.held.len()) * CHUNK_LEN - short + parts.sum::<u64>()
    }

    /// Something is not held any more: neighbours must be told all of what is.
    pub(super) fn forget_told(&mut self) {
        self.recent.forget();
    }

    /// Records wrong bytes; the second time the peer is out for this file.
    pub(super) fn sent_wrong_bytes(&mut self, peer: NodeId, slice: Slice) {
        if let Some(offender) = self.offenders.get_mut(&peer) {
            offender.again = true;
        } else if self.offenders.len() < OFFENDERS_MAX {
            self.offenders.insert(peer, Offender { first: slice.chunk(), again: false });
        }
    }

    /// Whether a slice may be taken from a peer, by its record.
    pub(super) fn trusts(&self, peer: NodeId, chunk: ChunkIndex) -> bool {
        self.offenders.get(&peer).is_none_or(|offender| !offender.again && offender.first != chunk)
    }

    pub(super) fn saw_slice_take(&mut self, sample: Duration) {
        self.slice_time = Some(self.slice_time.map_or(sample, |old| (old * 3 + sample) / 4));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tour_visits_everybody_once_before_it_visits_anybody_twice() {
        for (start, stride, len) in [(0, 0, 1), (7, 6, 12), (u32::MAX, u32::MAX, 1000), (5, 500, 1000)] {
            let tour = Tour::new(start, stride);
            let rounds = u32::try_from(len / 4).unwrap();
            let mut visited: Vec<usize> = (0..rounds).flat_map(|round| tour.visit(round, 4, len)).collect();
            visited.sort_unstable();
            assert_eq!(visited, (0..len / 4 * 4).collect::<Vec<_>>(), "{start} {stride} {len}");
        }
        assert_eq!(Tour::new(3, 1).visit(0, 4, 0).count(), 0);
        assert_eq!(Tour::new(3, 1).visit(9, 4, 2).count(), 2);
    }
}
