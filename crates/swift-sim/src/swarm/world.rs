//! The run: what is due happens, one thing after the other, and every machine does what follows.

mod carrying;
mod moving;

use std::time::Duration;

use swift_chunks::{ChunkLayout, ChunkSet, FileId};
use swift_p2p::swarm::{CheckOutcome, Config, Input};

use super::{
    books::Books,
    clock::{Agenda, Moment, nanos},
    machine::{self, Machine, Wish},
    node::{Node, file_id, handshake_ns, place_of, place_of_file},
    plan::{Plan, PlanError},
    report::{Outcome, outcome},
    slab::{Key, Slab},
    transfer::Transfer,
};
use crate::dice::Dice;
use carrying::Envelope;

/// How often a driver tells its machine of progress.
const TICK: Duration = Duration::from_secs(1);
/// From the last piece to a file that is in its place, durable.
const FINISH: Duration = Duration::from_millis(20);
/// After the last copy everything must be silent within this.
const SILENT_WITHIN: Duration = Duration::from_secs(600);

/// What is due.
#[derive(Clone, Copy, Debug)]
enum Due {
    /// An uplink has sent what was leaving.
    Left(u32),
    /// Some of a transfer's bytes have come to the receiver's link.
    Arrived(Key),
    /// A transfer that was held hears of bytes that arrived.
    Heard(Key),
    /// A transfer's last byte is there.
    Ended(Key),
    /// A letter leaves, now that there is a connection.
    LetterReady(Key),
    /// A letter has come to the receiver's link.
    LetterArrived(Key),
    /// It has passed it.
    LetterPassed(Key),
    /// A machine wanted to be woken.
    Wake(u32),
    /// A driver tells of progress.
    Tick(u32),
    /// A node learns of a file.
    Learn(u32, u32),
    /// A file is durable on a node.
    Durable(u32, u32),
    /// The state of things is shown.
    Show,
}

#[derive(Debug)]
struct File {
    id: FileId,
    layout: ChunkLayout,
}

/// Everything.
#[derive(Debug)]
pub(crate) struct World {
    plan: Plan,
    now: Moment,
    agenda: Agenda<Due>,
    dice: Dice,
    nodes: Vec<Node>,
    files: Vec<File>,
    transfers: Slab<Transfer>,
    envelopes: Slab<Envelope>,
    books: Books,
    events: u64,
    trace: u64,
    delay_ns: u64,
    queue_ns: u64,
    handshake_ns: u64,
    shown: Shown,
}

/// What was true when the state of things was shown last.
#[derive(Clone, Copy, Debug, Default)]
struct Shown {
    at: Moment,
    source_busy_ns: u64,
    others_busy_ns: u64,
    letters: u64,
    delivered: u64,
}

impl World {
    /// Nodes that are up and know each other, and nothing else.
    pub(crate) fn found(plan: &Plan) -> Result<Self, PlanError> {
        plan.check()?;
        let mut dice = Dice::new(plan.seed);
        let layout = ChunkLayout::new(plan.size)
            .map_err(|_| PlanError::Files { files: plan.files, size: plan.size })?;
        let files: Vec<File> =
            (0..plan.files).map(|at| File { id: file_id(at, &mut dice), layout }).collect();
        let nodes = (0..plan.nodes).map(|at| Node::new(at, plan, &mut dice)).collect();
        let layouts = files.iter().map(|file| file.layout).collect();
        let mut world = Self {
            plan: plan.clone(),
            now: Moment::ZERO,
            agenda: Agenda::default(),
            dice,
            nodes,
            files,
            transfers: Slab::default(),
            envelopes: Slab::default(),
            books: Books::new(plan.nodes, layouts),
            events: 0,
            trace: 0xcbf2_9ce4_8422_2325,
            delay_ns: nanos(plan.delay),
            queue_ns: nanos(plan.queue),
            handshake_ns: handshake_ns(plan),
            shown: Shown::default(),
        };
        (0..plan.nodes).for_each(|at| world.start(at));
        world.introduce();
        Ok(world)
    }

    fn start(&mut self, at: usize) {
        let mut config = Config { incarnation: 1, ..Config::default() };
        for setting in &self.plan.settings {
            // They were tried when they were read.
            let _ = setting.apply(&mut config);
        }
        let seed = self.dice.bits();
        let node = &mut self.nodes[at];
        node.machine = Some(Machine::new(node.id, config, seed));
    }

    /// Everybody, or as many as the plan says, can reach each other.
    fn introduce(&mut self) {
        let nodes = self.nodes.len();
        let known = self.plan.known.unwrap_or(nodes).min(nodes - 1);
        for at in 0..nodes {
            if known == nodes - 1 {
                (0..nodes).filter(|&other| other != at).for_each(|other| self.introduce_to(at, other));
                continue;
            }
            for _ in 0..known.div_ceil(2) {
                let other = self.dice.index(nodes);
                if other != at {
                    self.introduce_to(at, other);
                    self.introduce_to(other, at);
                }
            }
        }
    }

    fn introduce_to(&mut self, at: usize, peer: usize) {
        let peer = self.nodes[peer].id;
        self.input(at, Input::PeerOnline { peer });
    }

    /// Publishes everything and runs until all have it and all is silent, or time is up.
    pub(crate) fn run(mut self) -> Outcome {
        self.publish();
        let least = Duration::from_secs_f64(self.plan.least_seconds());
        let limit = self.plan.limit.unwrap_or(least * 20 + SILENT_WITHIN);
        let mut end = Moment::ZERO.after(limit);
        let mut is_over = false;
        if self.plan.timeline.is_some() {
            self.agenda.note(Moment::ZERO, Due::Show);
        }
        while let Some((at, due)) = self.agenda.pop() {
            if at > end {
                self.books.violate(end, &format!("not silent after {limit:?}: {due:?}"));
                break;
            }
            self.now = at;
            self.events += 1;
            self.happen(due);
            if !is_over && self.books.wanting() == 0 {
                is_over = true;
                end = self.now.after(SILENT_WITHIN);
            }
        }
        if self.books.wanting() > 0 {
            let what = format!("{} copies are not complete", self.books.wanting());
            self.books.violate(self.now, &what);
        } else if self.transfers.len() > 0 {
            let what = format!("{} transfers are left", self.transfers.len());
            self.books.violate(self.now, &what);
        }
        outcome(&self.plan, &self.books, self.events, self.trace)
    }

    /// The publisher knows its files now, the others as fast as word of them travels.
    fn publish(&mut self) {
        let spread = u32::try_from(self.plan.spread.as_micros()).unwrap_or(u32::MAX);
        for file in 0..place(self.files.len()) {
            self.agenda.note(Moment::ZERO, Due::Learn(0, file));
            for node in 1..place(self.nodes.len()) {
                let late = Duration::from_micros(self.dice.number(0, spread).into());
                self.agenda.note(Moment::ZERO.plus(self.delay_ns).after(late), Due::Learn(node, file));
            }
        }
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Left(node) => self.left(node as usize),
            Due::Arrived(transfer) => self.arrived(transfer),
            Due::Heard(transfer) => self.heard(transfer),
            Due::Ended(transfer) => self.ended(transfer),
            Due::LetterReady(letter) => self.letter_ready(letter),
            Due::LetterArrived(letter) => self.letter_arrived(letter),
            Due::LetterPassed(letter) => self.letter_passed(letter),
            Due::Wake(node) => self.wake(node as usize),
            Due::Tick(node) => self.tick(node as usize),
            Due::Learn(node, file) => self.learn(node as usize, file as usize),
            Due::Durable(node, file) => {
                let file = self.files[file as usize].id;
                self.input(node as usize, Input::Durable { file });
            }
            Due::Show => self.show(),
        }
    }

    fn learn(&mut self, at: usize, file: usize) {
        let File { id, layout } = self.files[file];
        let held = if at == 0 { ChunkSet::full(layout) } else { ChunkSet::empty(layout) };
        let publisher = self.nodes[0].id;
        self.input(at, machine::file_added(id, publisher, held));
    }

    /// One step of one machine: in goes an input, and all that it wishes is done.
    fn input(&mut self, at: usize, input: Input) {
        let Some(machine) = &mut self.nodes[at].machine else { return };
        machine.handle(self.now, input);
        while let Some(wish) = self.nodes[at].machine.as_mut().and_then(Machine::next_wish) {
            self.grant(at, wish);
        }
        let node = &mut self.nodes[at];
        let Some(machine) = &node.machine else { return };
        let due = machine.due();
        if due < node.wakes_at {
            node.wakes_at = due;
            self.agenda.note(due.max(self.now), Due::Wake(place(at)));
        }
        if !machine.is_within_credit(node.serving.len()) {
            self.books.violate(self.now, &format!("node {at} has more sends open than its credit"));
        }
    }

    fn wake(&mut self, at: usize) {
        if self.nodes[at].wakes_at > self.now {
            return;
        }
        self.nodes[at].wakes_at = Moment::NEVER;
        let Some(due) = self.nodes[at].machine.as_ref().map(Machine::due) else { return };
        if due > self.now {
            // Nothing to do yet; so late that there never is, when it is asked for no more.
            if due != Moment::NEVER {
                self.nodes[at].wakes_at = due;
                self.agenda.note(due, Due::Wake(place(at)));
            }
            return;
        }
        self.input(at, Input::Timeout);
        if self.nodes[at].machine.as_ref().is_some_and(|machine| machine.due() <= self.now) {
            self.books.violate(self.now, &format!("node {at} wants to be woken in the past"));
        }
    }

    fn grant(&mut self, at: usize, wish: Wish) {
        match wish {
            Wish::Send { to, letter } => {
                let to = place_of(&to);
                self.note_trace(at, 1, to, letter.kind());
                self.post(at, to, letter);
            }
            Wish::Fetch { from, file, piece } => {
                let (from, file) = (place_of(&from), place_of_file(&file));
                self.note_trace(at, 2, from, u64::from(piece.number()));
                self.books.request(self.now, (at, file), piece);
                self.request(at, from, file, piece);
            }
            Wish::CancelFetch { from, file, piece } => {
                let (from, file) = (place_of(&from), place_of_file(&file));
                self.note_trace(at, 3, from, u64::from(piece.number()));
                self.cancel(at, from, file, piece);
            }
            Wish::Check { file, chunk } => {
                let checked = machine::chunk_checked(file, chunk, CheckOutcome::Verified);
                self.input(at, checked);
            }
            Wish::Completed { file } => {
                let file = place_of_file(&file);
                self.note_trace(at, 4, file, 0);
                self.books.complete(self.now, at, file);
                self.agenda.note(self.now.after(FINISH), Due::Durable(place(at), place(file)));
            }
            Wish::Report(report) => {
                self.note_trace(at, 5, 0, 0);
                self.books.report(report);
            }
        }
    }

    /// Folds one thing that a machine did into the trace.
    fn note_trace(&mut self, at: usize, kind: u64, other: usize, number: u64) {
        for word in [self.now.0, at as u64, kind, other as u64, number] {
            self.trace = (self.trace ^ word).wrapping_mul(0x100_0000_01b3).rotate_left(23);
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "shown to people")]
    fn show(&mut self) {
        let Some(every) = self.plan.timeline else { return };
        let elapsed = self.now.since(self.shown.at).max(1) as f64;
        let others = &self.nodes[1..];
        let now = Shown {
            at: self.now,
            source_busy_ns: self.nodes[0].up.busy_ns,
            others_busy_ns: others.iter().map(|node| node.up.busy_ns).sum(),
            letters: self.books.letters.all(),
            delivered: self.books.delivered,
        };
        let mut held: Vec<f64> = (1..self.nodes.len())
            .map(|at| (0..self.files.len()).map(|file| self.books.verified(at, file)).sum::<u64>() as f64)
            .map(|bytes| bytes / (self.plan.size as f64 * self.files.len() as f64))
            .collect();
        held.sort_by(f64::total_cmp);
        let before = std::mem::replace(&mut self.shown, now);
        let is_busy = |ns: u64, before: u64| (ns - before) as f64 / elapsed;
        eprintln!(
            "{:>8.2} s  uplinks: source {:.2}, others {:.2}  held: least {:.3}, median {:.3}, most {:.3}  \
             transfers {}, slices {}, letters {}",
            self.now.seconds(),
            is_busy(now.source_busy_ns, before.source_busy_ns),
            is_busy(now.others_busy_ns, before.others_busy_ns) / others.len() as f64,
            held.first().unwrap_or(&0.0),
            held.get(held.len() / 2).unwrap_or(&0.0),
            held.last().unwrap_or(&0.0),
            self.transfers.len(),
            now.delivered - before.delivered,
            now.letters - before.letters,
        );
        if self.books.wanting() > 0 {
            self.agenda.note(self.now.after(every), Due::Show);
        }
    }
}

/// A place in a list that is never longer.
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
