//! Letters on their way: over the sender's uplink, the distance, and the receiver's link.

use std::time::Duration;

use swift_p2p::swarm::{FetchFailure, FetchOutcome};

use super::{Due, World, place};
use crate::swarm::{clock::nanos, machine::Letter, slab::Key, transfer::PACKET_LEN};

/// What HTTP and TLS add to a request and to an answer.
const REQUEST_HEAD: u64 = 400;
const ANSWER_HEAD: u64 = 200;
/// A connection's closing.
const CLOSE_LEN: u64 = 100;
/// Nobody is quicker than this to take a letter out of the network.
const JITTER: Duration = Duration::from_micros(500);
/// A lost packet that no later one follows is missed so late.
const RETRANSMIT: Duration = Duration::from_millis(200);

/// A letter and where it goes.
#[derive(Debug)]
pub(super) struct Envelope {
    from: usize,
    to: usize,
    len: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Letter(Letter),
    /// A request for the content of this transfer.
    Request(Key),
    /// The receiver has closed the connection of this transfer.
    Close(Key),
    /// The source does not have it.
    Refusal(Key),
}

impl World {
    /// Sends what a machine has to say.
    pub(super) fn post(&mut self, from: usize, to: usize, letter: Letter) {
        self.books.letters.count(&letter);
        if let Letter::Answer(_, answer) = &letter {
            self.books.verdicts.count(answer);
        }
        let head = if letter.is_answer() { ANSWER_HEAD } else { REQUEST_HEAD };
        let envelope = Envelope { from, to, len: letter.len() + head, content: Content::Letter(letter) };
        self.enter(envelope);
    }

    pub(super) fn post_request(&mut self, from: usize, to: usize, transfer: Key, after_ns: u64) {
        let content = Content::Request(transfer);
        let letter = self.envelopes.insert(Envelope { from, to, len: REQUEST_HEAD, content });
        if after_ns == 0 {
            return self.letter_ready(letter);
        }
        self.agenda.note(self.now.plus(after_ns), Due::LetterReady(letter));
    }

    pub(super) fn post_close(&mut self, from: usize, to: usize, transfer: Key) {
        self.enter(Envelope { from, to, len: CLOSE_LEN, content: Content::Close(transfer) });
    }

    pub(super) fn post_refusal(&mut self, from: usize, to: usize, transfer: Key) {
        self.enter(Envelope { from, to, len: ANSWER_HEAD, content: Content::Refusal(transfer) });
    }

    /// Answers travel over the connection of their question; a question may have to open one.
    fn enter(&mut self, envelope: Envelope) {
        let opens = matches!(&envelope.content, Content::Letter(letter) if !letter.is_answer());
        let (from, to) = (envelope.from, envelope.to);
        let letter = self.envelopes.insert(envelope);
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
        let Some(&Envelope { len, .. }) = self.envelopes.get(letter) else { return };
        let jitter_ns = u64::from(self.dice.number(0, place(JITTER.subsec_nanos() as usize)));
        let lost = self.is_lost(len);
        let late_ns = if lost { nanos(RETRANSMIT) + 2 * self.delay_ns } else { 0 };
        let at = self.now.plus(self.delay_ns + jitter_ns + late_ns);
        self.agenda.note(at, Due::LetterArrived(letter));
    }

    pub(super) fn letter_arrived(&mut self, letter: Key) {
        let Some(envelope) = self.envelopes.get(letter) else { return };
        let arrival = self.nodes[envelope.to].down.arrive(self.now, envelope.len);
        if arrival.waited_ns == 0 {
            return self.letter_passed(letter);
        }
        self.agenda.note(arrival.done, Due::LetterPassed(letter));
    }

    pub(super) fn letter_passed(&mut self, letter: Key) {
        let Some(Envelope { from, to, content, .. }) = self.envelopes.remove(letter) else { return };
        match content {
            Content::Letter(letter) => {
                if !letter.is_question() && !letter.is_answer() {
                    self.nodes[to].up.acknowledge(ANSWER_HEAD);
                }
                let from = self.nodes[from].id;
                self.input(to, letter.delivered(from));
            }
            Content::Request(transfer) => self.serve(transfer),
            Content::Close(transfer) => self.closed(transfer),
            Content::Refusal(transfer) => {
                self.fetch_over(transfer, FetchOutcome::Failed(FetchFailure::NotThere));
            }
        }
    }

    /// Whether one of the packets of so many bytes is lost.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_wrap, reason = "a chance")]
    #[allow(clippy::cast_possible_truncation, reason = "few packets")]
    pub(super) fn is_lost(&mut self, len: u64) -> bool {
        if self.plan.loss <= 0.0 {
            return false;
        }
        let none_lost = (1.0 - self.plan.loss / 100.0).powi(len.div_ceil(PACKET_LEN) as i32);
        self.dice.bits() as f64 / u64::MAX as f64 >= none_lost
    }
}
