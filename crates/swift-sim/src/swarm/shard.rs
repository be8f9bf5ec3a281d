//! The nodes that one thread runs.

use super::{
    actor::Actor,
    books::Books,
    clock::Moment,
    event::{Event, Outbox},
    node::Node,
    scene::Scene,
};

/// Every so many-th node, with all that is theirs. How nodes are divided into shards changes nothing but the time that
/// a run takes: within a window of time none hears of another, and what crosses has its place in each node's order.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) nodes: Vec<Node>,
    /// When something is due next on each.
    next: Vec<Moment>,
    pub(crate) books: Books,
    /// For each shard, what its nodes are told.
    pub(crate) outboxes: Vec<Outbox>,
    /// From each shard, what these nodes are told.
    pub(crate) inboxes: Vec<Outbox>,
}

impl Shard {
    /// One of so many shards.
    pub(crate) fn new(nodes: Vec<Node>, shards: usize) -> Self {
        let boxes = || (0..shards).map(|_| Outbox::default()).collect();
        let next = vec![Moment::NEVER; nodes.len()];
        Self { nodes, next, books: Books::default(), outboxes: boxes(), inboxes: boxes() }
    }

    /// When something is due next.
    pub(crate) fn next_at(&self) -> Moment {
        let mail = self.inboxes.iter().map(|inbox| inbox.earliest);
        self.next.iter().copied().chain(mail).min().unwrap_or(Moment::NEVER)
    }

    /// Does all that is due before `until`, node by node: each finds what it needs in the processor's cache still.
    pub(crate) fn run(&mut self, scene: &Scene, until: Moment) {
        self.take_mail();
        for at in 0..self.nodes.len() {
            while self.next[at] < until {
                self.step(scene, at, until);
            }
        }
    }

    fn step(&mut self, scene: &Scene, at: usize, until: Moment) {
        let node = &mut self.nodes[at];
        if let Some((now, event)) = node.agenda.pop_before(until) {
            self.books.events += 1;
            Actor { now, scene, node, books: &mut self.books, outboxes: &mut self.outboxes }.happen(event);
        }
        self.next[at] = self.nodes[at].agenda.next_at();
    }

    /// The next thing that is due on any node, whenever that is.
    pub(crate) fn pop(&mut self) -> Option<(usize, Event)> {
        self.take_mail();
        let node = self.nodes.iter_mut().min_by_key(|node| node.agenda.next_at())?;
        node.agenda.pop_before(Moment::NEVER).map(|(_, event)| (node.at, event))
    }

    /// Lets a node do something while all stand still.
    pub(crate) fn act<R>(
        &mut self,
        scene: &Scene,
        now: Moment,
        at: usize,
        act: impl FnOnce(&mut Actor<'_>) -> R,
    ) -> R {
        let node = &mut self.nodes[at];
        let done = act(&mut Actor { now, scene, node, books: &mut self.books, outboxes: &mut self.outboxes });
        self.next[at] = self.nodes[at].agenda.next_at();
        done
    }

    fn take_mail(&mut self) {
        let shards = self.inboxes.len();
        for inbox in &mut self.inboxes {
            inbox.earliest = Moment::NEVER;
            for mail in inbox.mail.drain(..) {
                let at = mail.to / shards;
                self.next[at] = self.next[at].min(mail.at);
                self.nodes[at].agenda.note(mail.at, mail.order, mail.event);
            }
        }
    }
}
