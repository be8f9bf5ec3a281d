//! Whose a namespace is: its name says which process made it, so that what a killed run left can be told from what one
//! that still runs needs.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{ip, run};

/// Where `ip netns` keeps what it makes.
pub(super) const NAMESPACES: &str = "/run/netns";

/// The names of one network's namespaces: `swiftserve-PIDS-PROCESS-START-SEED-WHAT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    maker: Maker,
    seed: u32,
}

/// A process, told from an earlier one of the same number, and from one of that number in another container.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Maker {
    /// The namespace of process numbers.
    numbering: u64,
    process: u32,
    /// When it started, in ticks since the machine did.
    start: u64,
}

impl Tag {
    /// A tag of this process.
    pub(super) fn ours(seed: u64) -> Result<Self> {
        let folded = u32::try_from((seed >> 32 ^ seed) & u64::from(u32::MAX))?;
        Ok(Self { maker: Maker::this_process()?, seed: folded })
    }

    pub(super) fn namespace(&self, what: &str) -> String {
        format!("{self}-{what}")
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { maker: Maker { numbering, process, start }, seed } = self;
        write!(f, "swiftserve-{numbering}-{process}-{start}-{seed:08x}")
    }
}

impl Maker {
    fn this_process() -> Result<Self> {
        ensure!(cfg!(target_os = "linux"), "only Linux has network namespaces");
        let start = start_of("self").context("/proc does not tell when this process started")?;
        Ok(Self { numbering: numbering()?, process: std::process::id(), start })
    }

    /// Who made a namespace, if one of us did.
    fn of(namespace: &str) -> Option<Self> {
        let mut words = namespace.strip_prefix("swiftserve-")?.split('-');
        let numbering = words.next()?.parse().ok()?;
        let process = words.next()?.parse().ok()?;
        let start = words.next()?.parse().ok()?;
        let (seed, what) = (words.next()?, words.next()?);
        let is_ours = u32::from_str_radix(seed, 16).is_ok() && !what.is_empty() && words.next().is_none();
        is_ours.then_some(Self { numbering, process, start })
    }

    /// Whether it certainly runs no more. Of another container's processes nothing is known here.
    fn is_gone(&self, numbering: u64) -> bool {
        self.numbering == numbering && start_of(&self.process.to_string()) != Some(self.start)
    }
}

/// Takes down what runs left behind that were killed before they could. Says how many namespaces that were.
pub(crate) fn sweep() -> Result<usize> {
    // Without the folder nobody has made any.
    let Ok(entries) = fs::read_dir(NAMESPACES) else { return Ok(0) };
    let numbering = numbering()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let left: Vec<String> =
        names.filter(|name| Maker::of(name).is_some_and(|maker| maker.is_gone(numbering))).collect();
    left.iter().try_for_each(|name| remove(name))?;
    Ok(left.len())
}

/// Takes a namespace down, and first what still runs in it: without its processes it would live on without a name.
pub(super) fn remove(namespace: &str) -> Result<()> {
    if !Path::new(NAMESPACES).join(namespace).exists() {
        return Ok(());
    }
    let there = Command::new("ip").args(["netns", "pids", namespace]).output()?;
    let processes = String::from_utf8_lossy(&there.stdout);
    let processes: Vec<&str> = processes.split_whitespace().collect();
    if !processes.is_empty() {
        // One that ended by itself meanwhile is none that could not be ended.
        run(Command::new("sh").args(["-c", "kill -s KILL \"$@\" 2>/dev/null; true", "sh"]).args(processes))?;
    }
    ip(&["netns", "del", namespace])
}

/// When a process started, if there is one.
fn start_of(process: &str) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    start_in(&stat)
}

/// The 22nd field of `/proc/PROCESS/stat`. The second is the program's name in brackets, which may hold anything.
fn start_in(stat: &str) -> Option<u64> {
    let (_, after_the_name) = stat.rsplit_once(')')?;
    after_the_name.split_whitespace().nth(19)?.parse().ok()
}

/// The namespace of process numbers that this process is in.
fn numbering() -> Result<u64> {
    let link =
        fs::read_link("/proc/self/ns/pid").context("/proc does not tell the namespace of processes")?;
    let digits: String = link.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    digits.parse().with_context(|| format!("{} has no number", link.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maker_is_read_from_the_name_and_foreign_names_have_none() {
        let maker = Maker { numbering: 4_026_531_836, process: 4711, start: 99 };
        let tag = Tag { maker: maker.clone(), seed: 0xab };
        assert_eq!(tag.namespace("3"), "swiftserve-4026531836-4711-99-000000ab-3");
        assert_eq!(Maker::of(&tag.namespace("switch")), Some(maker));
        for foreign in [
            "",
            "swiftserve-1",
            "swiftserve-1-2-3-ab",
            "swiftserve-1-2-x-ab-1",
            "nl1-2-3-4-5",
            "swiftserve-1-2-3-ab-1-1",
        ] {
            assert_eq!(Maker::of(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_process_that_runs_is_told_from_one_that_had_its_number() -> Result<()> {
        if !cfg!(target_os = "linux") {
            assert!(Maker::this_process().is_err());
            return Ok(());
        }
        let us = Maker::this_process()?;
        assert!(!us.is_gone(us.numbering));
        let before_us = Maker { start: us.start - 1, ..us.clone() };
        assert!(before_us.is_gone(us.numbering));
        assert!(!before_us.is_gone(us.numbering + 1), "another container's processes are not judged");
        Ok(())
    }

    #[test]
    fn the_start_is_found_behind_any_name() {
        let fields: Vec<String> = (3..=52).map(|field| field.to_string()).collect();
        let stat = format!("17 (a) b (c) {}", fields.join(" "));
        assert_eq!(start_in(&stat), Some(22));
        assert_eq!(start_in("17 (x) S 1"), None);
    }
}
