//! A transfer as its sender sees it: what has not left, and what was not heard of.

use super::window::{PACKET_LEN, Path, Window};
use crate::swarm::{clock::Moment, machine::Piece, slab::Key};

/// What the server's program and its kernel take before the network has: the program sees its bytes gone so early.
const SEND_BUFFER_LEN: u64 = 400 * 1024;

/// How far the sender is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// In line for the uplink, or leaving.
    Sending,
    /// Waits for acknowledgements.
    Held,
    /// All bytes have left.
    Sent,
    /// The server lets it hang.
    Hanging,
    /// The connection is no more, and the sender has not noticed.
    Severed,
}

/// One request that is being served.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) to: usize,
    /// What the receiver calls it.
    pub(crate) incoming: Key,
    pub(crate) file: usize,
    pub(crate) piece: Piece,
    pub(crate) stage: Stage,
    path: Path,
    len: u64,
    /// Bytes that have not left.
    left: u64,
    /// Bytes that have left, and that nothing was heard of.
    on_way: u64,
    window: Window,
    /// The window shrinks once for all that was sent before it did.
    shrunk_at: Moment,
    /// What the sender's program had not handed over when its machine was told last.
    told_left: u64,
    is_end_told: bool,
}

impl Outgoing {
    /// Something to be sent to a node, which calls it so.
    pub(crate) fn new(
        (to, incoming): (usize, Key),
        (file, piece, len): (usize, Piece, u64),
        path: Path,
        window: Window,
    ) -> Self {
        Self {
            to,
            incoming,
            file,
            piece,
            stage: Stage::Sending,
            path,
            len,
            left: len,
            on_way: 0,
            window,
            shrunk_at: Moment::ZERO,
            told_left: len,
            is_end_told: false,
        }
    }

    /// Whether its bytes go on their way.
    pub(crate) fn is_moving(&self) -> bool {
        !matches!(self.stage, Stage::Hanging | Stage::Severed)
    }

    pub(crate) fn is_untouched(&self) -> bool {
        self.left == self.len
    }

    /// Bytes of the next turn: none if acknowledgements must come first.
    pub(crate) fn next_len(&self, quantum: u64) -> Option<u64> {
        let want = quantum.min(self.left);
        let room = self.window.len().saturating_sub(self.on_way);
        let fits = room >= want || room * 2 >= quantum || self.on_way == 0;
        fits.then(|| want.min(room.max(PACKET_LEN)))
    }

    /// Bytes begin to leave.
    pub(crate) fn leave(&mut self, len: u64) {
        self.left -= len;
        self.on_way += len;
    }

    /// They have left; says whether there are more.
    pub(crate) fn have_left(&mut self) -> bool {
        if self.left == 0 {
            self.stage = Stage::Sent;
        }
        self.left > 0
    }

    /// Bytes are acknowledged; marked ones were lost, or stood in line for too long.
    pub(crate) fn hear(&mut self, now: Moment, len: u64, is_marked: bool) {
        self.on_way -= len;
        if !is_marked {
            self.window.grow(len, self.path.window_max);
        } else if now.since(self.shrunk_at) > self.path.round_trip_ns {
            self.window.shrink();
            self.shrunk_at = now;
        }
    }

    /// The window when all is sent and acknowledged, for the connection's next request.
    pub(crate) fn window_after(&self) -> Option<Window> {
        (self.stage == Stage::Sent && self.on_way == 0).then_some(self.window)
    }

    /// Whether the sender's program has handed over the last byte, and its machine is yet to be told; asked, it is.
    pub(crate) fn tell_end(&mut self) -> bool {
        self.unwritten() == 0 && !std::mem::replace(&mut self.is_end_told, true)
    }

    pub(crate) fn is_end_told(&self) -> bool {
        self.is_end_told
    }

    /// Whether the program has handed over more than when this was asked last.
    pub(crate) fn has_moved(&mut self) -> bool {
        let left = self.unwritten();
        !self.is_end_told && std::mem::replace(&mut self.told_left, left) != left
    }

    /// Bytes that the sender's program still holds; the rest is in its buffers or gone.
    fn unwritten(&self) -> u64 {
        self.left.saturating_sub(SEND_BUFFER_LEN)
    }
}

#[cfg(test)]
mod tests {
    use swift_chunks::{ChunkLayout, Slice};

    use super::*;
    use crate::swarm::slab::Slab;

    fn outgoing(len: u64) -> Outgoing {
        let chunk = ChunkLayout::new(len).unwrap().chunk(0).unwrap();
        let incoming = Slab::default().insert(());
        let path = Path::new(20_000_000, 5_000_000);
        Outgoing::new((1, incoming), (0, Slice::of_chunk(chunk), len), path, Window::FIRST)
    }

    #[test]
    fn no_more_leaves_than_the_window_until_something_is_heard() {
        let mut outgoing = outgoing(1 << 20);
        assert_eq!(outgoing.next_len(8192), Some(8192));
        outgoing.leave(8192);
        assert_eq!(outgoing.next_len(8192), Some(Window::FIRST.len() - 8192));
        outgoing.leave(Window::FIRST.len() - 8192);
        assert_eq!(outgoing.next_len(8192), None);
        outgoing.hear(Moment(1), 8192, false);
        assert_eq!(outgoing.next_len(8192), Some(8192));
    }

    #[test]
    fn a_window_is_left_when_all_was_sent_and_heard_of() {
        let mut outgoing = outgoing(8000);
        outgoing.leave(8000);
        assert!(outgoing.tell_end() && !outgoing.tell_end());
        assert!(!outgoing.have_left());
        assert!(outgoing.window_after().is_none());
        outgoing.hear(Moment(1), 8000, false);
        assert_eq!(outgoing.window_after().map(Window::len), Some(Window::FIRST.len() + 8000));
    }

    #[test]
    fn a_window_shrinks_once_for_all_that_was_on_its_way() {
        let mut outgoing = outgoing(1 << 20);
        outgoing.leave(14_000);
        let later = Moment(1_000_000_000);
        (0..2).for_each(|_| outgoing.hear(later, 7000, true));
        assert_eq!(outgoing.window.len(), Window::FIRST.len() * 7 / 10);
    }
}
