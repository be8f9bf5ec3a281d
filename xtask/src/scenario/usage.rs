//! What a process has used of the machine, as the system counts it.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// Everything that is 0 where the system does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Time on processors, its own and the system's for it.
    pub(crate) cpu: Duration,
    /// The most memory that it ever had resident.
    pub(crate) peak_bytes: u64,
    /// Memory of its own that is resident now: no pages of files.
    pub(crate) anonymous_bytes: u64,
}

impl Usage {
    /// What a process that runs has used so far.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let read = |name: &str| {
            let path = format!("/proc/{pid}/{name}");
            fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
        };
        if cfg!(not(target_os = "linux")) {
            return Ok(Self::default());
        }
        let (stat, status) = (read("stat")?, read("status")?);
        Ok(Self {
            cpu: cpu_of(&stat, ticks_per_second()).context("/proc says nothing of processor time")?,
            peak_bytes: kib_of(&status, "VmHWM:") << 10,
            anonymous_bytes: kib_of(&status, "RssAnon:") << 10,
        })
    }
}

#[cfg(target_os = "linux")]
fn ticks_per_second() -> u64 {
    rustix::param::clock_ticks_per_second()
}

#[cfg(not(target_os = "linux"))]
fn ticks_per_second() -> u64 {
    100
}

/// User and system time, the 14th and 15th field. The second may have anything in it, and ends with the last bracket.
fn cpu_of(stat: &str, ticks_per_second: u64) -> Option<Duration> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks(11)? + ticks(12)?) * 1000 / ticks_per_second.max(1)))
}

fn kib_of(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 7 9 20 0 1 0 5 6 7";
        assert_eq!(cpu_of(stat, 100), Some(Duration::from_secs(3)));
        assert_eq!(cpu_of("42 (a) S 1", 100), None);
    }

    #[test]
    fn memory_is_told_in_kib() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nRssAnon:\t     512 kB\n";
        assert_eq!(
            (kib_of(status, "VmHWM:"), kib_of(status, "RssAnon:"), kib_of(status, "No:")),
            (2048, 512, 0)
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_used_something() -> Result<()> {
        let usage = Usage::of(std::process::id())?;
        assert!(usage.peak_bytes >= usage.anonymous_bytes && usage.anonymous_bytes > 0);
        Ok(())
    }
}
