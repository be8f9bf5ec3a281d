//! What is known of one file: what is here, what each neighbour has.

use std::collections::BTreeMap;
use std::time::Duration;

use swift_chain::NodeId;
use swift_chunks::{ChunkLayout, ChunkSet};

use super::input::Want;
use super::message::{Interest, Stamp};
use super::time::Time;
use super::unit::Unit;

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

/// A peer's state of the file, as it last told.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) stamp: Stamp,
    pub(super) interest: Interest,
    pub(super) held: ChunkSet,
    /// At most as many as a map may name, and this node's own sends.
    pub(super) coming: Vec<Unit>,
    pub(super) updated: Time,
    /// No offer of this file before.
    pub(super) declined_until: Time,
    pub(super) decline_streak: u32,
    /// When this node last told the peer its own map.
    pub(super) told: Option<Time>,
}

impl View {
    pub(super) fn new(layout: ChunkLayout) -> Self {
        Self {
            stamp: Stamp::default(),
            interest: Interest::Unwanted,
            held: ChunkSet::empty(layout),
            coming: Vec::new(),
            updated: Time::ZERO,
            declined_until: Time::ZERO,
            decline_streak: 0,
            told: None,
        }
    }

    /// Bytes of memory, nearly.
    pub(super) fn cost(layout: ChunkLayout) -> usize {
        256 + layout.chunk_count() as usize / 8
    }

    pub(super) fn has_or_awaits(&self, unit: Unit) -> bool {
        self.held.contains(unit.chunk()) || self.coming.contains(&unit)
    }

    pub(super) fn now_holds(&mut self, unit: Unit) {
        self.held.insert(unit.chunk());
        self.coming.retain(|&other| other != unit);
    }
}

/// A sender of wrong bytes.
#[derive(Clone, Copy, Debug)]
struct Offender {
    first: Unit,
    again: bool,
}

/// When holders are to be asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking {
    pub(super) next: Time,
    /// Questions without success so far.
    pub(super) round: u32,
}

/// This node's state, to be put into a message.
pub(super) struct MyMap<'a> {
    pub(super) interest: Interest,
    pub(super) held: &'a ChunkSet,
    pub(super) coming: Vec<u32>,
}

/// One file of the ledger.
#[derive(Clone, Debug)]
pub(super) struct FileState {
    pub(super) publisher: NodeId,
    pub(super) want: Want,
    pub(super) standing: Standing,
    pub(super) held: ChunkSet,
    pub(super) views: BTreeMap<NodeId, View>,
    /// Places taken among the units that are accepted.
    pub(super) coming_len: usize,
    /// From acceptance to verification, smoothed.
    pub(super) unit_time: Option<Duration>,
    /// Set while the file is active, that is asked about.
    pub(super) asking: Option<Asking>,
    pub(super) in_line: bool,
    /// Nothing is accepted before: this node could not write.
    pub(super) storage_until: Option<Time>,
    offenders: BTreeMap<NodeId, Offender>,
    /// How often each unit went out from here; empty until one did.
    sent: Vec<u8>,
}

impl FileState {
    pub(super) fn new(publisher: NodeId, held: ChunkSet, want: Want) -> Self {
        Self {
            publisher,
            want,
            standing: if held.is_full() { Standing::Stored } else { Standing::Partial },
            held,
            views: BTreeMap::new(),
            coming_len: 0,
            unit_time: None,
            asking: None,
            in_line: false,
            storage_until: None,
            offenders: BTreeMap::new(),
            sent: Vec::new(),
        }
    }

    pub(super) fn layout(&self) -> ChunkLayout {
        self.held.layout()
    }

    /// Whether units are still to be fetched.
    pub(super) fn is_fetching(&self) -> bool {
        self.want == Want::Wanted && self.standing == Standing::Partial
    }

    pub(super) fn interest(&self) -> Interest {
        match (self.standing, self.want) {
            (Standing::Stored, _) => Interest::Complete,
            (Standing::Partial | Standing::Verified, Want::Wanted) => Interest::Wanted,
            _ => Interest::Unwanted,
        }
    }

    /// Whether everything missing is coming.
    pub(super) fn is_end_game(&self) -> bool {
        self.held.len() as usize + self.coming_len >= self.held.layout().chunk_count() as usize
    }

    /// Peers known to hold something that is missing here.
    pub(super) fn suppliers(&self) -> impl Iterator<Item = NodeId> + '_ {
        let supplies = |view: &View| view.held.difference(&self.held).next().is_some();
        self.views.iter().filter(move |(_, view)| supplies(view)).map(|(&peer, _)| peer)
    }

    /// Records wrong bytes; the second time the peer is out for this file.
    pub(super) fn sent_wrong_bytes(&mut self, peer: NodeId, unit: Unit) {
        if let Some(offender) = self.offenders.get_mut(&peer) {
            offender.again = true;
        } else if self.offenders.len() < OFFENDERS_MAX {
            self.offenders.insert(peer, Offender { first: unit, again: false });
        }
    }

    /// Whether a unit may be taken from a peer, by its record.
    pub(super) fn trusts(&self, peer: NodeId, unit: Unit) -> bool {
        self.offenders.get(&peer).is_none_or(|offender| !offender.again && offender.first != unit)
    }

    pub(super) fn sent_times(&self, unit: Unit) -> u32 {
        self.sent.get(unit.number() as usize).copied().unwrap_or(0).into()
    }

    pub(super) fn count_sent(&mut self, unit: Unit) {
        if self.sent.is_empty() {
            self.sent = vec![0; self.layout().chunk_count() as usize];
        }
        if let Some(times) = self.sent.get_mut(unit.number() as usize) {
            *times = times.saturating_add(1);
        }
    }

    pub(super) fn uncount_sent(&mut self, unit: Unit) {
        if let Some(times) = self.sent.get_mut(unit.number() as usize) {
            *times = times.saturating_sub(1);
        }
    }

    pub(super) fn saw_unit_take(&mut self, sample: Duration) {
        self.unit_time = Some(self.unit_time.map_or(sample, |old| (old * 3 + sample) / 4));
    }
}
