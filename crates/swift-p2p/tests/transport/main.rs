//! The transport over real sockets on loopback: who is let in, as whom, and when it ends.
//!
//! Nothing here sleeps or measures time: tests await the event they are about. Each has a guard of a minute, so that an
//! event that never comes fails the run instead of hanging it.

#![cfg(feature = "net")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what the tests share fails them as they do themselves"
)]

mod crowding;
mod exchange;
mod forged;
mod harness;
mod identity;
mod limits;
mod sessions;
