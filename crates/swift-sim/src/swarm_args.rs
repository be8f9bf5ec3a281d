//! `swift-sim swarm`: what its command line means.

use std::time::Duration;

use swift_sim::swarm::{Plan, Setting};

/// Megabits per second, one-way milliseconds, per cent.
#[derive(clap::Args)]
pub(crate) struct SwarmArgs {
    /// Nodes, the publisher included
    #[arg(long, default_value_t = 16)]
    nodes: usize,
    /// Files, published at once
    #[arg(long, default_value_t = 1)]
    files: usize,
    /// Bytes of each file, as in 128MiB
    #[arg(long, default_value = "64MiB", value_parser = size)]
    size: u64,
    /// What a node sends, in Mbit/s
    #[arg(long, default_value_t = 40.0)]
    up: f64,
    /// What receivers send, dealt out in turn, in Mbit/s
    #[arg(long, value_delimiter = ',')]
    up_mix: Vec<f64>,
    /// What a node receives, in Mbit/s
    #[arg(long, default_value_t = 80.0)]
    down: f64,
    /// From one node to another, one way, in ms
    #[arg(long, default_value_t = 20.0)]
    delay: f64,
    /// What a link's buffer holds, in ms of its speed
    #[arg(long, default_value_t = 50.0)]
    queue: f64,
    /// Packets lost, in per cent
    #[arg(long, default_value_t = 0.0)]
    loss: f64,
    /// How long after the first the last node learns of a file, in ms
    #[arg(long, default_value_t = 50.0)]
    spread: f64,
    /// Members that each node knows of; 256 among more than 2,000, else everybody
    #[arg(long)]
    known: Option<usize>,
    /// All choices follow from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A number of the machine, as in credit_running=8 or busy_wait=20..500 (ms)
    #[arg(long, value_name = "NAME=VALUE")]
    config: Vec<Setting>,
    /// When to give up, in virtual seconds
    #[arg(long)]
    limit: Option<f64>,
    /// Shows the state of things every so many virtual seconds
    #[arg(long)]
    timeline: Option<f64>,
}

impl SwarmArgs {
    pub(crate) fn plan(&self) -> Plan {
        let ms = |ms: f64| seconds(ms / 1000.0);
        Plan {
            seed: self.seed,
            nodes: self.nodes,
            files: self.files,
            size: self.size,
            up: self.up,
            up_mix: self.up_mix.clone(),
            down: self.down,
            delay: ms(self.delay),
            queue: ms(self.queue),
            loss: self.loss,
            spread: ms(self.spread),
            known: self.known.or((self.nodes > 2000).then_some(256)),
            settings: self.config.clone(),
            limit: self.limit.map(seconds),
            timeline: self.timeline.map(seconds),
        }
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// Reads `4096`, `64KiB`, `128MiB`, `1GiB`.
fn size(text: &str) -> Result<u64, String> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40), ("", 0)];
    let read = units.iter().find_map(|&(unit, shift)| Some((text.strip_suffix(unit)?, 1_u64 << shift)));
    let bytes = read.and_then(|(number, unit)| number.trim().parse::<u64>().ok()?.checked_mul(unit));
    bytes.ok_or_else(|| format!("`{text}` is no size; write for example 128MiB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(size("4096"), Ok(4096));
        assert_eq!(size("128MiB"), Ok(128 << 20));
        assert!(size("lots").is_err() && size("").is_err() && size("99999999TiB").is_err());
    }
}
