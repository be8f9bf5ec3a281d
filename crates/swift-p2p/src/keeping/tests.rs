//! Several nodes that all want to let go of one file, in any order of things.

use std::collections::BTreeMap;

use proptest::prelude::*;
use swift_chain::{NetworkId, NodeKey};

use super::*;
use crate::swarm::message::Message as _;

const HOUR_MS: u64 = 60 * 60 * 1000;

fn file() -> FileId {
    FileId::from_bytes([7; 32])
}

fn network() -> NetworkId {
    NetworkId::from_bytes([9; 32])
}

fn key(number: usize) -> NodeKey {
    NodeKey::from_seed([u8::try_from(number).unwrap() + 1; 32])
}

/// What a node's store says of the file: all that outlives a restart, with the rules of the real one.
#[derive(Clone, Debug, Default)]
struct Disk {
    is_whole: bool,
    is_kept: bool,
    /// To whom it is promised, until when.
    promised: BTreeMap<NodeId, u64>,
}

impl Disk {
    fn is_bound(&self, now_ms: u64) -> bool {
        self.promised.values().any(|&until_ms| until_ms > now_ms)
    }

    fn is_surplus(&self, now_ms: u64) -> bool {
        self.is_whole && !self.is_kept && !self.is_bound(now_ms)
    }
}

struct Node {
    key: NodeKey,
    machine: Keeping,
    disk: Disk,
    /// How far its clock is ahead.
    ahead_ms: u64,
    starts: u64,
}

/// Something under way: it may come late, twice or never.
#[derive(Clone, Copy, Debug)]
enum Parcel {
    Request {
        from: usize,
        to: usize,
        exchange: ExchangeId,
        request: KeepRequest,
        start: u64,
    },
    Answer {
        to: usize,
        exchange: ExchangeId,
        answer: KeepAnswer,
        start: u64,
    },
    Lost {
        to: usize,
        exchange: ExchangeId,
        start: u64,
    },
    /// A node's own disk at work.
    Promise {
        at: usize,
        exchange: ExchangeId,
        promise: Promise,
        only_if_kept: bool,
        start: u64,
    },
    Evict {
        at: usize,
        promise: SignedPromise,
        start: u64,
    },
}

struct World {
    nodes: Vec<Node>,
    under_way: Vec<Parcel>,
    /// Questions that a node has taken in: who asked, by which exchange of its own, in which of its lives.
    questions: BTreeMap<(usize, ExchangeId), (usize, ExchangeId, u64)>,
    now_ms: u64,
    next: u64,
    evictions: usize,
}

impl World {
    /// Nodes that all have the file.
    fn new(kept: &[bool], ahead_min: &[u64]) -> Self {
        let nodes = kept.iter().enumerate().map(|(at, &is_kept)| Node {
            key: key(at),
            machine: Keeping::new(key(at).id(), at as u64),
            disk: Disk { is_whole: true, is_kept, promised: BTreeMap::new() },
            ahead_ms: ahead_min.get(at).copied().unwrap_or(0) * 60_000,
            starts: 0,
        });
        Self {
            nodes: nodes.collect(),
            under_way: Vec::new(),
            questions: BTreeMap::new(),
            now_ms: 1_700_000_000_000,
            next: 0,
            evictions: 0,
        }
    }

    fn clock(&self, at: usize) -> u64 {
        self.now_ms + self.nodes[at].ahead_ms
    }

    fn time(&self) -> Time {
        Time::after_start(Duration::from_millis(self.now_ms))
    }

    fn at(&self, node: &NodeId) -> usize {
        self.nodes.iter().position(|other| other.key.id() == *node).unwrap()
    }

    fn handle(&mut self, at: usize, input: Input) {
        let (now, wall_ms) = (self.time(), self.clock(at));
        let start = self.nodes[at].starts;
        self.nodes[at].machine.handle(now, wall_ms, input);
        while let Some(output) = self.nodes[at].machine.poll_output() {
            let parcel = match output {
                Output::Ask { to, exchange, request } => {
                    Parcel::Request { from: at, to: self.at(&to), exchange, request, start }
                }
                Output::Promise { exchange, promise, only_if_kept } => {
                    Parcel::Promise { at, exchange, promise, only_if_kept, start }
                }
                Output::Refuse { exchange, refusal } => {
                    self.answer(at, exchange, KeepAnswer::Refused(refusal));
                    continue;
                }
                Output::Evict { promise } => Parcel::Evict { at, promise, start },
            };
            self.under_way.push(parcel);
        }
    }

    fn answer(&mut self, at: usize, exchange: ExchangeId, answer: KeepAnswer) {
        let (to, exchange, start) = self.questions[&(at, exchange)];
        self.under_way.push(Parcel::Answer { to, exchange, answer, start });
    }

    /// A node looks for what it need not keep. `believed` says whom it takes for a holder.
    fn look(&mut self, at: usize, believed: u8) {
        let (clock, now) = (self.clock(at), self.time());
        self.nodes[at].disk.promised.retain(|_, until_ms| *until_ms > clock);
        if self.nodes[at].disk.is_surplus(clock) && self.nodes[at].machine.is_due(now, &file()) {
            let holders = (0..self.nodes.len()).filter(|&other| believed & (1 << other) != 0);
            let holders = holders.map(|other| self.nodes[other].key.id()).collect();
            self.handle(at, Input::Surplus { file: file(), holders });
        }
    }

    fn deliver(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Request { from, to, exchange, request, start } => {
                self.next += 1;
                let theirs = ExchangeId(self.next);
                self.questions.insert((to, theirs), (from, exchange, start));
                let from = self.nodes[from].key.id();
                self.handle(to, Input::Asked { from, exchange: theirs, request });
            }
            Parcel::Answer { to, exchange, answer, start } if self.nodes[to].starts == start => {
                self.handle(to, Input::Answered { exchange, answer });
            }
            Parcel::Lost { to, exchange, start } if self.nodes[to].starts == start => {
                self.handle(to, Input::Failed { exchange });
            }
            Parcel::Promise { at, exchange, promise, only_if_kept, start }
                if self.nodes[at].starts == start =>
            {
                let node = &mut self.nodes[at];
                let answer = match (&node.disk.is_whole, only_if_kept && !node.disk.is_kept) {
                    (false, _) => KeepAnswer::Refused(KeepRefusal::NotHeld),
                    (true, true) => KeepAnswer::Refused(KeepRefusal::NotKept),
                    (true, false) => {
                        let until = node.disk.promised.entry(promise.asker).or_default();
                        *until = (*until).max(promise.until_ms);
                        KeepAnswer::Promised(SignedPromise::sign(&node.key, &network(), promise))
                    }
                };
                self.answer(at, exchange, answer);
            }
            Parcel::Evict { at, promise, start } if self.nodes[at].starts == start => {
                assert!(promise.is_genuine(&network()));
                let clock = self.clock(at);
                let is_in_time = promise.promise.until_ms >= clock + HOUR_MS / 2;
                let is_gone = self.nodes[at].disk.is_surplus(clock) && is_in_time;
                if is_gone {
                    self.nodes[at].disk.is_whole = false;
                    self.evictions += 1;
                    let promiser = self.at(&promise.promise.promiser);
                    let keeper = &self.nodes[promiser].disk;
                    assert!(
                        keeper.is_whole && keeper.is_bound(self.clock(promiser)),
                        "nobody is bound to keep it"
                    );
                }
                self.handle(at, Input::Evicted { file: file(), is_gone });
            }
            // The connection broke off when this node went down.
            Parcel::Promise { at, exchange, .. } => {
                let (to, exchange, start) = self.questions[&(at, exchange)];
                self.under_way.push(Parcel::Lost { to, exchange, start });
            }
            // Of a life before.
            _ => {}
        }
        assert!(self.copies() > 0, "the last copy is gone");
    }

    /// A crash: what was in memory or under way inside is gone.
    fn restart(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        node.starts += 1;
        node.machine = Keeping::new(node.key.id(), node.starts * 100 + at as u64);
    }

    fn copies(&self) -> usize {
        self.nodes.iter().filter(|node| node.disk.is_whole).count()
    }

    /// Nothing is lost any more, and everybody knows who holds the file.
    fn calm(&mut self, hours: u64) {
        for _ in 0..hours * 60 {
            self.now_ms += 60_000;
            for at in 0..self.nodes.len() {
                let holders = (0..self.nodes.len()).filter(|&other| self.nodes[other].disk.is_whole);
                let holders = holders.fold(0, |all, other| all | (1 << other));
                self.look(at, holders);
            }
            while !self.under_way.is_empty() {
                let parcel = self.under_way.remove(0);
                self.deliver(parcel);
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Look { at: usize, believed: u8 },
    Deliver { which: usize },
    Again { which: usize },
    Lose { which: usize },
    Wait { minutes: u64 },
    Restart { at: usize },
    Keep { at: usize, is_kept: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..4_usize, any::<u8>()).prop_map(|(at, believed)| Step::Look { at, believed }),
        8 => any::<usize>().prop_map(|which| Step::Deliver { which }),
        1 => any::<usize>().prop_map(|which| Step::Again { which }),
        1 => any::<usize>().prop_map(|which| Step::Lose { which }),
        2 => (0..900_u64).prop_map(|minutes| Step::Wait { minutes }),
        1 => (0..4_usize).prop_map(|at| Step::Restart { at }),
        1 => (0..4_usize, any::<bool>()).prop_map(|(at, is_kept)| Step::Keep { at, is_kept }),
    ];
    prop::collection::vec(step, 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_last_copy_never_goes_whatever_happens_in_whichever_order(
        steps in steps(),
        kept in prop::collection::vec(any::<bool>(), 2..=4),
        ahead_min in prop::collection::vec(0..25_u64, 4),
    ) {
        let mut world = World::new(&kept, &ahead_min);
        let nodes = kept.len();
        for step in steps {
            let pick = |which: usize, world: &World| which.checked_rem(world.under_way.len());
            match step {
                Step::Look { at, believed } => world.look(at % nodes, believed),
                Step::Deliver { which } => if let Some(at) = pick(which, &world) {
                    let parcel = world.under_way.swap_remove(at);
                    world.deliver(parcel);
                },
                Step::Again { which } => if let Some(at) = pick(which, &world) {
                    let parcel = world.under_way[at];
                    world.deliver(parcel);
                },
                Step::Lose { which } => if let Some(at) = pick(which, &world) {
                    if let Parcel::Request { from, exchange, start, .. } = world.under_way[at] {
                        world.under_way[at] = Parcel::Lost { to: from, exchange, start };
                    } else if let Parcel::Answer { to, exchange, start, .. } = world.under_way[at] {
                        world.under_way[at] = Parcel::Lost { to, exchange, start };
                    }
                },
                Step::Wait { minutes } => world.now_ms += minutes * 60_000,
                Step::Restart { at } => world.restart(at % nodes),
                Step::Keep { at, is_kept } => world.nodes[at % nodes].disk.is_kept = is_kept,
            }
        }
        // In the end whoever keeps it has it, or one who does not; nobody has it for nothing.
        world.calm(5 * 26);
        let keepers = world.nodes.iter().filter(|node| node.disk.is_whole && node.disk.is_kept).count();
        prop_assert_eq!(world.copies(), keepers.max(1));
    }
}

#[test]
fn of_many_who_ask_each_other_at_the_same_time_one_keeps_it() {
    let mut world = World::new(&[false; 4], &[]);
    (0..4).for_each(|at| world.look(at, 0b1111));
    // All are asking, so all refuse.
    while let Some(at) = world.under_way.iter().position(|parcel| matches!(parcel, Parcel::Request { .. })) {
        let parcel = world.under_way.remove(at);
        world.deliver(parcel);
    }
    assert!(world.under_way.iter().all(|parcel| matches!(
        parcel,
        Parcel::Answer { answer: KeepAnswer::Refused(KeepRefusal::Busy), .. }
    )));
    world.calm(5 * 26);
    assert_eq!((world.copies(), world.evictions), (1, 3));
}

#[test]
fn those_who_keep_it_anyway_are_asked_first() {
    for _ in 0..20 {
        let mut world = World::new(&[false, false, true], &[]);
        world.look(0, 0b110);
        while !world.under_way.is_empty() {
            let parcel = world.under_way.remove(0);
            world.deliver(parcel);
        }
        assert_eq!((world.evictions, world.nodes[1].disk.promised.len()), (1, 0));
    }
}

#[test]
fn a_promise_of_something_else_is_none() {
    let (me, other, third) = (key(0), key(1), key(2));
    let good = Promise { file: file(), promiser: other.id(), asker: me.id(), until_ms: 10 * HOUR_MS };
    let wrong = [
        Promise { file: FileId::from_bytes([8; 32]), ..good },
        Promise { promiser: third.id(), ..good },
        Promise { asker: third.id(), ..good },
        Promise { until_ms: 2 * HOUR_MS - 1, ..good },
    ];
    for (promise, is_taken) in wrong.into_iter().map(|promise| (promise, false)).chain([(good, true)]) {
        let mut keeping = Keeping::new(me.id(), 1);
        keeping.handle(Time::ZERO, HOUR_MS, Input::Surplus { file: file(), holders: vec![other.id()] });
        let Some(Output::Ask { exchange, .. }) = keeping.poll_output() else { panic!("nobody is asked") };
        let answer = KeepAnswer::Promised(SignedPromise::sign(&other, &network(), promise));
        keeping.handle(Time::ZERO, HOUR_MS, Input::Answered { exchange, answer });
        assert_eq!(matches!(keeping.poll_output(), Some(Output::Evict { .. })), is_taken, "{promise:?}");
    }
}

#[test]
fn a_promise_is_genuine_only_as_it_was_signed() {
    let promise = Promise { file: file(), promiser: key(1).id(), asker: key(0).id(), until_ms: 5 };
    let signed = SignedPromise::sign(&key(1), &network(), promise);
    assert!(signed.is_genuine(&network()));
    assert!(!signed.is_genuine(&NetworkId::from_bytes([1; 32])));
    let later = Promise { until_ms: 6, ..promise };
    assert!(!SignedPromise { promise: later, ..signed }.is_genuine(&network()));
    assert!(!SignedPromise::sign(&key(2), &network(), promise).is_genuine(&network()));
}

#[test]
fn messages_have_these_bytes_and_no_others() {
    let request = KeepRequest { file: file(), only_if_kept: true };
    assert_eq!(request.encode(), [&[7; 32][..], &[1]].concat());
    let promise = Promise { file: file(), promiser: key(1).id(), asker: key(0).id(), until_ms: 300 };
    let signed = SignedPromise::sign(&key(1), &network(), promise);
    let bytes = KeepAnswer::Promised(signed).encode();
    let golden = [
        &[0][..],
        &[7; 32],
        promise.promiser.as_bytes(),
        promise.asker.as_bytes(),
        &[0xac, 2],
        signed.signature.as_bytes(),
    ];
    assert_eq!(bytes, golden.concat());
    assert_eq!(KeepAnswer::decode(&bytes), Ok(KeepAnswer::Promised(signed)));
    assert_eq!(
        (signed.to_record(), SignedPromise::from_record(&bytes[1..])),
        (bytes[1..].to_vec(), Some(signed))
    );
    assert_eq!(SignedPromise::from_record(&bytes), None);
    assert_eq!(KeepAnswer::Refused(KeepRefusal::Unable).encode(), [1, 3]);
    for broken in [&bytes[1..], &bytes[..bytes.len() - 1], &[&bytes[..], &[0]].concat(), &[1, 4], &[]] {
        assert!(KeepAnswer::decode(broken).is_err());
    }
    assert!(KeepRequest::decode(&[0; 65]).is_err());
}

#[test]
fn pauses_grow_and_end_when_the_rule_changes() {
    let mut keeping = Keeping::new(key(0).id(), 1);
    let mut now = Time::ZERO;
    for least in [5, 10, 20, 40] {
        keeping.handle(now, 0, Input::Surplus { file: file(), holders: vec![] });
        assert!(keeping.poll_output().is_none());
        assert!(!keeping.is_due(now + Duration::from_millis(1000 * least - 1), &file()));
        now = now + Duration::from_secs(2 * least);
        assert!(keeping.is_due(now, &file()));
    }
    keeping.handle(now, 0, Input::Surplus { file: file(), holders: vec![] });
    assert!(!keeping.is_due(now, &file()));
    keeping.forget_pauses();
    assert!(keeping.is_due(now, &file()));
}
