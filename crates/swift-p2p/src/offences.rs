//! What members do wrong, what each of it costs them, and how long a node has nothing to do with who does too much of it.
//!
//! Every offence costs points, and a point is forgiven every second. Who comes to [`POINTS_MAX`] is *isolated*: for a
//! minute at first, twice as long each time, an hour at most. What a bad link does to an honest member costs nothing:
//! slow is not lying.
//!
//! Only what is proved by the member's own key counts: bytes and messages that came over a connection on which it
//! proved to hold the key, and what it signed. So nobody can have another isolated.
//!
//! ```
//! use std::time::Duration;
//! use swift_chain::NodeId;
//! use swift_p2p::{offences::{Offence, Offences}, swarm::Time};
//!
//! let (liar, mut offences) = (NodeId::from_bytes([1; 32]), Offences::default());
//! assert_eq!(offences.note(Time::ZERO, liar, Offence::WrongBytes, "chunk 3"), None);
//! let isolated_for = offences.note(Time::ZERO, liar, Offence::WrongBytes, "chunk 9");
//! assert_eq!(isolated_for, Some(Duration::from_secs(60)));
//! ```

mod budget;

use std::{collections::BTreeMap, time::Duration};

use swift_chain::{NodeId, is_unseen};

use crate::swarm::Time;

pub use budget::{Budget, MESSAGES_AT_ONCE_MAX, MESSAGES_PER_SECOND_MAX, UNKNOWN_COST};

/// Points at which a member is isolated.
pub const POINTS_MAX: u32 = 1_000;
/// How long the first time.
pub const ISOLATION_FIRST: Duration = Duration::from_secs(60);
/// How long at most.
pub const ISOLATION_MAX: Duration = Duration::from_secs(3_600);
/// A member that was not isolated for so long is isolated half as long the next time.
pub const ISOLATION_FORGOTTEN_AFTER: Duration = Duration::from_secs(6 * 3_600);
/// Bytes that are kept of what is told of an offence.
pub const DETAIL_LEN_MAX: usize = 300;
/// What fails in one moment has one cause: a disk that lost files, a file that was removed.
const TOGETHER: Duration = Duration::from_secs(2);

/// What a member can do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Offence {
    /// It sent bytes, a grain tree or a manifest that are not those asked for.
    WrongBytes,
    /// It published a manifest that its own content proves false.
    FalseManifest,
    /// It brought or sent blocks that break a rule.
    BadBlocks,
    /// It brought transactions that are not their author's.
    ForgedTransactions,
    /// It said what no node says: a message, a map or a size that cannot be.
    Malformed,
    /// It offered what it does not have.
    NotThere,
    /// It said more than a node can have to say.
    Flood,
    /// It let a transfer or a message stall. A bad link does that.
    Stalled,
}

impl Offence {
    /// All of them, the worst first.
    pub const ALL: [Self; 8] = [
        Self::WrongBytes,
        Self::FalseManifest,
        Self::BadBlocks,
        Self::ForgedTransactions,
        Self::Malformed,
        Self::NotThere,
        Self::Flood,
        Self::Stalled,
    ];

    /// What programs call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WrongBytes => "wrong_bytes",
            Self::FalseManifest => "false_manifest",
            Self::BadBlocks => "bad_blocks",
            Self::ForgedTransactions => "forged_transactions",
            Self::Malformed => "malformed",
            Self::NotThere => "not_there",
            Self::Flood => "flood",
            Self::Stalled => "stalled",
        }
    }

    /// Points. One lie may be a rotten disk; two in a few minutes are too many.
    pub const fn cost(self) -> u32 {
        match self {
            Self::WrongBytes | Self::FalseManifest | Self::BadBlocks | Self::ForgedTransactions => 600,
            Self::NotThere => 250,
            Self::Malformed => 200,
            Self::Flood => 40,
            Self::Stalled => 0,
        }
    }
}

/// The last thing that a member did wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// What.
    pub kind: Offence,
    /// When.
    pub at: Time,
    /// Printable, and at most [`DETAIL_LEN_MAX`] bytes.
    pub detail: String,
}

/// What is known of one member's conduct.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// How often it did what.
    pub counts: BTreeMap<Offence, u64>,
    /// What it did last.
    pub last: Option<Incident>,
    /// How often it was isolated, as far as that is remembered.
    pub isolations: u32,
    points: u32,
    /// When `points` were what they are.
    counted_at: Time,
    /// When [`Offence::NotThere`] last cost something.
    missed_at: Option<Time>,
    isolated_until: Time,
}

/// The conduct of all members that ever did wrong. In memory only: a restart forgives.
#[derive(Clone, Debug)]
pub struct Offences {
    /// How long a member is isolated the first time.
    first: Duration,
    records: BTreeMap<NodeId, Record>,
    /// Of all members, also of those that are none any more.
    counts: BTreeMap<Offence, u64>,
}

impl Default for Offences {
    fn default() -> Self {
        Self::isolating_first_for(ISOLATION_FIRST)
    }
}

impl Offences {
    /// Nobody did wrong yet. The first isolation of a member lasts so long.
    pub fn isolating_first_for(first: Duration) -> Self {
        Self { first, records: BTreeMap::new(), counts: BTreeMap::new() }
    }

    /// Takes note of an offence. Says for how long the member is isolated if it is from now on.
    pub fn note(&mut self, now: Time, node: NodeId, kind: Offence, detail: &str) -> Option<Duration> {
        *self.counts.entry(kind).or_default() += 1;
        let record = self.records.entry(node).or_default();
        *record.counts.entry(kind).or_default() += 1;
        record.last = Some(Incident { kind, at: now, detail: printable(detail) });
        record.charge(now, kind, self.first)
    }

    /// How much longer a member is isolated; nothing if it is not.
    pub fn isolated_for(&self, now: Time, node: &NodeId) -> Option<Duration> {
        let left = self.records.get(node)?.isolated_until.since(now);
        (!left.is_zero()).then_some(left)
    }

    /// What is known of a member that ever did wrong.
    pub fn of(&self, node: &NodeId) -> Option<&Record> {
        self.records.get(node)
    }

    /// Forgets all but those that are members.
    pub fn keep_only(&mut self, is_member: impl Fn(&NodeId) -> bool) {
        self.records.retain(|node, _| is_member(node));
    }

    /// How often all members together did what.
    pub fn counts(&self) -> &BTreeMap<Offence, u64> {
        &self.counts
    }

    /// How many members are isolated.
    pub fn isolated_count(&self, now: Time) -> usize {
        self.records.values().filter(|record| !record.isolated_until.since(now).is_zero()).count()
    }
}

impl Record {
    fn charge(&mut self, now: Time, kind: Offence, first: Duration) -> Option<Duration> {
        if !self.isolated_until.since(now).is_zero() {
            // It came before the member was isolated, and pays for that already.
            return None;
        }
        let forgiven = u32::try_from(now.since(self.counted_at).as_secs()).unwrap_or(u32::MAX);
        // Parts of a second are not lost where offences follow each other closely.
        if forgiven > 0 || self.points == 0 {
            (self.points, self.counted_at) = (self.points.saturating_sub(forgiven), now);
        }
        if kind == Offence::NotThere {
            if self.missed_at.is_some_and(|at| now.since(at) < TOGETHER) {
                return None;
            }
            self.missed_at = Some(now);
        }
        self.points = self.points.saturating_add(kind.cost());
        (self.points >= POINTS_MAX).then(|| self.isolate(now, first))
    }

    fn isolate(&mut self, now: Time, first: Duration) -> Duration {
        let quiet = now.since(self.isolated_until).as_secs() / ISOLATION_FORGOTTEN_AFTER.as_secs();
        self.isolations = self.isolations.saturating_sub(u32::try_from(quiet).unwrap_or(u32::MAX));
        let doubled = first.saturating_mul(1 << self.isolations.min(16));
        let term = doubled.min(ISOLATION_MAX);
        self.isolations = self.isolations.saturating_add(1);
        (self.points, self.isolated_until) = (0, now + term);
        term
    }
}

/// Some of it was said by the member: it must not write lines of its own into a log, nor look like something else.
fn printable(detail: &str) -> String {
    let mut printable = String::new();
    for letter in detail.chars() {
        let letter = if is_unseen(letter) { '\u{fffd}' } else { letter };
        if printable.len() + letter.len_utf8() > DETAIL_LEN_MAX {
            break;
        }
        printable.push(letter);
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIAR: NodeId = NodeId::from_bytes([1; 32]);

    fn at(seconds: u64) -> Time {
        Time::after_start(Duration::from_secs(seconds))
    }

    /// The longest of the isolations that follow from an offence again and again.
    fn isolations(kind: Offence, every: Duration, times: u32) -> Vec<u64> {
        let mut offences = Offences::default();
        let noted = (0..times).map(|number| offences.note(Time::ZERO + every * number, LIAR, kind, ""));
        noted.collect::<Vec<_>>().into_iter().flatten().map(|term| term.as_secs()).collect()
    }

    #[test]
    fn what_proves_a_lie_isolates_the_second_time() {
        use Offence::*;
        for kind in [WrongBytes, FalseManifest, BadBlocks, ForgedTransactions] {
            assert_eq!(isolations(kind, Duration::from_secs(1), 1), Vec::<u64>::new(), "{kind:?}");
            assert_eq!(isolations(kind, Duration::from_secs(1), 2), [60], "{kind:?}");
        }
    }

    /// A disk that rots shows now and then; a liar lies whenever it is asked.
    #[test]
    fn a_lie_now_and_then_is_forgiven() {
        assert!(isolations(Offence::WrongBytes, Duration::from_secs(601), 1_000).is_empty());
    }

    #[test]
    fn slow_is_not_lying() {
        assert!(isolations(Offence::Stalled, Duration::from_millis(1), 100_000).is_empty());
    }

    /// An honest holder that lost a file, or let go of it, lacks all of it at once.
    #[test]
    fn what_is_not_there_in_one_moment_counts_once() {
        assert!(isolations(Offence::NotThere, Duration::from_millis(10), 199).is_empty());
        assert_eq!(isolations(Offence::NotThere, Duration::from_secs(2), 5), [60]);
    }

    #[test]
    fn isolation_grows_to_a_bound_and_is_forgotten_in_the_end() {
        let mut offences = Offences::default();
        let (mut now, mut terms) = (Time::ZERO, Vec::new());
        for _ in 0..9 {
            offences.note(now, LIAR, Offence::BadBlocks, "");
            let term = offences.note(now, LIAR, Offence::BadBlocks, "").unwrap();
            assert_eq!(offences.isolated_for(now, &LIAR), Some(term));
            now = now + term;
            assert_eq!(offences.isolated_for(now, &LIAR), None);
            terms.push(term.as_secs());
        }
        assert_eq!(terms, [60, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600]);
        now = now + ISOLATION_FORGOTTEN_AFTER * 9;
        offences.note(now, LIAR, Offence::BadBlocks, "");
        assert_eq!(offences.note(now, LIAR, Offence::BadBlocks, ""), Some(ISOLATION_FIRST));
    }

    #[test]
    fn who_is_isolated_is_not_charged_for_what_was_under_way() {
        let mut offences = Offences::default();
        let noted = (0..10).map(|_| offences.note(at(1), LIAR, Offence::WrongBytes, ""));
        assert_eq!(noted.collect::<Vec<_>>().into_iter().flatten().count(), 1);
        assert_eq!(offences.of(&LIAR).unwrap().counts[&Offence::WrongBytes], 10);
        assert_eq!(offences.note(at(61), LIAR, Offence::WrongBytes, ""), None);
    }

    #[test]
    fn the_last_offence_is_told_with_its_detail_and_writes_no_line_of_its_own() {
        let mut offences = Offences::default();
        offences.note(at(1), LIAR, Offence::Stalled, "first");
        offences.note(at(2), LIAR, Offence::Malformed, &format!("a\nb{}", "é".repeat(DETAIL_LEN_MAX)));
        let record = offences.of(&LIAR).unwrap();
        let last = record.last.as_ref().unwrap();
        assert_eq!((last.kind, last.at), (Offence::Malformed, at(2)));
        assert!(last.detail.starts_with("a\u{fffd}bé") && last.detail.len() <= DETAIL_LEN_MAX);
        assert_eq!(record.counts, BTreeMap::from([(Offence::Malformed, 1), (Offence::Stalled, 1)]));
        offences.keep_only(|node| *node != LIAR);
        assert!(offences.of(&LIAR).is_none());
        assert_eq!(offences.counts()[&Offence::Malformed], 1, "what was counted stays counted");
    }

    #[test]
    fn every_kind_is_in_the_list_under_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Offence::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), Offence::ALL.len());
        assert!(Offence::ALL.is_sorted());
    }
}
