//! What SwiftServe nodes say to each other, and how.

pub mod swarm;

#[cfg(feature = "net")]
pub mod transport;
