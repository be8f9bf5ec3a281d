//! What moves, for people and programs to see: files on their way here, and what goes out.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use serde::Serialize;
use swift_chain::NodeId;
use swift_chunks::FileId;

use super::{
    files::{Entry, Stage},
    owner::Owner,
    rates::PeerRate,
};
use crate::swarm::Priority;

/// Why a file waits of which others may have something.
const AFTER_OTHERS: &str = "after files that are wanted sooner";

/// Rows that are shown of each direction.
const SHOWN_MAX: usize = 1000;

/// Everything that moves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transfers {
    /// Files on their way here, as far as the swarm is at them.
    pub incoming: Vec<TransferState>,
    /// Files of which others are sent something.
    pub outgoing: Vec<Outgoing>,
}

/// Content that moved between this node and others since it started, also what was of no use in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes that came.
    pub received_bytes: u64,
    /// Bytes that went out.
    pub sent_bytes: u64,
}

/// Content that moved between this node and one member since this node started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerTraffic {
    /// Who.
    pub peer: NodeId,
    /// How much.
    pub traffic: Traffic,
}

/// How far a file is that is on its way here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferState {
    /// Which file.
    pub file: FileId,
    /// Bytes that are verified, durable or not.
    pub done_bytes: u64,
    /// Bytes in the file.
    pub total_bytes: u64,
    /// Bytes per second, of late.
    pub bytes_per_second: u64,
    /// How long the rest takes at this rate; unknown when nothing comes.
    pub remaining: Option<Duration>,
    /// Whom it comes from.
    pub peers: Vec<PeerRate>,
    /// How soon it is wanted.
    pub priority: Priority,
    /// Clients that read it as it comes, for whom it is wanted before all others.
    pub readers: usize,
    /// What is happening.
    pub stage: TransferStage,
    /// Why it is blocked, or waits, if that is known.
    pub detail: Option<String>,
}

/// What is happening with a file that is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferStage {
    /// Nothing: nobody who can be reached has offered any of it.
    Waiting,
    /// Bytes are coming, or the file is being finished.
    Receiving,
    /// It cannot be stored here, or not be had at all.
    Blocked,
    /// This node does not keep it: it comes as far as clients read it.
    Reading,
}

/// What others are sent of a file, a piece at a time as they ask for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Which file.
    pub file: FileId,
    /// To whom.
    pub peers: Vec<PeerRate>,
}

impl Owner {
    /// Takes note of what has moved since the last time.
    pub(super) fn measure(&mut self) {
        for ((from, file, _), running) in &mut self.fetches {
            self.received.add(*file, *from, running.take_fresh());
        }
        for (to, file, bytes) in self.sends.take_fresh() {
            self.sent.add(file, to, bytes);
        }
    }

    pub(super) fn traffic(&mut self) -> Traffic {
        self.measure();
        Traffic { received_bytes: self.received.bytes(), sent_bytes: self.sent.bytes() }
    }

    pub(super) fn peer_traffic(&mut self) -> Vec<PeerTraffic> {
        self.measure();
        let mut all: BTreeMap<NodeId, Traffic> = BTreeMap::new();
        for (peer, bytes) in self.received.peers() {
            all.entry(peer).or_default().received_bytes = bytes;
        }
        for (peer, bytes) in self.sent.peers() {
            all.entry(peer).or_default().sent_bytes = bytes;
        }
        all.into_iter().map(|(peer, traffic)| PeerTraffic { peer, traffic }).collect()
    }

    pub(super) fn transfers(&mut self) -> Transfers {
        self.measure();
        let most_urgent = self.most_urgent();
        let is_shown = |entry: &Entry| {
            let is_kept = entry.receiving().is_none_or(|receiving| receiving.is_kept);
            !entry.is_resting() && (is_kept || entry.readers.len() > 0)
        };
        let unfinished = self.files.iter().filter(|(_, entry)| is_shown(entry));
        let mut incoming: Vec<TransferState> = unfinished
            .take(SHOWN_MAX)
            .map(|(&file, entry)| self.transfer(file, entry, most_urgent))
            .collect();
        incoming.sort_unstable_by_key(|row| row.file);
        let outgoing = self.sent.files().into_iter().take(SHOWN_MAX);
        let outgoing = outgoing.map(|file| Outgoing { file, peers: self.sent.of_file(file) }).collect();
        Transfers { incoming, outgoing }
    }

    /// The highest urgency of a file of which something is coming.
    fn most_urgent(&self) -> Priority {
        let moving = self.received.files().into_iter().filter(|file| self.received.is_moving(*file));
        moving.map(|file| self.urgency(&file)).max().unwrap_or(Priority::Low)
    }

    fn transfer(&self, file: FileId, entry: &Entry, most_urgent: Priority) -> TransferState {
        let total_bytes = entry.content.len;
        let progress = self.swarm.progress(&file);
        let done_bytes = progress.map_or(total_bytes, |progress| progress.bytes);
        let receiving = entry.receiving();
        let readers = receiving.map_or(0, |_| entry.readers.len());
        let is_moving = progress.is_some_and(|progress| progress.coming > 0)
            || self.received.is_moving(file)
            || receiving.is_some_and(|receiving| receiving.is_finish_due);
        let (stage, detail) = match (&entry.stage, receiving.and_then(|receiving| receiving.blocked.clone()))
        {
            (Stage::Abandoned, _) => {
                let detail = format!("its manifest is false: node {} published a lie", entry.publisher);
                (TransferStage::Blocked, Some(detail))
            }
            (_, Some(detail)) => (TransferStage::Blocked, Some(detail)),
            _ if receiving.is_some_and(|receiving| !receiving.is_kept) => (TransferStage::Reading, None),
            _ if is_moving => (TransferStage::Receiving, None),
            _ => {
                let is_later = most_urgent > self.urgency(&file);
                (TransferStage::Waiting, is_later.then(|| AFTER_OTHERS.to_owned()))
            }
        };
        let (peers, priority) = (self.received.of_file(file), self.priorities.of(&file));
        let bytes_per_second: u64 = peers.iter().map(|peer| peer.bytes_per_second).sum();
        let remaining = match (stage, total_bytes.saturating_sub(done_bytes).checked_div(bytes_per_second)) {
            (TransferStage::Receiving, Some(seconds)) => Some(Duration::from_secs(seconds)),
            _ => None,
        };
        TransferState {
            file,
            done_bytes,
            total_bytes,
            bytes_per_second,
            remaining,
            peers,
            priority,
            readers,
            stage,
            detail,
        }
    }
}

impl super::owner::Running {
    /// Bytes that have arrived since the last time.
    pub(super) fn take_fresh(&mut self) -> u64 {
        let arrived = self.arrived.load(Ordering::Relaxed);
        arrived - std::mem::replace(&mut self.counted, arrived)
    }
}
