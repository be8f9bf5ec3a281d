//! What is broken on purpose is noticed: a simulation that finds nothing must be one that would have found something.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use swift_sim::{Checker, Mutation, Options, run_seed};

/// Seeds after which a mutation counts as unnoticed. The rarer one is noticed in about one of six.
const SEEDS_MAX: u64 = 200;

/// Looks for a seed in which a mutation is noticed, and says by whom. Which seed that is depends on everything that
/// takes part, so many are looked at, up to the first.
fn noticed(mutation: Mutation) -> (u64, Checker) {
    let options = Options { mutation: Some(mutation), is_traced: false };
    let mut runs = (0..SEEDS_MAX).map(|seed| (seed, run_seed(seed, &options).violation));
    let found = runs.find_map(|(seed, violation)| violation.map(|violation| (seed, violation.checker)));
    found.unwrap_or_else(|| panic!("{mutation:?} goes unnoticed in {SEEDS_MAX} seeds"))
}

/// Losing what was signed has two consequences and no third: a validator signs twice in one step, or, where nobody
/// needs its messages any more, there are two final blocks at one height. Any other complaint would be a fault of the
/// simulation, and so would one about the same seed with nothing broken.
fn assert_noticed_as_two_words(mutation: Mutation) {
    let (seed, checker) = noticed(mutation);
    assert!(
        matches!(checker, Checker::Signing | Checker::Agreement),
        "{checker} noticed {mutation:?} in seed {seed}"
    );
    assert_eq!(run_seed(seed, &Options::default()).violation, None);
}

#[test]
fn a_validator_that_loses_its_log_in_a_crash_is_noticed() {
    assert_noticed_as_two_words(Mutation::WalDropped);
}

#[test]
fn what_is_sent_before_it_is_durable_is_noticed() {
    assert_noticed_as_two_words(Mutation::SendBeforeSync);
}
