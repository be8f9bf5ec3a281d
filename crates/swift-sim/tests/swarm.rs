//! What swarms of real machines do over links that a test decides on, in virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::{num::NonZeroUsize, time::Duration};

use swift_sim::swarm::{Cast, Leaving, Outcome, Plan, Scale, Scenario, Trouble, What, When, run};

const MIB: u64 = 1 << 20;
const NO_VIOLATION: [&str; 0] = [];

/// Runs a scenario as small as it is made, and says what came of it; it must reach its bar.
fn reaches_its_bar(name: &str) -> Outcome {
    let all = Scenario::all(Scale::Small);
    let scenario = all.iter().find(|scenario| scenario.name == name).expect("there is such a scenario");
    let outcome = scenario.run().unwrap();
    assert_eq!(outcome.violations, NO_VIOLATION, "{outcome:?}");
    assert_eq!((outcome.complete, outcome.refetched), (outcome.counted, 0));
    outcome
}

/// Runs a plan in which all must go well.
fn goes_well(plan: &Plan) -> Outcome {
    let outcome = run(plan).unwrap();
    assert_eq!(outcome.violations, NO_VIOLATION, "{outcome:?}");
    assert_eq!((outcome.complete, outcome.refetched), (outcome.counted, 0));
    outcome
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let what = What::Leave { node: 2, how: Leaving::Stopped, back: Some(Duration::from_secs(2)) };
    let plan = Plan {
        nodes: 8,
        size: 8 * MIB,
        loss: 0.5,
        lost_messages: 1.0,
        cast: Cast { lying: 1, ..Cast::default() },
        troubles: vec![Trouble { when: When::Sent(0.5), what }],
        ..Plan::default()
    };
    let trace = |seed| run(&Plan { seed, ..plan.clone() }).unwrap().trace;
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7), trace(8));
}

#[test]
fn a_run_is_the_same_however_many_threads_carry_it_out() {
    let leave = |node, how, back| What::Leave { node, how, back: Some(Duration::from_secs(back)) };
    let part = What::Part { first: 9, lasts: Duration::from_secs(8) };
    let troubles = vec![
        Trouble { when: When::Sent(0.5), what: leave(0, Leaving::Unplugged, 5) },
        Trouble { when: When::After(Duration::from_millis(900)), what: leave(3, Leaving::Stopped, 2) },
        Trouble { when: When::After(Duration::from_millis(1100)), what: leave(4, Leaving::Frozen, 9) },
        Trouble { when: When::After(Duration::from_millis(1500)), what: part },
        Trouble { when: When::After(Duration::from_millis(2000)), what: What::Join { node: 7 } },
    ];
    let cast = Cast { slow: 1, lying: 1, boasting: 1, stalling: 1, dead: 1, bystanders: 0 };
    let sizes = vec![4 * MIB, MIB / 2 + 1];
    let (nodes, known, loss, lost_messages) = (20, Some(12), 0.5, 1.0);
    let plan = Plan { nodes, known, files: 3, sizes, loss, lost_messages, cast, troubles, ..Plan::default() };
    let told = |threads| {
        let outcome = run(&Plan { threads: NonZeroUsize::new(threads), ..plan.clone() }).unwrap();
        assert_eq!((outcome.troubles, outcome.complete), (5, outcome.counted), "{outcome:?}");
        format!("{outcome:?}")
    };
    let alone = told(1);
    assert_eq!(told(2), alone);
    assert_eq!(told(3), alone);
}

#[test]
fn nodes_that_are_next_to_each_other_are_no_trouble() {
    let outcome = goes_well(&Plan { nodes: 5, size: MIB, delay: Duration::ZERO, ..Plan::default() });
    assert!(outcome.share.unwrap() > 0.5, "{outcome:?}");
}

#[test]
fn one_to_one_runs_at_the_speed_of_the_link() {
    for (up, delay_ms, size, share) in [(40.0, 5, 32, 0.95), (40.0, 100, 64, 0.8), (1000.0, 10, 256, 0.75)] {
        let delay = Duration::from_millis(delay_ms);
        let outcome = goes_well(&Plan { nodes: 2, size: size * MIB, up, down: up, delay, ..Plan::default() });
        assert!(outcome.share.unwrap() > share, "{outcome:?}");
        assert!(outcome.source_copies < 1.01);
    }
}

#[test]
fn where_all_are_alike_the_source_sends_little_more_than_a_copy_and_hears_of_every_copy() {
    reaches_its_bar("even");
}

#[test]
fn nodes_of_different_uplinks_complete_near_the_optimum() {
    reaches_its_bar("mixed-uplinks");
}

#[test]
fn slow_peers_do_not_hold_up_the_others_and_are_not_blamed() {
    reaches_its_bar("slow-peers");
}

#[test]
fn over_long_ways_everybody_completes() {
    reaches_its_bar("long-ways");
}

#[test]
fn the_source_leaves_after_little_more_than_a_copy_and_everybody_completes() {
    let outcome = reaches_its_bar("source-leaves");
    assert!(outcome.source_copies < 1.2, "{outcome:?}");
}

#[test]
fn the_source_leaves_too_early_and_all_wait_for_it_to_return() {
    reaches_its_bar("source-returns");
}

#[test]
fn liars_are_found_out_at_the_second_lie_and_the_file_comes_from_others() {
    let outcome = reaches_its_bar("liars");
    // What runs beside the second lie is broken off.
    assert!(outcome.offences.wrong_bytes <= 2 * 2 * outcome.counted as u64, "{outcome:?}");
}

#[test]
fn peers_that_offer_what_they_lack_are_left_alone() {
    reaches_its_bar("boasters");
}

#[test]
fn peers_that_take_requests_and_send_nothing_are_routed_around() {
    reaches_its_bar("stalling-peers");
}

#[test]
fn the_dead_hold_up_nobody() {
    reaches_its_bar("dead-peers");
}

#[test]
fn many_files_of_all_sizes_complete_and_small_ones_soon() {
    reaches_its_bar("many-files");
}

#[test]
fn small_files_are_not_stuck_behind_a_huge_one() {
    reaches_its_bar("small-beside-huge");
}

#[test]
fn late_joiners_complete_from_whoever_is_there() {
    reaches_its_bar("late-joiner");
}

#[test]
fn the_only_holder_is_found() {
    reaches_its_bar("lone-holder");
}

#[test]
fn the_only_holder_is_found_among_many_that_were_not_asked_first() {
    let plan = Plan {
        nodes: 42,
        size: 4 * MIB,
        cast: Cast { bystanders: 40, ..Cast::default() },
        settings: vec!["neighbours_max=4".parse().unwrap()],
        ..Plan::default()
    };
    goes_well(&plan);
}

#[test]
fn a_parted_swarm_converges_after_it_heals() {
    reaches_its_bar("partition");
}

#[test]
fn receivers_that_restart_go_on_and_fetch_nothing_twice() {
    reaches_its_bar("restarts");
}

#[test]
fn a_lost_message_costs_little() {
    reaches_its_bar("lost-messages");
}

#[test]
fn everybody_completes_though_one_message_in_ten_is_lost() {
    let outcome = goes_well(&Plan { nodes: 5, size: 16 * MIB, lost_messages: 10.0, ..Plan::default() });
    assert!(outcome.vanished > 0);
}

#[test]
fn everybody_completes_over_links_that_lose_packets() {
    reaches_its_bar("lost-packets");
}

#[test]
fn a_false_manifest_stops_its_file_and_nobody_who_sent_is_blamed() {
    let outcome = reaches_its_bar("false-manifest");
    assert_eq!(outcome.offences, swift_sim::swarm::Offences::default());
}
