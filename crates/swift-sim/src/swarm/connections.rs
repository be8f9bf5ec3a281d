//! A node's connections that wait for their next use.

use std::collections::BTreeMap;

use super::{clock::Moment, transfer::Window};

/// How long an idle connection stays open.
const IDLE_NS: u64 = 15_000_000_000;
/// After such a pause, and the round trip, a window starts small again.
const PAUSE_NS: u64 = 200_000_000;

/// Connections by the peer at the other end. Both ends keep their own books: who fetches knows that there is one, who
/// sends what it dares to send over it.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    /// Since when each is idle over which content was fetched.
    fetching: BTreeMap<usize, Vec<Moment>>,
    /// The same where content was sent, with the window of each.
    serving: BTreeMap<usize, Vec<(Moment, Window)>>,
    /// The connection for letters: when it is or was ready, and used last.
    letters: BTreeMap<usize, (Moment, Moment)>,
}

impl Connections {
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The connections with a peer are no more.
    pub(crate) fn close(&mut self, peer: usize) {
        self.fetching.remove(&peer);
        self.serving.remove(&peer);
        self.letters.remove(&peer);
    }

    /// Takes a connection to fetch over from a source; says whether one is open.
    pub(crate) fn take(&mut self, now: Moment, source: usize) -> bool {
        let Some(idle) = self.fetching.get_mut(&source) else { return false };
        idle.retain(|&since| now.since(since) < IDLE_NS);
        idle.pop().is_some()
    }

    /// Content was fetched over a connection.
    pub(crate) fn keep(&mut self, now: Moment, source: usize) {
        self.fetching.entry(source).or_default().push(now);
    }

    /// The window of a connection over which a peer requests once more.
    pub(crate) fn take_window(&mut self, now: Moment, peer: usize, round_trip_ns: u64) -> Option<Window> {
        let (since, window) = self.serving.get_mut(&peer)?.pop()?;
        let is_fresh = now.since(since) < PAUSE_NS + round_trip_ns;
        Some(if is_fresh { window } else { window.after_pause() })
    }

    /// Content was sent over a connection, and heard of.
    pub(crate) fn keep_window(&mut self, now: Moment, peer: usize, window: Window) {
        let idle = self.serving.entry(peer).or_default();
        idle.retain(|&(since, _)| now.since(since) < IDLE_NS);
        idle.push((now, window));
    }

    /// There is a connection to a peer since before the run began: it was greeted.
    pub(crate) fn greeted(&mut self, peer: usize) {
        self.letters.insert(peer, (Moment::ZERO, Moment::ZERO));
    }

    /// When a letter to a peer can leave: at once, unless the connection must be opened first.
    pub(crate) fn letter_ready(&mut self, now: Moment, to: usize, handshake_ns: u64) -> Moment {
        let entry = self.letters.entry(to).or_insert((Moment::NEVER, Moment::ZERO));
        if entry.0 == Moment::NEVER || now.since(entry.1) >= IDLE_NS {
            entry.0 = now.plus(handshake_ns);
        }
        entry.1 = now.max(entry.0);
        entry.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_for_letters_is_opened_once_and_again_after_a_long_pause() {
        let mut connections = Connections::default();
        assert_eq!(connections.letter_ready(Moment(5), 1, 100), Moment(105));
        assert_eq!(connections.letter_ready(Moment(50), 1, 100), Moment(105));
        assert_eq!(connections.letter_ready(Moment(500), 1, 100), Moment(500));
        let late = Moment(500 + IDLE_NS);
        assert_eq!(connections.letter_ready(late, 1, 100), late.plus(100));
    }

    #[test]
    fn a_connection_carries_one_transfer_at_a_time_and_its_window_is_small_after_a_pause() {
        let mut connections = Connections::default();
        assert!(!connections.take(Moment(0), 1));
        connections.keep(Moment(0), 1);
        assert!(connections.take(Moment(1), 1) && !connections.take(Moment(1), 1));
        let mut wide = Window::FIRST;
        wide.grow(1 << 20, 1 << 20);
        let mut reused_after = |pause| {
            connections.keep_window(Moment(0), 1, wide);
            connections.take_window(Moment(pause), 1, 10).map(Window::len)
        };
        assert_eq!(reused_after(PAUSE_NS), Some(1 << 20));
        assert_eq!(reused_after(2 * PAUSE_NS), Some(Window::FIRST.len()));
    }
}
