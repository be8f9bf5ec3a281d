//! What is known of one reachable member, whatever the file.

use std::collections::BTreeSet;
use std::time::Duration;

use super::file::FileKey;
use super::meter::rate_of;
use super::table::Key;
use super::time::Time;

/// A reachable member's short name.
pub(super) type PeerKey = Key<Peer>;

/// A reachable member. Whoever has something to offer looks at many of them: what is looked at then is together here,
/// and the rest apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Peer {
    /// Open offers and running sends to it.
    pub(super) open_sends: usize,
    /// Slices that it confirmed.
    pub(super) confirmed: usize,
    /// When something last went to it.
    pub(super) sent_at: Option<Time>,
    /// No offer goes to it before.
    pub(super) busy_until: Time,
    pub(super) record: Box<Record>,
}

/// What else is known of a member.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    /// From offer or question to answer, smoothed.
    pub(super) round_trip: Option<Duration>,
    /// The same when nothing was in its way.
    pub(super) round_trip_least: Option<Duration>,
    /// Bytes per second of a slice from it, smoothed.
    pub(super) rate: Option<u64>,
    /// Bytes per second of a slice to it, smoothed.
    pub(super) rate_to: Option<u64>,
    /// How often in a row it was busy.
    pub(super) busy_streak: u32,
    /// How often in a row it left an offer unanswered or a send without an end.
    pub(super) silent_streak: u32,
    /// Nothing is accepted from it before.
    pub(super) cool_until: Time,
    /// How often in a row a fetch from it failed.
    pub(super) cool_streak: u32,
    /// Files to ask it about; bounded by the files that are active and surveyed.
    pub(super) asks: BTreeSet<FileKey>,
    /// A question to it is open, until then.
    pub(super) asking_until: Option<Time>,
    /// When that question was put.
    pub(super) asked_at: Time,
    /// The files of which its map is kept.
    pub(super) views: BTreeSet<FileKey>,
    /// What these maps take.
    pub(super) view_bytes: usize,
}

impl Record {
    pub(super) fn saw_round_trip(&mut self, sample: Duration) {
        self.round_trip = Some(self.round_trip.map_or(sample, |old| (old * 7 + sample) / 8));
        // What was measured once through a quiet link fades slowly.
        let faded = |least: Duration| least + sample.saturating_sub(least) / 64;
        self.round_trip_least = Some(self.round_trip_least.map_or(sample, |least| faded(least).min(sample)));
    }

    pub(super) fn saw_slice(&mut self, bytes: u64, took: Duration) {
        self.rate = Some(smoothed(self.rate, rate_of(bytes, took)));
        self.cool_streak = 0;
    }

    pub(super) fn saw_slice_to(&mut self, bytes: u64, took: Duration) {
        self.rate_to = Some(smoothed(self.rate_to, rate_of(bytes, took)));
    }
}

fn smoothed(old: Option<u64>, sample: u64) -> u64 {
    old.map_or(sample, |old| old - old / 4 + sample / 4)
}
