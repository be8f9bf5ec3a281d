//! What is broken on purpose is noticed: a simulation that finds nothing must be one that would have found something.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use swift_sim::{Checker, Mutation, Options, run_seed};

/// Runs seeds until one fails, and says who noticed.
fn noticed_by(mutation: Mutation, seeds: u64) -> Option<Checker> {
    let options = Options { mutation: Some(mutation), is_traced: false };
    (0..seeds).find_map(|seed| run_seed(seed, &options).violation).map(|violation| violation.checker)
}

#[test]
fn a_validator_that_loses_its_log_in_a_crash_signs_twice_and_is_noticed() {
    assert_eq!(noticed_by(Mutation::WalDropped, 20), Some(Checker::Signing));
}

#[test]
fn a_vote_that_is_sent_before_it_is_durable_is_noticed() {
    assert_eq!(noticed_by(Mutation::SendBeforeSync, 60), Some(Checker::Signing));
}
