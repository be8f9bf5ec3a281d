//! Which parts of a file are on which node, for people who look at it.

use std::ops::Range;

use swift_chain::NodeId;
use swift_chunks::{CHUNK_LEN, ChunkIndex, ChunkLayout, ChunkSet, FileId, Grains};

use super::Swarm;

/// A file is told in at most this many parts. One of no more chunks has a part for each.
pub const SPREAD_PARTS_MAX: usize = 256;
/// Nodes that are told of one file, this one among them: counting costs time in which nothing else is done.
pub const SPREAD_NODES_MAX: usize = 64;

/// How much of a file a node holds, as it last told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    /// Whose.
    pub node: NodeId,
    /// Bytes that it verified.
    pub bytes: u64,
    /// How full each part of the file is there, in percent and in order; 100 is all of it.
    pub parts: Vec<u8>,
}

impl Swarm {
    /// How much of a file is here, and how much the neighbours hold that have told; nothing of a file that is not known,
    /// nor of neighbours that hold all of it as this node does.
    pub fn spread(&self, file: &FileId) -> Vec<Spread> {
        let Some(state) = self.file(file) else { return Vec::new() };
        let mine = Spread::of(self.me, &state.held, state.open.iter());
        let others = state.views.iter().filter_map(|(peer, view)| {
            let open = view.open().iter().map(|(chunk, part)| (chunk, part.held));
            Some(Spread::of(self.peers.id(peer)?, view.held(), open))
        });
        std::iter::once(mine).chain(others).take(SPREAD_NODES_MAX).collect()
    }
}

impl Spread {
    /// `open` are the verified grains of chunks that are not held, in order.
    fn of(node: NodeId, held: &ChunkSet, open: impl Iterator<Item = (ChunkIndex, Grains)>) -> Self {
        let layout = held.layout();
        let mut ranges = part_ranges(layout.chunk_count()).peekable();
        let mut filled: Vec<u64> = ranges.clone().map(|range| bytes_held(held, &range)).collect();
        let mut at = 0;
        for (chunk, grains) in open.filter(|(chunk, _)| !held.contains(*chunk)) {
            while ranges.next_if(|range| range.end <= chunk.get()).is_some() {
                at += 1;
            }
            if let Some(bytes) = filled.get_mut(at) {
                *bytes += grains.bytes(layout, chunk);
            }
        }
        let whole = part_ranges(layout.chunk_count()).map(|range| bytes_in(layout, &range));
        let parts = filled.iter().zip(whole).map(|(&bytes, whole)| percent(bytes, whole)).collect();
        Self { node, bytes: filled.iter().sum(), parts }
    }
}

/// The chunks of each part, in order: as even as can be.
fn part_ranges(chunks: u32) -> impl Iterator<Item = Range<u32>> + Clone {
    let chunks = u64::from(chunks);
    let parts = chunks.min(SPREAD_PARTS_MAX as u64);
    let start = move |part: u64| u32::try_from(part * chunks / parts.max(1)).unwrap_or(u32::MAX);
    (0..parts).map(move |part| start(part)..start(part + 1))
}

/// Bytes of some chunks that follow each other.
fn bytes_in(layout: ChunkLayout, chunks: &Range<u32>) -> u64 {
    let start = |chunk: u32| (u64::from(chunk) * CHUNK_LEN).min(layout.file_len());
    start(chunks.end) - start(chunks.start)
}

/// Bytes of those among them that are held.
fn bytes_held(held: &ChunkSet, chunks: &Range<u32>) -> u64 {
    let layout = held.layout();
    let last = chunks.end.checked_sub(1).and_then(|last| layout.chunk(last.into()));
    let short = last.filter(|&last| held.contains(last)).map_or(0, |last| CHUNK_LEN - layout.chunk_len(last));
    u64::from(held.count_in(chunks.clone())) * CHUNK_LEN - short
}

/// 100 only for all.
fn percent(bytes: u64, whole: u64) -> u8 {
    let percent = u128::from(bytes) * 100 / u128::from(whole.max(1));
    u8::try_from(percent).unwrap_or(100).min(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(len: u64) -> ChunkLayout {
        ChunkLayout::new(len).unwrap()
    }

    fn spread(held: &ChunkSet, open: &[(u32, u64)]) -> Spread {
        let chunk = |number: u32| held.layout().chunk(number.into()).unwrap();
        let open = open.iter().map(|&(number, bits)| (chunk(number), Grains::from_bits(bits)));
        Spread::of(NodeId::from_bytes([1; 32]), held, open)
    }

    #[test]
    fn a_short_file_has_a_part_for_each_chunk_and_its_last_one_counts_what_it_is() {
        let mut held = ChunkSet::empty(layout(2 * CHUNK_LEN + 10));
        assert_eq!(spread(&held, &[]).parts, [0, 0, 0]);
        held.insert_run(1..3);
        let half = spread(&held, &[(0, u64::MAX >> 32)]);
        assert_eq!((half.parts, half.bytes), (vec![50, 100, 100], CHUNK_LEN + CHUNK_LEN / 2 + 10));
        held.insert_run(0..1);
        assert_eq!(spread(&held, &[(0, u64::MAX)]).bytes, 2 * CHUNK_LEN + 10, "what is held is counted once");
    }

    #[test]
    fn a_file_of_any_length_has_few_parts_that_are_all_of_it() {
        for chunks in [1, 255, 256, 257, 1_000, 4_194_304] {
            let ranges: Vec<_> = part_ranges(chunks).collect();
            assert!(ranges.len() <= SPREAD_PARTS_MAX && ranges.iter().all(|range| !range.is_empty()));
            assert!(ranges.windows(2).all(|two| two[0].end == two[1].start));
            assert_eq!((ranges[0].start, ranges.last().unwrap().end), (0, chunks));
        }
        let mut held = ChunkSet::empty(layout(1_000 * CHUNK_LEN));
        held.insert_run(0..999);
        let nearly = spread(&held, &[]);
        assert_eq!((nearly.parts.len(), nearly.parts[254], nearly.parts[255]), (256, 100, 75));
        assert!(spread(&ChunkSet::full(layout(0)), &[]).parts.is_empty());
    }
}
