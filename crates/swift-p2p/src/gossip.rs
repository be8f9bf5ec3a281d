//! Who is there, and how far their ledgers are: a state machine that keeps one node level with the others.
//!
//! Every node greets the others now and then, each the more rarely the more there are, and tells the height and hash of its head; the answer tells the same.
//! A node that learns of a higher head fetches the blocks; one that has a new head greets those it believes behind.
//! That is all: blocks prove themselves, so it does not matter who they come from, and a message that lies about a
//! height costs its receiver one request.
//!
//! The machine reads no clock, draws no entropy and does no IO. It never gives up a member: one that is away is
//! greeted ever more rarely, and at once counts as there when it is heard.

pub mod consensus_frames;
mod events;
mod message;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use swift_chain::NodeId;

pub use events::{FetchOutcome, HeadNote, Input, Output};
pub use message::{HELLO_LEN_MAX, Hello, Keeps, Release, Shelf};

use crate::swarm::{Random, Time};

/// How often a neighbour is greeted.
const GREET_EVERY: Duration = Duration::from_secs(2);
/// The longest pause between greetings of a member that is away.
const GREET_AWAY_MAX: Duration = Duration::from_secs(30);
/// A member not heard of for this many pauses between greetings is away.
const AWAY_AFTER_PAUSES: u32 = 4;
/// Members greeted as often as [`GREET_EVERY`] says; among more, each is greeted more rarely.
const NEIGHBOURS: usize = 32;
/// Members told of a new head at once; they tell others.
const TOLD_AT_ONCE: usize = 16;
/// The same when many others tell it too.
const TOLD_AT_LEAST: usize = 2;
/// A member whose head stays at one old height for so long is brought the blocks. Time counts, not answers: while many
/// blocks are made it is asked often, and each answer is of a moment before.
const PUSH_AFTER: Duration = Duration::from_secs(3);
/// How long a fetch may bring nothing before another member is asked.
const FETCH_PATIENCE: Duration = Duration::from_secs(30);

/// What is known of a member.
#[derive(Debug)]
struct Peer {
    head: Option<HeadNote>,
    /// The height of this node's head when it was last told.
    told: Option<u64>,
    /// When it was last heard; none while it is away.
    heard: Option<Time>,
    greet_at: Time,
    is_greeting: bool,
    /// The old height its answers tell of, and since when.
    lagging: Option<(u64, Time)>,
    is_pushing: bool,
    failures: u32,
    /// Not asked for blocks before; it sent bad ones or broke off.
    shunned_until: Time,
    /// Reported already, so that a fork is told once.
    differs_at: Option<u64>,
}

impl Peer {
    fn is_behind(&self, ours: &HeadNote) -> bool {
        self.head.is_none_or(|theirs| theirs.height < ours.height)
    }
}

/// A quarter less to a quarter more, so that nodes started together do not stay in step.
fn around(random: &mut Random, pause: Duration) -> Duration {
    pause.mul_f64(0.75 + f64::from(random.below(1000)) / 2000.0)
}

/// See the [module](self).
#[derive(Debug)]
pub struct Gossip {
    head: HeadNote,
    peers: BTreeMap<NodeId, Peer>,
    /// The member that is being asked for blocks, and until when.
    fetching: Option<(NodeId, Time)>,
    random: Random,
    now: Time,
    outputs: VecDeque<Output>,
}

impl Gossip {
    /// A node with this head that knows nobody. All its choices follow from `seed`.
    pub fn new(head: HeadNote, seed: u64) -> Self {
        Self {
            head,
            peers: BTreeMap::new(),
            fetching: None,
            random: Random::new(seed),
            now: Time::ZERO,
            outputs: VecDeque::new(),
        }
    }

    /// Takes in one thing that happened. Then drain [`Self::poll_output`].
    pub fn handle(&mut self, now: Time, input: Input) {
        self.now = self.now.max(now);
        match input {
            Input::Members { others } => self.on_members(&others),
            Input::Head { head, known_by } => self.on_head(head, &known_by),
            Input::Greeted { from, head } => {
                if let Some(peer) = self.peers.get_mut(&from) {
                    peer.told = Some(self.head.height);
                }
                self.on_heard(from, head);
            }
            Input::Answered { by, head } => {
                if let Some(peer) = self.peers.get_mut(&by) {
                    peer.is_greeting = false;
                }
                self.on_heard(by, head);
                self.push_if_lagging(by, head);
            }
            Input::NotReached { to } => self.on_not_reached(to),
            Input::Fetched { from, outcome } => self.on_fetched(from, outcome),
            Input::Pushed { to } => {
                if let Some(peer) = self.peers.get_mut(&to) {
                    peer.is_pushing = false;
                }
            }
            Input::Timeout => {}
        }
        self.find_absent();
        self.greet_due();
        self.fetch_if_behind();
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Time> {
        let greet = self.peers.values().filter(|peer| !peer.is_greeting).map(|peer| peer.greet_at);
        let away_after = self.away_after();
        let away = self.peers.values().filter_map(|peer| peer.heard).map(|heard| heard + away_after);
        let fetch = self.fetching.map(|(_, until)| until);
        let shunned = self.peers.values().map(|peer| peer.shunned_until).filter(|until| *until > self.now);
        greet.chain(away).chain(fetch).chain(shunned).min()
    }

    /// Members that can be reached.
    pub fn online(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.peers.iter().filter(|(_, peer)| peer.heard.is_some()).map(|(node, _)| *node)
    }

    /// Whether every member has told of its head, and none is ahead of this node or on another chain.
    pub fn is_level_with_all(&self) -> bool {
        let ours = self.head;
        let is_level = |theirs: HeadNote| theirs.height < ours.height || theirs == ours;
        self.peers.values().all(|peer| peer.head.is_some_and(is_level))
    }

    /// This node's head, as it tells others.
    pub fn head(&self) -> HeadNote {
        self.head
    }

    fn on_members(&mut self, others: &BTreeSet<NodeId>) {
        let gone: Vec<_> = self.peers.keys().filter(|node| !others.contains(node)).copied().collect();
        for node in gone {
            if self.peers.remove(&node).is_some_and(|peer| peer.heard.is_some()) {
                self.outputs.push_back(Output::Offline { peer: node });
            }
            if self.fetching.is_some_and(|(from, _)| from == node) {
                self.fetching = None;
                self.outputs.push_back(Output::GiveUp { from: node });
            }
        }
        // A few are greeted at once; many in the course of a pause, so that a start is no burst.
        let spread = if others.len() > NEIGHBOURS { self.pause() } else { Duration::ZERO };
        for node in others {
            let greet_at = self.now + spread.mul_f64(f64::from(self.random.below(1000)) / 1000.0);
            self.peers.entry(*node).or_insert_with(|| Peer {
                head: None,
                told: None,
                heard: None,
                greet_at,
                is_greeting: false,
                lagging: None,
                is_pushing: false,
                failures: 0,
                shunned_until: Time::ZERO,
                differs_at: None,
            });
        }
    }

    fn on_head(&mut self, head: HeadNote, known_by: &BTreeSet<NodeId>) {
        self.head = head;
        for node in known_by {
            if let Some(peer) = self.peers.get_mut(node) {
                peer.told = Some(head.height);
            }
        }
        if let Some((_, until)) = &mut self.fetching {
            // Something comes of it.
            *until = self.now + FETCH_PATIENCE;
        }
        // Those who told this node of the head know it; some of the others are told now, and tell the rest.
        let is_told = |peer: &Peer| peer.told.is_some_and(|told| told >= head.height);
        let behind = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.heard.is_some() && peer.is_behind(&head) && !is_told(peer));
        let behind: Vec<_> = behind.map(|(node, _)| *node).collect();
        // Those who made the block share the telling.
        let share = (TOLD_AT_ONCE / known_by.len().max(1)).max(TOLD_AT_LEAST);
        for node in self.random.some_of(behind, share) {
            if let Some(peer) = self.peers.get_mut(&node) {
                peer.greet_at = self.now;
            }
        }
    }

    fn on_heard(&mut self, from: NodeId, head: HeadNote) {
        let (now, ours, pause) = (self.now, self.head, self.pause());
        // A member this node's ledger does not know yet is heard again when it does.
        let Some(peer) = self.peers.get_mut(&from) else { return };
        if peer.heard.replace(now).is_none() {
            self.outputs.push_back(Output::Online { peer: from });
        }
        peer.head = Some(head);
        peer.failures = 0;
        // The head may have moved on since it was told.
        let knows = !peer.is_behind(&ours) || peer.told.is_some_and(|told| told >= ours.height);
        peer.greet_at = if knows { now + around(&mut self.random, pause) } else { now };
        if head.height == ours.height && head.hash != ours.hash && peer.differs_at != Some(head.height) {
            peer.differs_at = Some(head.height);
            self.outputs.push_back(Output::Differs { peer: from, theirs: head });
        }
    }

    /// A node whose address has changed can say so only in a block, which others cannot fetch from it.
    fn push_if_lagging(&mut self, to: NodeId, theirs: HeadNote) {
        let (now, ours) = (self.now, self.head.height);
        let Some(peer) = self.peers.get_mut(&to) else { return };
        let known = peer.lagging.filter(|(height, _)| *height == theirs.height);
        let (_, since) = known.unwrap_or((theirs.height, now));
        peer.lagging = (theirs.height < ours).then_some((theirs.height, since));
        if peer.lagging.is_some() && now.since(since) >= PUSH_AFTER && !peer.is_pushing {
            peer.lagging = None;
            peer.is_pushing = true;
            self.outputs.push_back(Output::Push { to, behind: theirs.height });
        }
    }

    fn on_not_reached(&mut self, to: NodeId) {
        let now = self.now;
        let Some(peer) = self.peers.get_mut(&to) else { return };
        peer.is_greeting = false;
        peer.failures = peer.failures.saturating_add(1);
        let pause = GREET_EVERY.saturating_mul(1 << (peer.failures - 1).min(4)).min(GREET_AWAY_MAX);
        peer.greet_at = now + around(&mut self.random, pause);
        // It may have greeted this node since, from behind a wall that lets nothing in.
        let is_silent = peer.heard.is_some_and(|heard| now.since(heard) >= GREET_EVERY);
        if is_silent {
            peer.heard = None;
            self.outputs.push_back(Output::Offline { peer: to });
        }
    }

    fn on_fetched(&mut self, from: NodeId, outcome: FetchOutcome) {
        if self.fetching.is_some_and(|(asked, _)| asked == from) {
            self.fetching = None;
        }
        let (now, ours) = (self.now, self.head);
        let Some(peer) = self.peers.get_mut(&from) else { return };
        match outcome {
            // It told of a head it does not give: it is believed again when it tells of another.
            FetchOutcome::Taken => peer.head = peer.head.filter(|theirs| theirs.height <= ours.height),
            FetchOutcome::Failed => peer.shunned_until = now + GREET_EVERY,
            FetchOutcome::Refused => peer.shunned_until = now + GREET_AWAY_MAX,
        }
    }

    fn find_absent(&mut self) {
        let (now, away_after) = (self.now, self.away_after());
        for (node, peer) in &mut self.peers {
            if peer.heard.is_some_and(|heard| now >= heard + away_after) {
                peer.heard = None;
                self.outputs.push_back(Output::Offline { peer: *node });
            }
        }
        if let Some((from, _)) = self.fetching.filter(|(_, until)| now >= *until) {
            self.fetching = None;
            self.outputs.push_back(Output::GiveUp { from });
            if let Some(peer) = self.peers.get_mut(&from) {
                peer.shunned_until = now + GREET_AWAY_MAX;
            }
        }
    }

    fn greet_due(&mut self) {
        let now = self.now;
        let due: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, peer)| !peer.is_greeting && peer.greet_at <= now)
            .map(|(node, _)| *node)
            .collect();
        for node in due {
            let Some(peer) = self.peers.get_mut(&node) else { continue };
            peer.is_greeting = true;
            peer.told = Some(self.head.height);
            self.outputs.push_back(Output::Greet { to: node });
        }
    }

    /// Between greetings of one member. Among many each is greeted more rarely, so that their number stays.
    fn pause(&self) -> Duration {
        let stretch = u32::try_from(self.peers.len().div_ceil(NEIGHBOURS)).unwrap_or(u32::MAX);
        GREET_EVERY.saturating_mul(stretch.max(1))
    }

    fn away_after(&self) -> Duration {
        self.pause() * AWAY_AFTER_PAUSES
    }

    fn fetch_if_behind(&mut self) {
        if self.fetching.is_some() {
            return;
        }
        let (now, ours) = (self.now, self.head.height);
        let ahead = self.peers.iter().filter(|(_, peer)| {
            let is_higher = peer.head.is_some_and(|theirs| theirs.height > ours);
            is_higher && peer.heard.is_some() && peer.shunned_until <= now
        });
        let ahead: Vec<_> = ahead.map(|(node, _)| *node).collect();
        if let Some(from) = self.random.some_of(ahead, 1).first().copied() {
            self.fetching = Some((from, now + FETCH_PATIENCE));
            self.outputs.push_back(Output::Fetch { from });
        }
    }
}
