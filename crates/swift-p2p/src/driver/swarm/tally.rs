//! What the swarm has done since the node started, for whoever looks at it over time.

use std::time::Duration;

use super::{files::Receiving, owner::Owner, transfers::Traffic};

/// Counts, and how much is under way now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SwarmTally {
    /// Bytes that moved between this node and members.
    pub traffic: Traffic,
    /// Chunks, and slices of chunks, that came from members and passed.
    pub pieces_received: u64,
    /// Such that members were sent to their end.
    pub pieces_sent: u64,
    /// How long files took, from when they were wanted until they were durable here.
    pub transfers: Durations,
    /// Files on their way here.
    pub files_wanted: u64,
    /// Of those that cannot be stored now.
    pub files_blocked: u64,
    /// Files that come only as far as clients read them.
    pub files_read: u64,
    /// Requests to members for content that run now.
    pub fetches_running: u64,
    /// What members are being sent now.
    pub sends_running: u64,
}

/// How often something took how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    /// How many took no longer than the bound at the same place of [`Durations::BOUNDS_S`], and longer than the one before;
    /// the last, how many took longer than all of them.
    pub counts: [u64; Durations::BOUNDS_S.len() + 1],
    /// Of all together.
    pub sum: Duration,
}

impl Durations {
    /// In seconds: from a small file on a fast link to a large one on a slow.
    pub const BOUNDS_S: [u32; 9] = [1, 3, 10, 30, 100, 300, 1_000, 10_000, 100_000];

    /// One more.
    pub(super) fn note(&mut self, took: Duration) {
        let place = Self::BOUNDS_S.iter().position(|bound| took <= Duration::from_secs(u64::from(*bound)));
        let count = self.counts.get_mut(place.unwrap_or(Self::BOUNDS_S.len()));
        // There is one for every place.
        if let Some(count) = count {
            *count += 1;
        }
        self.sum = self.sum.saturating_add(took);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl Owner {
    pub(super) fn tally(&mut self) -> SwarmTally {
        let traffic = self.traffic();
        let receiving = || self.files.iter().filter_map(|(_, entry)| entry.receiving());
        let count = |which: fn(&Receiving) -> bool| receiving().filter(|file| which(file)).count() as u64;
        SwarmTally {
            traffic,
            files_wanted: count(|file| file.is_kept),
            files_blocked: count(|file| file.is_kept && file.blocked.is_some()),
            files_read: count(|file| !file.is_kept),
            fetches_running: self.fetches.len() as u64,
            sends_running: self.sends.len() as u64,
            ..self.tally.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_counted_once_under_the_smallest_bound_that_holds_it() {
        let mut durations = Durations::default();
        for millis in [0, 1_000, 1_001, 10_000, 200_000_000] {
            durations.note(Duration::from_millis(millis));
        }
        assert_eq!(durations.counts, [2, 1, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((durations.count(), durations.sum), (5, Duration::from_millis(200_012_001)));
    }
}
