//! Every judgement of the swarm: whom to serve, what to offer, how much at once, how long to wait.
//!
//! The rest of the machine keeps the books and asks here. [`Standard`] is what nodes run; a test may put its own
//! [`Policy`] in its place. Numbers are in [`Config`], with why they are so.

use std::time::Duration;

use super::random::Random;

/// The numbers. All of them are bounds: nothing in the machine grows beyond what is here, whatever peers send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Grows with every start of the node (Unix time in milliseconds does), so that peers know new from old.
    pub incarnation: u64,
    /// Sends that run at once.
    pub credit_running: usize,
    /// Offers ahead of them, so that no send waits for a round trip.
    pub credit_ahead: usize,
    /// Units accepted at once, queued or coming.
    pub fetches_max: usize,
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
    /// How long an accepted unit may go unrequested. The receiver's next map frees it sooner.
    pub accept_timeout: Duration,
    /// How long a send may go without progress.
    pub send_stall: Duration,
    /// How long a unit that was sent may go unconfirmed.
    pub confirm_timeout: Duration,
    /// The least and the most time that a fetch may go without progress.
    pub fetch_stall: (Duration, Duration),
    /// The least and the most time that nothing is accepted from a source that failed.
    pub cool_off: (Duration, Duration),
    /// The least age of a unit that is raced.
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
            credit_ahead: 2,
            fetches_max: 8,
            fetches_reserved: 2,
            fetches_per_source_max: 4,
            neighbours_max: 32,
            active_files_max: 64,
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

/// A peer that could be offered something of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerChoice {
    /// Offers and sends to it that are open.
    pub open_sends: usize,
}

/// A unit that could be offered to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitChoice {
    /// How often this node has sent it or is about to.
    pub sent: u32,
    /// How many neighbours hold it or have it coming.
    pub holders: u32,
}

/// What a sender is to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SenderRole {
    /// It holds the whole file: the publisher, or one who completed.
    Source,
    /// It passes on what it has so far.
    Relay,
}

/// What a receiver has on its hands when an offer comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiverLoad {
    /// Units accepted, of all files.
    pub coming: usize,
    /// Units accepted, of the offered file.
    pub coming_of_file: usize,
    /// Other files that are wanted and not complete.
    pub other_files: usize,
}

/// Whether an offered unit is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Into the queue.
    Take,
    /// Not now.
    Busy,
}

/// The judgements. All are functions of their arguments.
pub trait Policy: std::fmt::Debug + Send {
    /// The most open offers plus sends at once.
    fn credit(&self) -> usize;
    /// Whom to offer to: an index, or nobody.
    fn choose_peer(&self, peers: &[PeerChoice], random: &mut Random) -> Option<usize>;
    /// What to offer: an index, or nothing.
    fn choose_unit(&self, units: &[UnitChoice], role: SenderRole, random: &mut Random) -> Option<usize>;
    /// Whether to take an offered unit.
    fn admit(&self, load: ReceiverLoad) -> Admission;
    /// How long to leave a peer alone that was busy `streak` times in a row.
    fn busy_wait(&self, round_trip: Option<Duration>, streak: u32) -> Duration;
    /// How long a peer may take to answer an offer.
    fn answer_timeout(&self, round_trip: Option<Duration>) -> Duration;
    /// How long a fetch may go without progress from a source of this rate, in bytes per second.
    fn stall_after(&self, rate: Option<u64>) -> Duration;
    /// How long to accept nothing from a source that failed `streak` times in a row.
    fn cool_off(&self, streak: u32) -> Duration;
    /// From which age on a last unit is raced, where units usually take `usual`.
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

/// A source that shows fewer bytes than this in four times the time it should need for them has stalled.
const STALL_BYTES: u64 = 64 * 1024;

impl Policy for Standard {
    /// Fixed. Telling more peers of more units, as if every peer were served at once, makes all of them pull from
    /// the source and none from each other.
    fn credit(&self) -> usize {
        self.config.credit_running + self.config.credit_ahead
    }

    /// A random one among those who are being sent the least.
    fn choose_peer(&self, peers: &[PeerChoice], random: &mut Random) -> Option<usize> {
        least(peers, |peer| peer.open_sends, random)
    }

    /// The rarest among neighbours; at a source what it has sent least, so that a first whole copy leaves it before
    /// anything leaves it twice.
    fn choose_unit(&self, units: &[UnitChoice], role: SenderRole, random: &mut Random) -> Option<usize> {
        match role {
            SenderRole::Source => least(units, |unit| (unit.sent, unit.holders), random),
            SenderRole::Relay => least(units, |unit| (unit.holders, unit.sent), random),
        }
    }

    /// Up to the bound, the last places kept for files that have none, so that a small file is not stuck behind a
    /// large one.
    fn admit(&self, load: ReceiverLoad) -> Admission {
        let reserved = load.other_files > 0 && load.coming_of_file > 0;
        let kept = if reserved { self.config.fetches_reserved } else { 0 };
        let room = self.config.fetches_max.saturating_sub(kept);
        if load.coming < room { Admission::Take } else { Admission::Busy }
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

/// A random one of those with the least measure.
fn least<T, M: Ord>(choices: &[T], measure: impl Fn(&T) -> M, random: &mut Random) -> Option<usize> {
    let low = choices.iter().map(&measure).min()?;
    let best: Vec<usize> = (0..choices.len()).filter(|&at| measure(&choices[at]) == low).collect();
    best.get(random.index(best.len())).copied()
}

/// `first`, doubled `times` times, and at most `most`.
pub(super) fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    first.saturating_mul(1 << times.min(20)).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standard() -> Standard {
        Standard::new(Config::default())
    }

    #[test]
    fn a_source_offers_what_it_sent_least_and_a_relay_what_is_rarest() {
        let units = [
            UnitChoice { sent: 1, holders: 0 },
            UnitChoice { sent: 0, holders: 3 },
            UnitChoice { sent: 0, holders: 2 },
        ];
        let random = &mut Random::new(1);
        assert_eq!(standard().choose_unit(&units, SenderRole::Source, random), Some(2));
        assert_eq!(standard().choose_unit(&units, SenderRole::Relay, random), Some(0));
        assert_eq!(standard().choose_unit(&[], SenderRole::Relay, random), None);
    }

    #[test]
    fn equal_choices_are_all_made_in_time() {
        let units = [UnitChoice { sent: 0, holders: 0 }; 4];
        let random = &mut Random::new(1);
        let chosen: std::collections::BTreeSet<_> =
            (0..100).filter_map(|_| standard().choose_unit(&units, SenderRole::Source, random)).collect();
        assert_eq!(chosen.len(), 4);
    }

    #[test]
    fn the_last_places_are_for_files_of_which_nothing_is_coming() {
        let load = |coming, coming_of_file, other_files| ReceiverLoad { coming, coming_of_file, other_files };
        assert_eq!(standard().admit(load(7, 7, 0)), Admission::Take);
        assert_eq!(standard().admit(load(8, 8, 0)), Admission::Busy);
        assert_eq!(standard().admit(load(6, 6, 1)), Admission::Busy);
        assert_eq!(standard().admit(load(7, 0, 1)), Admission::Take);
        assert_eq!(standard().admit(load(8, 0, 1)), Admission::Busy);
    }

    #[test]
    fn waits_follow_the_peer_and_stay_within_their_bounds() {
        let ms = Duration::from_millis;
        assert_eq!(standard().busy_wait(None, 0), ms(50));
        assert_eq!(standard().busy_wait(Some(ms(30)), 1), ms(120));
        assert_eq!(standard().busy_wait(Some(ms(30)), 4000), ms(1000));
        assert_eq!(standard().stall_after(Some(1_000_000_000)), ms(5000));
        assert_eq!(standard().stall_after(Some(16 * 1024)), ms(16_000));
        assert_eq!(standard().stall_after(Some(0)), ms(60_000));
        assert!(standard().ask_again(u32::MAX, &mut Random::new(3)) <= ms(37_500));
    }
}
