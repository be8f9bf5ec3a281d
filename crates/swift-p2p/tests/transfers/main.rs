//! Whole files between nodes of one process: real sockets, real TLS, real stores and ledgers; only the HTTP service is
//! one of the tests' own, so that it can lie and be held up.
//!
//! Nothing here sleeps or measures time: tests await what they are about, with a guard of a minute.

#![cfg(feature = "net")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "what the tests share fails them as they do themselves"
)]

mod manners;
mod network;
mod server;

mod failing;
mod lying;
mod sharing;
mod slices;
