//! What many runs amounted to.

use serde::Serialize;

use crate::{Census, Checker, Outcome, Violation};

/// Seeds from which on a run counts as a whole one: every kind of event must have come up.
const WHOLE_RUN: u64 = 200;

/// The sum of many seeds' runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Totals {
    seeds: u64,
    blocks: u64,
    transactions: u64,
    acknowledged: u64,
    crashes: u64,
    replays: u64,
    evidence: u64,
    /// Runs in which a validator lied.
    liars: u64,
    /// Those of them in which it was caught.
    caught: u64,
    messages: u64,
    max_round: u32,
    virtual_hours: f64,
    slowest_recovery_seconds: f64,
    wall_seconds: f64,
    events: Census,
    failures: Vec<Failure>,
}

/// A seed that failed.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// The seed; none when it is all of them together that failed.
    pub seed: Option<u64>,
    /// Who noticed what.
    #[serde(flatten)]
    pub violation: Violation,
}

impl Totals {
    /// Takes a run in.
    pub fn add(&mut self, outcome: &Outcome) {
        let numbers = &outcome.numbers;
        self.seeds += 1;
        self.blocks += numbers.blocks;
        self.transactions += numbers.transactions;
        self.acknowledged += numbers.acknowledged;
        self.crashes += numbers.crashes;
        self.replays += outcome.census.of(crate::Event::WalReplay);
        self.evidence += numbers.evidence;
        self.liars += u64::from(outcome.has_liar);
        self.caught += u64::from(outcome.has_liar && numbers.evidence > 0);
        self.messages += numbers.messages;
        self.max_round = self.max_round.max(numbers.round_max);
        self.virtual_hours += seconds(numbers.virtual_ms) / 3600.0;
        self.slowest_recovery_seconds = self.slowest_recovery_seconds.max(seconds(numbers.recovery_ms));
        self.events.add(&outcome.census);
        if let Some(violation) = &outcome.violation {
            self.failures.push(Failure { seed: Some(outcome.seed), violation: violation.clone() });
        }
    }

    /// Notes something that must not be, of one seed or of all.
    pub fn fail(&mut self, seed: Option<u64>, violation: Violation) {
        self.failures.push(Failure { seed, violation });
    }

    /// Ends the sum. A whole run in which a kind of trouble never came up has not tested it, and fails.
    pub fn finish(&mut self, wall_seconds: f64) {
        self.wall_seconds = wall_seconds;
        self.failures.sort_by_key(|failure| failure.seed);
        let missing = self.events.missing();
        if self.seeds >= WHOLE_RUN && !missing.is_empty() {
            self.fail(
                None,
                Violation { checker: Checker::Coverage, what: format!("never happened: {missing:?}") },
            );
        }
    }

    /// Seeds taken in.
    pub fn seeds(&self) -> u64 {
        self.seeds
    }

    /// What failed.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }
}

#[allow(clippy::cast_precision_loss, reason = "shown to people, in hours")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}
