//! The last events, and no more.

use std::{collections::VecDeque, sync::Arc};

use super::{EventType, EventTypes};

/// Events that are remembered, and bytes of all of them.
const KEPT_MAX: usize = 2048;
const BYTES_MAX: usize = 8 << 20;

#[derive(Default)]
pub(super) struct Ring {
    /// Without gaps: the last one has the number `last`.
    events: VecDeque<(EventType, Arc<str>)>,
    last: u64,
    bytes: usize,
}

/// What a look found.
pub(super) enum Found {
    /// Events, the oldest first, and how far was looked.
    Events(Vec<(u64, EventType, Arc<str>)>, u64),
    /// What comes next is gone already; the last event has this number.
    Gone(u64),
}

impl Ring {
    pub(super) fn push(&mut self, kind: EventType, data: Arc<str>) -> u64 {
        self.bytes += data.len();
        self.events.push_back((kind, data));
        self.last += 1;
        while self.events.len() > KEPT_MAX || self.bytes > BYTES_MAX {
            let Some((_, oldest)) = self.events.pop_front() else { break };
            self.bytes -= oldest.len();
        }
        self.last
    }

    /// Something happened that cannot be told: whoever watches has missed it.
    pub(super) fn lose(&mut self) -> u64 {
        self.events.clear();
        (self.bytes, self.last) = (0, self.last + 1);
        self.last
    }

    pub(super) fn after(&self, number: u64, types: EventTypes, len: usize) -> Found {
        let first = self.last - self.events.len() as u64 + 1;
        if number > self.last || number + 1 < first {
            return Found::Gone(self.last);
        }
        let skipped = usize::try_from(number + 1 - first).unwrap_or(usize::MAX);
        let (mut found, mut bytes, mut at) = (Vec::new(), 0, number);
        for (kind, data) in self.events.iter().skip(skipped) {
            if bytes >= len {
                break;
            }
            at += 1;
            if types.has(*kind) {
                bytes += data.len();
                found.push((at, *kind, data.clone()));
            }
        }
        Found::Events(found, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(ring: &Ring, after: u64, types: EventTypes, len: usize) -> Option<(Vec<u64>, u64)> {
        match ring.after(after, types, len) {
            Found::Events(events, at) => Some((events.iter().map(|(number, ..)| *number).collect(), at)),
            Found::Gone(_) => None,
        }
    }

    #[test]
    fn what_comes_behind_a_number_is_found_by_type_and_in_pieces() {
        let mut ring = Ring::default();
        let files = EventTypes::default().with(EventType::File);
        assert_eq!(numbers(&ring, 0, files, 99), Some((vec![], 0)));
        for kind in [EventType::File, EventType::Node, EventType::File, EventType::File] {
            ring.push(kind, "0123456789".into());
        }
        assert_eq!(numbers(&ring, 0, files, 99), Some((vec![1, 3, 4], 4)));
        assert_eq!(numbers(&ring, 0, files, 15), Some((vec![1, 3], 3)));
        assert_eq!(numbers(&ring, 4, files, 99), Some((vec![], 4)));
        assert_eq!(numbers(&ring, 5, files, 99), None, "it was never there");
    }

    #[test]
    fn what_is_too_old_is_gone_and_memory_stays_bounded() {
        let mut ring = Ring::default();
        let files = EventTypes::default().with(EventType::File);
        for _ in 0..KEPT_MAX + 10 {
            ring.push(EventType::File, "x".into());
        }
        assert_eq!(numbers(&ring, 9, files, 1), None);
        assert_eq!(numbers(&ring, 10, files, 1), Some((vec![11], 11)));
        for _ in 0..20 {
            ring.push(EventType::File, "x".repeat(1 << 20).into());
        }
        assert!(ring.bytes <= BYTES_MAX && ring.events.len() <= 8);
        ring.push(EventType::File, "x".repeat(BYTES_MAX + 1).into());
        assert_eq!((ring.events.len(), ring.bytes), (0, 0));
        assert_eq!(numbers(&ring, ring.last, files, 1), Some((vec![], ring.last)));
    }
}
