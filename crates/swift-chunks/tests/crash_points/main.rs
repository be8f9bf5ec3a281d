//! What stands on the disk after a crash at any moment, and after a synchronisation that failed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test that cannot go on fails"
)]

#[path = "../store/bench.rs"]
#[allow(dead_code, reason = "shared with the tests of the store")]
mod bench;
mod crashes;
mod flips;
mod image;
mod record;
mod rot;
mod scenarios;
mod world;
