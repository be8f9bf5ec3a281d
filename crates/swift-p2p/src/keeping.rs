//! Letting go of files without losing the last copy: a state machine, and nothing else.
//!
//! A node that has a file which nothing there keeps *asks* a holder to keep it. The holder *promises*: until a time, by a
//! signature that can be shown later. Only then the node lets go. Whoever has promised does not let go before the
//! promise is over, so of a file that anybody had there is always a copy.
//!
//! What makes this so is not here but in the node's store, which decides both things under one lock: a file that is
//! promised is not let go of, and one that is gone is not promised. The machine adds manners: whom to ask and in which
//! order, and that two nodes which ask each other at the same time both refuse and try again after pauses of
//! different length, instead of both being bound.
//!
//! # Use
//! [`Keeping::handle`] takes one [`Input`]; then [`Keeping::poll_output`] until it is empty. There are no timeouts: every
//! [`Output::Ask`], [`Output::Evict`] and [`Output::Promise`] is reported back, however it ends.

mod message;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use swift_chain::NodeId;
use swift_chunks::FileId;

pub use message::{
    KEEP_ANSWER_BYTES_MAX, KEEP_REQUEST_BYTES_MAX, KeepAnswer, KeepRefusal, KeepRequest, Promise,
    SignedPromise,
};

use crate::swarm::{ExchangeId, Random, Time};

/// How long a promise lasts.
pub const PROMISE_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// A promise that is over sooner is none: clocks differ, and letting go takes a moment.
pub const PROMISE_LEAST: Duration = Duration::from_secs(60 * 60);
/// Holders that are asked in one attempt.
const HOLDERS_MAX: usize = 8;
/// Files that are asked about at once.
const ASKING_MAX: usize = 16;
/// Before the next attempt for the same file, at first; doubled each time, and up to as much again by chance.
const PAUSE_FIRST: Duration = Duration::from_secs(5);
const PAUSE_MOST: Duration = Duration::from_secs(10 * 60);
/// Files whose pauses are remembered.
const PAUSES_MAX: usize = 65_536;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A file is here that nothing here keeps, and these members are believed to hold all of it.
    Surplus {
        /// Which file.
        file: FileId,
        /// Who holds it, as far as known.
        holders: Vec<NodeId>,
    },
    /// A holder has answered; the caller has checked the signature of a promise.
    Answered {
        /// Which [`Output::Ask`].
        exchange: ExchangeId,
        /// What it said.
        answer: KeepAnswer,
    },
    /// A holder could not be asked, or has not answered.
    Failed {
        /// Which [`Output::Ask`].
        exchange: ExchangeId,
    },
    /// What came of [`Output::Evict`].
    Evicted {
        /// Which file.
        file: FileId,
        /// Whether it is gone; else something keeps it by now, or uses it.
        is_gone: bool,
    },
    /// A member asks this node to keep a file for it. [`Output::Promise`] or [`Output::Refuse`] is among the outputs
    /// when `handle` returns.
    Asked {
        /// Who asks.
        from: NodeId,
        /// The caller's name for this exchange, handed back.
        exchange: ExchangeId,
        /// What it asks.
        request: KeepRequest,
    },
}

/// Something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask a holder, and report [`Input::Answered`] or [`Input::Failed`] with the same exchange.
    Ask {
        /// Whom.
        to: NodeId,
        /// The machine's name for this exchange.
        exchange: ExchangeId,
        /// What.
        request: KeepRequest,
    },
    /// Let go of a file by this promise, unless something keeps or uses it; then report [`Input::Evicted`].
    Evict {
        /// The promise.
        promise: SignedPromise,
    },
    /// If the file is here, bind this node durably, sign, and answer; else refuse.
    Promise {
        /// The exchange of the question.
        exchange: ExchangeId,
        /// What to sign.
        promise: Promise,
        /// Only if the rule or a pin keeps the file anyway.
        only_if_kept: bool,
    },
    /// Refuse.
    Refuse {
        /// The exchange of the question.
        exchange: ExchangeId,
        /// Why.
        refusal: KeepRefusal,
    },
}

/// How far an attempt is.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// A holder was asked.
    Waiting { exchange: ExchangeId, to: NodeId },
    /// One has promised.
    Evicting,
}

/// An attempt to let go of a file.
#[derive(Debug)]
struct Attempt {
    stage: Stage,
    /// Whom to ask next, and whether only for what it keeps anyway.
    next: VecDeque<(NodeId, bool)>,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Time,
    streak: u32,
}

/// See the [module](self).
#[derive(Debug)]
pub struct Keeping {
    me: NodeId,
    random: Random,
    now: Time,
    wall_ms: u64,
    attempts: BTreeMap<FileId, Attempt>,
    pauses: BTreeMap<FileId, Pause>,
    next_exchange: u64,
    outputs: VecDeque<Output>,
}

impl Keeping {
    /// A node that lets go of nothing yet. All its choices follow from `seed`.
    pub fn new(me: NodeId, seed: u64) -> Self {
        Self {
            me,
            random: Random::new(seed),
            now: Time::ZERO,
            wall_ms: 0,
            attempts: BTreeMap::new(),
            pauses: BTreeMap::new(),
            next_exchange: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Takes in one thing that happened: when, and what a clock on the wall shows then.
    pub fn handle(&mut self, now: Time, wall_ms: u64, input: Input) {
        (self.now, self.wall_ms) = (self.now.max(now), wall_ms);
        match input {
            Input::Surplus { file, holders } => self.on_surplus(file, holders),
            Input::Answered { exchange, answer } => self.on_answered(exchange, answer),
            Input::Failed { exchange } => {
                if let Some(file) = self.asked_in(exchange) {
                    self.ask_next(file);
                }
            }
            Input::Evicted { file, is_gone } => {
                if self.attempts.remove(&file).is_some() && !is_gone {
                    self.pause(file);
                } else if is_gone {
                    self.pauses.remove(&file);
                }
            }
            Input::Asked { from, exchange, request } => self.on_asked(from, exchange, request),
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether it is time to try to let go of a file: ask for its holders then, and give [`Input::Surplus`].
    pub fn is_due(&self, now: Time, file: &FileId) -> bool {
        let has_room = self.attempts.len() < ASKING_MAX;
        let is_free = !self.attempts.contains_key(file);
        has_room && is_free && self.pauses.get(file).is_none_or(|pause| pause.until <= now)
    }

    /// What is kept here has changed: everything may be tried at once.
    pub fn forget_pauses(&mut self) {
        self.pauses.clear();
    }

    fn on_surplus(&mut self, file: FileId, holders: Vec<NodeId>) {
        if !self.is_due(self.now, &file) {
            return;
        }
        let others = holders.into_iter().filter(|holder| *holder != self.me).collect();
        let asked = self.random.some_of(others, HOLDERS_MAX);
        // Those first who keep it anyway: another would be stuck with it, as this node is now.
        let next =
            asked.iter().map(|&holder| (holder, true)).chain(asked.iter().map(|&holder| (holder, false)));
        self.attempts.insert(file, Attempt { stage: Stage::Evicting, next: next.collect() });
        self.ask_next(file);
    }

    fn ask_next(&mut self, file: FileId) {
        let Some(attempt) = self.attempts.get_mut(&file) else { return };
        let Some((to, only_if_kept)) = attempt.next.pop_front() else {
            self.attempts.remove(&file);
            return self.pause(file);
        };
        self.next_exchange += 1;
        let exchange = ExchangeId(self.next_exchange);
        attempt.stage = Stage::Waiting { exchange, to };
        self.outputs.push_back(Output::Ask { to, exchange, request: KeepRequest { file, only_if_kept } });
    }

    /// The file that an open question is about.
    fn asked_in(&self, exchange: ExchangeId) -> Option<FileId> {
        let is_it = |attempt: &Attempt| matches!(attempt.stage, Stage::Waiting { exchange: open, .. } if open == exchange);
        self.attempts.iter().find(|(_, attempt)| is_it(attempt)).map(|(&file, _)| file)
    }

    fn on_answered(&mut self, exchange: ExchangeId, answer: KeepAnswer) {
        let Some(file) = self.asked_in(exchange) else { return };
        let least_ms = u64::try_from(PROMISE_LEAST.as_millis()).unwrap_or(u64::MAX);
        let lasts_till = self.wall_ms.saturating_add(least_ms);
        let me = self.me;
        let Some(attempt) = self.attempts.get_mut(&file) else { return };
        let Stage::Waiting { to, .. } = attempt.stage else { return };
        match answer {
            KeepAnswer::Promised(signed)
                if (signed.promise.file, signed.promise.promiser, signed.promise.asker) == (file, to, me)
                    && signed.promise.until_ms >= lasts_till =>
            {
                attempt.stage = Stage::Evicting;
                self.outputs.push_back(Output::Evict { promise: signed });
            }
            // Also a promise of something else.
            KeepAnswer::Promised(_) | KeepAnswer::Refused(_) => self.ask_next(file),
        }
    }

    fn on_asked(&mut self, from: NodeId, exchange: ExchangeId, request: KeepRequest) {
        let KeepRequest { file, only_if_kept } = request;
        if self.attempts.contains_key(&file) {
            return self.outputs.push_back(Output::Refuse { exchange, refusal: KeepRefusal::Busy });
        }
        let lasts_ms = u64::try_from(PROMISE_FOR.as_millis()).unwrap_or(u64::MAX);
        let until_ms = self.wall_ms.saturating_add(lasts_ms);
        let promise = Promise { file, promiser: self.me, asker: from, until_ms };
        self.outputs.push_back(Output::Promise { exchange, promise, only_if_kept });
    }

    fn pause(&mut self, file: FileId) {
        if self.pauses.len() >= PAUSES_MAX {
            let now = self.now;
            self.pauses.retain(|_, pause| pause.until > now);
        }
        if self.pauses.len() >= PAUSES_MAX {
            self.pauses.pop_first();
        }
        let streak = self.pauses.get(&file).map_or(0, |pause| pause.streak);
        let least = PAUSE_FIRST.saturating_mul(1 << streak.min(16)).min(PAUSE_MOST);
        let pause = least + least.mul_f64(f64::from(self.random.below(1000)) / 1000.0);
        self.pauses.insert(file, Pause { until: self.now + pause, streak: streak.saturating_add(1) });
    }
}
