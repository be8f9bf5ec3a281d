//! What is broken on purpose is noticed: a simulation that finds nothing must be one that would have found something.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use swift_sim::{Checker, Mutation, Options, run_seed};

/// Who notices a mutation in so many seeds.
fn noticed_by(mutation: Mutation, seeds: u64) -> Vec<Checker> {
    let options = Options { mutation: Some(mutation), is_traced: false };
    let violations = (0..seeds).filter_map(|seed| run_seed(seed, &options).violation);
    violations.map(|violation| violation.checker).collect()
}

#[test]
fn a_validator_that_loses_its_log_in_a_crash_signs_twice_and_is_noticed() {
    assert!(noticed_by(Mutation::WalDropped, 6).contains(&Checker::Signing));
}

#[test]
fn what_is_sent_before_it_is_durable_is_noticed() {
    assert!(!noticed_by(Mutation::SendBeforeSync, 24).is_empty());
}
