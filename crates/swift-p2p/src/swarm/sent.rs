//! What has gone out from here, so that a source sends everything once before it sends anything twice.

use std::collections::BTreeMap;

use swift_chunks::{ChunkIndex, ChunkLayout, ChunkSet, GRAIN_LEN, Grains};

/// What was sent in the present round. A round ends when every grain of the file was sent in it.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    whole: ChunkSet,
    parts: BTreeMap<ChunkIndex, Grains>,
    /// Bytes sent in all rounds, nearly.
    pub(super) bytes: u64,
}

impl Sent {
    pub(super) fn new(layout: ChunkLayout) -> Self {
        Self { whole: ChunkSet::empty(layout), parts: BTreeMap::new(), bytes: 0 }
    }

    /// The chunks from number `start` on of which some grain was not sent in this round.
    pub(super) fn unsent_from(&self, start: u32) -> impl Iterator<Item = ChunkIndex> + '_ {
        self.whole.missing_from(start)
    }

    /// The chunks of which a part was sent in this round, and not all.
    pub(super) fn begun(&self) -> impl Iterator<Item = ChunkIndex> + '_ {
        self.parts.keys().copied()
    }

    /// The grains of a chunk that were sent in this round.
    pub(super) fn grains(&self, chunk: ChunkIndex) -> Grains {
        if self.whole.contains(chunk) {
            return Grains::from_bits(u64::MAX);
        }
        self.parts.get(&chunk).copied().unwrap_or(Grains::NONE)
    }

    pub(super) fn count(&mut self, chunk: ChunkIndex, grains: Grains) {
        self.bytes += u64::from(grains.len()) * GRAIN_LEN;
        let sent = self.grains(chunk).and(grains);
        if sent.contains(Grains::all_of(self.whole.layout(), chunk)) {
            self.parts.remove(&chunk);
            self.whole.insert(chunk);
            if self.whole.is_full() {
                self.whole = ChunkSet::empty(self.whole.layout());
            }
        } else {
            self.parts.insert(chunk, sent);
        }
    }

    /// They did not arrive.
    pub(super) fn uncount(&mut self, chunk: ChunkIndex, grains: Grains) {
        self.bytes = self.bytes.saturating_sub(u64::from(grains.len()) * GRAIN_LEN);
        let all = Grains::all_of(self.whole.layout(), chunk);
        let part = if self.whole.remove(chunk) { Some(all) } else { self.parts.remove(&chunk) };
        let left = part.map_or(Grains::NONE, |part| part.without(grains));
        if !left.is_empty() {
            self.parts.insert(chunk, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swift_chunks::CHUNK_LEN;

    #[test]
    fn a_round_is_over_when_every_grain_was_sent_and_what_was_lost_is_unsent_again() {
        let layout = ChunkLayout::new(2 * CHUNK_LEN).unwrap();
        let (first, second) = (layout.chunk(0).unwrap(), layout.chunk(1).unwrap());
        let mut sent = Sent::new(layout);
        let (low, high) = (Grains::from_bits(0xffff_ffff), Grains::from_bits(0xffff_ffff_0000_0000));
        sent.count(first, low);
        sent.count(first, high);
        assert_eq!(sent.unsent_from(0).collect::<Vec<_>>(), [second]);
        sent.uncount(first, high);
        assert_eq!((sent.grains(first), sent.unsent_from(0).count()), (low, 2));
        sent.count(first, high);
        sent.count(second, low);
        assert_eq!(sent.grains(second), low);
        sent.count(second, high);
        assert_eq!(sent.unsent_from(0).count(), 2);
        assert_eq!(sent.grains(first), Grains::NONE);
    }
}
