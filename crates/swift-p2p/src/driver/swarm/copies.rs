//! Who holds all of a file, and who does not keep it, as members have said.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use swift_chain::NodeId;
use swift_chunks::FileId;
use tokio::time::Instant;

/// What members said of files that is remembered; of more, the files that were spoken of first are forgotten.
const SAYINGS_MAX: usize = 262_144;
/// What was asked of everybody is asked again after this.
const FRESH_FOR: Duration = Duration::from_secs(5);

/// Where a file is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileCopies {
    /// Members that can be reached and hold a whole durable copy.
    pub complete: Vec<NodeId>,
    /// Members that can be reached, hold no whole copy, and do not want one.
    pub not_keeping: Vec<NodeId>,
}

/// What a member said of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Saying {
    Complete,
    NotKept,
}

#[derive(Default)]
struct Known {
    /// Each with the member's life in which it said so. Mostly few, and of very many files, so it has no room to spare.
    said: Vec<(NodeId, Saying, u64)>,
    /// When everybody was asked, and how often members had come until then.
    asked: Option<(Instant, u64)>,
}

/// Everything that members said. What a member said before it went away does not count when it is back.
#[derive(Default)]
pub(super) struct Copies {
    files: HashMap<FileId, Known>,
    /// In the order in which they were first spoken of.
    order: VecDeque<FileId>,
    sayings: usize,
    /// How often each member has gone away.
    lives: HashMap<NodeId, u64>,
    arrivals: u64,
}

impl Copies {
    /// Takes over what a member says of a file: nothing when it wants it and has not got all of it.
    pub(super) fn note(&mut self, file: FileId, peer: NodeId, saying: Option<Saying>) {
        let Some(saying) = saying else {
            if let Some(known) = self.files.get_mut(&file) {
                let before = known.said.len();
                known.said.retain(|(other, ..)| *other != peer);
                self.sayings -= before - known.said.len();
            }
            return;
        };
        let life = self.lives.get(&peer).copied().unwrap_or(0);
        let said = &mut self.entry(file).said;
        match said.iter_mut().find(|(other, ..)| *other == peer) {
            Some(known) => (known.1, known.2) = (saying, life),
            None => {
                said.reserve_exact(1);
                said.push((peer, saying, life));
                self.sayings += 1;
            }
        }
        self.limit();
    }

    /// A file of which nobody has said anything takes room as well.
    fn limit(&mut self) {
        while self.sayings > SAYINGS_MAX || self.files.len() > SAYINGS_MAX / 4 {
            let Some(oldest) = self.order.pop_front() else { break };
            self.sayings -= self.files.remove(&oldest).map_or(0, |known| known.said.len());
        }
    }

    /// A file is not live any more.
    pub(super) fn forget(&mut self, file: &FileId) {
        if let Some(known) = self.files.remove(file) {
            self.sayings -= known.said.len();
            self.order.retain(|other| other != file);
        }
    }

    pub(super) fn peer_came(&mut self) {
        self.arrivals += 1;
    }

    pub(super) fn peer_went(&mut self, peer: NodeId) {
        *self.lives.entry(peer).or_default() += 1;
    }

    /// What is known of those that can be reached.
    pub(super) fn of(&self, file: &FileId, online: &BTreeSet<NodeId>) -> FileCopies {
        let mut copies = FileCopies::default();
        for &(peer, saying, life) in self.files.get(file).into_iter().flat_map(|known| &known.said) {
            if !online.contains(&peer) || self.lives.get(&peer).copied().unwrap_or(0) != life {
                continue;
            }
            match saying {
                Saying::Complete => copies.complete.push(peer),
                Saying::NotKept => copies.not_keeping.push(peer),
            }
        }
        copies
    }

    /// Whether everybody who is there was asked about a file a short while ago.
    pub(super) fn is_fresh(&self, file: &FileId, now: Instant) -> bool {
        let asked = self.files.get(file).and_then(|known| known.asked);
        asked.is_some_and(|(at, arrivals)| arrivals == self.arrivals && now < at + FRESH_FOR)
    }

    /// Everybody is being asked about a file.
    pub(super) fn note_asked(&mut self, file: FileId, now: Instant) {
        let asked = (now, self.arrivals);
        self.entry(file).asked = Some(asked);
        self.limit();
    }

    fn entry(&mut self, file: FileId) -> &mut Known {
        let order = &mut self.order;
        self.files.entry(file).or_insert_with(|| {
            order.push_back(file);
            Known::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8) -> NodeId {
        NodeId::from_bytes([number; 32])
    }

    fn file(number: u32) -> FileId {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        FileId::from_bytes(bytes)
    }

    #[test]
    fn what_is_known_is_what_was_said_last_by_those_who_are_there() {
        let (mut copies, online) = (Copies::default(), BTreeSet::from([node(1), node(2), node(3)]));
        for peer in 1..=4 {
            copies.note(file(1), node(peer), Some(Saying::Complete));
        }
        copies.note(file(1), node(2), Some(Saying::NotKept));
        copies.note(file(1), node(3), None);
        let known = FileCopies { complete: vec![node(1)], not_keeping: vec![node(2)] };
        assert_eq!(copies.of(&file(1), &online), known);
        assert_eq!(copies.of(&file(2), &online), FileCopies::default());
    }

    #[test]
    fn what_was_said_before_going_away_does_not_count() {
        let (mut copies, online) = (Copies::default(), BTreeSet::from([node(1)]));
        copies.note(file(1), node(1), Some(Saying::Complete));
        copies.peer_went(node(1));
        assert_eq!(copies.of(&file(1), &online), FileCopies::default());
        copies.note(file(1), node(1), Some(Saying::Complete));
        assert_eq!(copies.of(&file(1), &online).complete, [node(1)]);
    }

    #[test]
    fn what_was_asked_is_fresh_for_a_while_or_until_somebody_comes() {
        let (mut copies, now) = (Copies::default(), Instant::now());
        assert!(!copies.is_fresh(&file(1), now));
        copies.note_asked(file(1), now);
        assert!(copies.is_fresh(&file(1), now));
        copies.peer_came();
        assert!(!copies.is_fresh(&file(1), now));
        copies.note_asked(file(1), now);
        assert!(copies.is_fresh(&file(1), now + FRESH_FOR / 2));
        assert!(!copies.is_fresh(&file(1), now + FRESH_FOR));
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut copies = Copies::default();
        let files = u32::try_from(SAYINGS_MAX).unwrap() / 4 + 100;
        for number in 0..files {
            for peer in 1..=4 {
                copies.note(file(number), node(peer), Some(Saying::Complete));
            }
        }
        assert!(copies.sayings <= SAYINGS_MAX && copies.files.len() <= SAYINGS_MAX / 4);
        let online = BTreeSet::from([node(1)]);
        assert_eq!(copies.of(&file(0), &online).complete, []);
        assert_eq!(copies.of(&file(files - 1), &online).complete, [node(1)]);
    }
}
