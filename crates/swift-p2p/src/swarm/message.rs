//! What nodes say to each other about files, byte by byte bounded.
//!
//! The bytes are postcard of the structs below, but for the sets of grains in [`OpenChunk`]. Every `decode` refuses what is too long before it looks inside,
//! lists that are longer than they may be, and bytes left over. Numbers of chunks and slices are checked against the
//! file's layout where the file is known: in the machine.

mod grain_sets;

use std::collections::BTreeSet;
use std::ops::Range;

use postcard::ser_flavors::Size;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use swift_chunks::FileId;

/// Slices in one offer, at most.
pub const OFFER_SLICES_MAX: usize = 16;
/// Chunks of which a node has, or awaits, a part, at most.
pub const OPEN_CHUNKS_MAX: usize = 64;
/// Chunks that a map may name as new since an earlier one.
pub const ADDED_MAX: usize = 64;
/// Readers of one file that a map tells of.
pub const READERS_MAX: usize = 64;
/// Chunks ahead of one reader that a map may ask for.
pub const AHEAD_MAX: u32 = 16;
/// Files in one question or announcement, at most.
pub const FILES_PER_MESSAGE_MAX: usize = 64;
/// Bytes of an encoded set of held chunks: a file of 16 TiB has a bitmap of 512 KiB.
pub const HELD_BYTES_MAX: usize = 512 * 1024 + 1;
/// Messages of one kind in one request, at most.
pub const TOGETHER_MAX: usize = 64;
/// Bytes of an encoded [`Offer`] or [`Answer`], and of many in one request.
pub const EXCHANGE_BYTES_MAX: usize = HELD_BYTES_MAX + 4096;
/// Bytes of an encoded [`Confirm`].
pub const CONFIRM_BYTES_MAX: usize = 64;
/// Bytes of an encoded [`WhoHas`] or [`Holdings`]: two of the largest maps, and the open chunks of all others.
pub const HOLDINGS_BYTES_MAX: usize = 2 * HELD_BYTES_MAX + 128 * 1024;

/// Orders what one node says of its own state: later is greater, also across its restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// Grows with every start of the node.
    pub incarnation: u64,
    /// Grows with every statement.
    pub seq: u64,
}

/// What a node wants with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Interest {
    /// It wants what it does not hold: offer it.
    Wanted,
    /// It holds the whole file on stable storage: a copy that counts.
    Complete,
    /// It serves what it holds and wants no more.
    Unwanted,
    /// It does not keep the file, but somebody reads it there: offer what is [`ahead`](Map::ahead), and nothing else.
    Reading,
}

/// A node's state of one file; a later one replaces an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Map {
    /// When this was so.
    pub stamp: Stamp,
    /// What the node wants.
    pub interest: Interest,
    /// Chunks that are held whole.
    pub held: Held,
    /// Chunks of which a part is here or on its way, each at most once.
    pub open: Vec<OpenChunk>,
    /// What the node would like next, when somebody is reading the file in order.
    pub ahead: Vec<Ahead>,
}

/// Chunks that a node holds whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Held {
    /// All of them: an encoded [`ChunkSet`](swift_chunks::ChunkSet).
    All(Vec<u8>),
    /// These besides those it told of before.
    Added(Vec<u32>),
}

/// A chunk of which a part is here or on its way. Grains are bits, the first grain's the lowest: see
/// [`Grains`](swift_chunks::Grains).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenChunk {
    /// Which chunk.
    pub chunk: u32,
    /// Grains that are verified and can be had.
    pub held: u64,
    /// Grains on their way to the node, which nobody else need offer.
    pub coming: u64,
}

/// Chunks that a reader of the file comes to next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ahead {
    /// The one that the reader waits for.
    pub first: u32,
    /// How many, this one included: 1 to [`AHEAD_MAX`].
    pub count: u32,
}

/// Step 1: a holder offers slices of a file to a peer that lacks them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Of which file.
    pub file: FileId,
    /// Numbers of the slices, each at most once: see [`Slice::number`](swift_chunks::Slice::number).
    pub slices: Vec<u32>,
    /// How many of them the receiver may accept: the sender offers a choice, so that it need not ask again when some
    /// have come from elsewhere meanwhile.
    pub take: u8,
    /// The sender's own state, when it is small or the last was told a while ago.
    pub map: Option<Map>,
}

/// What a receiver says to one offered slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Step 2: it is in the queue and will be requested from you.
    Accept,
    /// It, or some of it, is held or coming already.
    Have,
    /// As many as may be were accepted already.
    Enough,
    /// Not now; offer again in a moment.
    Busy,
    /// Not from you, or not wanted at all.
    Declined,
    /// The file is not in the receiver's ledger (yet).
    Unknown,
}

/// The answer to an [`Offer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// When this was decided.
    pub stamp: Stamp,
    /// One verdict for each slice, in the order of the offer.
    pub verdicts: Vec<Verdict>,
    /// The receiver's state, acceptances included, when it is small or the last was told a while ago.
    pub map: Option<Map>,
}

/// Step 4: a slice arrived, was verified and is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirm {
    /// Of which file.
    pub file: FileId,
    /// Number of the slice.
    pub slice: u32,
}

/// A question about one file, with the asker's own state, so that holders can offer at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Which file.
    pub file: FileId,
    /// What the asker holds of it.
    pub map: Map,
}

/// Who has these files?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoHas {
    /// One question per file.
    pub asks: Vec<Ask>,
}

/// What a node has of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// Which file.
    pub file: FileId,
    /// Its state; none if the file is not in the node's ledger (yet).
    pub map: Option<Map>,
}

/// The answer to [`WhoHas`], and by itself an announcement of a changed state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holdings {
    /// One entry per file; an answer may leave out files for which there was no room.
    pub holdings: Vec<Holding>,
}

/// Bytes that are no message; nothing of it was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// More bytes than such a message has.
    #[error("a message of {len} bytes, where {limit} are the most")]
    TooLong {
        /// Bytes given.
        len: usize,
        /// The most there can be.
        limit: usize,
    },
    /// Not the encoding of such a message.
    #[error("malformed message")]
    Malformed,
    /// A list with more entries than it may have, or an empty or repeating one where that says nothing.
    #[error("a list in a message is empty, too long or repeats itself")]
    BadList,
}

/// A struct that travels between nodes.
pub trait Message: Serialize + DeserializeOwned {
    /// The most bytes its encoding has.
    const BYTES_MAX: usize;
    /// The most bytes that the encodings of several have together.
    const TOGETHER_BYTES_MAX: usize = Self::BYTES_MAX;

    /// Whether every list is within its bounds.
    fn is_bounded(&self) -> bool;

    /// The message as bytes.
    fn encode(&self) -> Vec<u8> {
        // Writing plain structs into a growing vector cannot fail.
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// Bytes of its encoding.
    fn encoded_len(&self) -> usize {
        postcard::serialize_with_flavor(self, Size::default()).unwrap_or_default()
    }

    /// Reads bytes of a peer. Allocates no more than a small multiple of them.
    fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        if bytes.len() > Self::BYTES_MAX {
            return Err(MessageError::TooLong { len: bytes.len(), limit: Self::BYTES_MAX });
        }
        let (message, rest) = Self::take(bytes)?;
        if rest.is_empty() { Ok(message) } else { Err(MessageError::Malformed) }
    }

    /// Several messages as bytes, one after the other; those of one are as [`Self::encode`] has it.
    fn encode_all<'a>(messages: impl IntoIterator<Item = &'a Self>) -> Vec<u8>
    where
        Self: 'a,
    {
        messages.into_iter().flat_map(Self::encode).collect()
    }

    /// Reads one or several messages of a peer.
    fn decode_all(bytes: &[u8]) -> Result<Vec<Self>, MessageError> {
        if bytes.len() > Self::TOGETHER_BYTES_MAX {
            return Err(MessageError::TooLong { len: bytes.len(), limit: Self::TOGETHER_BYTES_MAX });
        }
        let (first, mut rest) = Self::take(bytes)?;
        let mut messages = vec![first];
        while !rest.is_empty() {
            if messages.len() == TOGETHER_MAX {
                return Err(MessageError::BadList);
            }
            let (message, left) = Self::take(rest)?;
            messages.push(message);
            rest = left;
        }
        Ok(messages)
    }

    /// The message that bytes begin with, and the rest.
    #[doc(hidden)]
    fn take(bytes: &[u8]) -> Result<(Self, &[u8]), MessageError> {
        let (message, rest) =
            postcard::take_from_bytes::<Self>(bytes).map_err(|_| MessageError::Malformed)?;
        if message.is_bounded() { Ok((message, rest)) } else { Err(MessageError::BadList) }
    }
}

impl Message for Offer {
    const BYTES_MAX: usize = EXCHANGE_BYTES_MAX;

    fn is_bounded(&self) -> bool {
        let listed = !self.slices.is_empty() && self.slices.len() <= OFFER_SLICES_MAX && self.take > 0;
        listed && all_differ(self.slices.iter()) && self.map.as_ref().is_none_or(Map::is_bounded)
    }
}

impl Message for Answer {
    const BYTES_MAX: usize = EXCHANGE_BYTES_MAX;

    fn is_bounded(&self) -> bool {
        self.verdicts.len() <= OFFER_SLICES_MAX && self.map.as_ref().is_none_or(Map::is_bounded)
    }
}

impl Message for Confirm {
    const BYTES_MAX: usize = CONFIRM_BYTES_MAX;
    const TOGETHER_BYTES_MAX: usize = TOGETHER_MAX * CONFIRM_BYTES_MAX;

    fn is_bounded(&self) -> bool {
        true
    }
}

impl Message for WhoHas {
    const BYTES_MAX: usize = HOLDINGS_BYTES_MAX;

    fn is_bounded(&self) -> bool {
        let listed = !self.asks.is_empty() && self.asks.len() <= FILES_PER_MESSAGE_MAX;
        listed && self.asks.iter().all(|ask| ask.map.is_bounded())
    }
}

impl Message for Holdings {
    const BYTES_MAX: usize = HOLDINGS_BYTES_MAX;

    fn is_bounded(&self) -> bool {
        let mut maps = self.holdings.iter().filter_map(|holding| holding.map.as_ref());
        self.holdings.len() <= FILES_PER_MESSAGE_MAX && maps.all(Map::is_bounded)
    }
}

impl Map {
    /// Bytes of what is held, nearly.
    pub(crate) fn held_len(&self) -> usize {
        match &self.held {
            Held::All(bytes) => bytes.len(),
            Held::Added(chunks) => 4 * chunks.len(),
        }
    }

    fn is_bounded(&self) -> bool {
        let held = match &self.held {
            Held::All(bytes) => bytes.len() <= HELD_BYTES_MAX,
            Held::Added(chunks) => chunks.len() <= ADDED_MAX,
        };
        let open = self.open.len() <= OPEN_CHUNKS_MAX && all_differ(self.open.iter().map(|open| open.chunk));
        let ahead = self.ahead.iter().all(|ahead| (1..=AHEAD_MAX).contains(&ahead.count));
        held && open && ahead && self.ahead.len() <= READERS_MAX
    }
}

impl Interest {
    /// Whether offers are welcome.
    pub(super) fn takes_offers(self) -> bool {
        matches!(self, Self::Wanted | Self::Reading)
    }
}

impl Ahead {
    /// The chunks' numbers.
    pub(super) fn numbers(self) -> Range<u32> {
        self.first..self.first.saturating_add(self.count)
    }
}

fn all_differ<T: Ord>(items: impl ExactSizeIterator<Item = T>) -> bool {
    let len = items.len();
    items.collect::<BTreeSet<T>>().len() == len
}
