//! Keeps an eye on members: what they do wrong, how much they say, and who is isolated for it.
//!
//! Whoever finds an offence says so to [`Conduct::note`], the one place that counts it, logs it for security, and
//! isolates. What isolation is: the swarm takes the member for one that cannot be reached, its connections are cut, and
//! the routes refuse it, but for what the ledger needs. Consensus judges by signatures and has bounds of its own, so
//! nobody can stop it by having validators isolated.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use swift_chain::NodeId;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tracing::info;

use super::{Members, Presence, SwarmHandle, wall_clock_ms};
use crate::{
    offences::{Budget, Offence, Offences},
    security::{SecurityKind, SecurityLog},
    swarm::Time,
    transport::{Membership as _, Sessions},
};

/// Bytes of requests of one member that are in memory at once: what the ledger's routes take together, and some.
pub const BODIES_OF_ONE_MAX: usize = 12 << 20;
/// The same of all members.
pub const BODIES_OF_ALL_MAX: usize = 64 << 20;
/// Bytes of what one validator says to agree on blocks that are in memory at once. They are apart from all others, so that
/// nobody keeps validators from agreeing by saying much.
const VOTES_OF_ONE_MAX: usize = 4 << 20;

/// What is known of members' conduct. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Conduct(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    me: NodeId,
    members: Members,
    start: Instant,
    security: SecurityLog,
    state: Mutex<State>,
    isolations: mpsc::UnboundedSender<Isolation>,
}

#[derive(Debug, Default)]
struct State {
    offences: Offences,
    said: HashMap<NodeId, Said>,
    /// Bytes of requests that are in memory.
    held_bytes: usize,
}

/// What one member said.
#[derive(Debug, Default)]
struct Said {
    budget: Budget,
    held_bytes: usize,
    /// What it says as a validator, which is apart.
    held_votes: usize,
    total_bytes: u64,
    heard_ms: u64,
}

/// A member is isolated from now on.
#[derive(Clone, Copy, Debug)]
struct Isolation {
    node: NodeId,
    until: Instant,
}

/// Those that are isolated, for [`ConductTask`].
#[derive(Debug)]
pub struct Isolations(mpsc::UnboundedReceiver<Isolation>);

/// One member's conduct as people and programs are told of it. Times are those of the wall clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conducted {
    /// When it last asked or told something.
    pub heard_ms: Option<u64>,
    /// Bytes of what it told, content apart.
    pub message_bytes: u64,
    /// How often it did what.
    pub offences: BTreeMap<Offence, u64>,
    /// What it did last.
    pub last: Option<LastOffence>,
    /// How often it was isolated, as far as that is remembered.
    pub isolations: u32,
    /// Until when it is isolated.
    pub isolated_until_ms: Option<u64>,
}

/// The last thing a member did wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastOffence {
    /// What.
    pub kind: Offence,
    /// When.
    pub at_ms: u64,
    /// What there is to say about it.
    pub detail: String,
}

impl Conduct {
    /// Nobody did anything wrong yet. What `me` does is not judged. What others do goes into the log for security, and who
    /// does too much of it is isolated, the first time for so long.
    pub fn new(
        me: NodeId,
        members: Members,
        security: SecurityLog,
        isolation_first: Duration,
    ) -> (Self, Isolations) {
        let (isolations, inbox) = mpsc::unbounded_channel();
        let offences = Offences::isolating_first_for(isolation_first);
        let (start, state) = (Instant::now(), Mutex::new(State { offences, ..State::default() }));
        (Self(Arc::new(Inner { me, members, start, security, state, isolations })), Isolations(inbox))
    }

    /// A member did wrong.
    pub fn note(&self, node: NodeId, kind: Offence, detail: &dyn Display) {
        if node == self.0.me || !self.is_member(&node) {
            return;
        }
        let (now, detail) = (Instant::now(), detail.to_string());
        let isolated_for = self.state().offences.note(self.time(now), node, kind, &detail);
        let kind = kind.name();
        if kind == Offence::Stalled.name() {
            info!(%node, offence = kind, ?detail, "a member was slow");
        } else {
            self.0.security.record(SecurityKind::Offence, node, format_args!("{kind}: {detail}"));
        }
        if let Some(term) = isolated_for {
            let seconds = term.as_secs();
            let why = format_args!("isolated for {seconds} s after {kind}: {detail}");
            self.0.security.record(SecurityKind::Ban, node, why);
            // Where nobody listens, isolation is what the routes ask for.
            let _ = self.0.isolations.send(Isolation { node, until: now + term });
        }
    }

    /// How much longer a member is isolated; nothing if it is not.
    pub fn isolated_for(&self, node: &NodeId) -> Option<Duration> {
        self.state().offences.isolated_for(self.time(Instant::now()), node)
    }

    /// A member says so many things more. False if they are too many.
    pub fn charge(&self, node: NodeId, messages: usize) -> bool {
        let now = self.time(Instant::now());
        self.said(node, |said| said.budget.take(now, messages))
    }

    /// A member has asked or told something.
    pub fn heard(&self, node: NodeId) {
        self.said(node, |said| said.heard_ms = wall_clock_ms());
    }

    /// Bytes come into memory of what a validator says to agree on blocks. False if there is no room for them, or it
    /// is none.
    pub fn take_in_votes(&self, node: NodeId, len: usize) -> bool {
        if self.0.members.validators().weight(&node) == 0 {
            return false;
        }
        let mut state = self.state();
        let said = state.said.entry(node).or_default();
        let held = said.held_votes.saturating_add(len);
        if held > VOTES_OF_ONE_MAX {
            return false;
        }
        said.held_votes = held;
        said.total_bytes = said.total_bytes.saturating_add(len as u64);
        true
    }

    /// They are not needed any more.
    pub fn let_go_votes(&self, node: NodeId, len: usize) {
        if let Some(said) = self.state().said.get_mut(&node) {
            said.held_votes = said.held_votes.saturating_sub(len);
        }
    }

    /// Bytes of a request come into memory. False if there is no room for them.
    pub fn take_in(&self, node: NodeId, len: usize) -> bool {
        let mut state = self.state();
        let all = state.held_bytes.saturating_add(len);
        let said = state.said.entry(node).or_default();
        let of_one = said.held_bytes.saturating_add(len);
        if all > BODIES_OF_ALL_MAX || of_one > BODIES_OF_ONE_MAX {
            return false;
        }
        said.held_bytes = of_one;
        said.total_bytes = said.total_bytes.saturating_add(len as u64);
        state.held_bytes = all;
        true
    }

    /// They are not needed any more.
    pub fn let_go(&self, node: NodeId, len: usize) {
        let mut state = self.state();
        state.held_bytes = state.held_bytes.saturating_sub(len);
        if let Some(said) = state.said.get_mut(&node) {
            said.held_bytes = said.held_bytes.saturating_sub(len);
        }
    }

    /// What is known of a member.
    pub fn of(&self, node: &NodeId) -> Conducted {
        let (now, now_ms) = (self.time(Instant::now()), wall_clock_ms());
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let state = self.state();
        let isolated_for = state.offences.isolated_for(now, node);
        let record = state.offences.of(node);
        let last = record.and_then(|record| record.last.as_ref()).map(|last| LastOffence {
            kind: last.kind,
            at_ms: now_ms.saturating_sub(millis(now.since(last.at))),
            detail: last.detail.clone(),
        });
        let said = state.said.get(node);
        Conducted {
            heard_ms: said.map(|said| said.heard_ms).filter(|&at| at > 0),
            message_bytes: said.map_or(0, |said| said.total_bytes),
            offences: record.map(|record| record.counts.clone()).unwrap_or_default(),
            last,
            isolations: record.map_or(0, |record| record.isolations),
            isolated_until_ms: isolated_for.map(|left| now_ms.saturating_add(millis(left))),
        }
    }

    /// How often all members together did what, since the node started.
    pub fn offence_counts(&self) -> BTreeMap<Offence, u64> {
        self.state().offences.counts().clone()
    }

    /// How many members are isolated now.
    pub fn isolated_count(&self) -> usize {
        self.state().offences.isolated_count(self.time(Instant::now()))
    }

    /// Forgets those that are members no more.
    pub fn forget_former_members(&self) {
        let mut state = self.state();
        state.offences.keep_only(|node| self.is_member(node));
        state.said.retain(|node, said| said.held_bytes + said.held_votes > 0 || self.is_member(node));
    }

    fn is_member(&self, node: &NodeId) -> bool {
        self.0.members.standing(node).is_member()
    }

    fn said<T>(&self, node: NodeId, change: impl FnOnce(&mut Said) -> T) -> T {
        change(self.state().said.entry(node).or_default())
    }

    fn time(&self, now: Instant) -> Time {
        Time::after_start(now.duration_since(self.0.start))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves it whole: at worst some bytes count as held for good.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Isolates. It ends when it is dropped.
#[derive(Debug)]
pub struct ConductTask {
    _task: JoinSet<()>,
}

impl ConductTask {
    /// Has the swarm let go of those that are isolated, until they are not any more, and cuts their connections.
    pub fn spawn(
        conduct: Conduct,
        isolations: Isolations,
        sessions: Sessions,
        presence: Presence,
        swarm: SwarmHandle,
    ) -> Self {
        let mut task = JoinSet::new();
        task.spawn(isolate(conduct, isolations, sessions, presence, swarm));
        Self { _task: task }
    }
}

async fn isolate(
    conduct: Conduct,
    Isolations(mut inbox): Isolations,
    sessions: Sessions,
    presence: Presence,
    swarm: SwarmHandle,
) {
    let mut ends: BTreeMap<Instant, Vec<NodeId>> = BTreeMap::new();
    loop {
        let next = ends.first_key_value().map(|(&end, _)| end);
        tokio::select! {
            isolated = inbox.recv() => {
                let Some(Isolation { node, until }) = isolated else { return };
                swarm.peer_offline(node);
                sessions.close(&node);
                ends.entry(until).or_default().push(node);
            }
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                let ended = ends.pop_first().map(|(_, nodes)| nodes).unwrap_or_default();
                for node in ended {
                    info!(%node, "a member is not isolated any more");
                    if presence.is_online(&node) && conduct.isolated_for(&node).is_none() {
                        swarm.peer_online(node);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use swift_chain::NodeKey;

    use super::*;

    /// A node in a network whose founder decides alone.
    fn beside_a_validator() -> (NodeId, Conduct) {
        let founder = NodeKey::from_seed([1; 32]);
        let members = Members::of_a_new_network(&founder);
        let security = SecurityLog::in_memory(wall_clock_ms);
        let (conduct, _) =
            Conduct::new(NodeId::from_bytes([9; 32]), members, security, Duration::from_secs(60));
        (founder.id(), conduct)
    }

    fn member(byte: u8) -> NodeId {
        NodeId::from_bytes([byte; 32])
    }

    /// Six members with requests that do not end took the room of all, and validators could not agree any more.
    #[test]
    fn validators_agree_while_members_fill_the_room_for_requests() {
        let (validator, conduct) = beside_a_validator();
        for byte in 10..15 {
            assert!(conduct.take_in(member(byte), BODIES_OF_ONE_MAX));
        }
        assert!(conduct.take_in(member(15), BODIES_OF_ALL_MAX - 5 * BODIES_OF_ONE_MAX));
        assert!(!conduct.take_in(validator, 1));

        assert!(conduct.take_in_votes(validator, VOTES_OF_ONE_MAX));
        assert!(!conduct.take_in_votes(validator, 1));
        conduct.let_go_votes(validator, VOTES_OF_ONE_MAX);
        assert!(conduct.take_in_votes(validator, 1));
    }

    #[test]
    fn who_does_not_decide_has_no_room_among_those_who_do() {
        let (_, conduct) = beside_a_validator();
        assert!(!conduct.take_in_votes(member(10), 1));
        assert!(conduct.take_in(member(10), 1));
    }

    #[test]
    fn one_member_leaves_room_for_the_others() {
        let (_, conduct) = beside_a_validator();
        assert!(conduct.take_in(member(10), BODIES_OF_ONE_MAX));
        assert!(!conduct.take_in(member(10), 1));
        assert!(conduct.take_in(member(11), 1));
        conduct.let_go(member(10), 1);
        assert!(conduct.take_in(member(10), 1));
    }
}
