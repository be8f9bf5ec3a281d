//! The scenarios.

use std::time::Duration;

use super::{Bar, Scale, Scenario};
use crate::swarm::plan::{Cast, Leaving, Plan, What, When};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

pub(super) fn all(scale: Scale) -> Vec<Scenario> {
    let cases = [
        even,
        mixed_uplinks,
        slow_peers,
        long_ways,
        source_leaves,
        source_returns,
        liars,
        boasters,
        stalling_peers,
        dead_peers,
        many_files,
        small_beside_huge,
        late_joiner,
        lone_holder,
        partition,
        restarts,
        lost_messages,
        lost_packets,
        false_manifest,
    ];
    cases.iter().map(|case| case(scale)).collect()
}

/// 31 receivers and 64 MiB, or 10 and 16 MiB.
fn plan(scale: Scale) -> Plan {
    Plan { nodes: scale.pick(32, 11), size: scale.pick(64, 16) * MIB, ..Plan::default() }
}

fn share(full: f64, small: f64, scale: Scale) -> Bar {
    Bar { share: Some(scale.pick(full, small)), ..Bar::default() }
}

fn within(full: f64, small: f64, scale: Scale) -> Bar {
    Bar { within: Some(scale.pick(full, small)), ..Bar::default() }
}

fn after(seconds: f64) -> When {
    When::After(Duration::from_secs_f64(seconds))
}

fn leave(node: usize, how: Leaving, back: Option<u64>) -> What {
    What::Leave { node, how, back: back.map(Duration::from_secs) }
}

/// A fifth of the receivers.
fn fifth(scale: Scale) -> usize {
    scale.pick(6, 2)
}

fn even(scale: Scale) -> Scenario {
    Scenario {
        name: "even",
        about: "all have the same links, and nothing goes wrong",
        plan: plan(scale),
        bar: Bar { source_copies: Some(scale.pick(1.12, 1.2)), is_told: true, ..share(0.85, 0.70, scale) },
    }
}

fn mixed_uplinks(scale: Scale) -> Scenario {
    Scenario {
        name: "mixed-uplinks",
        about: "receivers send with 10, 20, 40 and 80 Mbit/s",
        plan: Plan { up_mix: vec![10.0, 20.0, 40.0, 80.0], ..plan(scale) },
        bar: share(0.84, 0.63, scale),
    }
}

fn slow_peers(scale: Scale) -> Scenario {
    Scenario {
        name: "slow-peers",
        about: "a fifth of the receivers send with a tenth of what the others do",
        plan: Plan { cast: Cast { slow: fifth(scale), ..Cast::default() }, ..plan(scale) },
        bar: share(0.83, 0.52, scale),
    }
}

fn long_ways(scale: Scale) -> Scenario {
    Scenario {
        name: "long-ways",
        about: "150 ms from everybody to everybody",
        plan: Plan { delay: Duration::from_millis(150), ..plan(scale) },
        bar: share(0.51, 0.20, scale),
    }
}

fn source_leaves(scale: Scale) -> Scenario {
    Scenario {
        name: "source-leaves",
        about: "the source is unplugged for good as soon as the others together have everything, when it has sent \
                little more than one copy",
        plan: plan(scale).with(When::Spread, leave(0, Leaving::Unplugged, None)),
        bar: share(0.84, 0.64, scale),
    }
}

fn source_returns(scale: Scale) -> Scenario {
    Scenario {
        name: "source-returns",
        about: "the source is unplugged when it has sent half a copy, and is back 30 seconds later",
        plan: plan(scale).with(When::Sent(0.5), leave(0, Leaving::Unplugged, Some(30))),
        bar: within(57.0, 38.0, scale),
    }
}

fn liars(scale: Scale) -> Scenario {
    Scenario {
        name: "liars",
        about: "a fifth of the members claim everything and send wrong bytes",
        plan: Plan { cast: Cast { lying: fifth(scale), ..Cast::default() }, ..plan(scale) },
        bar: share(0.85, 0.73, scale),
    }
}

fn boasters(scale: Scale) -> Scenario {
    Scenario {
        name: "boasters",
        about: "a fifth of the members claim everything and have nothing",
        plan: Plan { cast: Cast { boasting: fifth(scale), ..Cast::default() }, ..plan(scale) },
        bar: share(0.84, 0.73, scale),
    }
}

fn stalling_peers(scale: Scale) -> Scenario {
    Scenario {
        name: "stalling-peers",
        about: "a fifth of the members claim everything, and let hang what is requested of them",
        plan: Plan { cast: Cast { stalling: fifth(scale), ..Cast::default() }, ..plan(scale) },
        bar: share(0.84, 0.30, scale),
    }
}

fn dead_peers(scale: Scale) -> Scenario {
    let half = fifth(scale) / 2;
    let mut plan = Plan { cast: Cast { dead: half, ..Cast::default() }, ..plan(scale) };
    for node in 1..=half {
        plan = plan.with(When::Sent(0.5), leave(node, Leaving::Frozen, None));
    }
    Scenario {
        name: "dead-peers",
        about: "a fifth of the members count as online and do not answer: half of them never did, the others hang \
                when the source has sent half a copy",
        plan,
        bar: share(0.83, 0.60, scale),
    }
}

fn many_files(scale: Scale) -> Scenario {
    let sizes =
        [10 * KIB, 100 * KIB, 300 * KIB, MIB, 2 * MIB, 4 * MIB, 5 * MIB + 1, 10 * MIB, 16 * MIB, 64 * MIB];
    let small = [10 * KIB, 100 * KIB, MIB, 300 * KIB, 4 * MIB + 1];
    Scenario {
        name: "many-files",
        about: "fifty files of 10 KiB to 64 MiB at once",
        plan: Plan {
            nodes: scale.pick(16, 8),
            files: scale.pick(50, 15),
            sizes: scale.pick(sizes.to_vec(), small.to_vec()),
            ..plan(scale)
        },
        bar: Bar { small_within: Some((MIB, scale.pick(11.5, 3.2))), ..share(0.96, 0.70, scale) },
    }
}

fn small_beside_huge(scale: Scale) -> Scenario {
    let mut sizes = vec![MIB; scale.pick(21, 9)];
    sizes[0] = scale.pick(512, 32) * MIB;
    let publish = What::Publish { first: 1 };
    Scenario {
        name: "small-beside-huge",
        about: "small files are published while a huge one is on its way",
        plan: Plan { nodes: scale.pick(16, 6), files: sizes.len(), sizes, ..plan(scale) }
            .with(after(scale.pick(20.0, 2.0)), publish),
        bar: Bar { small_within: Some((MIB, scale.pick(28.0, 5.6))), ..share(0.96, 0.84, scale) },
    }
}

fn late_joiner(scale: Scale) -> Scenario {
    let last = scale.pick(31, 10);
    Scenario {
        name: "late-joiner",
        about: "one joins half way, one when all others have everything and the source is gone",
        plan: plan(scale)
            .with(after(scale.pick(8.0, 2.0)), What::Join { node: last - 1 })
            .with(after(scale.pick(30.0, 15.0)), leave(0, Leaving::Stopped, None))
            .with(after(scale.pick(35.0, 20.0)), What::Join { node: last }),
        bar: within(44.0, 24.5, scale),
    }
}

fn lone_holder(scale: Scale) -> Scenario {
    let nodes = scale.pick(1000, 12);
    Scenario {
        name: "lone-holder",
        about: "one among a thousand members has a file, one wants it",
        plan: Plan {
            nodes,
            size: 4 * MIB,
            cast: Cast { bystanders: nodes - 2, ..Cast::default() },
            ..Plan::default()
        },
        bar: Bar { who_has: Some(200), ..within(5.0, 2.0, scale) },
    }
}

fn partition(scale: Scale) -> Scenario {
    let lasts = Duration::from_secs(scale.pick(60, 20));
    Scenario {
        name: "partition",
        about: "the halves of the network do not reach each other for a while",
        plan: plan(scale).with(after(scale.pick(6.0, 1.5)), What::Part { first: scale.pick(16, 5), lasts }),
        bar: within(76.0, 28.0, scale),
    }
}

fn restarts(scale: Scale) -> Scenario {
    let mut plan = plan(scale);
    let least = plan.least_seconds();
    for node in 1..=scale.pick(12_u32, 4) {
        let when = after(least * f64::from(node) / f64::from(scale.pick(13, 5)));
        plan = plan.with(when, leave(node as usize, Leaving::Stopped, Some(2)));
    }
    for again in [1.0, 2.0] {
        plan = plan.with(after(least / 4.0 + 4.0 * again), leave(1, Leaving::Stopped, Some(1)));
    }
    Scenario {
        name: "restarts",
        about: "two fifths of the receivers restart on the way, one of them three times",
        plan,
        bar: within(24.0, 15.0, scale),
    }
}

fn lost_messages(scale: Scale) -> Scenario {
    Scenario {
        name: "lost-messages",
        about: "one message in a hundred vanishes without a word",
        plan: Plan { lost_messages: 1.0, ..plan(scale) },
        bar: share(0.85, 0.68, scale),
    }
}

fn lost_packets(scale: Scale) -> Scenario {
    Scenario {
        name: "lost-packets",
        about: "one packet in a hundred is lost",
        plan: Plan { loss: 1.0, ..plan(scale) },
        bar: share(0.78, 0.60, scale),
    }
}

fn false_manifest(scale: Scale) -> Scenario {
    Scenario {
        name: "false-manifest",
        about: "one of two files has a false manifest: all give it up and blame nobody who sent",
        plan: Plan { files: 2, is_first_false: true, ..plan(scale) },
        bar: within(30.0, 8.6, scale),
    }
}
