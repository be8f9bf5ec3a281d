//! What SwiftServe nodes say to each other, and how.

pub mod swarm;
