//! A node's link to all others: what leaves takes turns, what arrives stands in line.

use std::collections::VecDeque;

use super::{clock::Moment, envelope::Envelope, slab::Key};

/// The least and the most that a transfer sends in its turn. One packet in reality; more here, so that a run ends.
const QUANTUM_LEN: (u64, u64) = (4 * 1024, 64 * 1024);
/// A turn takes about this long.
const TURN_NS: u64 = 4_000_000;
/// Letters that pass before the next transfer has its turn: together about a turn's worth.
pub(crate) const LETTERS_LEN: u64 = 16 * 1024;

/// How fast a link is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speed {
    bytes_per_second: u64,
    picos_per_byte: u64,
}

impl Speed {
    /// At least a byte a second.
    pub(crate) fn bytes_per_second(rate: u64) -> Self {
        let rate = rate.max(1);
        Self { bytes_per_second: rate, picos_per_byte: (1_000_000_000_000 / rate).max(1) }
    }

    pub(crate) fn rate(self) -> u64 {
        self.bytes_per_second
    }

    /// Nanoseconds that so many bytes take.
    pub(crate) fn takes(self, bytes: u64) -> u64 {
        bytes * self.picos_per_byte / 1000
    }

    /// Bytes that pass in so many nanoseconds.
    pub(crate) fn bytes_in(self, ns: u64) -> u64 {
        u64::try_from(u128::from(ns) * 1000 / u128::from(self.picos_per_byte)).unwrap_or(u64::MAX)
    }
}

/// The way out. The kernel lets every connection have a packet or two in line, so transfers take turns, and a short
/// message waits for the packet before it only.
#[derive(Debug)]
pub(crate) struct Uplink {
    pub(crate) speed: Speed,
    /// Bytes that a transfer sends in its turn.
    pub(crate) quantum: u64,
    letters: VecDeque<Box<Envelope>>,
    turns: VecDeque<Key>,
    /// The transfer of which some bytes are leaving now.
    pub(crate) leaving: Option<Key>,
    /// When all that has begun to leave has left.
    pub(crate) free_at: Moment,
    /// Whether that moment is noted, since something waits for it.
    pub(crate) is_noted: bool,
    /// Bytes of letters since a transfer had its turn.
    passed: u64,
    /// Acknowledgements that are sent between other things.
    acks: u64,
    /// Nanoseconds in which something left.
    pub(crate) busy_ns: u64,
}

impl Uplink {
    pub(crate) fn new(speed: Speed) -> Self {
        let quantum = speed.bytes_in(TURN_NS).clamp(QUANTUM_LEN.0, QUANTUM_LEN.1);
        Self {
            speed,
            quantum: 1 << quantum.ilog2(),
            letters: VecDeque::new(),
            turns: VecDeque::new(),
            leaving: None,
            free_at: Moment::ZERO,
            is_noted: false,
            passed: 0,
            acks: 0,
            busy_ns: 0,
        }
    }

    /// Drops what waits, and hands back the letters. What has begun to leave leaves.
    pub(crate) fn clear(&mut self) -> VecDeque<Box<Envelope>> {
        self.turns.clear();
        self.leaving = None;
        std::mem::take(&mut self.letters)
    }

    pub(crate) fn enter_letter(&mut self, letter: Box<Envelope>) {
        self.letters.push_back(letter);
    }

    pub(crate) fn enter_transfer(&mut self, transfer: Key) {
        self.turns.push_back(transfer);
    }

    /// Whether there is something to do when the link is free.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.leaving.is_some() || !self.letters.is_empty() || !self.turns.is_empty()
    }

    /// Notes an acknowledgement. On an idle link it leaves at once.
    pub(crate) fn acknowledge(&mut self, now: Moment, bytes: u64) {
        if self.free_at > now {
            self.acks += bytes;
        }
    }

    /// The letter that leaves next, if it is a letter's turn.
    pub(crate) fn next_letter(&mut self) -> Option<Box<Envelope>> {
        if self.passed >= LETTERS_LEN && !self.turns.is_empty() {
            return None;
        }
        self.letters.pop_front()
    }

    /// The transfer whose turn it is.
    pub(crate) fn next_transfer(&mut self) -> Option<Key> {
        self.turns.pop_front()
    }

    /// Begins to send a letter; returns when that is done.
    pub(crate) fn begin_letter(&mut self, now: Moment, len: u64) -> Moment {
        self.passed += len;
        self.begin(now, len)
    }

    /// Begins to send some bytes of a transfer; returns when that is done.
    pub(crate) fn begin_bytes(&mut self, now: Moment, transfer: Key, len: u64) -> Moment {
        self.passed = 0;
        self.leaving = Some(transfer);
        self.begin(now, len)
    }

    fn begin(&mut self, now: Moment, len: u64) -> Moment {
        let takes = self.speed.takes(len + std::mem::take(&mut self.acks));
        self.busy_ns += takes;
        self.free_at = self.free_at.max(now).plus(takes);
        self.free_at
    }
}

/// The way in: one line, in the order of arrival.
#[derive(Debug)]
pub(crate) struct Downlink {
    pub(crate) speed: Speed,
    free_at: Moment,
}

/// How something fared on the way in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// When it has passed.
    pub(crate) done: Moment,
    /// How long it stood in line.
    pub(crate) waited_ns: u64,
}

impl Downlink {
    pub(crate) fn new(speed: Speed) -> Self {
        Self { speed, free_at: Moment::ZERO }
    }

    pub(crate) fn arrive(&mut self, now: Moment, len: u64) -> Arrival {
        let begins = self.free_at.max(now);
        self.free_at = begins.plus(self.speed.takes(len));
        Arrival { done: self.free_at, waited_ns: begins.since(now) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::{envelope::Content, slab::Slab};

    #[test]
    fn speeds_are_exact_enough() {
        let speed = Speed::bytes_per_second(5_000_000);
        assert_eq!(speed.takes(5_000_000), 1_000_000_000);
        assert_eq!(speed.bytes_in(2_000_000_000), 10_000_000);
        assert_eq!(Uplink::new(speed).quantum, 16 * 1024);
        assert_eq!(Uplink::new(Speed::bytes_per_second(1)).quantum, 4 * 1024);
    }

    #[test]
    fn letters_go_first_and_do_not_hold_up_transfers_for_ever() {
        let mut up = Uplink::new(Speed::bytes_per_second(1000));
        let transfer = Slab::default().insert(());
        up.enter_transfer(transfer);
        for _ in 0..40 {
            let content = Content::Unanswered(None);
            up.enter_letter(Box::new(Envelope { from: 0, to: 1, lives: (1, 1), len: 1000, content }));
        }
        let before = std::iter::from_fn(|| {
            let letter = up.next_letter()?;
            Some(up.begin_letter(Moment::ZERO, letter.len))
        });
        assert_eq!(before.count(), 17);
        assert_eq!(up.next_transfer(), Some(transfer));
        assert_eq!(up.begin_bytes(Moment::ZERO, transfer, 1000), Moment(18_000_000_000));
        assert!(up.next_letter().is_some());
    }

    #[test]
    fn what_arrives_waits_for_what_came_before() {
        let mut down = Downlink::new(Speed::bytes_per_second(1_000_000_000));
        assert_eq!(down.arrive(Moment(10), 100).done, Moment(110));
        let second = down.arrive(Moment(30), 100);
        assert_eq!((second.done, second.waited_ns), (Moment(210), 80));
        assert_eq!(down.arrive(Moment(500), 1).waited_ns, 0);
    }
}
