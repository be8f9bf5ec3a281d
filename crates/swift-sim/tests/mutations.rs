//! What is broken on purpose is noticed: a simulation that finds nothing must be one that would have found something.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use swift_sim::{Checker, Mutation, Options, run_seed};

/// Looks for a seed in which the mutation has consequences that a checker notices. Which seed that is depends on
/// everything that takes part, so many are looked at, up to the first.
fn is_noticed(mutation: Mutation, by: &[Checker]) -> bool {
    let options = Options { mutation: Some(mutation), is_traced: false };
    let mut violations = (0..200).filter_map(|seed| run_seed(seed, &options).violation);
    violations.any(|violation| by.contains(&violation.checker))
}

#[test]
fn a_validator_that_loses_its_log_in_a_crash_signs_twice_and_is_noticed() {
    assert!(is_noticed(Mutation::WalDropped, &[Checker::Signing]));
}

#[test]
fn what_is_sent_before_it_is_durable_is_noticed() {
    assert!(is_noticed(Mutation::SendBeforeSync, &[Checker::Signing, Checker::Agreement]));
}
