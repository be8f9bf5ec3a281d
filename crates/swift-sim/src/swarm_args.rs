//! `swift-sim swarm`: what its command line means.

use std::{num::NonZeroUsize, ops::Range, time::Duration};

use swift_sim::swarm::{Cast, Leaving, Plan, Scale, Scenario, Setting, Trouble, What, When};

/// How long a node that restarts is away.
const RESTARTS_IN: Duration = Duration::from_secs(3);

/// Megabits per second, one-way milliseconds, per cent.
#[derive(clap::Args)]
pub(crate) struct SwarmArgs {
    /// A run that has a name and a bar that it must reach; `help` lists them, `all` runs them one after the other
    #[arg(long, value_name = "NAME")]
    pub(crate) scenario: Option<String>,
    /// The scenario with few nodes and little content, as in the tests
    #[arg(long, requires = "scenario")]
    pub(crate) small: bool,
    /// All choices follow from it
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// A number of the machine, as in credit_running=8 or busy_wait=20..500 (ms)
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) config: Vec<Setting>,
    /// Shows the state of things every so many virtual seconds
    #[arg(long)]
    pub(crate) timeline: Option<f64>,
    /// Threads, as many as there are processors unless told: what comes of a run does not depend on it
    #[arg(long)]
    pub(crate) threads: Option<NonZeroUsize>,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    trouble: TroubleArgs,
}

#[derive(clap::Args)]
#[group(conflicts_with = "scenario")]
struct RunArgs {
    /// Nodes, the publisher included
    #[arg(long, default_value_t = 16)]
    nodes: usize,
    /// Files, published at once
    #[arg(long, default_value_t = 1)]
    files: usize,
    /// Bytes of each file, as in 128MiB; several are dealt out in turn
    #[arg(long, default_value = "64MiB", value_delimiter = ',', value_parser = size)]
    size: Vec<u64>,
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
    /// Messages that vanish without a word, in per cent
    #[arg(long, default_value_t = 0.0)]
    lost_messages: f64,
    /// How long after the first the last node learns of a file, in ms
    #[arg(long, default_value_t = 50.0)]
    spread: f64,
    /// Members that each node knows of; 256 among more than 2,000, else everybody
    #[arg(long)]
    known: Option<usize>,
    /// When to give up, in virtual seconds
    #[arg(long)]
    limit: Option<f64>,
}

/// What goes wrong: of the receivers, in per cent.
#[derive(clap::Args)]
#[group(conflicts_with = "scenario")]
struct TroubleArgs {
    /// The source is unplugged when it has sent so many copies
    #[arg(long, value_name = "COPIES")]
    churn: Option<f64>,
    /// It is back after so many seconds
    #[arg(long, value_name = "SECONDS", requires = "churn")]
    churn_back: Option<f64>,
    /// Receivers with an uplink of a tenth, in per cent
    #[arg(long, default_value_t = 0.0, value_name = "PER CENT")]
    slow: f64,
    /// Members that claim everything and send wrong bytes
    #[arg(long, default_value_t = 0.0, value_name = "PER CENT")]
    lying: f64,
    /// Members that claim everything and have nothing
    #[arg(long, default_value_t = 0.0, value_name = "PER CENT")]
    boasting: f64,
    /// Members that claim everything and let requests hang
    #[arg(long, default_value_t = 0.0, value_name = "PER CENT")]
    stalling: f64,
    /// Members that count as online and never answer
    #[arg(long, default_value_t = 0.0, value_name = "PER CENT")]
    dead: f64,
    /// Members that neither have nor want the files
    #[arg(long, default_value_t = 0.0, value_name = "PER CENT")]
    bystanders: f64,
    /// Receivers that come when others could be half way
    #[arg(long, default_value_t = 0.0, value_name = "PER CENT")]
    late: f64,
    /// Receivers that restart once, one after the other
    #[arg(long, default_value_t = 0.0, value_name = "PER CENT")]
    restarting: f64,
    /// The halves of the network do not reach each other in this time, in seconds, as in 5..60
    #[arg(long, value_name = "FROM..TO", value_parser = span)]
    part: Option<Range<u32>>,
    /// The first file's manifest is false
    #[arg(long)]
    false_manifest: bool,
}

/// What is to be done.
pub(crate) enum Run {
    Plan(Plan),
    Scenario(Scenario),
}

impl SwarmArgs {
    /// The runs that are meant; none when the scenarios are only to be listed.
    pub(crate) fn runs(&self) -> Result<Vec<Run>, String> {
        let Some(name) = &self.scenario else { return Ok(vec![Run::Plan(self.plan())]) };
        if name == "help" {
            println!("{}", list());
            return Ok(Vec::new());
        }
        let mut meant = Scenario::all(if self.small { Scale::Small } else { Scale::Full });
        meant.retain(|one| name == "all" || name == one.name);
        if meant.is_empty() {
            return Err(format!("there is no scenario `{name}`; there are\n{}", list()));
        }
        for one in &mut meant {
            one.plan.seed = self.seed;
            one.plan.settings.clone_from(&self.config);
            one.plan.timeline = self.timeline.map(seconds);
            one.plan.threads = self.threads;
        }
        Ok(meant.into_iter().map(Run::Scenario).collect())
    }

    /// The run that was described.
    fn plan(&self) -> Plan {
        let ms = |ms: f64| seconds(ms / 1000.0);
        let run = &self.run;
        let mut plan = Plan {
            seed: self.seed,
            nodes: run.nodes,
            files: run.files,
            sizes: run.size.clone(),
            up: run.up,
            up_mix: run.up_mix.clone(),
            down: run.down,
            delay: ms(run.delay),
            queue: ms(run.queue),
            loss: run.loss,
            lost_messages: run.lost_messages,
            spread: ms(run.spread),
            known: run.known.or((run.nodes > 2000).then_some(256)),
            settings: self.config.clone(),
            limit: run.limit.map(seconds),
            timeline: self.timeline.map(seconds),
            threads: self.threads,
            ..Plan::default()
        };
        self.trouble.add_to(&mut plan);
        plan
    }
}

impl TroubleArgs {
    fn add_to(&self, plan: &mut Plan) {
        let receivers = plan.nodes.saturating_sub(1);
        let of = |per_cent: f64| share(receivers, per_cent);
        plan.cast = Cast {
            slow: of(self.slow),
            lying: of(self.lying),
            boasting: of(self.boasting),
            stalling: of(self.stalling),
            dead: of(self.dead),
            bystanders: of(self.bystanders),
        };
        plan.is_first_false = self.false_manifest;
        let least = seconds(plan.least_seconds());
        let mut add = |when, what| plan.troubles.push(Trouble { when, what });
        if let Some(copies) = self.churn {
            let back = self.churn_back.map(seconds);
            add(When::Sent(copies), What::Leave { node: 0, how: Leaving::Unplugged, back });
        }
        let late = 1..=of(self.late);
        late.clone().for_each(|node| add(When::After(least / 2), What::Join { node }));
        let restarting = late.end() + 1..=late.end() + of(self.restarting);
        for (at, node) in (1_u32..).zip(restarting) {
            let when = When::After(least * at / share_of(receivers));
            add(when, What::Leave { node, how: Leaving::Stopped, back: Some(RESTARTS_IN) });
        }
        if let Some(part) = &self.part {
            let lasts = Duration::from_secs(part.end.saturating_sub(part.start).into());
            let when = When::After(Duration::from_secs(part.start.into()));
            add(when, What::Part { first: plan.nodes / 2, lasts });
        }
    }
}

fn share_of(receivers: usize) -> u32 {
    u32::try_from(receivers).unwrap_or(u32::MAX).max(1)
}

fn list() -> String {
    let line = |one: &Scenario| format!("  {:<18} {}", one.name, one.about);
    let lines: Vec<String> = Scenario::all(Scale::Full).iter().map(line).collect();
    lines.join("\n")
}

/// So many in a hundred.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of what there is")]
#[allow(clippy::cast_precision_loss, reason = "few nodes")]
fn share(receivers: usize, per_cent: f64) -> usize {
    (receivers as f64 * per_cent.clamp(0.0, 100.0) / 100.0).round() as usize
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// Reads `5..60`.
fn span(text: &str) -> Result<Range<u32>, String> {
    let read = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    let span = read.filter(|span: &Range<u32>| !span.is_empty());
    span.ok_or_else(|| format!("`{text}` is no time; write for example 5..60 (seconds)"))
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
    fn sizes_and_spans_are_read() {
        assert_eq!(size("4096"), Ok(4096));
        assert_eq!(size("128MiB"), Ok(128 << 20));
        assert!(size("lots").is_err() && size("").is_err() && size("99999999TiB").is_err());
        assert_eq!(span("5..60"), Ok(5..60));
        assert!(span("60..5").is_err() && span("5").is_err() && span("..").is_err());
    }

    #[test]
    fn shares_are_of_the_receivers() {
        assert_eq!((share(15, 20.0), share(999, 99.9), share(3, 200.0)), (3, 998, 3));
    }
}
