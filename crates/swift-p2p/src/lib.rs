//! What SwiftServe nodes say to each other, and how.

#[cfg(feature = "net")]
pub mod driver;

pub mod gossip;
pub mod swarm;

#[cfg(feature = "net")]
pub mod transport;
