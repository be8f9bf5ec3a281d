//! The program as its users see it: the real binary against a node that answers as the interface says, or misbehaves.
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up may end at once")]

mod chain;
mod download;
mod failures;
mod fake_node;
mod folder;
mod keep;
mod log;
mod made_up;
mod members;
mod peers;
mod pinned;
mod program;
mod proof;
mod questions;
mod real_node;
mod scrub;
mod trash;
mod upload;
mod watch;
