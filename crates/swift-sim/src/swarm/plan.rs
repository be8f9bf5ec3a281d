//! What a run is to be: how many nodes, over which links, with which files.

use std::time::Duration;

use super::{links::Speed, tuning::Setting};

/// Bytes per second in a megabit per second.
const MEGABIT: f64 = 125_000.0;

/// A run of a swarm. Node 0 publishes; all others want everything.
#[derive(Clone, Debug)]
pub struct Plan {
    /// All choices follow from it.
    pub seed: u64,
    /// Nodes, the publisher included.
    pub nodes: usize,
    /// Files that are published at once.
    pub files: usize,
    /// Bytes of each.
    pub size: u64,
    /// Megabits per second that a node sends.
    pub up: f64,
    /// The same for receivers, dealt out in turn; all are alike if there are none.
    pub up_mix: Vec<f64>,
    /// Megabits per second that a node receives.
    pub down: f64,
    /// From one node to another, one way.
    pub delay: Duration,
    /// How long something waits before a receiver's link until senders are slowed down.
    pub queue: Duration,
    /// Packets lost, of a hundred.
    pub loss: f64,
    /// How long after the publisher the last node learns of a file, beyond the delay.
    pub spread: Duration,
    /// Members that each node knows of; everybody unless told.
    pub known: Option<usize>,
    /// Numbers of the machine that are not as usual.
    pub settings: Vec<Setting>,
    /// When the run is given up, by its own clock.
    pub limit: Option<Duration>,
    /// How often the state of things is written to the error output.
    pub timeline: Option<Duration>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: 1,
            nodes: 16,
            files: 1,
            size: 64 * 1024 * 1024,
            up: 40.0,
            up_mix: Vec::new(),
            down: 80.0,
            delay: Duration::from_millis(20),
            queue: Duration::from_millis(50),
            loss: 0.0,
            spread: Duration::from_millis(50),
            known: None,
            settings: Vec::new(),
            limit: None,
            timeline: None,
        }
    }
}

/// A plan that cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Nobody to send to, or too many.
    #[error("{0} nodes: there must be 2 to 100,000")]
    Nodes(usize),
    /// Nothing to send, or more than a file has.
    #[error("{files} files of {size} bytes: there must be 1 to 10,000 files of 1 byte to 1 TiB")]
    Files {
        /// How many.
        files: usize,
        /// How long.
        size: u64,
    },
    /// A rate or a share that is none.
    #[error("{0} must be {1}")]
    Number(&'static str, &'static str),
}

impl Plan {
    /// Whether it can be carried out.
    pub fn check(&self) -> Result<(), PlanError> {
        let (files, size) = (self.files, self.size);
        if !(2..=100_000).contains(&self.nodes) {
            return Err(PlanError::Nodes(self.nodes));
        }
        if !(1..=10_000).contains(&files) || !(1..=1 << 40).contains(&size) {
            return Err(PlanError::Files { files, size });
        }
        let rates = [self.up, self.down].into_iter().chain(self.up_mix.iter().copied());
        if !rates.into_iter().all(|rate| (0.001..=1_000_000.0).contains(&rate)) {
            return Err(PlanError::Number("a rate", "0.001 to 1,000,000 Mbit/s"));
        }
        if !(0.0..=50.0).contains(&self.loss) {
            return Err(PlanError::Number("--loss", "0 to 50 per cent"));
        }
        if self.delay > Duration::from_secs(10) {
            return Err(PlanError::Number("--delay", "at most 10 seconds"));
        }
        Ok(())
    }

    pub(crate) fn uplink(&self, node: usize) -> Speed {
        let mixed = node.checked_sub(1).and_then(|at| self.up_mix.get(at % self.up_mix.len().max(1)));
        speed(mixed.copied().unwrap_or(self.up))
    }

    pub(crate) fn downlink(&self) -> Speed {
        speed(self.down)
    }

    /// The least time, in seconds, in which all can have everything, whatever anybody does: the publisher must send
    /// each byte once, the slowest must receive each once, and together they must send as many as are wanted.
    #[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
    pub(crate) fn least_seconds(&self) -> f64 {
        let bytes = self.size as f64 * self.files as f64;
        let rate = |speed: Speed| speed.rate() as f64;
        let all: f64 = (0..self.nodes).map(|node| rate(self.uplink(node))).sum();
        let receivers = (self.nodes - 1) as f64;
        (bytes / rate(self.uplink(0))).max(bytes / rate(self.downlink())).max(receivers * bytes / all)
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be within bounds")]
fn speed(megabits: f64) -> Speed {
    Speed::bytes_per_second((megabits * MEGABIT) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_time_is_set_by_whatever_is_slowest() {
        let plan = Plan { nodes: 9, size: 5_000_000, ..Plan::default() };
        assert!((plan.least_seconds() - 1.0).abs() < 1e-6);
        let slow = Plan { up_mix: vec![4.0], ..plan.clone() };
        assert!((slow.least_seconds() - 8.0 * 40.0 / 72.0).abs() < 1e-6);
        let narrow = Plan { down: 10.0, ..plan };
        assert!((narrow.least_seconds() - 4.0).abs() < 1e-6);
    }

    #[test]
    fn a_plan_without_sense_is_refused() {
        assert!(Plan::default().check().is_ok());
        for plan in [
            Plan { nodes: 1, ..Plan::default() },
            Plan { size: 0, ..Plan::default() },
            Plan { up: f64::NAN, ..Plan::default() },
            Plan { loss: 99.0, ..Plan::default() },
        ] {
            assert!(plan.check().is_err());
        }
    }
}
