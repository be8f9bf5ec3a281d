//! What a swarm of machines does, in virtual time.
#![allow(unreachable_pub, reason = "the lab is a module of this test")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "also in the functions that tests share")]
#![allow(clippy::cast_precision_loss, reason = "ratios to look at")]

mod swarm_lab;

use std::time::Duration;

use swarm_lab::{Behaviour, Lab, file, layout, mbit};
use swift_chunks::{ChunkIndex, ChunkSet};
use swift_p2p::swarm::{AbandonReason, OffenceKind, Output};

const HOUR: Duration = Duration::from_secs(3600);

fn lab_of(nodes: usize, up: f64, down: f64, latency_ms: u64, seed: u64) -> Lab {
    let mut lab = Lab::new(seed);
    for _ in 0..nodes {
        lab.add(mbit(up), mbit(down), latency_ms);
    }
    lab.run_for(Duration::from_secs(1));
    lab
}

/// The least time in which a source can bring a file to all others, whatever it does (fluid model).
fn optimum(lab: &Lab, units: f64) -> f64 {
    let bytes = units * swift_chunks::CHUNK_LEN as f64;
    let receivers = (lab.nodes.len() - 1) as f64;
    let ups: f64 = lab.nodes.iter().map(|node| node.up).sum();
    let slowest = lab.nodes[1..].iter().map(|node| node.down).fold(f64::INFINITY, f64::min);
    (bytes / lab.nodes[0].up).max(bytes / slowest).max(receivers * bytes / ups)
}

fn chunk(number: u64) -> ChunkIndex {
    layout(number + 1).chunk(number).unwrap()
}

struct Run {
    share: f64,
    copies: f64,
    messages_per_unit: f64,
}

fn one_to(receivers: usize, units: u64, up: f64, down: f64, latency_ms: u64, seed: u64) -> Run {
    let mut lab = lab_of(receivers + 1, up, down, latency_ms, seed);
    let start = lab.now;
    lab.publish(file(1), units);
    let all: Vec<usize> = (1..=receivers).collect();
    let end = lab.run_until(HOUR, |lab| lab.all_have(file(1), &all)).expect("everybody completes");
    let messages: u64 = lab.nodes.iter().map(|node| node.messages_sent).sum();
    let run = Run {
        share: optimum(&lab, units as f64) / (end - start).as_secs_f64(),
        copies: lab.copies_sent(0, units),
        messages_per_unit: messages as f64 / (units as f64 * receivers as f64),
    };
    assert!(lab.run_until(HOUR, Lab::is_silent).is_some(), "an idle swarm is silent");
    println!(
        "1 to {receivers}, {units} units, {up}/{down} Mbit/s, {latency_ms} ms, seed {seed}: share {:.2}, copies {:.2}, messages/unit {:.1}",
        run.share, run.copies, run.messages_per_unit
    );
    run
}

#[test]
fn one_to_one_runs_at_the_speed_of_the_link() {
    for (up, latency_ms) in [(40.0, 5), (40.0, 100), (1000.0, 10)] {
        let run = one_to(1, 32, up, up, latency_ms, 1);
        assert!(run.share > 0.85, "{}", run.share);
        assert!(run.copies < 1.01);
    }
}

#[test]
fn one_to_eight_completes_near_the_optimum_and_the_source_sends_little_more_than_a_copy() {
    for seed in 1..=3 {
        let run = one_to(8, 64, 40.0, 40.0, 5, seed);
        assert!(run.share > 0.75 && run.copies < 1.25, "{} {}", run.share, run.copies);
    }
}

#[test]
fn fifteen_receivers_with_slow_uplinks_and_long_ways_complete_near_the_optimum() {
    let run = one_to(15, 64, 20.0, 40.0, 20, 1);
    assert!(run.share > 0.75 && run.copies < 1.25, "{} {}", run.share, run.copies);
}

#[test]
fn a_swarm_completes_though_one_message_in_ten_is_lost() {
    let mut lab = lab_of(5, 40.0, 40.0, 5, 17);
    lab.lost_per_mille = 100;
    let start = lab.now;
    lab.publish(file(1), 32);
    let end = lab.run_until(HOUR, |lab| lab.all_have(file(1), &[1, 2, 3, 4])).expect("everybody completes");
    println!("one message in ten lost: share {:.2}", optimum(&lab, 32.0) / (end - start).as_secs_f64());
}

#[test]
fn nodes_of_very_different_links_all_complete() {
    let mut lab = Lab::new(18);
    for (up, down) in [(40.0, 40.0), (100.0, 100.0), (1.0, 50.0), (5.0, 20.0), (10.0, 10.0), (0.5, 8.0)] {
        lab.add(mbit(up), mbit(down), 20);
    }
    lab.run_for(Duration::from_secs(1));
    let start = lab.now;
    lab.publish(file(1), 32);
    let end =
        lab.run_until(HOUR, |lab| lab.all_have(file(1), &[1, 2, 3, 4, 5])).expect("everybody completes");
    println!("very different links: share {:.2}", optimum(&lab, 32.0) / (end - start).as_secs_f64());
}

#[test]
fn a_late_joiner_completes_from_the_others_after_the_source_left() {
    let mut lab = lab_of(4, 40.0, 40.0, 5, 4);
    lab.publish(file(1), 16);
    lab.run_until(HOUR, |lab| lab.all_have(file(1), &[1, 2, 3])).unwrap();
    lab.kill(0, file(1));
    let late = lab.add(mbit(40.0), mbit(40.0), 5);
    lab.give(late, file(1), lab.nodes[0].id, ChunkSet::empty(layout(16)));
    let start = lab.now;
    let end = lab.run_until(HOUR, |lab| lab.all_have(file(1), &[late])).expect("the late joiner completes");
    assert!((end - start).as_secs_f64() < 1.3 * 16.0 * 4.194 / 5.0, "{:?}", end - start);
    lab.run_until(HOUR, Lab::is_silent).expect("an idle swarm is silent");
}

#[test]
fn a_late_joiner_finds_the_one_holder_among_many_that_were_not_asked_first() {
    let mut lab = lab_of(2, 40.0, 40.0, 5, 5);
    lab.config.neighbours_max = 4;
    for _ in 0..40 {
        lab.add(mbit(40.0), mbit(40.0), 5);
    }
    let late = lab.add(mbit(40.0), mbit(40.0), 5);
    lab.run_for(Duration::from_secs(3));
    // Everybody knows the file, only node 0 wants and has it.
    lab.give(0, file(1), lab.nodes[0].id, ChunkSet::full(layout(4)));
    lab.give(late, file(1), lab.nodes[0].id, ChunkSet::empty(layout(4)));
    lab.run_until(HOUR, |lab| lab.all_have(file(1), &[late])).expect("the holder is found");
}

#[test]
fn the_source_dies_after_little_more_than_a_copy_and_everybody_completes() {
    for seed in 1..=3 {
        let mut lab = lab_of(9, 40.0, 40.0, 5, seed);
        lab.publish(file(1), 48);
        lab.run_until(HOUR, |lab| lab.copies_sent(0, 48) > 0.98).expect("the source sends");
        lab.kill(0, file(1));
        let all: Vec<usize> = (1..9).collect();
        lab.run_until(HOUR, |lab| lab.all_have(file(1), &all)).expect("everybody completes");
    }
}

#[test]
fn a_receiver_that_restarts_goes_on_and_fetches_nothing_twice() {
    let mut lab = lab_of(4, 40.0, 40.0, 5, 6);
    lab.publish(file(1), 32);
    let publisher = lab.nodes[0].id;
    for _ in 0..3 {
        lab.run_for(Duration::from_secs(6));
        let held = lab.kill(2, file(1)).unwrap();
        lab.run_for(Duration::from_secs(1));
        lab.start(2, &[(file(1), publisher, held)]);
    }
    // The lab checks after every step that no unit is verified twice on a node, restarts included.
    lab.run_until(HOUR, |lab| lab.all_have(file(1), &[1, 2, 3])).expect("everybody completes");
    assert_eq!(lab.nodes[2].verified.len(), 32);
}

#[test]
fn a_lying_peer_is_dropped_and_reported_and_the_file_completes_from_others() {
    let mut lab = lab_of(4, 40.0, 40.0, 5, 7);
    let publisher = lab.nodes[0].id;
    lab.nodes[1].behaviour = Behaviour::Lies;
    for (at, held) in [ChunkSet::full(layout(24)), ChunkSet::full(layout(24))].into_iter().enumerate() {
        lab.give(at, file(1), publisher, held);
    }
    lab.give(2, file(1), publisher, ChunkSet::empty(layout(24)));
    lab.give(3, file(1), publisher, ChunkSet::empty(layout(24)));
    lab.run_until(HOUR, |lab| lab.all_have(file(1), &[2, 3])).expect("the file completes");
    let liar = lab.nodes[1].id;
    for at in [2, 3] {
        let reports = &lab.nodes[at].reports;
        let lies = reports.iter().filter(|report| {
            matches!(report, Output::Offence { peer, kind: OffenceKind::WrongBytes { .. }, .. } if *peer == liar)
        });
        // Two offences end it; what ran beside the second is cancelled.
        assert_eq!(lies.count(), 2);
        let honest =
            reports.iter().all(|report| !matches!(report, Output::Offence { peer, .. } if *peer != liar));
        assert!(honest, "nobody else is blamed");
    }
}

#[test]
fn a_peer_that_offers_what_it_lacks_is_left_alone_and_the_file_completes() {
    let mut lab = lab_of(4, 40.0, 40.0, 5, 8);
    lab.nodes[1].behaviour = Behaviour::Lacks;
    lab.publish(file(1), 24);
    let start = lab.now;
    let end = lab.run_until(HOUR, |lab| lab.all_have(file(1), &[2, 3])).expect("the file completes");
    let boaster = lab.nodes[1].id;
    let reported = |report: &Output| matches!(report, Output::Offence { peer, kind: OffenceKind::NotThere { .. }, .. } if *peer == boaster);
    assert!(lab.nodes[2].reports.iter().any(reported));
    assert!((end - start).as_secs_f64() < 2.0 * 24.0 * 4.194 / 5.0, "{:?}", end - start);
}

#[test]
fn a_source_that_accepts_requests_and_sends_nothing_is_routed_around() {
    let mut lab = lab_of(4, 40.0, 40.0, 5, 9);
    lab.nodes[1].behaviour = Behaviour::Stalls;
    let publisher = lab.nodes[0].id;
    for at in 0..4 {
        let held = if at < 2 { ChunkSet::full(layout(24)) } else { ChunkSet::empty(layout(24)) };
        lab.give(at, file(1), publisher, held);
    }
    let start = lab.now;
    let end = lab.run_until(HOUR, |lab| lab.all_have(file(1), &[2, 3])).expect("the file completes");
    assert!((end - start).as_secs_f64() < 60.0, "{:?}", end - start);
    println!("beside a stalled source: {:?}", end - start);
}

#[test]
fn a_slow_last_unit_is_raced_from_a_second_source() {
    let mut lab = lab_of(3, 40.0, 400.0, 5, 10);
    lab.nodes[1].up = mbit(0.1);
    let publisher = lab.nodes[0].id;
    for at in 0..3 {
        let held = if at < 2 { ChunkSet::full(layout(16)) } else { ChunkSet::empty(layout(16)) };
        lab.give(at, file(1), publisher, held);
    }
    let start = lab.now;
    let end = lab.run_until(HOUR, |lab| lab.all_have(file(1), &[2])).expect("the file completes");
    // A unit from the slow source alone takes 336 s.
    assert!((end - start).as_secs_f64() < 40.0, "{:?}", end - start);
}

#[test]
fn a_parted_swarm_converges_after_it_heals() {
    let mut lab = lab_of(6, 40.0, 40.0, 5, 11);
    lab.publish(file(1), 32);
    lab.run_for(Duration::from_secs(8));
    lab.part(&[0, 1, 2], &[3, 4, 5]);
    lab.run_for(Duration::from_secs(60));
    assert!(lab.all_have(file(1), &[1, 2]) && !lab.all_have(file(1), &[3, 4, 5]));
    lab.heal();
    let start = lab.now;
    let end = lab.run_until(HOUR, |lab| lab.all_have(file(1), &[1, 2, 3, 4, 5])).expect("all converge");
    assert!((end - start).as_secs_f64() < 60.0, "{:?}", end - start);
    lab.run_until(HOUR, Lab::is_silent).expect("an idle swarm is silent");
}

#[test]
fn many_small_files_are_not_stuck_behind_a_huge_one() {
    let mut lab = lab_of(4, 40.0, 40.0, 5, 12);
    lab.publish(file(1), 400);
    lab.run_for(Duration::from_secs(10));
    for number in 2..=21 {
        lab.publish(file(number), 1);
    }
    let start = lab.now;
    let small = |lab: &Lab| (2..=21).all(|number| lab.all_have(file(number), &[1, 2, 3]));
    let end = lab.run_until(HOUR, small).expect("the small files complete");
    println!("20 small files beside a huge one: {:?}", end - start);
    assert!(!lab.all_have(file(1), &[1]));
    assert!((end - start).as_secs_f64() < 4.0 * 20.0 * 4.194 / 5.0, "{:?}", end - start);
    lab.run_until(HOUR, |lab| lab.all_have(file(1), &[1, 2, 3])).expect("the huge one completes as well");
}

#[test]
fn a_false_manifest_stops_the_file_and_blames_its_publisher_only() {
    let mut lab = lab_of(3, 40.0, 40.0, 5, 13);
    lab.false_chunks.insert((file(1), chunk(3)));
    lab.publish(file(1), 8);
    lab.run_until(HOUR, Lab::is_silent).expect("nothing moves any more");
    let publisher = lab.nodes[0].id;
    let reason = AbandonReason::ManifestFalse { chunk: chunk(3) };
    let abandoned = Output::Abandoned { file: file(1), publisher, reason };
    for node in &lab.nodes[1..] {
        assert!(node.completed.is_empty());
        assert!(node.reports.iter().all(|report| !matches!(report, Output::Offence { .. })));
    }
    assert!(lab.nodes[1..].iter().any(|node| node.reports.contains(&abandoned)));
}

#[test]
fn copies_are_known_where_they_are_waited_for() {
    let mut lab = lab_of(4, 40.0, 40.0, 5, 14);
    lab.publish(file(1), 4);
    lab.run_until(HOUR, Lab::is_silent).expect("an idle swarm is silent");
    for at in 1..4 {
        let held_by = Output::HeldBy { file: file(1), peer: lab.nodes[at].id };
        assert!(lab.nodes[0].reports.contains(&held_by), "the publisher knows of {at}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let trace = |seed| {
        let mut lab = lab_of(5, 40.0, 40.0, 5, seed);
        lab.nodes[2].behaviour = Behaviour::Lies;
        lab.publish(file(1), 24);
        lab.run_until(HOUR, |lab| lab.all_have(file(1), &[1, 3, 4])).expect("the file completes");
        (lab.trace, lab.now)
    };
    assert_eq!(trace(15), trace(15));
    assert_ne!(trace(15), trace(16));
}
