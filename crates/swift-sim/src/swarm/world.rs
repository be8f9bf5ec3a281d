//! The run: windows of time, in which every node does what is due, and between them what concerns more than one.
//!
//! What a node does reaches another no sooner than the way between them takes. So for so long nodes may run without
//! looking at each other: in any order, and on as many threads as there are. What they tell each other meanwhile is
//! handed over when the window closes. The plan's trouble comes between two windows; they are cut where it is due.

mod failing;
mod founding;
mod judging;
mod showing;

use std::time::Duration;

use super::{
    account::Account,
    actor::Actor,
    clock::{Agenda, Moment},
    node::Node,
    report::{Outcome, Record, outcome},
    scene::Scene,
    shard::Shard,
    threads::on_each,
};
use crate::dice::Dice;
use showing::Shown;

/// After the last copy everything must be silent within this.
const SILENT_WITHIN: Duration = Duration::from_secs(600);
/// Windows are no longer than this, however long the ways are: trouble that waits for content comes between them.
const WINDOW_MAX_NS: u64 = 20_000_000;
/// A window in which less than this happens is over before another thread has begun.
const WORTH_THREADS: u64 = 256;

/// What concerns more than one node.
#[derive(Clone, Copy, Debug)]
enum Turn {
    /// One of the plan's troubles.
    Trouble(usize),
    /// A node that was away is back.
    Return(usize),
    /// Parts of the network are one again: how many nodes were in the first.
    Heal(usize),
    /// The state of things is shown.
    Show,
}

/// Everything.
#[derive(Debug)]
pub(crate) struct World {
    now: Moment,
    scene: Scene,
    shards: Vec<Shard>,
    agenda: Agenda<Turn>,
    /// Turns that were noted, and that came.
    noted: u64,
    turned: u64,
    dice: Dice,
    /// Copies that are to be completed.
    wanted: usize,
    /// Troubles that came.
    troubles: usize,
    /// Troubles that wait for content to have come so far.
    awaited: Vec<usize>,
    /// By file, what receivers have ever had, where that is waited for.
    spread: Vec<Vec<u64>>,
    /// How much happened in the last window.
    busy: u64,
    /// What must not be and was, on no node in particular.
    violations: Vec<(Moment, String)>,
    shown: Shown,
}

impl World {
    /// Publishes everything and runs until all have it and all is silent, or time is up.
    pub(crate) fn run(mut self) -> Outcome {
        self.open();
        let plan = &self.scene.plan;
        let least = Duration::try_from_secs_f64(plan.least_seconds() * 20.0).unwrap_or(SILENT_WITHIN);
        let limit = plan.limit.unwrap_or(least + plan.troubled_time() + SILENT_WITHIN);
        let mut end = Moment::ZERO.after(limit);
        let mut is_over = false;
        loop {
            let next = self.shards.iter().map(Shard::next_at).min().unwrap_or(Moment::NEVER);
            let turn = self.agenda.next_at();
            if next.min(turn) == Moment::NEVER {
                break;
            }
            if next.min(turn) > end {
                self.judge_silence(end);
                break;
            }
            if turn <= next {
                self.turn();
            } else {
                self.run_window(self.window_end(next).min(turn).min(end.plus(1)));
            }
            if !is_over && self.wanting() == 0 {
                is_over = true;
                end = self.now.after(SILENT_WITHIN);
            }
        }
        self.judge_end();
        outcome(&self.record())
    }

    /// Windows lie where they lie, whatever is due when: what comes between them must not depend on it.
    fn window_end(&self, now: Moment) -> Moment {
        let len = self.scene.delay_ns.min(WINDOW_MAX_NS);
        Moment((now.0 / len).saturating_add(1).saturating_mul(len))
    }

    /// Every node does what is due before `until`.
    fn run_window(&mut self, until: Moment) {
        let events = |shards: &[Shard]| shards.iter().map(|shard| shard.books.events).sum::<u64>();
        let before = events(&self.shards);
        let scene = &self.scene;
        if self.busy < WORTH_THREADS {
            self.shards.iter_mut().for_each(|shard| shard.run(scene, until));
        } else {
            on_each(&mut self.shards, |shard| shard.run(scene, until));
        }
        self.now = until;
        self.busy = events(&self.shards) - before;
        self.exchange();
        self.judge_claims();
        self.judge_progress();
    }

    /// What the nodes of a shard told others is handed over; the boxes are used again.
    fn exchange(&mut self) {
        for from in 0..self.shards.len() {
            for to in 0..self.shards.len() {
                let mut full = std::mem::take(&mut self.shards[from].outboxes[to]);
                std::mem::swap(&mut full, &mut self.shards[to].inboxes[from]);
                self.shards[from].outboxes[to] = full;
            }
        }
    }

    fn turn(&mut self) {
        let Some((at, turn)) = self.agenda.pop_before(Moment::NEVER) else { return };
        self.now = at;
        self.turned += 1;
        match turn {
            Turn::Trouble(trouble) => self.trouble(trouble),
            Turn::Return(node) => self.come(node),
            Turn::Heal(first) => self.heal(first),
            Turn::Show => self.show(),
        }
    }

    fn note(&mut self, at: Moment, turn: Turn) {
        self.noted += 1;
        self.agenda.note(at, self.noted, turn);
    }

    /// Lets a node do something while all stand still.
    fn act<R>(&mut self, at: usize, act: impl FnOnce(&mut Actor<'_>) -> R) -> R {
        let shards = self.shards.len();
        self.shards[at % shards].act(&self.scene, self.now, at / shards, act)
    }

    fn node(&self, at: usize) -> &Node {
        let shards = self.shards.len();
        &self.shards[at % shards].nodes[at / shards]
    }

    /// All nodes, in their order.
    fn nodes(&self) -> impl Iterator<Item = &Node> {
        (0..self.scene.members.len()).map(|at| self.node(at))
    }

    /// What there is to tell in the end.
    fn record(&self) -> Record<'_> {
        let accounts: Vec<&Account> = self.nodes().map(|node| &node.account).collect();
        let mut books = self.books();
        books.events += self.turned;
        let on_nodes = accounts.iter().flat_map(|account| &account.violations);
        let mut violations: Vec<&(Moment, String)> = on_nodes.chain(&self.violations).collect();
        violations.sort_by_key(|(at, _)| *at);
        let (plan, troubles) = (&self.scene.plan, self.troubles);
        Record { plan, books, accounts, troubles, violations }
    }

    /// Copies that are still to be completed.
    fn wanting(&self) -> usize {
        self.wanted - self.shards.iter().map(|shard| shard.books.completed).sum::<usize>()
    }
}
