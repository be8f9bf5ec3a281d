//! Keeping level: nodes that greet each other in virtual time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use swift_chain::{BlockHash, NodeId};
use swift_p2p::{
    gossip::{FetchOutcome, Gossip, HeadNote, Input, Output},
    swarm::Time,
};

/// One way of a message.
const DELAY: Duration = Duration::from_millis(10);

fn node(number: u8) -> NodeId {
    NodeId::from_bytes([number; 32])
}

fn head(height: u64) -> HeadNote {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&height.to_be_bytes());
    HeadNote { height, hash: BlockHash::from_bytes(hash) }
}

/// Something on its way.
#[derive(Clone, Copy, Debug)]
enum Event {
    Greeting {
        from: NodeId,
        to: NodeId,
        head: HeadNote,
    },
    Answer {
        from: NodeId,
        to: NodeId,
        head: HeadNote,
    },
    Failure {
        of: NodeId,
        to: NodeId,
    },
    /// Blocks up to the giver's head.
    Blocks {
        from: NodeId,
        to: NodeId,
    },
}

#[derive(Default)]
struct Lab {
    now: Duration,
    nodes: BTreeMap<NodeId, Gossip>,
    events: BTreeMap<(Duration, u64), Event>,
    sent: u64,
    down: BTreeSet<NodeId>,
    online: BTreeSet<(NodeId, NodeId)>,
    greetings: u64,
    pushes: u64,
    differing: Vec<(NodeId, NodeId)>,
    lies: BTreeMap<NodeId, HeadNote>,
    /// Dials others and cannot be dialled.
    unreachable: Option<NodeId>,
}

impl Lab {
    fn of(count: u8) -> Self {
        let mut lab = Self::default();
        let all: Vec<_> = (1..=count).map(node).collect();
        for (number, id) in all.iter().enumerate() {
            let mut gossip = Gossip::new(head(0), number as u64);
            let others = all.iter().filter(|other| *other != id).copied().collect();
            gossip.handle(Time::ZERO, Input::Members { others });
            lab.nodes.insert(*id, gossip);
        }
        lab
    }

    fn input(&mut self, to: NodeId, input: Input) {
        let now = Time::after_start(self.now);
        self.nodes.get_mut(&to).unwrap().handle(now, input);
    }

    fn height(&self, of: NodeId) -> u64 {
        self.nodes[&of].head().height
    }

    fn commit(&mut self, at: NodeId, height: u64) {
        self.input(at, Input::Head { head: head(height), known_by: BTreeSet::new() });
    }

    /// What a node says its head is: liars say what they like.
    fn claim(&self, of: NodeId) -> HeadNote {
        self.lies.get(&of).copied().unwrap_or_else(|| self.nodes[&of].head())
    }

    fn send(&mut self, event: Event) {
        self.sent += 1;
        self.events.insert((self.now + DELAY, self.sent), event);
    }

    fn drain(&mut self) {
        let ids: Vec<_> = self.nodes.keys().copied().collect();
        for id in ids {
            while let Some(output) = self.nodes.get_mut(&id).unwrap().poll_output() {
                match output {
                    Output::Greet { to } => {
                        self.greetings += 1;
                        let head = self.claim(id);
                        self.send(Event::Greeting { from: id, to, head });
                    }
                    Output::Fetch { from } if self.unreachable == Some(from) => {
                        self.input(id, Input::Fetched { from, outcome: FetchOutcome::Failed });
                    }
                    Output::Fetch { from } => self.send(Event::Blocks { from, to: id }),
                    Output::GiveUp { .. } => {}
                    Output::Push { to, behind } => {
                        self.pushes += 1;
                        assert_eq!(behind, self.height(to));
                        let head = self.nodes[&id].head();
                        self.input(to, Input::Head { head, known_by: BTreeSet::new() });
                        self.input(id, Input::Pushed { to });
                    }
                    Output::Online { peer } => assert!(self.online.insert((id, peer)), "told twice"),
                    Output::Offline { peer } => assert!(self.online.remove(&(id, peer)), "told twice"),
                    Output::Differs { peer, .. } => self.differing.push((id, peer)),
                }
            }
        }
    }

    /// Runs for a while of virtual time.
    fn run(&mut self, lasting: Duration) {
        let end = self.now + lasting;
        loop {
            self.drain();
            let timeouts =
                self.nodes.iter().filter_map(|(id, node)| Some((node.poll_timeout()?.elapsed(), *id)));
            let timeout = timeouts.min();
            let event = self.events.keys().next().copied();
            match (event, timeout) {
                (Some((at, number)), due) if at <= end && due.is_none_or(|(due, _)| at <= due) => {
                    self.now = self.now.max(at);
                    let event = self.events.remove(&(at, number)).unwrap();
                    self.deliver(event);
                }
                (_, Some((due, id))) if due <= end => {
                    self.now = self.now.max(due);
                    self.input(id, Input::Timeout);
                }
                _ => break,
            }
        }
        self.now = end;
    }

    fn deliver(&mut self, event: Event) {
        let is_lost = |lab: &Self, from, to| lab.down.contains(&from) || lab.down.contains(&to);
        match event {
            Event::Greeting { from, to, head } => {
                if is_lost(self, from, to) || self.unreachable == Some(to) {
                    return self.send(Event::Failure { of: from, to });
                }
                self.input(to, Input::Greeted { from, head });
                let head = self.claim(to);
                self.send(Event::Answer { from: to, to: from, head });
            }
            Event::Answer { from, to, head } => self.input(to, Input::Answered { by: from, head }),
            Event::Failure { of, to } => self.input(of, Input::NotReached { to }),
            Event::Blocks { from, to } => {
                if is_lost(self, from, to) {
                    return self.input(to, Input::Fetched { from, outcome: FetchOutcome::Failed });
                }
                if self.height(from) > self.height(to) {
                    let head = self.nodes[&from].head();
                    self.input(to, Input::Head { head, known_by: BTreeSet::new() });
                }
                self.input(to, Input::Fetched { from, outcome: FetchOutcome::Taken });
            }
        }
    }
}

#[test]
fn a_new_block_reaches_everybody_within_a_few_round_trips() {
    let mut lab = Lab::of(40);
    lab.run(Duration::from_secs(20));
    lab.commit(node(1), 1);
    lab.run(DELAY * 16);
    assert!((1..=40).all(|number| lab.height(node(number)) == 1));
}

#[test]
fn those_who_made_a_block_share_the_telling() {
    let told = |makers: u8| {
        let mut lab = Lab::of(40);
        lab.run(Duration::from_secs(20));
        let known_by: BTreeSet<_> = (1..=makers).map(node).collect();
        let before = lab.greetings;
        for number in 1..=makers {
            lab.input(node(number), Input::Head { head: head(1), known_by: known_by.clone() });
        }
        lab.run(DELAY * 16);
        assert!((1..=40).all(|number| lab.height(node(number)) == 1));
        lab.greetings - before
    };
    let (by_one, by_seven) = (told(1), told(7));
    assert!(by_seven < by_one * 2, "{by_seven} greetings where one maker needs {by_one}");
}

#[test]
fn a_node_that_was_away_comes_level_when_it_is_back() {
    let mut lab = Lab::of(4);
    lab.run(Duration::from_secs(5));
    lab.down.insert(node(4));
    lab.run(Duration::from_secs(60));
    assert!((1..=3).all(|number| !lab.online.contains(&(node(number), node(4)))));
    lab.commit(node(1), 1000);
    lab.run(Duration::from_secs(60));
    assert_eq!(lab.height(node(4)), 0);
    lab.down.clear();
    lab.run(Duration::from_secs(40));
    assert_eq!(lab.height(node(4)), 1000);
    assert!((1..=3).all(|number| lab.online.contains(&(node(number), node(4)))));
}

#[test]
fn a_member_that_claims_blocks_it_does_not_have_holds_nobody_up() {
    let mut lab = Lab::of(5);
    lab.lies.insert(node(5), head(1_000_000));
    lab.run(Duration::from_secs(10));
    lab.commit(node(1), 7);
    lab.run(Duration::from_secs(10));
    assert!((1..=4).all(|number| lab.height(node(number)) == 7));
}

#[test]
fn blocks_are_asked_of_another_when_one_breaks_off() {
    let mut lab = Lab::of(3);
    lab.run(Duration::from_secs(5));
    // Only node 2 hears of it; then node 1, which has the block, is gone for good.
    lab.commit(node(1), 1);
    lab.commit(node(2), 1);
    lab.down.insert(node(1));
    lab.run(Duration::from_secs(20));
    assert_eq!(lab.height(node(3)), 1);
}

/// The validator's address changed, and the block that says so is on the validator only.
#[test]
fn a_member_that_cannot_be_dialled_brings_its_blocks_itself() {
    let mut lab = Lab::of(4);
    lab.run(Duration::from_secs(5));
    lab.unreachable = Some(node(1));
    lab.commit(node(1), 1);
    lab.run(Duration::from_secs(30));
    assert!((1..=4).all(|number| lab.height(node(number)) == 1));
}

/// A busy network made blocks faster than a greeting and a fetch take. Each of three answers in a row told of an older
/// head than this node's, and members that followed without a fault were brought full blocks they were fetching.
#[test]
fn a_member_that_is_only_a_moment_behind_is_brought_nothing() {
    let mut lab = Lab::of(3);
    lab.run(Duration::from_secs(5));
    for height in 1..=2000 {
        lab.commit(node(1), height);
        lab.run(DELAY / 2);
    }
    assert_eq!(lab.pushes, 0);
    lab.run(Duration::from_secs(1));
    assert!((1..=3).all(|number| lab.height(node(number)) == 2000));
}

#[test]
fn two_heads_at_one_height_are_told_once() {
    let mut lab = Lab::of(2);
    lab.commit(node(1), 5);
    lab.input(
        node(2),
        Input::Head {
            head: HeadNote { height: 5, hash: BlockHash::from_bytes([9; 32]) },
            known_by: BTreeSet::new(),
        },
    );
    lab.run(Duration::from_secs(60));
    assert_eq!(lab.differing.len(), 2, "{:?}", lab.differing);
}

/// What a node must know that came from a backup: whether anybody has a block that it made and lost.
#[test]
fn a_node_is_level_with_all_only_when_every_member_was_heard_and_none_is_ahead() {
    let level = |lab: &Lab, number: u8| lab.nodes[&node(number)].is_level_with_all();
    let mut lab = Lab::of(3);
    assert!(!level(&lab, 1), "nobody was heard");
    lab.down.insert(node(3));
    lab.commit(node(2), 5);
    lab.run(Duration::from_secs(20));
    assert_eq!(lab.height(node(1)), 5);
    assert!(!level(&lab, 1), "one was not heard");
    lab.commit(node(3), 6);
    lab.down.clear();
    lab.run(Duration::from_secs(60));
    assert!(lab.height(node(1)) == 6 && level(&lab, 1));
    lab.commit(node(1), 7);
    assert!(level(&lab, 1), "others may be behind");
    lab.lies.insert(node(2), HeadNote { hash: BlockHash::default(), ..head(7) });
    lab.run(Duration::from_secs(20));
    assert!(!level(&lab, 1), "one is on another chain");
    assert!(Gossip::new(head(3), 1).is_level_with_all(), "a node alone has nobody to ask");
}

#[test]
fn a_removed_member_is_forgotten() {
    let mut lab = Lab::of(3);
    lab.run(Duration::from_secs(5));
    lab.input(node(1), Input::Members { others: [node(2)].into() });
    lab.run(Duration::from_secs(1));
    assert!(!lab.online.contains(&(node(1), node(3))));
    assert!(lab.nodes[&node(1)].online().eq([node(2)]));
}

#[test]
fn an_idle_network_greets_at_a_steady_rate() {
    let mut lab = Lab::of(10);
    lab.run(Duration::from_secs(100));
    // Ten nodes, nine others each, a greeting about every two seconds and either side's counts for both.
    let most = 10 * 9 * 100 / 2 * 5 / 4;
    assert!(lab.greetings < most, "{} greetings", lab.greetings);
    let mut same = Lab::of(10);
    same.run(Duration::from_secs(100));
    assert_eq!(same.greetings, lab.greetings, "the same seeds gave another run");
}
