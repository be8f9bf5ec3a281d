//! What is known of one reachable member, whatever the file.

use std::collections::BTreeSet;
use std::time::Duration;

use swift_chunks::FileId;

use super::time::Time;

/// A reachable member.
#[derive(Clone, Debug, Default)]
pub(super) struct Peer {
    /// From offer to answer, smoothed.
    pub(super) round_trip: Option<Duration>,
    /// Bytes per second of a unit from it, smoothed.
    pub(super) rate: Option<u64>,
    /// No offer goes to it before.
    pub(super) busy_until: Time,
    /// How often in a row it was busy.
    pub(super) busy_streak: u32,
    /// How often in a row it left an offer unanswered or a send without an end.
    pub(super) silent_streak: u32,
    /// Nothing is accepted from it before.
    pub(super) cool_until: Time,
    /// How often in a row a fetch from it failed.
    pub(super) cool_streak: u32,
    /// Files to ask it about; bounded by the files that are active and surveyed.
    pub(super) asks: BTreeSet<FileId>,
    /// A question to it is open, until then.
    pub(super) asking_until: Option<Time>,
    /// The files of which its map is kept.
    pub(super) views: BTreeSet<FileId>,
    /// What these maps take.
    pub(super) view_bytes: usize,
}

impl Peer {
    pub(super) fn saw_round_trip(&mut self, sample: Duration) {
        self.round_trip = Some(self.round_trip.map_or(sample, |old| (old * 7 + sample) / 8));
    }

    pub(super) fn saw_unit(&mut self, bytes: u64, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let sample = bytes.saturating_mul(1_000_000) / micros;
        self.rate = Some(self.rate.map_or(sample, |old| old - old / 4 + sample / 4));
        self.cool_streak = 0;
    }
}
