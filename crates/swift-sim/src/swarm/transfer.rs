//! One request's bytes on their way, as a TCP connection would carry them.

use std::collections::VecDeque;

use super::{clock::Moment, machine::Piece};

/// Bytes of a full packet.
pub(crate) const PACKET_LEN: u64 = 1460;
/// What a connection sends before it has heard anything: ten packets.
const FIRST_WINDOW: u64 = 10 * PACKET_LEN;
/// A window is never made smaller than this.
const WINDOW_MIN: u64 = 2 * PACKET_LEN;
/// Every window may grow to this.
const WINDOW_ALWAYS: u64 = 64 * 1024;
/// What the server's program and its kernel take before the network has: the program sees its bytes gone so early.
const SEND_BUFFER_LEN: u64 = 400 * 1024;

/// How much a connection dares to have on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    len: u64,
    /// Below it the window doubles in a round trip, above it grows by a packet.
    threshold: u64,
}

impl Window {
    pub(crate) const FIRST: Self = Self { len: FIRST_WINDOW, threshold: u64::MAX };

    /// After a pause it starts small again, and remembers where it was.
    pub(crate) fn after_pause(self) -> Self {
        Self { len: self.len.min(FIRST_WINDOW), threshold: self.threshold.max(self.len * 3 / 4) }
    }

    fn grow(&mut self, acked: u64, most: u64) {
        self.len += if self.len < self.threshold { acked } else { acked * PACKET_LEN / self.len };
        self.len = self.len.min(most);
    }

    fn shrink(&mut self) {
        self.len = (self.len * 7 / 10).max(WINDOW_MIN);
        self.threshold = self.len;
    }
}

/// The way between two nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    /// One way.
    pub(crate) delay_ns: u64,
    /// The most that a window is: twice what fits on the way.
    pub(crate) window_max: u64,
}

impl Path {
    /// `rate` is the slower of the two links, in bytes per second.
    pub(crate) fn new(delay_ns: u64, rate: u64) -> Self {
        let product = u128::from(rate) * u128::from(2 * delay_ns) / 1_000_000_000;
        let product = u64::try_from(product).unwrap_or(u64::MAX);
        Self { delay_ns, window_max: product.saturating_mul(2).max(WINDOW_ALWAYS) }
    }
}

#[derive(Debug)]
struct Quantum {
    len: u64,
    /// When it has passed the receiver's link; never, while it is on its way there.
    done: Moment,
    is_marked: bool,
}

/// How far the sender is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The request is on its way.
    Requested,
    /// In line for the uplink, or leaving.
    Sending,
    /// Waits for acknowledgements.
    Held,
    /// All bytes have left.
    Sent,
    /// The server lets it hang.
    Hanging,
    /// The connection is no more, and the source has not noticed.
    Severed,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Which life of the receiver asked for it.
    pub(crate) life: u64,
    pub(crate) file: usize,
    pub(crate) piece: Piece,
    pub(crate) path: Path,
    pub(crate) stage: Stage,
    len: u64,
    /// Bytes that have not left.
    left: u64,
    /// Oldest first; those that have arrived come before those that have not.
    on_way: VecDeque<Quantum>,
    arrived: usize,
    on_way_len: u64,
    window: Window,
    /// The window shrinks once for all that was sent before it did.
    shrunk_at: Moment,
    last_done: Moment,
    /// Bytes that the receiver's program was told of, and whether the sender's was told of the end.
    pub(crate) told: u64,
    pub(crate) told_left: u64,
    pub(crate) is_end_told: bool,
}

impl Transfer {
    pub(crate) fn new((from, to): (usize, usize), file: usize, piece: Piece, len: u64, path: Path) -> Self {
        Self {
            from,
            to,
            life: 0,
            file,
            piece,
            path,
            stage: Stage::Requested,
            len,
            left: len,
            on_way: VecDeque::new(),
            arrived: 0,
            on_way_len: 0,
            window: Window::FIRST,
            shrunk_at: Moment::ZERO,
            last_done: Moment::ZERO,
            told: 0,
            told_left: len,
            is_end_told: false,
        }
    }

    pub(crate) fn set_window(&mut self, window: Window) {
        self.window = window;
    }

    /// Whether its bytes go on their way.
    pub(crate) fn is_moving(&self) -> bool {
        !matches!(self.stage, Stage::Requested | Stage::Hanging | Stage::Severed)
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// Bytes that the sender's program still holds; the rest is in its buffers or gone.
    pub(crate) fn unwritten(&self) -> u64 {
        self.left.saturating_sub(SEND_BUFFER_LEN)
    }

    /// Bytes of the next turn: none if acknowledgements must come first.
    pub(crate) fn next_len(&mut self, now: Moment, quantum: u64) -> Option<u64> {
        self.hear(now);
        let want = quantum.min(self.left);
        let room = self.window.len.saturating_sub(self.on_way_len);
        let fits = room >= want || room * 2 >= quantum || self.on_way.is_empty();
        fits.then(|| want.min(room.max(PACKET_LEN)))
    }

    /// Bytes leave.
    pub(crate) fn leave(&mut self, len: u64) {
        self.left -= len;
        self.on_way_len += len;
        self.on_way.push_back(Quantum { len, done: Moment::NEVER, is_marked: false });
    }

    /// Length of the first quantum that has not arrived.
    pub(crate) fn arriving_len(&self) -> u64 {
        self.on_way.get(self.arrived).map_or(0, |quantum| quantum.len)
    }

    /// That quantum has arrived, and passes the link at `done`. Bytes are handed on in order.
    pub(crate) fn arrive(&mut self, done: Moment, is_marked: bool) {
        self.last_done = self.last_done.max(done);
        if let Some(quantum) = self.on_way.get_mut(self.arrived) {
            (quantum.done, quantum.is_marked) = (self.last_done, is_marked);
            self.arrived += 1;
        }
    }

    /// When the last byte is there, once that is known.
    pub(crate) fn ends_at(&self) -> Option<Moment> {
        (self.left == 0 && self.arrived == self.on_way.len()).then_some(self.last_done)
    }

    /// When the next acknowledgement is heard, if it is under way.
    pub(crate) fn hears_at(&self) -> Option<Moment> {
        let next = self.on_way.front().filter(|_| self.arrived > 0)?;
        Some(next.done.plus(self.path.delay_ns))
    }

    /// Whether the first thing on the way has just arrived: a sender that is held waits for its acknowledgement.
    pub(crate) fn is_first_arrival(&self) -> bool {
        self.arrived == 1
    }

    fn hear(&mut self, now: Moment) {
        while let Some(heard_at) = self.hears_at().filter(|&at| at <= now) {
            let Some(quantum) = self.on_way.pop_front() else { break };
            self.arrived -= 1;
            self.on_way_len -= quantum.len;
            let sent_after_shrinking = heard_at.since(self.shrunk_at) > 2 * self.path.delay_ns;
            if quantum.is_marked && sent_after_shrinking {
                self.window.shrink();
                self.shrunk_at = heard_at;
            } else if !quantum.is_marked {
                self.window.grow(quantum.len, self.path.window_max);
            }
        }
    }

    /// Bytes that the receiver's program has.
    pub(crate) fn received(&self, now: Moment) -> u64 {
        let missing = self.on_way.iter().filter(|quantum| quantum.done > now).map(|quantum| quantum.len);
        self.len - self.left - missing.sum::<u64>()
    }

    /// The window when all is acknowledged, for the connection's next request.
    pub(crate) fn window_after(mut self) -> Window {
        self.hear(Moment::NEVER);
        self.window
    }
}
