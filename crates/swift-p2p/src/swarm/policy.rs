//! Every judgement of the swarm: whom to serve, what to offer, how much at once, how long to wait.
//!
//! The rest of the machine keeps the books and asks here. [`Standard`] is what nodes run; a test may put its own
//! [`Policy`] in its place. Numbers are in [`Config`].

use std::time::Duration;

use swift_chunks::{CHUNK_LEN, GRAIN_LEN, SLICE_LEVEL_MAX};

use super::config::Config;
use super::random::Random;

/// A peer that could be offered something of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerChoice {
    /// Offers and sends to it that are open.
    pub open_sends: usize,
    /// Slices that it ever confirmed; nothing where there is nobody else to offer to.
    pub confirmed: Option<usize>,
    /// Whether something went to it a moment ago, so that its connection is up to speed.
    pub is_warm: bool,
    /// Bytes that it lacks, nearly.
    pub lacking: u64,
}

/// A slice that could be offered to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceChoice {
    /// How many neighbours hold it or have it coming.
    pub known: u32,
    /// Whether other parts of its chunk have been sent by themselves, so that the chunk comes in parts anyway.
    pub is_begun: bool,
}

/// What the size of a slice may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceSizing {
    /// Bytes in the file.
    pub file_len: u64,
    /// Bytes of it that this node has sent so far, to anybody.
    pub sent: u64,
    /// Bytes of it that the peer lacks, nearly.
    pub lacking: u64,
    /// Nodes that are known to have or want something of it.
    pub neighbours: usize,
    /// Whether there are others who may want something of it as well.
    pub is_shared: bool,
    /// Bytes per second that leave this node.
    pub uplink_rate: Option<u64>,
    /// Bytes per second of one slice to this peer.
    pub peer_rate: Option<u64>,
    /// From a question to the peer to its answer.
    pub round_trip: Option<Duration>,
}

/// What is known of the way that slices take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Bytes per second, of all slices together.
    pub rate: Option<u64>,
    /// From a question to its answer, when nothing is in the way.
    pub round_trip: Option<Duration>,
    /// Bytes in a slice.
    pub slice_len: u64,
}

impl Link {
    /// Slices that the way itself holds, from end to end and back.
    fn slices_on_the_way(&self) -> usize {
        let (Some(rate), Some(round_trip)) = (self.rate, self.round_trip) else { return 0 };
        let bytes = u128::from(rate) * round_trip.as_micros() / 1_000_000;
        usize::try_from(bytes.div_ceil(u128::from(self.slice_len.max(1)))).unwrap_or(usize::MAX)
    }

    /// Slices of whole small files to be had under way at once: what each is waited for, a disk and a few messages, is the
    /// same for many. No more than soon come through.
    fn small_slices(&self, bytes_max: u64) -> usize {
        let Some(rate) = self.rate.filter(|_| (1..GRAIN_LEN).contains(&self.slice_len)) else { return 0 };
        usize::try_from(bytes_max.min(rate / 2) / self.slice_len).unwrap_or(usize::MAX)
    }

    /// Slices to be had under way at once because of the way's length: an offer, its answer, the bytes and their
    /// confirmation take two round trips, and some more for a connection that has rested and begins slowly. The
    /// longer the way, the less of it is filled meanwhile.
    fn slices_under_way(&self) -> usize {
        let steps = self.round_trip.map_or(0, |time| time.saturating_sub(LONG_STEP).as_millis());
        let percent = 300 + 100 * steps / LONG_STEP.as_millis();
        let slices = (self.slices_on_the_way() as u128).saturating_mul(percent) / 100;
        usize::try_from(slices).unwrap_or(usize::MAX)
    }
}

/// What a receiver has on its hands when an offer comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiverLoad {
    /// Slices accepted, of all files.
    pub coming: usize,
    /// Slices accepted, of the offered file.
    pub coming_of_file: usize,
    /// Slices accepted, from the peer that offers.
    pub coming_from_peer: usize,
    /// Whether others have something of the file as well.
    pub has_other_sources: bool,
    /// The way from the peer that offers.
    pub link: Link,
    /// Other files that are wanted and not complete.
    pub other_files: usize,
    /// Of these, files that are wanted sooner and of which something is coming.
    pub more_urgent: usize,
    /// Of these, files that are wanted sooner and of which nothing is coming.
    pub starved_more_urgent: usize,
    /// Whether the file is wanted only when nothing else is.
    pub is_low: bool,
}

/// Whether an offered slice is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Into the queue.
    Take,
    /// Not now.
    Busy,
}

/// The judgements. All are functions of their arguments.
pub trait Policy: std::fmt::Debug + Send {
    /// The most open offers plus sends at once. Where what is sent is passed on by others, they wait for it.
    fn credit(&self, link: Link, is_shared: bool) -> usize;
    /// The most requests at once to one source.
    fn requests(&self, link: Link) -> usize;
    /// Whom to offer to: an index, or nobody.
    fn choose_peer(&self, peers: &[PeerChoice], random: &mut Random) -> Option<usize>;
    /// Which slices to let the receiver choose among: up to `count` indices, the best first. `uplink_rate` is in bytes
    /// per second.
    fn choose_slices(
        &self,
        slices: &[SliceChoice],
        count: usize,
        uplink_rate: Option<u64>,
        random: &mut Random,
    ) -> Vec<usize>;
    /// How large a slice to offer: the base-2 logarithm of its grains.
    fn slice_level(&self, sizing: SliceSizing) -> u8;
    /// Whether to take an offered slice.
    fn admit(&self, load: ReceiverLoad) -> Admission;
    /// How long to leave a peer alone that was busy `streak` times in a row.
    fn busy_wait(&self, round_trip: Option<Duration>, streak: u32) -> Duration;
    /// How long a peer may take to answer an offer.
    fn answer_timeout(&self, round_trip: Option<Duration>) -> Duration;
    /// How long a fetch may go without progress from a source of this rate, in bytes per second.
    fn stall_after(&self, rate: Option<u64>) -> Duration;
    /// How long to accept nothing from a source that failed `streak` times in a row.
    fn cool_off(&self, streak: u32) -> Duration;
    /// From which age on a last slice is raced, where slices usually take `usual`.
    fn race_after(&self, usual: Option<Duration>) -> Duration;
    /// How long until holders of a file are asked again, after `round` questions without success.
    fn ask_again(&self, round: u32, random: &mut Random) -> Duration;
}

/// The policy that nodes run.
#[derive(Clone, Debug)]
pub struct Standard {
    config: Config,
}

impl Standard {
    /// The policy with these numbers.
    pub const fn new(config: Config) -> Self {
        Self { config }
    }
}

/// Peers that are equally good, of which the one that lacks most is taken.
const PEERS_DRAWN: usize = 4;

/// A way's length, from end to end and back, from which on it counts as a long one; and each further step.
const LONG_STEP: Duration = Duration::from_millis(50);

/// A peer that lacks so much more than others do is behind.
const BEHIND: (u64, u64) = (17, 16);

/// A source that shows fewer bytes than this in four times the time it should need for them has stalled.
const STALL_BYTES: u64 = 64 * 1024;

impl Policy for Standard {
    /// A few that run and a few ahead of them, and what is on a long way meanwhile. Telling more peers of more slices,
    /// as if every peer were served at once, makes all of them pull from the source and none from each other. Large
    /// slices that leave side by side take long, each of them, and all that time nobody can pass them on: the larger
    /// they are, the fewer leave at once.
    fn credit(&self, link: Link, is_shared: bool) -> usize {
        let near = self.config.credit_running + self.config.credit_ahead;
        let near = near.max(link.small_slices(self.config.small_bytes));
        let large = usize::try_from(self.config.credit_bytes / link.slice_len.max(1)).unwrap_or(usize::MAX);
        let near = if is_shared { near.min(large.max(self.config.credit_least)) } else { near };
        near.saturating_add(link.slices_under_way()).min(self.config.credit_max)
    }

    fn requests(&self, link: Link) -> usize {
        let near = self.config.fetches_per_source_max.max(link.small_slices(self.config.small_bytes));
        near.saturating_add(link.slices_on_the_way().saturating_mul(2)).min(self.config.fetches_limit)
    }

    /// One of a few at a time: a connection that has just been used sends at once what a rested one needs several
    /// round trips for. When these lack nothing, another's turn comes. A random one where they are equal.
    fn choose_peer(&self, peers: &[PeerChoice], random: &mut Random) -> Option<usize> {
        let may = |peer: &PeerChoice| {
            peer.confirmed.is_none_or(|confirmed| peer.open_sends < self.config.sends_first + confirmed)
        };
        let (count, lacking) =
            peers.iter().fold((0, 0), |(count, sum), peer| (count + 1, sum + peer.lacking));
        let is_behind =
            |peer: &PeerChoice| peer.lacking.saturating_mul(count * BEHIND.1) > lacking * BEHIND.0;
        let rank = |peer: &PeerChoice| match peer.open_sends {
            open if open < self.config.sends_per_peer && (peer.is_warm || is_behind(peer)) => {
                (!may(peer), 0, open)
            }
            open => (!may(peer), 1, open),
        };
        if !peers.iter().any(may) {
            return None;
        }
        let low = peers.iter().map(rank).min()?;
        let best: Vec<usize> = (0..peers.len()).filter(|&at| rank(&peers[at]) == low).collect();
        let drawn = (0..PEERS_DRAWN).filter_map(|_| best.get(random.index(best.len())).copied());
        drawn.max_by_key(|&at| peers.get(at).map(|peer| peer.lacking))
    }

    /// The rarest among neighbours. Of these, unless the uplink is known to be slow, what belongs to chunks that are
    /// begun: a chunk that comes in parts is more work, here and wherever it goes from there, which counts over fast
    /// links only. In random order where all is equal. (A source is given what it has not sent yet, as long as there is
    /// any: a first whole copy leaves it before anything leaves it twice.)
    fn choose_slices(
        &self,
        slices: &[SliceChoice],
        count: usize,
        uplink_rate: Option<u64>,
        random: &mut Random,
    ) -> Vec<usize> {
        let is_fast = uplink_rate.is_none_or(|rate| rate >= self.config.fast_uplink / 2);
        let mut best: Vec<(u32, bool, u64, usize)> = Vec::with_capacity(count.min(slices.len()) + 1);
        for (at, slice) in slices.iter().enumerate() {
            let one = (slice.known, is_fast && !slice.is_begun, random.bits(), at);
            if best.len() < count || best.last().is_some_and(|worst| one < *worst) {
                best.insert(best.partition_point(|better| *better < one), one);
                best.truncate(count);
            }
        }
        best.into_iter().map(|(_, _, _, at)| at).collect()
    }

    /// As much as leaves in a moment, so that it can soon be passed on; less if this peer alone is slow, or if the
    /// file is small. Over fast links that is a whole chunk, which costs the least work: it is hashed once, as it
    /// comes, where one in parts is read back and hashed again. So where a quarter of one leaves in a moment, and the
    /// uplink is so fast that this work counts, all of it goes. The first slices of a file are small, so that many
    /// nodes soon have something to pass on, and so are a peer's last, so that none of them is long to wait for. Where
    /// there are only two nodes, whole chunks go as soon as it is known how long they take: over a slow link all that
    /// was begun together would come together, and who reads the file in order would wait for all of it.
    fn slice_level(&self, sizing: SliceSizing) -> u8 {
        let bytes_in = |rate: u64, time: Duration| {
            u64::try_from(u128::from(rate) * time.as_millis() / 1000).unwrap_or(u64::MAX)
        };
        let first = GRAIN_LEN << self.config.slice_level_first;
        let hops = sizing.neighbours.max(1).ilog2() + 1;
        let time = (self.config.slice_time / hops).max(sizing.round_trip.unwrap_or_default() / 4);
        let uplink = sizing.uplink_rate.map_or(first, |rate| bytes_in(rate, time));
        let is_fast = sizing.uplink_rate >= Some(self.config.fast_uplink) && uplink >= CHUNK_LEN / 4;
        let uplink = if is_fast { uplink.max(CHUNK_LEN) } else { uplink };
        let peer = sizing.peer_rate.map_or(u64::MAX, |rate| bytes_in(rate, self.config.slice_time_max));
        let file = sizing.file_len / self.config.slices_per_file.max(1);
        let young_or_old = sizing.sent.min(sizing.lacking) / self.config.slices_to_grow.max(1);
        let size = match (sizing.is_shared, sizing.peer_rate) {
            (true, _) => uplink.min(file).min(young_or_old).min(peer),
            (false, Some(_)) => peer,
            (false, None) => first,
        };
        let grains = size / GRAIN_LEN;
        let (smallest, largest) = self.config.slice_levels;
        u8::try_from(grains.max(1).ilog2()).unwrap_or(SLICE_LEVEL_MAX).max(smallest).min(largest)
    }

    /// Up to the bound, the last places kept for files that have none, so that a small file is not stuck behind a
    /// large one. While a file that is wanted sooner is coming, others get one place at a time, or none if they are
    /// wanted last. No source gets more than half of the places while there are others.
    fn admit(&self, load: ReceiverLoad) -> Admission {
        if load.more_urgent > 0 && (load.is_low || load.coming_of_file > 0) {
            return Admission::Busy;
        }
        let reserved = load.other_files > 0 && load.coming_of_file > 0 || load.starved_more_urgent > 0;
        let kept = if reserved { self.config.fetches_reserved } else { 0 };
        let far = load.link.slices_under_way();
        let near = self.config.fetches_max.max(load.link.small_slices(self.config.small_bytes));
        let all = near.saturating_add(far).min(self.config.fetches_limit);
        let of_peer = if load.has_other_sources { all / 2 } else { all };
        let has_room = load.coming < all.saturating_sub(kept) && load.coming_from_peer < of_peer;
        if has_room { Admission::Take } else { Admission::Busy }
    }

    /// Four round trips, longer for one who stays busy.
    fn busy_wait(&self, round_trip: Option<Duration>, streak: u32) -> Duration {
        let first = self.config.busy_wait.0.max(round_trip.unwrap_or_default() * 4);
        doubled(first, streak / 4, self.config.busy_wait.1)
    }

    fn answer_timeout(&self, round_trip: Option<Duration>) -> Duration {
        self.config.answer_timeout_min.max(round_trip.unwrap_or_default() * 8)
    }

    fn stall_after(&self, rate: Option<u64>) -> Duration {
        let (least, most) = self.config.fetch_stall;
        let millis = rate.map_or(0, |rate| 4 * STALL_BYTES * 1000 / rate.max(1));
        Duration::from_millis(millis).clamp(least, most)
    }

    fn cool_off(&self, streak: u32) -> Duration {
        doubled(self.config.cool_off.0, streak, self.config.cool_off.1)
    }

    fn race_after(&self, usual: Option<Duration>) -> Duration {
        self.config.race_after_min.max(usual.unwrap_or(self.config.fetch_stall.0) * 2)
    }

    /// Twice as long each time, and a random quarter more, so that nodes that started together do not ask together.
    fn ask_again(&self, round: u32, random: &mut Random) -> Duration {
        let wait = doubled(self.config.ask_again.0, round, self.config.ask_again.1);
        wait + wait * random.below(256) / 1024
    }
}

/// `first`, doubled `times` times, and at most `most`.
pub(super) fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    first.saturating_mul(1 << times.min(20)).min(most)
}

#[cfg(test)]
mod tests;
