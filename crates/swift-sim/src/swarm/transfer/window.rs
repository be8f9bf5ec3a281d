//! How much a connection dares to have on its way.

/// Bytes of a full packet.
pub(crate) const PACKET_LEN: u64 = 1460;
/// What a connection sends before it has heard anything: ten packets.
const FIRST_WINDOW: u64 = 10 * PACKET_LEN;
/// A window is never made smaller than this.
const WINDOW_MIN: u64 = 2 * PACKET_LEN;
/// Every window may grow to this.
const WINDOW_ALWAYS: u64 = 64 * 1024;

/// What a connection may have on its way, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    len: u64,
    /// Below it the window doubles in a round trip, above it grows by a packet.
    threshold: u64,
}

impl Window {
    pub(crate) const FIRST: Self = Self { len: FIRST_WINDOW, threshold: u64::MAX };

    pub(crate) fn len(self) -> u64 {
        self.len
    }

    /// After a pause it starts small again, and remembers where it was.
    pub(crate) fn after_pause(self) -> Self {
        Self { len: self.len.min(FIRST_WINDOW), threshold: self.threshold.max(self.len * 3 / 4) }
    }

    pub(crate) fn grow(&mut self, acked: u64, most: u64) {
        self.len += if self.len < self.threshold { acked } else { acked * PACKET_LEN / self.len };
        self.len = self.len.min(most);
    }

    pub(super) fn shrink(&mut self) {
        self.len = (self.len * 7 / 10).max(WINDOW_MIN);
        self.threshold = self.len;
    }
}

/// The way between two nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    /// There and back.
    pub(super) round_trip_ns: u64,
    /// The most that a window is: twice what fits on the way.
    pub(super) window_max: u64,
}

impl Path {
    /// `delay_ns` is one way; `rate` is the slower of the two links, in bytes per second.
    pub(crate) fn new(delay_ns: u64, rate: u64) -> Self {
        let round_trip_ns = 2 * delay_ns;
        let product = u128::from(rate) * u128::from(round_trip_ns) / 1_000_000_000;
        let product = u64::try_from(product).unwrap_or(u64::MAX);
        Self { round_trip_ns, window_max: product.saturating_mul(2).max(WINDOW_ALWAYS) }
    }
}
