//! A chain as a sequence of bytes: what nodes send each other and what a chain file holds.
//!
//! ```text
//! stream = frame*
//! frame  = kind (1 byte: 0 genesis, 1 block with certificate, 2 part of an imported state)
//!        | length (4 bytes, little endian) | canonical bytes
//! ```
//!
//! A stream from height 0 on begins with the genesis frame, and a file always does. In a recovered network's the
//! imported state comes next.

use crate::{
    block::SealedBlock,
    encoding::DecodeError,
    genesis::{Genesis, GenesisError},
    limits::{GENESIS_LEN_MAX, SNAPSHOT_FRAME_LEN_MAX},
    snapshot::SnapshotFrame,
};

const KIND_GENESIS: u8 = 0;
const KIND_BLOCK: u8 = 1;
const KIND_SNAPSHOT: u8 = 2;
const FRAME_HEAD_LEN: usize = 5;

/// One element of a chain stream. Nothing but form and the genesis block's own signature is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainFrame {
    /// The genesis block.
    Genesis(Box<Genesis>),
    /// A block and its certificate.
    Block(Box<SealedBlock>),
    /// A part of the state that a recovered network begins with.
    Snapshot(SnapshotFrame),
}

/// Where a chain stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainPosition {
    /// At the genesis block.
    Genesis,
    /// Behind it, at a part of the imported state; of a network that imports none, at block 1.
    Snapshot {
        /// Which part, from 0.
        frame: u32,
    },
    /// At a block.
    Block {
        /// Its height, from 1.
        height: u64,
    },
}

impl From<u64> for ChainPosition {
    /// The block at a height; 0 is the genesis block.
    fn from(height: u64) -> Self {
        if height == 0 { Self::Genesis } else { Self::Block { height } }
    }
}

/// Why a stream cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// A frame of a kind that does not exist.
    #[error("frame {index} of the chain stream has the unknown kind {kind}")]
    Kind {
        /// Which frame, from 0.
        index: u64,
        /// What it says.
        kind: u8,
    },
    /// A frame longer than its kind may be.
    #[error("frame {index} of the chain stream has {len} bytes, {len_max} are allowed")]
    TooLong {
        /// Which frame, from 0.
        index: u64,
        /// What it says.
        len: usize,
        /// What is allowed.
        len_max: usize,
    },
    /// A frame's content is no genesis block.
    #[error("frame {index} of the chain stream: {error}")]
    Genesis {
        /// Which frame, from 0.
        index: u64,
        /// Why.
        error: GenesisError,
    },
    /// A frame's content is no block, or no part of an imported state.
    #[error("frame {index} of the chain stream: {error}")]
    Content {
        /// Which frame, from 0.
        index: u64,
        /// Why.
        error: DecodeError,
    },
    /// The stream ends inside a frame.
    #[error("the chain stream ends in the middle of frame {index}")]
    CutShort {
        /// Which frame, from 0.
        index: u64,
    },
}

/// The frame of a genesis block.
pub fn genesis_frame(genesis_bytes: &[u8]) -> Vec<u8> {
    frame(KIND_GENESIS, genesis_bytes)
}

/// The frame of a block with its certificate.
pub fn block_frame(sealed_bytes: &[u8]) -> Vec<u8> {
    frame(KIND_BLOCK, sealed_bytes)
}

/// The frame of a part of an imported state.
pub fn snapshot_frame(part_bytes: &[u8]) -> Vec<u8> {
    frame(KIND_SNAPSHOT, part_bytes)
}

fn frame(kind: u8, content: &[u8]) -> Vec<u8> {
    // Contents are limited to a few MiB, so their length fits.
    let len = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(FRAME_HEAD_LEN + content.len());
    bytes.push(kind);
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(content);
    bytes
}

/// Reads frames from bytes that come in pieces of any size. Holds at most one frame and one piece.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that were read.
    used: usize,
    index: u64,
}

impl FrameDecoder {
    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.drain(..self.used);
        self.used = 0;
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole frame; none until more pieces come. After an error the stream is not to be read on.
    pub fn next_frame(&mut self) -> Result<Option<ChainFrame>, StreamError> {
        let rest = &self.buffer[self.used..];
        let index = self.index;
        let Some((head, rest)) = rest.split_at_checked(FRAME_HEAD_LEN) else { return Ok(None) };
        let kind = head[0];
        let len_max = match kind {
            KIND_GENESIS => GENESIS_LEN_MAX,
            KIND_BLOCK => SealedBlock::LEN_MAX,
            KIND_SNAPSHOT => SNAPSHOT_FRAME_LEN_MAX,
            _ => return Err(StreamError::Kind { index, kind }),
        };
        let len = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if len > len_max {
            return Err(StreamError::TooLong { index, len, len_max });
        }
        let Some(content) = rest.get(..len) else { return Ok(None) };
        let bad = |error| StreamError::Content { index, error };
        let frame = match kind {
            KIND_GENESIS => {
                let genesis = Genesis::from_bytes(content);
                ChainFrame::Genesis(Box::new(genesis.map_err(|error| StreamError::Genesis { index, error })?))
            }
            KIND_SNAPSHOT => ChainFrame::Snapshot(SnapshotFrame::from_bytes(content).map_err(bad)?),
            _ => ChainFrame::Block(Box::new(SealedBlock::from_bytes(content).map_err(bad)?)),
        };
        self.used += FRAME_HEAD_LEN + len;
        self.index += 1;
        Ok(Some(frame))
    }

    /// To be called when no more pieces come: an error if the last frame is not whole.
    pub fn finish(&self) -> Result<(), StreamError> {
        if self.used == self.buffer.len() { Ok(()) } else { Err(StreamError::CutShort { index: self.index }) }
    }
}
