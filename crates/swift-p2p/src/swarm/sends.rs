//! The books of what is on its way from here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use swift_chunks::Slice;

use super::file::FileKey;
use super::input::ExchangeId;
use super::message::Stamp;
use super::peer::PeerKey;
use super::time::Time;

/// Everything that is on its way from here.
#[derive(Debug, Default)]
pub(super) struct Sending {
    /// One place of the credit each.
    pub(super) sends: BTreeMap<Place, Send>,
    /// Offers that are not answered.
    pub(super) exchanges: BTreeMap<ExchangeId, Exchange>,
    /// Places of the credit that these have.
    pub(super) offered: usize,
    pub(super) next_exchange: u64,
    /// Files that some peer wants more of.
    pub(super) lackers: BTreeSet<FileKey>,
    /// The file that was offered last: the next in order is next.
    pub(super) last_file: Option<FileKey>,
    /// When a peer that cannot be offered anything now can be again.
    pub(super) retry_at: Option<Time>,
    /// From offer to answer when nothing is in the way, over all peers, smoothed.
    pub(super) round_trip: Option<Duration>,
    /// Bytes in a slice, smoothed.
    pub(super) slice_len: u64,
}

/// To whom, of which file, which slice by its number.
pub(super) type Place = (PeerKey, FileKey, u32);

#[derive(Clone, Copy, Debug)]
pub(super) struct Send {
    pub(super) slice: Slice,
    pub(super) stage: Stage,
    /// When serving began.
    pub(super) since: Time,
    /// The place is free again then.
    pub(super) deadline: Time,
}

/// How far a slice is on its way out. A send is in exactly one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Accepted at this moment of the receiver's, not requested.
    Accepted(Stamp),
    /// Being served.
    Running,
    /// Being served without an open offer: its end frees it.
    RunningUnasked,
    /// All bytes went out, not confirmed.
    Sent,
}

/// An offer that is not answered.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) to: PeerKey,
    pub(super) file: FileKey,
    /// What the receiver may choose among.
    pub(super) slices: Vec<Slice>,
    /// How many it may take; each has a place of the credit.
    pub(super) take: u8,
    /// Those that it requested before its answer was here. Such a send may even be over by then.
    pub(super) begun: Vec<Slice>,
    pub(super) sent_at: Time,
    pub(super) deadline: Time,
}

/// What is to be offered.
pub(super) struct Choice {
    /// The first is the best.
    pub(super) slices: Vec<Slice>,
}

impl Sending {
    /// Places of the credit that are taken.
    pub(super) fn len(&self) -> usize {
        self.sends.len() + self.offered
    }

    pub(super) fn is_idle(&self) -> bool {
        self.sends.is_empty() && self.exchanges.is_empty()
    }

    /// The slices of a file that are on their way to a peer, or offered to it.
    pub(super) fn open_to(&self, peer: PeerKey, file: FileKey) -> Vec<Slice> {
        let sends = self.sends.range((peer, file, 0)..=(peer, file, u32::MAX)).map(|(_, send)| send.slice);
        let offered = self.exchanges.values().filter(|exchange| (exchange.to, exchange.file) == (peer, file));
        sends.chain(offered.flat_map(|exchange| exchange.slices.iter().copied())).collect()
    }

    /// The slices of a file that are offered to anybody.
    pub(super) fn offered(&self, file: FileKey) -> Vec<Slice> {
        let offered = self.exchanges.values().filter(|exchange| exchange.file == file);
        offered.flat_map(|exchange| exchange.slices.iter().copied()).collect()
    }

    /// When something here is over.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let sends = self.sends.values().map(|send| send.deadline);
        sends.chain(self.exchanges.values().map(|exchange| exchange.deadline)).min()
    }
}

/// A mean of lengths, of which later ones weigh more.
pub(super) fn smoothed_len(old: u64, sample: u64) -> u64 {
    if old == 0 { sample } else { old - old / 8 + sample / 8 }
}
