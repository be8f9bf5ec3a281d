//! What a node promises to clients, operators and other nodes, asked of whole nodes: real sockets, databases and
//! folders. Nothing here looks inside; what runs as a library elsewhere runs as the real program where a process must
//! die for it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod access;
mod arriving;
mod backup;
mod blame;
mod certificate;
mod client;
mod clients;
mod damaged_index;
mod download;
mod events;
mod folder;
mod forged;
mod heads;
mod holders;
mod hostile;
mod joining;
mod keep;
mod ledger_routes;
mod liar;
mod limits;
mod log;
mod metrics;
mod names;
mod openapi;
mod outsiders;
mod page;
mod port;
mod priorities;
mod program;
mod proof;
mod quorum;
mod reading;
mod rebuilding;
mod recovery;
mod removal;
mod restart;
mod roles;
mod room;
mod scrub;
mod secrets;
mod security;
mod sessions;
mod site;
mod slices;
mod start;
mod storm;
mod together;
mod tokens;
mod trash;
mod upload;
mod validators;
mod verify;
mod wire;
