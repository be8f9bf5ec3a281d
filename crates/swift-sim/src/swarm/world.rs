//! The run: what is due happens, one thing after the other, and every machine does what follows.

mod carrying;
mod failing;
mod founding;
mod judging;
mod moving;
mod showing;

use std::time::Duration;

use swift_chunks::{ChunkLayout, FileId};
use swift_p2p::swarm::Input;

use super::{
    books::Books,
    clock::{Agenda, Moment},
    machine::{self, Machine, Wish},
    node::{Node, place_of, place_of_file},
    plan::Plan,
    report::{Outcome, outcome},
    slab::{Key, Slab},
    transfer::Transfer,
};
use crate::dice::Dice;
use carrying::Envelope;
use showing::Shown;

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
    /// One of the plan's troubles.
    Trouble(u32),
    /// A node that was away is back.
    Return(u32),
    /// Parts of the network are one again: how many nodes were in the first.
    Heal(u32),
    /// A node notices that it does not reach another any more.
    Missed(u32, u32),
    /// A node hears of another.
    Met(u32, u32),
    /// The state of things is shown.
    Show,
}

#[derive(Debug)]
struct File {
    id: FileId,
    layout: ChunkLayout,
    is_published: bool,
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
    /// Where the network is in two parts, for each time that it was parted and is not one again: how many nodes are in
    /// the first.
    parted: Vec<usize>,
    /// Troubles that wait for content to have come so far.
    awaited: Vec<usize>,
    events: u64,
    trace: u64,
    delay_ns: u64,
    queue_ns: u64,
    handshake_ns: u64,
    shown: Shown,
}

impl World {
    /// Publishes everything and runs until all have it and all is silent, or time is up.
    pub(crate) fn run(mut self) -> Outcome {
        self.open();
        let least = Duration::try_from_secs_f64(self.plan.least_seconds() * 20.0).unwrap_or(SILENT_WITHIN);
        let limit = self.plan.limit.unwrap_or(least + self.plan.troubled_time() + SILENT_WITHIN);
        let mut end = Moment::ZERO.after(limit);
        let mut is_over = false;
        while let Some((at, due)) = self.agenda.pop() {
            if at > end {
                if self.books.wanting() > 0 || self.plan.falls_silent() {
                    self.books.violate(end, &format!("not silent: {due:?}"));
                }
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
        self.judge_end();
        outcome(&self.plan, &self.books, self.events, self.trace)
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
            Due::Trouble(trouble) => self.trouble(trouble as usize),
            Due::Return(node) => self.come(node as usize),
            Due::Heal(first) => self.heal(first as usize),
            Due::Missed(node, peer) => self.missed(node as usize, peer as usize),
            Due::Met(node, peer) => self.met(node as usize, peer as usize),
            Due::Show => self.show(),
        }
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
        self.judge_step(at);
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
                self.judge_fetch(at, from, file, piece);
            }
            Wish::CancelFetch { from, file, piece } => {
                let (from, file) = (place_of(&from), place_of_file(&file));
                self.note_trace(at, 3, from, u64::from(piece.number()));
                self.cancel(at, from, file, piece);
            }
            Wish::Check { file, chunk } => {
                let outcome = self.check(place_of_file(&file), chunk);
                self.input(at, machine::chunk_checked(file, chunk, outcome));
            }
            Wish::Completed { file } => {
                let file = place_of_file(&file);
                self.note_trace(at, 4, file, 0);
                self.books.complete(self.now, at, file);
                self.agenda.note(self.now.after(FINISH), Due::Durable(place(at), place(file)));
            }
            Wish::Report(report) => {
                self.note_trace(at, 5, 0, 0);
                self.judge_report(at, report);
            }
        }
    }

    /// Folds one thing that a machine did into the trace.
    fn note_trace(&mut self, at: usize, kind: u64, other: usize, number: u64) {
        for word in [self.now.0, at as u64, kind, other as u64, number] {
            self.trace = (self.trace ^ word).wrapping_mul(0x100_0000_01b3).rotate_left(23);
        }
    }
}

/// A place in a list that is never longer.
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
