//! One node while something happens to it: it sees the scene, changes itself and nothing else, and notes what follows,
//! for itself or, later by the way between them, for others.

mod carrying;
mod fetching;
mod judging;
mod living;
mod sending;
mod serving;

use std::time::Duration;

use swift_p2p::swarm::Input;

use super::{
    books::Books,
    clock::Moment,
    event::{Event, Mail, Outbox},
    machine::{self, Machine, Wish},
    node::{Node, place_of, place_of_file},
    scene::Scene,
    transfer::PACKET_LEN,
};

/// From the last piece to a file that is in its place, durable.
const FINISH: Duration = Duration::from_millis(20);

pub(crate) struct Actor<'a> {
    pub(super) now: Moment,
    pub(super) scene: &'a Scene,
    pub(super) node: &'a mut Node,
    pub(super) books: &'a mut Books,
    /// For the nodes of each shard.
    pub(super) outboxes: &'a mut [Outbox],
}

impl Actor<'_> {
    pub(crate) fn happen(&mut self, event: Event) {
        match event {
            Event::Begin => self.begin(),
            Event::Wake => self.wake(),
            Event::Tick => self.tick(),
            Event::Left => self.left(),
            Event::LetterReady(letter) => self.letter_ready(letter),
            Event::LetterArrived(letter) => self.letter_arrived(letter),
            Event::LetterPassed(letter) => self.letter_passed(*letter),
            Event::Arrived { incoming, outgoing, len } => self.bytes_arrived(incoming, outgoing, len),
            Event::Acked { outgoing, len, is_marked } => self.acked(outgoing, len, is_marked),
            Event::Ended(incoming) => self.ended(incoming),
            Event::Learn(file) => self.learn(file),
            Event::Durable(file) => {
                let file = self.scene.files[file].id;
                self.input(Input::Durable { file });
            }
            Event::Missed(peer) => self.missed(peer),
            Event::Met(peer) => self.met(peer),
        }
    }

    /// Something is due here.
    pub(crate) fn note(&mut self, at: Moment, event: Event) {
        let order = self.node.next_order();
        self.node.agenda.note(at, order, event);
    }

    /// Something is due elsewhere, or here: for others it is never sooner than the way to them takes.
    fn send(&mut self, to: usize, at: Moment, event: Event) {
        if to == self.node.at {
            return self.note(at, event);
        }
        debug_assert!(at >= self.now.plus(self.scene.delay_ns), "{event:?} would come before it can");
        let order = self.node.next_order();
        let outbox = to % self.outboxes.len();
        self.outboxes[outbox].push(Mail { to, at, order, event });
    }

    /// One step of the machine: in goes an input, and all that it wishes is done.
    fn input(&mut self, input: Input) {
        let Some(machine) = &mut self.node.machine else { return };
        machine.handle(self.now, input);
        while let Some(wish) = self.node.machine.as_mut().and_then(Machine::next_wish) {
            self.grant(wish);
        }
        let Some(due) = self.node.machine.as_ref().map(Machine::due) else { return };
        if due < self.node.wakes_at {
            self.node.wakes_at = due;
            self.note(due.max(self.now), Event::Wake);
        }
        self.judge_step();
    }

    fn wake(&mut self) {
        if self.node.wakes_at > self.now {
            return;
        }
        self.node.wakes_at = Moment::NEVER;
        let Some(due) = self.node.machine.as_ref().map(Machine::due) else { return };
        if due > self.now {
            // Nothing to do yet; so late that there never is, when it is asked for no more.
            if due != Moment::NEVER {
                self.node.wakes_at = due;
                self.note(due, Event::Wake);
            }
            return;
        }
        self.input(Input::Timeout);
        if self.node.machine.as_ref().is_some_and(|machine| machine.due() <= self.now) {
            self.violate(format!("node {} wants to be woken in the past", self.node.at));
        }
    }

    fn grant(&mut self, wish: Wish) {
        match wish {
            Wish::Send { to, letter } => {
                let to = place_of(&to);
                self.note_trace(1, to, letter.kind());
                self.post(to, letter);
            }
            Wish::Fetch { from, file, piece } => {
                let (from, file) = (place_of(&from), place_of_file(&file));
                self.note_trace(2, from, u64::from(piece.number()));
                self.judge_request(file, piece);
                self.request(from, file, piece);
                self.judge_fetch(from, file, piece);
            }
            Wish::CancelFetch { from, file, piece } => {
                let (from, file) = (place_of(&from), place_of_file(&file));
                self.note_trace(3, from, u64::from(piece.number()));
                self.cancel(from, file, piece);
            }
            Wish::Check { file, chunk } => {
                let outcome = self.scene.check(place_of_file(&file), chunk);
                self.input(machine::chunk_checked(file, chunk, outcome));
            }
            Wish::Completed { file } => {
                let file = place_of_file(&file);
                self.note_trace(4, file, 0);
                self.judge_completion(file);
                self.note(self.now.after(FINISH), Event::Durable(file));
            }
            Wish::Report(report) => {
                self.note_trace(5, 0, 0);
                self.judge_report(report);
            }
        }
    }

    /// Folds one thing that the machine did into the trace.
    fn note_trace(&mut self, kind: u64, other: usize, number: u64) {
        self.node.account.note(&[self.now.0, kind, other as u64, number]);
    }

    /// Whether one of the packets of so many bytes is lost.
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "few packets")]
    fn is_lost(&mut self, len: u64) -> bool {
        let loss = self.scene.plan.loss;
        loss > 0.0 && {
            let none_lost = (1.0 - loss / 100.0).powi(len.div_ceil(PACKET_LEN) as i32);
            self.is_chosen((1.0 - none_lost) * 100.0)
        }
    }

    /// Whether something happens that happens so many times in a hundred.
    #[allow(clippy::cast_precision_loss, reason = "a chance")]
    fn is_chosen(&mut self, per_cent: f64) -> bool {
        per_cent > 0.0 && self.node.dice.bits() as f64 / (u64::MAX as f64) < per_cent / 100.0
    }
}
