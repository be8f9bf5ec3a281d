//! All scenarios. To add one: a file beside this one with a `play` function, its module, its row.

mod disk_full;
mod founder_is_gone_for_good;
mod killed_under_load;
mod late_joiner_catches_up;
mod lying_peer_is_dropped;
mod many_files_at_once;
mod node_joins_while_a_file_spreads;
mod one_node_serves_what_it_took;
mod one_of_four_is_away;
mod publisher_dies_after_one_copy;
mod receiver_dies_mid_transfer;
mod removed_node_is_out;
mod sender_dies_mid_transfer;
mod seven_validators_and_twenty_members;
mod slow_peer_holds_nobody_up;
mod synchronisation_fails;
mod three_nodes_share_a_file;
mod transfer;
mod two_halves_part_and_heal;
mod two_of_four_are_away;
mod two_writers_at_once;
mod validators;
mod validators_are_killed_again_and_again;

use super::{On, Scenario};

/// Played in this order: what the next one builds on comes first.
pub(super) const CASES: &[Scenario] = &[
    Scenario {
        name: "one_node_serves_what_it_took",
        about: "upload, visible file, download, audit, refusal of a taken name, kill -9 and restart on a single node",
        on: On::Loopback,
        play: one_node_serves_what_it_took::play,
    },
    Scenario {
        name: "three_nodes_share_a_file",
        about: "a file put on one node is on all three, byte for byte, and each of them verifies the chain",
        on: On::Loopback,
        play: three_nodes_share_a_file::play,
    },
    Scenario {
        name: "late_joiner_catches_up",
        about: "a node that joins late, or was off, gets every block and every file",
        on: On::Loopback,
        play: late_joiner_catches_up::play,
    },
    Scenario {
        name: "two_writers_at_once",
        about: "uploads at the same moment on two nodes: both are in the ledger and everywhere; of one name one wins",
        on: On::Loopback,
        play: two_writers_at_once::play,
    },
    Scenario {
        name: "sender_dies_mid_transfer",
        about: "kill -9 of a sender in the middle of a transfer: the receiver goes on with another",
        on: On::Loopback,
        play: sender_dies_mid_transfer::play,
    },
    Scenario {
        name: "receiver_dies_mid_transfer",
        about: "kill -9 of a receiver in the middle of a transfer, and of the publisher: after a restart it goes on where it was",
        on: On::Links,
        play: receiver_dies_mid_transfer::play,
    },
    Scenario {
        name: "node_joins_while_a_file_spreads",
        about: "a node joins by ticket while others are in the middle of a file: it gets it too, nobody gets much twice",
        on: On::Links,
        play: node_joins_while_a_file_spreads::play,
    },
    Scenario {
        name: "publisher_dies_after_one_copy",
        about: "the publisher is unplugged and killed when little more than one copy has left it: the others put it together",
        on: On::Links,
        play: publisher_dies_after_one_copy::play,
    },
    Scenario {
        name: "two_halves_part_and_heal",
        about: "a network falls into two halves while files spread: each goes on, and both come together again",
        on: On::Links,
        play: two_halves_part_and_heal::play,
    },
    Scenario {
        name: "slow_peer_holds_nobody_up",
        about: "a node on a slow cable: the fast ones do not wait for it, it gets everything, and nobody blames it",
        on: On::Links,
        play: slow_peer_holds_nobody_up::play,
    },
    Scenario {
        name: "many_files_at_once",
        about: "200 files of every size at two nodes at once are everywhere; a small one does not wait for a large one",
        on: On::Links,
        play: many_files_at_once::play,
    },
    Scenario {
        name: "lying_peer_is_dropped",
        about: "a member whose copy is not the file: nobody takes it over, and all receivers name the sender",
        on: On::Links,
        play: lying_peer_is_dropped::play,
    },
    Scenario {
        name: "removed_node_is_out",
        about: "a removed node gets nothing more, is told why, and cannot come back",
        on: On::Loopback,
        play: removed_node_is_out::play,
    },
    Scenario {
        name: "one_of_four_is_away",
        about: "of four validators any one is killed, stands still or is cut off: writes go on, and it catches up",
        on: On::Links,
        play: one_of_four_is_away::play,
    },
    Scenario {
        name: "two_of_four_are_away",
        about: "without a quorum writes wait and are said to wait, reading goes on; with it they are finished",
        on: On::Loopback,
        play: two_of_four_are_away::play,
    },
    Scenario {
        name: "validators_are_killed_again_and_again",
        about: "kill -9 of one validator after the other under writes: nobody signs twice, nothing is lost",
        on: On::Loopback,
        play: validators_are_killed_again_and_again::play,
    },
    Scenario {
        name: "seven_validators_and_twenty_members",
        about: "seven decide, twenty follow, two of seven may be away, and nobody is busy when nobody writes",
        on: On::Loopback,
        play: seven_validators_and_twenty_members::play,
    },
    Scenario {
        name: "founder_is_gone_for_good",
        about: "an admin founds the network anew, the others check and follow, a newcomer verifies it from its id alone",
        on: On::Loopback,
        play: founder_is_gone_for_good::play,
    },
    Scenario {
        name: "killed_under_load",
        about: "kill -9 of any node at any moment under uploads and reads: nothing acknowledged is lost, no byte is wrong",
        on: On::Loopback,
        play: killed_under_load::play,
    },
    Scenario {
        name: "disk_full",
        about: "no room for a file: a clear word in status and log, the node stays up and goes on when there is room",
        on: On::Loopback,
        play: disk_full::play,
    },
    Scenario {
        name: "synchronisation_fails",
        about: "no fsync succeeds any more: the node stops with the reason, and what was acknowledged is there after a restart",
        on: On::Loopback,
        play: synchronisation_fails::play,
    },
];
