//! What is scheduled, requested and confirmed as one.

use swift_chunks::{ChunkIndex, ChunkLayout};

/// The unit of transfer: at present a whole chunk.
///
/// Everything in the swarm but this type and [`Unit::len`] is blind to what a unit is, so that a slice of a chunk
/// can take its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit(ChunkIndex);

impl Unit {
    /// The chunk as one unit.
    pub const fn of_chunk(chunk: ChunkIndex) -> Self {
        Self(chunk)
    }

    /// The unit that a message's number means, if the file has it.
    pub fn from_number(layout: ChunkLayout, number: u32) -> Option<Self> {
        layout.chunk(number.into()).map(Self)
    }

    /// The unit as a number in messages.
    pub const fn number(self) -> u32 {
        self.0.get()
    }

    /// The chunk that the unit is, or is part of.
    pub const fn chunk(self) -> ChunkIndex {
        self.0
    }

    /// Bytes in the unit.
    pub fn len(self, layout: ChunkLayout) -> u64 {
        layout.chunk_len(self.0)
    }
}
