//! The store as its callers see it, on a real directory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "fixtures of tests fail by panicking"
)]

mod backup;
mod bench;
mod crashes;
mod downloads;
mod evict;
mod keep;
mod leveling;
mod names;
mod old_index;
mod opening;
mod parts;
mod passes;
mod reading;
mod relays;
mod slices;
mod together;
mod trash;
mod uploads;
