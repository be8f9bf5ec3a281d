//! Letters on their way: over the sender's uplink, the distance, and the receiver's link.

use std::time::Duration;

use swift_p2p::swarm::{ExchangeId, FetchFailure, FetchOutcome, Input};

use super::{Due, World, place};
use crate::swarm::{
    clock::{Moment, nanos},
    machine::Letter,
    plan::Leaving,
    slab::Key,
    transfer::PACKET_LEN,
};

/// What HTTP and TLS add to a request and to an answer.
const REQUEST_HEAD: u64 = 400;
const ANSWER_HEAD: u64 = 200;
/// A connection's closing.
const CLOSE_LEN: u64 = 100;
/// Nobody is quicker than this to take a letter out of the network.
const JITTER: Duration = Duration::from_micros(500);
/// A driver gives a question up after so long.
const DEADLINE: Duration = Duration::from_secs(10);
/// A lost packet that no later one follows is missed so late.
const RETRANSMIT: Duration = Duration::from_millis(200);

/// A letter and where it goes.
#[derive(Debug)]
pub(super) struct Envelope {
    from: usize,
    to: usize,
    /// Which life of each it belongs to: with a process its connections end.
    lives: (u64, u64),
    len: u64,
    has_left: bool,
    content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    Letter(Letter),
    /// A request for the content of this transfer.
    Request(Key),
    /// The receiver has closed the connection of this transfer.
    Close(Key),
    /// The source does not send what it was asked for.
    Failed(Key, FetchFailure),
    /// Whom the letter is said to be from has not answered this offer, or a question.
    Unanswered(Option<ExchangeId>),
}

impl World {
    /// Sends what a machine has to say.
    pub(super) fn post(&mut self, from: usize, to: usize, letter: Letter) {
        self.books.letters.count(&letter);
        if let Letter::Answer(_, answer) = &letter {
            self.books.verdicts.count(answer);
        }
        let head = if letter.is_answer() { ANSWER_HEAD } else { REQUEST_HEAD };
        let len = letter.len() + head;
        self.enter(from, to, len, Content::Letter(letter));
    }

    pub(super) fn post_request(&mut self, from: usize, to: usize, transfer: Key, after_ns: u64) {
        let letter = self.envelope(from, to, REQUEST_HEAD, Content::Request(transfer));
        if after_ns == 0 {
            return self.letter_ready(letter);
        }
        self.agenda.note(self.now.plus(after_ns), Due::LetterReady(letter));
    }

    pub(super) fn post_close(&mut self, from: usize, to: usize, transfer: Key) {
        self.enter(from, to, CLOSE_LEN, Content::Close(transfer));
    }

    pub(super) fn post_refusal(&mut self, from: usize, to: usize, transfer: Key, why: FetchFailure) {
        self.enter(from, to, ANSWER_HEAD, Content::Failed(transfer, why));
    }

    /// Tells a node something that needs no link: what its own kernel or driver finds out.
    pub(super) fn tell(&mut self, when: Moment, from: usize, to: usize, content: Content) {
        let letter = self.envelope(from, to, 0, content);
        self.agenda.note(when, Due::LetterPassed(letter));
    }

    fn envelope(&mut self, from: usize, to: usize, len: u64, content: Content) -> Key {
        let lives = (self.nodes[from].life, self.nodes[to].life);
        self.envelopes.insert(Envelope { from, to, lives, len, has_left: len == 0, content })
    }

    /// Answers travel over the connection of their question; a question may have to open one.
    fn enter(&mut self, from: usize, to: usize, len: u64, content: Content) {
        let opens = matches!(&content, Content::Letter(letter) if !letter.is_answer());
        let letter = self.envelope(from, to, len, content);
        let handshake_ns = self.handshake_ns;
        let ready = if opens { self.nodes[from].letter_ready(self.now, to, handshake_ns) } else { self.now };
        if ready > self.now {
            self.agenda.note(ready, Due::LetterReady(letter));
        } else {
            self.letter_ready(letter);
        }
    }

    pub(super) fn letter_ready(&mut self, letter: Key) {
        let Some(&Envelope { from, len, .. }) = self.envelopes.get(letter) else { return };
        self.nodes[from].up.enter_letter(letter, len);
        self.books.nodes[from].letters_sent += len;
        self.drive_uplink(from);
    }

    /// A letter has left its node.
    pub(super) fn letter_left(&mut self, letter: Key) {
        let Some(envelope) = self.envelopes.get_mut(letter) else { return };
        envelope.has_left = true;
        let (len, is_message) = (envelope.len, matches!(envelope.content, Content::Letter(_)));
        let jitter_ns = u64::from(self.dice.number(0, place(JITTER.subsec_nanos() as usize)));
        if is_message && self.is_chosen(self.plan.lost_messages) {
            self.books.vanished += 1;
            return self.vanish(letter);
        }
        let lost = self.is_lost(len);
        let late_ns = if lost { nanos(RETRANSMIT) + 2 * self.delay_ns } else { 0 };
        let at = self.now.plus(self.delay_ns + jitter_ns + late_ns);
        self.agenda.note(at, Due::LetterArrived(letter));
    }

    pub(super) fn letter_arrived(&mut self, letter: Key) {
        let Some(&Envelope { from, to, len, .. }) = self.envelopes.get(letter) else { return };
        if self.is_cut(from, to) {
            return self.vanish(letter);
        }
        if self.nodes[to].machine.is_none() {
            return self.miss(letter);
        }
        let arrival = self.nodes[to].down.arrive(self.now, len);
        if arrival.waited_ns == 0 {
            return self.letter_passed(letter);
        }
        self.agenda.note(arrival.done, Due::LetterPassed(letter));
    }

    pub(super) fn letter_passed(&mut self, key: Key) {
        let Some(envelope) = self.envelopes.get(key) else { return };
        let receiver = &self.nodes[envelope.to];
        if receiver.machine.is_none() || receiver.life != envelope.lives.1 {
            return self.miss(key);
        }
        let Some(Envelope { from, to, lives, content, .. }) = self.envelopes.remove(key) else { return };
        match content {
            Content::Letter(letter) => {
                // Nobody waits for the answer any more.
                if letter.is_question() && lives.0 != self.nodes[from].life {
                    return;
                }
                if !letter.is_question() && !letter.is_answer() {
                    self.nodes[to].up.acknowledge(ANSWER_HEAD);
                }
                let from = self.nodes[from].id;
                self.input(to, letter.delivered(from));
            }
            Content::Request(transfer) => self.serve(transfer),
            Content::Close(transfer) => self.closed(transfer),
            Content::Failed(transfer, why) => self.fetch_over(transfer, FetchOutcome::Failed(why)),
            Content::Unanswered(exchange) => {
                let by = self.nodes[from].id;
                let input = exchange.map_or(Input::WhoHasFailed { to: by }, |exchange| Input::OfferFailed {
                    to: by,
                    exchange,
                });
                self.input(to, input);
            }
        }
    }

    /// A letter comes when the process that it was meant for is no more.
    fn miss(&mut self, letter: Key) {
        let Some(&Envelope { to, .. }) = self.envelopes.get(letter) else { return };
        let receiver = &self.nodes[to];
        let is_silent = receiver.machine.is_none() && receiver.absence != Leaving::Stopped;
        if is_silent { self.vanish(letter) } else { self.refuse(letter) }
    }

    /// A letter never arrives, and nobody is told: who waits for an answer waits until it has waited enough.
    fn vanish(&mut self, letter: Key) {
        self.fail(letter, |world| world.now.after(DEADLINE), None);
    }

    /// The kernel of whom a letter was for says that there is nobody to take it.
    fn refuse(&mut self, letter: Key) {
        let soon = |world: &Self| world.now.plus(world.delay_ns);
        self.fail(letter, soon, Some(FetchFailure::Unreachable));
    }

    fn fail(&mut self, letter: Key, when: impl Fn(&Self) -> Moment, told: Option<FetchFailure>) {
        let Some(Envelope { from, to, lives, content, .. }) = self.envelopes.remove(letter) else { return };
        let when = when(self);
        match content {
            Content::Letter(letter) => {
                let (asker, asked) = if letter.is_answer() { (to, from) } else { (from, to) };
                if letter.is_question() || letter.is_answer() {
                    self.tell(when, asked, asker, Content::Unanswered(letter.exchange()));
                }
            }
            Content::Request(transfer) => match told {
                Some(failure) => self.tell(when, to, from, Content::Failed(transfer, failure)),
                // The source has never heard of it; the receiver's machine must notice.
                None => _ = self.transfers.remove(transfer),
            },
            Content::Failed(transfer, _) => _ = self.transfers.remove(transfer),
            // A source that is cut off loses patience; one that is gone has nothing more to close.
            Content::Close(transfer)
                if self.nodes[to].machine.is_none() || self.nodes[to].life != lives.1 =>
            {
                self.transfers.remove(transfer);
            }
            Content::Close(_) | Content::Unanswered(_) => {}
        }
    }

    /// What had not left a node when it went off never will.
    pub(super) fn drop_unsent_letters(&mut self, at: usize, is_told: bool) {
        for letter in self.envelopes.find(|envelope| envelope.from == at && !envelope.has_left) {
            let dropped = self.envelopes.remove(letter).map(|envelope| envelope.content);
            match dropped {
                Some(Content::Request(transfer)) => _ = self.transfers.remove(transfer),
                Some(Content::Failed(transfer, _)) => self.sever_one(transfer, is_told),
                _ => {}
            }
        }
    }

    /// Whether one of the packets of so many bytes is lost.
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "few packets")]
    pub(super) fn is_lost(&mut self, len: u64) -> bool {
        let none_lost = (1.0 - self.plan.loss / 100.0).powi(len.div_ceil(PACKET_LEN) as i32);
        self.is_chosen((1.0 - none_lost) * 100.0)
    }

    /// Whether something happens that happens so many times in a hundred.
    #[allow(clippy::cast_precision_loss, reason = "a chance")]
    fn is_chosen(&mut self, per_cent: f64) -> bool {
        per_cent > 0.0 && self.dice.bits() as f64 / (u64::MAX as f64) < per_cent / 100.0
    }
}
