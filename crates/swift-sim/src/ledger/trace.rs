//! What happened, in order: hashed always, shown on demand.

use std::{
    fmt::{self, Write},
    time::Duration,
};

use sha2::{Digest, Sha256};

/// A run's events. Two runs of one seed must give the same hash.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: Sha256,
    line: String,
    is_shown: bool,
}

impl Trace {
    pub(crate) fn new(is_shown: bool) -> Self {
        Self { hash: Sha256::new(), line: String::new(), is_shown }
    }

    /// Takes one event in.
    pub(crate) fn note(&mut self, now: Duration, event: fmt::Arguments<'_>) {
        self.line.clear();
        // Writing to a string does not fail.
        let _ = writeln!(self.line, "{:>12.6} {event}", now.as_secs_f64());
        self.hash.update(self.line.as_bytes());
        if self.is_shown {
            eprint!("{}", self.line);
        }
    }

    /// Of everything so far.
    pub(crate) fn hash(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }
}
