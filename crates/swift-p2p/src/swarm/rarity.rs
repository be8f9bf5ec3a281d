//! How rare each grain of a file is among all neighbours.

use swift_chunks::{ChunkIndex, ChunkLayout, GRAINS_PER_CHUNK, Grains};

use super::by_chunk::ByChunk;

/// How many neighbours have what.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// Neighbours that hold a chunk whole, chunk by chunk; empty while there is no view.
    whole: Vec<u16>,
    /// Of chunks of which some neighbour has or awaits a part.
    parts: ByChunk<GrainCounts>,
}

/// How many neighbours have or await each grain of a chunk, those apart that hold it whole.
#[derive(Clone, Copy, Debug)]
struct GrainCounts([u16; GRAINS_PER_CHUNK as usize]);

impl Default for GrainCounts {
    fn default() -> Self {
        Self([0; GRAINS_PER_CHUNK as usize])
    }
}

/// How common the grains of one chunk are.
#[derive(Clone, Copy)]
pub(super) struct Rarity<'a> {
    whole: u32,
    part: Option<&'a GrainCounts>,
}

impl Rarity<'_> {
    /// How many neighbours have or await a grain.
    pub(super) fn known(self, grain: u32) -> u32 {
        let in_part = self.part.and_then(|part| part.0.get(grain as usize)).copied().unwrap_or(0);
        self.whole + u32::from(in_part)
    }
}

impl Counts {
    pub(super) fn make_room(&mut self, layout: ChunkLayout) {
        self.whole.resize(layout.chunk_count() as usize, 0);
    }

    /// How common a chunk is.
    pub(super) fn of(&self, chunk: ChunkIndex) -> Rarity<'_> {
        let whole = self.whole.get(chunk.get() as usize).copied().unwrap_or(0).into();
        Rarity { whole, part: self.parts.get_ref(chunk) }
    }

    /// A neighbour knew these grains of a chunk before, and knows those now.
    pub(super) fn recount(&mut self, chunk: ChunkIndex, before: Grains, after: Grains) {
        if before == after {
            return;
        }
        let is_unknown = self.parts.update(chunk, |counts| {
            places(after.without(before))
                .for_each(|grain| counts.0[grain] = counts.0[grain].saturating_add(1));
            places(before.without(after))
                .for_each(|grain| counts.0[grain] = counts.0[grain].saturating_sub(1));
            after.is_empty() && counts.0 == [0; GRAINS_PER_CHUNK as usize]
        });
        if is_unknown {
            self.parts.remove(chunk);
        }
    }

    pub(super) fn whole_more(&mut self, chunk: ChunkIndex) {
        if let Some(count) = self.whole.get_mut(chunk.get() as usize) {
            *count = count.saturating_add(1);
        }
    }

    pub(super) fn whole_less(&mut self, chunk: ChunkIndex) {
        if let Some(count) = self.whole.get_mut(chunk.get() as usize) {
            *count = count.saturating_sub(1);
        }
    }
}

/// The places of grains in their chunk.
fn places(grains: Grains) -> impl Iterator<Item = usize> {
    let mut bits = grains.bits();
    std::iter::from_fn(move || {
        let place = (bits != 0).then_some(bits.trailing_zeros() as usize)?;
        bits &= bits - 1;
        Some(place)
    })
}
