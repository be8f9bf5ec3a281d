//! A transfer as its receiver sees it: what has come.

use std::collections::VecDeque;

use crate::swarm::{clock::Moment, machine::Piece};

/// One request that was made.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) from: usize,
    pub(crate) file: usize,
    pub(crate) piece: Piece,
    /// When the machine requested it.
    pub(crate) since: Moment,
    /// When the request comes to the source's link, once it has left.
    pub(crate) asked_at: Option<Moment>,
    /// Whether the connection is no more, and nothing comes over it.
    pub(crate) is_severed: bool,
    /// Bytes that are still to come to the link.
    missing: u64,
    /// Bytes that have passed it.
    passed: u64,
    /// Bytes in the link, and when they have passed it.
    passing: VecDeque<(Moment, u64)>,
    /// Bytes that the machine was told of.
    told: u64,
}

impl Incoming {
    pub(crate) fn new(since: Moment, from: usize, (file, piece, len): (usize, Piece, u64)) -> Self {
        Self {
            from,
            file,
            piece,
            since,
            asked_at: None,
            is_severed: false,
            missing: len,
            passed: 0,
            passing: VecDeque::new(),
            told: 0,
        }
    }

    /// Bytes come, and pass the link at `done`, or when those before them do. Says when that is.
    pub(crate) fn arrive(&mut self, now: Moment, len: u64, done: Moment) -> Moment {
        self.pass(now);
        let done = self.passing.back().map_or(done, |&(before, _)| before.max(done));
        self.passing.push_back((done, len));
        self.missing = self.missing.saturating_sub(len);
        done
    }

    /// Whether the last byte has come to the link.
    pub(crate) fn is_all_here(&self) -> bool {
        self.missing == 0
    }

    /// The bytes that have passed, if there are more than when this was asked last.
    pub(crate) fn has_moved(&mut self, now: Moment) -> Option<u64> {
        self.pass(now);
        (std::mem::replace(&mut self.told, self.passed) != self.passed).then_some(self.passed)
    }

    fn pass(&mut self, now: Moment) {
        while let Some(&(done, len)) = self.passing.front()
            && done <= now
        {
            self.passing.pop_front();
            self.passed += len;
        }
    }
}

#[cfg(test)]
mod tests {
    use swift_chunks::{ChunkLayout, Slice};

    use super::*;

    #[test]
    fn bytes_are_there_in_order_when_they_have_passed() {
        let chunk = ChunkLayout::new(300).unwrap().chunk(0).unwrap();
        let mut incoming = Incoming::new(Moment(1), 1, (0, Slice::of_chunk(chunk), 300));
        assert_eq!(incoming.arrive(Moment(5), 100, Moment(50)), Moment(50));
        // What was lost holds up what comes after it.
        assert_eq!(incoming.arrive(Moment(10), 200, Moment(20)), Moment(50));
        assert!(incoming.is_all_here());
        assert_eq!(incoming.has_moved(Moment(49)), None);
        assert_eq!(incoming.has_moved(Moment(50)), Some(300));
        assert_eq!(incoming.has_moved(Moment(60)), None);
    }
}
