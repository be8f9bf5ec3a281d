//! The numbers of the swarm, with why they are so.

use std::time::Duration;

use swift_chunks::SLICE_LEVEL_MAX;

/// The numbers. All of them are bounds: nothing in the machine grows beyond what is here, whatever peers send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Grows with every start of the node (Unix time in milliseconds does), so that peers know new from old.
    pub incarnation: u64,
    /// Sends that run at once.
    pub credit_running: usize,
    /// Offers ahead of them, so that no send waits for a round trip.
    pub credit_ahead: usize,
    /// Bytes of sends and offers, or of fetches, that there may be at once of files smaller than a grain: of these the
    /// numbers above and below would be too few.
    pub small_bytes: u64,
    /// Offers and sends to one peer before another is chosen.
    pub sends_per_peer: usize,
    /// The most to a peer that has confirmed nothing; each confirmation allows one more.
    pub sends_first: usize,
    /// How long a connection stays up to speed when nothing goes through it.
    pub warm: Duration,
    /// Slices that an offer lets the receiver choose among.
    pub alternatives: usize,
    /// How long a slice should keep the uplinks busy, of all nodes together through which it goes: about as many as
    /// the number of neighbours has binary digits.
    pub slice_time: Duration,
    /// The longest that a slice should be on its way to one peer.
    pub slice_time_max: Duration,
    /// Base-2 logarithm of the grains in the smallest and in the largest slice.
    pub slice_levels: (u8, u8),
    /// Base-2 logarithm of the grains in a slice while no rate is known.
    pub slice_level_first: u8,
    /// Bytes per second that leave a node from which on its work for each slice counts more than when it can be passed
    /// on.
    pub fast_uplink: u64,
    /// A slice is no larger than the file divided by this.
    pub slices_per_file: u64,
    /// Nor larger than this part of what was sent before, or of what the peer lacks.
    pub slices_to_grow: u64,
    /// Bytes of sends and offers at once, where others pass on what is sent...
    pub credit_bytes: u64,
    /// ...but never fewer slices than this.
    pub credit_least: usize,
    /// The most of both, however long the way.
    pub credit_max: usize,
    /// Slices accepted at once, queued or coming, over short ways.
    pub fetches_max: usize,
    /// The most, however long the way.
    pub fetches_limit: usize,
    /// Of these, how many are kept for files of which nothing is coming, when several files are wanted.
    pub fetches_reserved: usize,
    /// Requests that run at once to one source; further accepted ones wait here, not in its server.
    pub fetches_per_source_max: usize,
    /// Peers that are asked about a file, and told when its state changes.
    pub neighbours_max: usize,
    /// Wanted files that are asked about at once; the others stand in line.
    pub active_files_max: usize,
    /// Reachable members that are remembered.
    pub peers_max: usize,
    /// Maps of one peer that are kept.
    pub views_per_peer_max: usize,
    /// Bytes of maps of one peer that are kept.
    pub view_bytes_per_peer_max: usize,
    /// Bytes of maps in all.
    pub view_bytes_max: usize,
    /// A map longer than this is not told again within [`Config::map_again`].
    pub map_bytes_cheap: usize,
    /// How long a long map stands before it is told again.
    pub map_again: Duration,
    /// The least wait after a peer was busy, and the most.
    pub busy_wait: (Duration, Duration),
    /// The least and the most wait after a peer declined a file.
    pub decline_wait: (Duration, Duration),
    /// The least time a peer has to answer an offer.
    pub answer_timeout_min: Duration,
    /// How long an accepted slice may go unrequested. The receiver's next map frees it sooner.
    pub accept_timeout: Duration,
    /// How long a send may go without progress.
    pub send_stall: Duration,
    /// How long a slice that was sent may go unconfirmed.
    pub confirm_timeout: Duration,
    /// The least and the most time that a fetch may go without progress.
    pub fetch_stall: (Duration, Duration),
    /// The least and the most time that nothing is accepted from a source that failed.
    pub cool_off: (Duration, Duration),
    /// The least age of a slice that is raced.
    pub race_after_min: Duration,
    /// The least and the most time between two questions about a file.
    pub ask_again: (Duration, Duration),
    /// How long a file may go without progress before holders are asked again.
    pub starved_after: Duration,
    /// How long a peer has to answer a question.
    pub ask_timeout: Duration,
    /// How long nothing is accepted after this node could not write.
    pub storage_wait: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            incarnation: 0,
            credit_running: 4,
            credit_ahead: 6,
            credit_bytes: 8 * 1024 * 1024,
            credit_least: 3,
            credit_max: 96,
            small_bytes: 1024 * 1024,
            sends_per_peer: 1,
            sends_first: 1,
            warm: Duration::from_millis(200),
            alternatives: 6,
            slice_time: Duration::from_millis(200),
            slice_time_max: Duration::from_secs(2),
            slice_levels: (0, SLICE_LEVEL_MAX),
            slice_level_first: 2,
            fast_uplink: 16 * 1024 * 1024,
            slices_per_file: 128,
            slices_to_grow: 2,
            fetches_max: 32,
            fetches_limit: 96,
            fetches_reserved: 4,
            fetches_per_source_max: 16,
            neighbours_max: 16,
            active_files_max: 192,
            peers_max: 16 * 1024,
            views_per_peer_max: 256,
            view_bytes_per_peer_max: 1024 * 1024,
            view_bytes_max: 32 * 1024 * 1024,
            map_bytes_cheap: 4096,
            map_again: Duration::from_secs(1),
            busy_wait: (Duration::from_millis(50), Duration::from_secs(1)),
            decline_wait: (Duration::from_secs(1), Duration::from_secs(60)),
            answer_timeout_min: Duration::from_secs(2),
            accept_timeout: Duration::from_secs(30),
            send_stall: Duration::from_secs(30),
            confirm_timeout: Duration::from_secs(5),
            fetch_stall: (Duration::from_secs(5), Duration::from_secs(60)),
            cool_off: (Duration::from_secs(2), Duration::from_secs(60)),
            race_after_min: Duration::from_millis(500),
            ask_again: (Duration::from_millis(250), Duration::from_secs(30)),
            starved_after: Duration::from_secs(3),
            ask_timeout: Duration::from_secs(10),
            storage_wait: Duration::from_secs(5),
        }
    }
}
