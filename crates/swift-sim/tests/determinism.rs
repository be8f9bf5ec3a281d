//! A seed decides everything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use swift_sim::{Options, run_seed};

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    let first = run_seed(7, &Options::default());
    let again = run_seed(7, &Options::default());
    assert_eq!((first.trace, first.numbers), (again.trace, again.numbers));
    assert_ne!(first.trace, run_seed(8, &Options::default()).trace);
}
