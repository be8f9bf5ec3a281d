//! All scenarios. To add one: a file beside this one with a `play` function, its module, its row.

mod one_node_serves_what_it_took;

use super::Scenario;

/// Played in this order: what the next one builds on comes first.
pub(super) const CASES: &[Scenario] = &[Scenario {
    name: "one_node_serves_what_it_took",
    about: "upload, visible file, download, audit, refusal of a taken name, kill -9 and restart on a single node",
    play: one_node_serves_what_it_took::play,
}];
