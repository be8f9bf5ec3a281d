//! What a run is to be: how many nodes, over which links, with which files, and what goes wrong.

mod trouble;

use std::{num::NonZeroUsize, time::Duration};

use super::{links::Speed, tuning::Setting};

pub use trouble::{Cast, Conduct, Leaving, Trouble, What, When};

/// Bytes per second in a megabit per second.
const MEGABIT: f64 = 125_000.0;
/// A slow node's uplink is so much slower.
const SLOWER: f64 = 10.0;

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
    /// The same, dealt out in turn; all are alike if there are none.
    pub sizes: Vec<u64>,
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
    /// Messages that vanish whole and without a word, of a hundred.
    pub lost_messages: f64,
    /// How long after the publisher the last node learns of a file, beyond the delay.
    pub spread: Duration,
    /// Members that each node knows of; everybody unless told.
    pub known: Option<usize>,
    /// Who is not as it should be.
    pub cast: Cast,
    /// What goes wrong, or comes late.
    pub troubles: Vec<Trouble>,
    /// Whether the first file's manifest is false: one of its chunks passes BLAKE3 and fails SHA-1.
    pub is_first_false: bool,
    /// Numbers of the machine that are not as usual.
    pub settings: Vec<Setting>,
    /// When the run is given up, by its own clock.
    pub limit: Option<Duration>,
    /// How often the state of things is written to the error output.
    pub timeline: Option<Duration>,
    /// Threads that run it, as many as there are processors unless told. What comes of it is the same with any number.
    pub threads: Option<NonZeroUsize>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: 1,
            nodes: 16,
            files: 1,
            size: 64 * 1024 * 1024,
            sizes: Vec::new(),
            up: 40.0,
            up_mix: Vec::new(),
            down: 80.0,
            delay: Duration::from_millis(20),
            queue: Duration::from_millis(50),
            loss: 0.0,
            lost_messages: 0.0,
            spread: Duration::from_millis(50),
            known: None,
            cast: Cast::default(),
            troubles: Vec::new(),
            is_first_false: false,
            settings: Vec::new(),
            limit: None,
            timeline: None,
            threads: None,
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
    /// Nobody is left who wants the files.
    #[error("{cast} of {receivers} receivers are not honest: one at least must be")]
    Cast {
        /// Those who are not.
        cast: usize,
        /// All.
        receivers: usize,
    },
    /// Trouble with what there is not.
    #[error("{0} among {1}: there is no such thing to have trouble with")]
    Trouble(&'static str, usize),
}

impl Plan {
    /// Whether it can be carried out.
    pub fn check(&self) -> Result<(), PlanError> {
        if !(2..=100_000).contains(&self.nodes) {
            return Err(PlanError::Nodes(self.nodes));
        }
        for &size in [self.size].iter().chain(&self.sizes) {
            if !(1..=10_000).contains(&self.files) || !(1..=1 << 40).contains(&size) {
                return Err(PlanError::Files { files: self.files, size });
            }
        }
        let rates = [self.up, self.down].into_iter().chain(self.up_mix.iter().copied());
        if !rates.into_iter().all(|rate| (0.001..=1_000_000.0).contains(&rate)) {
            return Err(PlanError::Number("a rate", "0.001 to 1,000,000 Mbit/s"));
        }
        if ![self.loss, self.lost_messages].iter().all(|share| (0.0..=50.0).contains(share)) {
            return Err(PlanError::Number("what is lost", "0 to 50 per cent"));
        }
        if self.delay > Duration::from_secs(10) {
            return Err(PlanError::Number("--delay", "at most 10 seconds"));
        }
        if self.cast.len() > self.nodes - 2 {
            return Err(PlanError::Cast { cast: self.cast.len(), receivers: self.nodes - 1 });
        }
        self.troubles.iter().try_for_each(|trouble| self.check_trouble(trouble))
    }

    fn check_trouble(&self, trouble: &Trouble) -> Result<(), PlanError> {
        if let When::Sent(copies) = trouble.when
            && !(0.0..=1e6).contains(&copies)
        {
            return Err(PlanError::Number("copies that were sent", "0 to 1,000,000"));
        }
        match trouble.what {
            What::Leave { node, .. } if node >= self.nodes => {
                Err(PlanError::Trouble("a node that leaves", self.nodes))
            }
            What::Join { node } if node == 0 || node >= self.nodes => {
                Err(PlanError::Trouble("a node that joins", self.nodes))
            }
            What::Part { first, .. } if !(1..self.nodes).contains(&first) => {
                Err(PlanError::Trouble("a part of the nodes", self.nodes))
            }
            What::Publish { first } if first >= self.files => {
                Err(PlanError::Trouble("a file that is published later", self.files))
            }
            _ => Ok(()),
        }
    }

    /// Bytes of a file.
    pub(crate) fn size_of(&self, file: usize) -> u64 {
        self.sizes.get(file % self.sizes.len().max(1)).copied().unwrap_or(self.size)
    }

    /// Bytes of all files.
    pub(crate) fn all_bytes(&self) -> u64 {
        (0..self.files).map(|file| self.size_of(file)).sum()
    }

    /// Whether a file can be completed.
    pub(crate) fn is_true(&self, file: usize) -> bool {
        file > 0 || !self.is_first_false
    }

    pub(crate) fn conduct(&self, node: usize) -> Conduct {
        if node == 0 { Conduct::Honest } else { self.cast.conduct(self.nodes - 1 - node) }
    }

    /// Whether a node is to have everything in the end: it does as it should, and is not gone for good.
    pub(crate) fn is_counted(&self, node: usize) -> bool {
        node > 0 && self.conduct(node).is_honest() && !self.is_lost(node)
    }

    fn is_lost(&self, node: usize) -> bool {
        let is_lost = |what| matches!(what, What::Leave { node: gone, back: None, .. } if gone == node);
        self.troubles.iter().any(|trouble| is_lost(trouble.what))
    }

    /// Whether a node is not there in the beginning.
    pub(crate) fn joins_late(&self, node: usize) -> bool {
        self.troubles.iter().any(|trouble| trouble.what == What::Join { node })
    }

    pub(crate) fn uplink(&self, node: usize) -> Speed {
        let mixed = node.checked_sub(1).and_then(|at| self.up_mix.get(at % self.up_mix.len().max(1)));
        let rate = mixed.copied().unwrap_or(self.up);
        speed(if self.conduct(node) == Conduct::Slow { rate / SLOWER } else { rate })
    }

    pub(crate) fn downlink(&self) -> Speed {
        speed(self.down)
    }

    /// The least time, in seconds, in which all who can complete have everything, whatever anybody does: the publisher
    /// must send each byte once, the slowest must receive each once, and together they must send as many as are wanted.
    /// Trouble is left out, but for a publisher that leaves for good after so many copies.
    #[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
    pub fn least_seconds(&self) -> f64 {
        let rate = |speed: Speed| speed.rate() as f64;
        let files = (0..self.files).filter(|&file| self.is_true(file));
        let bytes = files.map(|file| self.size_of(file)).sum::<u64>() as f64;
        let (source, down) = (rate(self.uplink(0)), rate(self.downlink()));
        let others = (1..self.nodes).filter(|&node| self.conduct(node).is_honest());
        let others: f64 = others.map(|node| rate(self.uplink(node))).sum();
        let wanted = bytes * (1..self.nodes).filter(|&node| self.is_counted(node)).count() as f64;
        let together = match self.publisher_sends() {
            Some(copies) if wanted / (source + others) > copies * bytes / source => {
                (wanted - copies * bytes) / others
            }
            _ => wanted / (source + others),
        };
        (bytes / source).max(bytes / down).max(together)
    }

    /// Copies after which the publisher is gone for good.
    fn publisher_sends(&self) -> Option<f64> {
        self.troubles.iter().find_map(|trouble| match (trouble.when, trouble.what) {
            (When::Sent(copies), What::Leave { node: 0, back: None, .. }) => Some(copies),
            _ => None,
        })
    }

    /// How much longer the run may be for all the trouble.
    pub(crate) fn troubled_time(&self) -> Duration {
        let times = self.troubles.iter().map(|trouble| match trouble.when {
            When::After(after) => after + trouble.what.lasts(),
            When::Sent(_) | When::Spread => trouble.what.lasts(),
        });
        times.sum()
    }

    /// Whether all is silent in the end. Who hangs and is not missed is offered what it lacks for ever.
    pub(crate) fn falls_silent(&self) -> bool {
        let hangs = |what| matches!(what, What::Leave { how: Leaving::Frozen, .. });
        !self.troubles.iter().any(|trouble| hangs(trouble.what))
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
    fn the_least_time_counts_those_who_can_complete() {
        let plan = Plan { nodes: 9, size: 5_000_000, up_mix: vec![4.0], ..Plan::default() };
        let half = Plan { cast: Cast { dead: 3, lying: 1, ..Cast::default() }, ..plan.clone() };
        assert!((half.least_seconds() - 4.0 * 40.0 / 56.0).abs() < 1e-6);
        let what = What::Leave { node: 0, how: Leaving::Unplugged, back: None };
        let left = Plan { troubles: vec![Trouble { when: When::Sent(2.0), what }], ..plan };
        assert!((left.least_seconds() - 6.0 * 40.0 / 32.0).abs() < 1e-6);
    }

    #[test]
    fn a_plan_without_sense_is_refused() {
        assert!(Plan::default().check().is_ok());
        let join = |node| Trouble { when: When::Sent(0.5), what: What::Join { node } };
        assert!(Plan { troubles: vec![join(15)], ..Plan::default() }.check().is_ok());
        for plan in [
            Plan { nodes: 1, ..Plan::default() },
            Plan { size: 0, ..Plan::default() },
            Plan { sizes: vec![1, 0], ..Plan::default() },
            Plan { up: f64::NAN, ..Plan::default() },
            Plan { loss: 99.0, ..Plan::default() },
            Plan { cast: Cast { lying: 15, ..Cast::default() }, ..Plan::default() },
            Plan { troubles: vec![join(0)], ..Plan::default() },
            Plan { troubles: vec![join(16)], ..Plan::default() },
        ] {
            assert!(plan.check().is_err());
        }
    }
}
