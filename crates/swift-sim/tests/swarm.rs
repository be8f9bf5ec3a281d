//! What swarms of real machines do over links that a test decides on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use swift_sim::swarm::{Plan, run};

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let plan = Plan { nodes: 8, size: 16 << 20, loss: 0.5, ..Plan::default() };
    let trace = |seed| run(&Plan { seed, ..plan.clone() }).unwrap().trace;
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7), trace(8));
}

#[test]
fn one_to_one_runs_at_the_speed_of_the_link() {
    for (up, delay_ms) in [(40.0, 5), (40.0, 100), (1000.0, 10)] {
        let delay = std::time::Duration::from_millis(delay_ms);
        let plan = Plan { nodes: 2, size: 256 << 20, up, down: up, delay, ..Plan::default() };
        let outcome = run(&plan).unwrap();
        assert_eq!(outcome.violations, Vec::<String>::new());
        assert!(outcome.share.unwrap() > 0.85, "{outcome:?}");
        assert!(outcome.source_copies < 1.01);
    }
}

#[test]
fn everybody_completes_over_links_that_lose_packets() {
    let plan = Plan { nodes: 6, size: 16 << 20, loss: 2.0, ..Plan::default() };
    let outcome = run(&plan).unwrap();
    assert_eq!((outcome.complete, outcome.refetched), (5, 0));
    assert_eq!(outcome.violations, Vec::<String>::new());
}
