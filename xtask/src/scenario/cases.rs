//! All scenarios. To add one: a file beside this one with a `play` function, its module, its row.

mod disk_full;
mod late_joiner_catches_up;
mod lying_peer_is_dropped;
mod one_node_serves_what_it_took;
mod receiver_dies_mid_transfer;
mod removed_node_is_out;
mod sender_dies_mid_transfer;
mod three_nodes_share_a_file;
mod transfer;
mod two_writers_at_once;

use super::Scenario;

/// Played in this order: what the next one builds on comes first.
pub(super) const CASES: &[Scenario] = &[
    Scenario {
        name: "one_node_serves_what_it_took",
        about: "upload, visible file, download, audit, refusal of a taken name, kill -9 and restart on a single node",
        play: one_node_serves_what_it_took::play,
    },
    Scenario {
        name: "three_nodes_share_a_file",
        about: "a file put on one node is on all three, byte for byte, and each of them verifies the chain",
        play: three_nodes_share_a_file::play,
    },
    Scenario {
        name: "late_joiner_catches_up",
        about: "a node that joins late, or was off, gets every block and every file",
        play: late_joiner_catches_up::play,
    },
    Scenario {
        name: "two_writers_at_once",
        about: "uploads at the same moment on two nodes: both are in the ledger and everywhere; of one name one wins",
        play: two_writers_at_once::play,
    },
    Scenario {
        name: "sender_dies_mid_transfer",
        about: "kill -9 of a sender in the middle of a transfer: the receiver goes on with another",
        play: sender_dies_mid_transfer::play,
    },
    Scenario {
        name: "receiver_dies_mid_transfer",
        about: "kill -9 of a receiver in the middle of a transfer: after a restart it goes on where it was",
        play: receiver_dies_mid_transfer::play,
    },
    Scenario {
        name: "lying_peer_is_dropped",
        about: "a member whose copy is not the file: nobody takes it over, and the receiver names the sender",
        play: lying_peer_is_dropped::play,
    },
    Scenario {
        name: "removed_node_is_out",
        about: "a removed node gets nothing more, is told why, and cannot come back",
        play: removed_node_is_out::play,
    },
    Scenario {
        name: "disk_full",
        about: "no room for a file: a clear word in status and log, the node stays up and goes on when there is room",
        play: disk_full::play,
    },
];
