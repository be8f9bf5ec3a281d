//! What many runs amounted to.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{Census, Checker, Outcome, Violation, ledger::plan::VALIDATORS};

/// Seeds from which on a run counts as a whole one: every kind of event and every number of validators must have come
/// up.
const WHOLE_RUN: u64 = 200;

/// The sum of many seeds' runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Totals {
    seeds: u64,
    /// By how many validators they began with.
    validators: BTreeMap<usize, u64>,
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
        *self.validators.entry(outcome.validators).or_default() += 1;
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
        if self.seeds < WHOLE_RUN {
            return;
        }
        let missing = self.events.missing();
        if !missing.is_empty() {
            self.fail(None, Violation::new(Checker::Coverage, format!("never happened: {missing:?}")));
        }
        let absent = VALIDATORS.into_iter().find(|count| !self.validators.contains_key(count));
        if let Some(count) = absent {
            self.fail(
                None,
                Violation::new(Checker::Coverage, format!("never began with {count} validators")),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Numbers};

    fn outcome(validators: usize, census: Census) -> Outcome {
        let (seed, has_liar, numbers) = (0, false, Numbers::default());
        Outcome { seed, validators, has_liar, numbers, census, trace: [0; 32], violation: None }
    }

    /// What a run of so many seeds lacks in which everything but pauses and networks of seven came up.
    fn lacks(seeds: usize) -> Vec<String> {
        let mut census = Census::default();
        Event::ALL.into_iter().filter(|event| *event != Event::Pause).for_each(|event| census.count(event));
        let mut totals = Totals::default();
        let validators = VALIDATORS.into_iter().filter(|count| *count != 7).cycle().take(seeds);
        validators.for_each(|count| totals.add(&outcome(count, census.clone())));
        totals.finish(1.0);
        totals.failures().iter().map(|failure| failure.violation.to_string()).collect()
    }

    #[test]
    fn a_whole_run_in_which_something_never_came_up_fails() {
        let missing = ["coverage: never happened: [Pause]", "coverage: never began with 7 validators"];
        assert_eq!(lacks(200), missing);
        assert!(lacks(199).is_empty());
    }
}
