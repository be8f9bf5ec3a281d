//! What moves between this node and others: how much, and how fast, per file and peer.

use std::{collections::BTreeMap, time::Duration};

use swift_chain::NodeId;
use swift_chunks::FileId;

/// Pairs of file and peer that are measured at once; what is more is not shown.
const GAUGES_MAX: usize = 4096;
/// Turns without a byte after which a pair is forgotten.
const IDLE_TURNS: u32 = 10;

/// One direction. A turn is about a second.
#[derive(Default)]
pub(super) struct Rates {
    gauges: BTreeMap<(FileId, NodeId), Gauge>,
    /// Of all files and peers, since the start.
    bytes: u64,
    /// The same of each peer. There are no more of them than were ever members.
    of_peers: BTreeMap<NodeId, u64>,
}

#[derive(Default)]
struct Gauge {
    /// Since it was first seen.
    bytes: u64,
    /// In this turn.
    fresh: u64,
    /// Bytes per second, smoothed over some turns; none before the first has ended.
    rate: Option<u64>,
    idle_turns: u32,
}

/// What moved between this node and a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerRate {
    /// Who.
    pub peer: NodeId,
    /// Bytes of the file, since they began to move.
    pub bytes: u64,
    /// Bytes per second, of late.
    pub bytes_per_second: u64,
}

impl Rates {
    /// Bytes have moved.
    pub(super) fn add(&mut self, file: FileId, peer: NodeId, bytes: u64) {
        self.bytes += bytes;
        if bytes > 0 {
            *self.of_peers.entry(peer).or_default() += bytes;
        }
        let is_full = self.gauges.len() >= GAUGES_MAX && !self.gauges.contains_key(&(file, peer));
        if bytes > 0 && !is_full {
            let gauge = self.gauges.entry((file, peer)).or_default();
            (gauge.bytes, gauge.fresh) = (gauge.bytes + bytes, gauge.fresh + bytes);
        }
    }

    /// All that has moved since the start.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What has moved since the start between this node and each peer.
    pub(super) fn peers(&self) -> impl Iterator<Item = (NodeId, u64)> {
        self.of_peers.iter().map(|(&peer, &bytes)| (peer, bytes))
    }

    /// A turn that took this long has ended.
    pub(super) fn turn(&mut self, took: Duration) {
        let micros = took.as_micros().max(1);
        self.gauges.retain(|_, gauge| {
            let sample = u128::from(std::mem::take(&mut gauge.fresh)) * 1_000_000 / micros;
            let sample = u64::try_from(sample).unwrap_or(u64::MAX);
            gauge.idle_turns = if sample == 0 { gauge.idle_turns + 1 } else { 0 };
            gauge.rate = Some(gauge.rate.map_or(sample, |old| old / 2 + sample / 2));
            gauge.idle_turns < IDLE_TURNS
        });
    }

    /// A file is done with.
    pub(super) fn forget(&mut self, file: FileId) {
        let (first, last) = (NodeId::from_bytes([0; 32]), NodeId::from_bytes([255; 32]));
        let of_file = self.gauges.range((file, first)..=(file, last));
        // Not all of them are looked at: this is done for every file that comes.
        let gone: Vec<(FileId, NodeId)> = of_file.map(|(&pair, _)| pair).collect();
        gone.into_iter().for_each(|pair| _ = self.gauges.remove(&pair));
    }

    /// What moves of a file.
    pub(super) fn of_file(&self, file: FileId) -> Vec<PeerRate> {
        let (first, last) = (NodeId::from_bytes([0; 32]), NodeId::from_bytes([255; 32]));
        self.gauges.range((file, first)..=(file, last)).map(|(&(_, peer), gauge)| gauge.shown(peer)).collect()
    }

    /// Whether something of a file has moved in this turn or the last one.
    pub(super) fn is_moving(&self, file: FileId) -> bool {
        let (first, last) = (NodeId::from_bytes([0; 32]), NodeId::from_bytes([255; 32]));
        self.gauges
            .range((file, first)..=(file, last))
            .any(|(_, gauge)| gauge.fresh > 0 || gauge.idle_turns == 0)
    }

    /// Files of which something moves, in order.
    pub(super) fn files(&self) -> Vec<FileId> {
        let mut files: Vec<FileId> = self.gauges.keys().map(|&(file, _)| file).collect();
        files.dedup();
        files
    }
}

impl Gauge {
    fn shown(&self, peer: NodeId) -> PeerRate {
        PeerRate { peer, bytes: self.bytes, bytes_per_second: self.rate.unwrap_or(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_follows_what_moves_and_an_idle_pair_is_forgotten() {
        let (file, other) = (FileId::from_bytes([1; 32]), FileId::from_bytes([2; 32]));
        let peer = NodeId::from_bytes([9; 32]);
        let mut rates = Rates::default();
        rates.add(file, peer, 300);
        rates.add(other, peer, 0);
        assert_eq!(rates.of_file(file), [PeerRate { peer, bytes: 300, bytes_per_second: 0 }]);
        rates.turn(Duration::from_secs(2));
        assert_eq!(rates.of_file(file), [PeerRate { peer, bytes: 300, bytes_per_second: 150 }]);
        rates.add(file, peer, 250);
        rates.turn(Duration::from_secs(1));
        assert_eq!(rates.of_file(file), [PeerRate { peer, bytes: 550, bytes_per_second: 200 }]);
        assert_eq!(rates.files(), [file]);
        assert!(rates.is_moving(file) && !rates.is_moving(other));
        rates.turn(Duration::from_secs(1));
        assert!(!rates.is_moving(file));
        (1..IDLE_TURNS).for_each(|_| rates.turn(Duration::from_secs(1)));
        assert!(rates.files().is_empty());
    }

    #[test]
    fn there_are_no_more_pairs_than_there_is_room_for() {
        let mut rates = Rates::default();
        for number in 0..GAUGES_MAX as u64 + 10 {
            let mut file = [0; 32];
            file[..8].copy_from_slice(&number.to_be_bytes());
            rates.add(FileId::from_bytes(file), NodeId::from_bytes([9; 32]), 1);
        }
        assert_eq!(rates.files().len(), GAUGES_MAX);
    }

    #[test]
    fn all_that_moved_is_counted_also_what_is_not_shown_and_what_is_done_with() {
        let (file, peer) = (FileId::from_bytes([1; 32]), NodeId::from_bytes([9; 32]));
        let mut rates = Rates::default();
        rates.add(file, peer, 300);
        rates.forget(file);
        (0..IDLE_TURNS).for_each(|_| rates.turn(Duration::from_secs(1)));
        rates.add(file, peer, 20);
        assert_eq!(rates.bytes(), 320);
        assert_eq!(rates.peers().collect::<Vec<_>>(), [(peer, 320)]);
    }
}
