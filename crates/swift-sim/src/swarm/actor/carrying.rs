//! Letters on their way: over the sender's uplink, the distance, and the receiver's link.

use std::time::Duration;

use swift_p2p::swarm::{FetchFailure, FetchOutcome, Input};

use super::Actor;
use crate::swarm::{
    clock::{Moment, nanos},
    envelope::{Content, Envelope, Request},
    event::Event,
    machine::Letter,
    slab::Key,
};

/// What HTTP and TLS add to a message and to its answer, and a request for a slice: see "Heads" in `docs/protocol.md`.
const MESSAGE_HEAD: u64 = 80;
const ANSWER_HEAD: u64 = 60;
const REQUEST_LEN: u64 = 151;
/// A connection's closing.
const CLOSE_LEN: u64 = 100;
/// Nobody is quicker than this to take a letter out of the network.
const JITTER_NS: u32 = 500_000;
/// A driver gives a question up after so long.
const DEADLINE: Duration = Duration::from_secs(10);
/// A lost packet that no later one follows is missed so late.
const RETRANSMIT: Duration = Duration::from_millis(200);

impl Actor<'_> {
    /// Sends what the machine has to say. Answers travel over the connection of their question; a question may have to
    /// open one.
    pub(super) fn post(&mut self, to: usize, letter: Letter) {
        self.books.letters.count(&letter);
        if let Letter::Answer(_, answer) = &letter {
            self.books.verdicts.count(answer);
        }
        let is_answer = letter.is_answer();
        let len = letter.len() + if is_answer { ANSWER_HEAD } else { MESSAGE_HEAD };
        let letter = self.envelope(to, len, Content::Letter(letter));
        let handshake_ns = self.scene.handshake_ns;
        let ready = match is_answer {
            true => self.now,
            false => self.node.connections.letter_ready(self.now, to, handshake_ns),
        };
        self.post_at(ready, letter);
    }

    pub(super) fn post_request(&mut self, to: usize, request: Request) {
        let ready = self.now.plus(if request.is_open { 0 } else { self.scene.handshake_ns });
        let letter = self.envelope(to, REQUEST_LEN, Content::Request(request));
        self.post_at(ready, letter);
    }

    pub(super) fn post_close(&mut self, to: usize, incoming: Key, not_before: Moment) {
        let letter = self.envelope(to, CLOSE_LEN, Content::Close { incoming, not_before });
        self.letter_ready(letter);
    }

    pub(super) fn post_refusal(&mut self, to: usize, incoming: Key, why: FetchFailure) {
        let letter = self.envelope(to, ANSWER_HEAD, Content::Failed(incoming, why));
        self.letter_ready(letter);
    }

    fn post_at(&mut self, ready: Moment, letter: Box<Envelope>) {
        if ready > self.now {
            self.note(ready, Event::LetterReady(letter));
        } else {
            self.letter_ready(letter);
        }
    }

    fn envelope(&self, to: usize, len: u64, content: Content) -> Box<Envelope> {
        let from = self.node.at;
        let lives = (self.scene.life(from), self.scene.life(to));
        Box::new(Envelope { from, to, lives, len, content })
    }

    /// Tells a node, in one of its lives, something that needs no link: what its own kernel or driver finds out about
    /// another.
    pub(super) fn tell(&mut self, at: Moment, (to, life): (usize, u64), about: usize, content: Content) {
        let lives = (self.scene.life(about), life);
        let letter = Box::new(Envelope { from: about, to, lives, len: 0, content });
        self.send(to, at, Event::LetterPassed(letter));
    }

    pub(super) fn letter_ready(&mut self, letter: Box<Envelope>) {
        if !self.scene.lives(self.node.at, letter.lives.0) || self.is_withdrawn(&letter) {
            return;
        }
        self.node.account.letters_sent += letter.len;
        self.node.up.enter_letter(letter);
        self.drive_uplink();
    }

    /// Whether it is a request for what is not wanted any more.
    pub(super) fn is_withdrawn(&self, letter: &Envelope) -> bool {
        let Content::Request(request) = &letter.content else { return false };
        self.node.fetching.get(request.incoming).is_none()
    }

    /// A letter leaves the node, and has left it at `left`.
    pub(super) fn dispatch(&mut self, letter: Box<Envelope>, left: Moment) {
        let jitter_ns = u64::from(self.node.dice.number(0, JITTER_NS));
        if matches!(letter.content, Content::Letter(_)) && self.is_chosen(self.scene.plan.lost_messages) {
            self.books.vanished += 1;
            return self.vanish(*letter);
        }
        let is_late = self.is_lost(letter.len);
        let late_ns = if is_late { nanos(RETRANSMIT) + 2 * self.scene.delay_ns } else { 0 };
        let mut at = left.plus(self.scene.delay_ns + jitter_ns + late_ns);
        match letter.content {
            Content::Request(Request { incoming, .. }) => {
                if let Some(incoming) = self.node.fetching.get_mut(incoming) {
                    incoming.asked_at = Some(at);
                }
            }
            Content::Close { not_before, .. } => at = at.max(not_before),
            _ => {}
        }
        self.send(letter.to, at, Event::LetterArrived(letter));
    }

    pub(super) fn letter_arrived(&mut self, letter: Box<Envelope>) {
        if self.scene.is_cut(letter.from, letter.to) {
            return self.vanish(*letter);
        }
        if self.node.machine.is_none() {
            return self.miss(*letter);
        }
        let arrival = self.node.down.arrive(self.now, letter.len);
        if arrival.waited_ns == 0 {
            return self.letter_passed(*letter);
        }
        self.note(arrival.done, Event::LetterPassed(letter));
    }

    pub(super) fn letter_passed(&mut self, letter: Envelope) {
        if !self.scene.lives(self.node.at, letter.lives.1) {
            return self.miss(letter);
        }
        let Envelope { from, lives, content, .. } = letter;
        match content {
            Content::Letter(letter) => {
                // Nobody waits for the answer any more.
                if letter.is_question() && lives.0 != self.scene.life(from) {
                    return;
                }
                if !letter.is_question() && !letter.is_answer() {
                    self.node.up.acknowledge(self.now, ANSWER_HEAD);
                }
                self.input(letter.delivered(self.scene.id(from)));
            }
            Content::Request(request) => self.serve((from, lives.0), request),
            Content::Close { incoming, .. } => self.closed(from, incoming),
            Content::Failed(incoming, why) => self.fetch_over(incoming, FetchOutcome::Failed(why)),
            Content::Unanswered(exchange) => {
                let to = self.scene.id(from);
                let failed = |exchange| Input::OfferFailed { to, exchange };
                self.input(exchange.map_or(Input::WhoHasFailed { to }, failed));
            }
        }
    }

    /// A letter comes when the process that it was meant for is no more.
    fn miss(&mut self, letter: Envelope) {
        if self.scene.is_silent(self.node.at) { self.vanish(letter) } else { self.refuse(letter) }
    }

    /// A letter never arrives, and nobody is told: who waits for an answer waits until it has waited enough. Who has
    /// requested content is not told even then: its machine must notice.
    fn vanish(&mut self, letter: Envelope) {
        self.leave_unanswered(self.now.after(DEADLINE), letter);
    }

    /// The kernel of whom a letter was for says that there is nobody to take it.
    fn refuse(&mut self, letter: Envelope) {
        let soon = self.now.plus(self.scene.delay_ns);
        if let Content::Request(request) = letter.content {
            let failed = Content::Failed(request.incoming, FetchFailure::Unreachable);
            return self.tell(soon, (letter.from, letter.lives.0), letter.to, failed);
        }
        self.leave_unanswered(soon, letter);
    }

    fn leave_unanswered(&mut self, at: Moment, letter: Envelope) {
        let Envelope { from, to, lives, content: Content::Letter(letter), .. } = letter else { return };
        let unanswered = Content::Unanswered(letter.exchange());
        if letter.is_question() {
            self.tell(at, (from, lives.0), to, unanswered);
        } else if letter.is_answer() {
            self.tell(at, (to, lives.1), from, unanswered);
        }
    }
}
