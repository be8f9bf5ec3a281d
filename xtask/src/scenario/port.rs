//! Ports for nodes.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use anyhow::{Context, Result};

use super::data::Random;

/// Below the range from which systems take the ports of outgoing connections. A port from there (which is what
/// binding to port 0 gives) can be taken by any connection while its node is down for a restart.
const RANGE: Range<u16> = 12_000..32_000;

/// Hands out ports that nobody listens on, none twice.
#[derive(Debug)]
pub(crate) struct Ports {
    random: Random,
    given: BTreeSet<u16>,
}

impl Ports {
    /// Different seeds try different ports first, so that worlds beside each other seldom meet.
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), given: BTreeSet::new() }
    }

    pub(crate) fn free(&mut self) -> Result<u16> {
        let span = u64::from(RANGE.end - RANGE.start);
        let candidates =
            (0..1000).map(|_| RANGE.start + u16::try_from(self.random.word() % span).unwrap_or(0));
        let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
        let given = &self.given;
        let port =
            { candidates }.find(|port| !given.contains(port) && free(port)).context("no port is free")?;
        self.given.insert(port);
        Ok(port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice_or_while_somebody_listens_on_it() -> Result<()> {
        let first = Ports::new(7).free()?;
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, first))?;
        let mut ports = Ports::new(7);
        let given: BTreeSet<u16> = (0..50).map(|_| ports.free()).collect::<Result<_>>()?;
        assert_eq!(given.len(), 50);
        assert!(!given.contains(&first));
        assert!(given.iter().all(|port| RANGE.contains(port)));
        Ok(())
    }
}
