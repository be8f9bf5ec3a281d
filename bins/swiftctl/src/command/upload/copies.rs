//! Waiting until a file has the wanted number of complete copies.

use std::{collections::BTreeSet, str::FromStr, time::Duration};

use swift_chain::FileName;
use tokio::time::Instant;

use crate::{
    api::Copies,
    client::{Client, understand},
    error::Error,
    output::note,
    text::{name, short},
};

const POLL_INTERVAL_MIN: Duration = Duration::from_millis(100);
const POLL_INTERVAL_MAX: Duration = Duration::from_secs(2);

/// How many copies there shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// At least so many.
    Copies(u64),
    /// One on every member that is online and keeps the file.
    All,
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            _ => match text.parse() {
                Ok(copies) if copies > 0 => Ok(Self::Copies(copies)),
                _ => Err("expected a number of copies from 1 on, or `all`".into()),
            },
        }
    }
}

impl Wanted {
    fn is_met(self, copies: &Copies) -> bool {
        match self {
            Self::Copies(wanted) => copies.complete.len() as u64 >= wanted,
            Self::All => incomplete(copies).is_empty(),
        }
    }
}

/// Members that are online, keep the file and are not complete.
fn incomplete(copies: &Copies) -> Vec<&str> {
    let done: BTreeSet<_> = copies.complete.iter().chain(&copies.not_keeping).collect();
    copies.online.iter().filter(|node| !done.contains(node)).map(String::as_str).collect()
}

/// Asks until the wanted copies are there; how many there are then.
pub(super) async fn wait(
    client: &Client,
    name: &FileName,
    wanted: Wanted,
    timeout: Duration,
) -> Result<u64, Error> {
    let what = format!("cannot tell the copies of {name}");
    let path = format!("{}?copies", name::path_of(name));
    let (begun, mut interval) = (Instant::now(), POLL_INTERVAL_MIN);
    loop {
        let copies: Copies = understand(&what, &client.get(&what, &path).await?)?;
        if wanted.is_met(&copies) {
            let absent = short_list(copies.absent.iter().map(String::as_str));
            if !absent.is_empty() {
                note(&format!("note: absent, so without a copy as far as known: {absent}"));
            }
            let others = short_list(copies.not_keeping.iter().map(String::as_str));
            if !others.is_empty() {
                note(&format!("note: does not keep this file: {others}"));
            }
            return Ok(copies.complete.len() as u64);
        }
        let left = timeout.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(Error::NotInTime(told(name, &copies)));
        }
        tokio::time::sleep(interval.min(left)).await;
        interval = (interval * 3 / 2).min(POLL_INTERVAL_MAX);
    }
}

fn told(name: &FileName, copies: &Copies) -> String {
    let mut says =
        format!("{name} is published, but has only {} complete copies so far", copies.complete.len());
    for (title, nodes) in [
        ("still fetching", short_list(incomplete(copies).into_iter())),
        ("not keeping it", short_list(copies.not_keeping.iter().map(String::as_str))),
        ("absent", short_list(copies.absent.iter().map(String::as_str))),
    ] {
        if !nodes.is_empty() {
            says.push_str(&format!("; {title}: {nodes}"));
        }
    }
    says.push_str("; the nodes go on with it, so repeat the command to wait on");
    says
}

fn short_list<'a>(nodes: impl Iterator<Item = &'a str>) -> String {
    nodes.map(short).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copies(complete: &[&str], online: &[&str], absent: &[&str]) -> Copies {
        let owned = |nodes: &[&str]| nodes.iter().map(|node| (*node).to_owned()).collect();
        let not_keeping = vec![];
        Copies { complete: owned(complete), not_keeping, online: owned(online), absent: owned(absent) }
    }

    #[test]
    fn all_means_those_that_are_online() {
        assert!(!Wanted::All.is_met(&copies(&["a"], &["a", "b"], &[])));
        assert!(Wanted::All.is_met(&copies(&["a", "b"], &["a", "b"], &["c"])));
        assert!(Wanted::All.is_met(&copies(&["a", "c"], &["a"], &["c"])));
        assert!(Wanted::Copies(2).is_met(&copies(&["a", "c"], &["a", "b"], &["c"])));
        assert!(!Wanted::Copies(3).is_met(&copies(&["a", "c"], &["a", "b"], &["c"])));
    }

    #[test]
    fn those_that_do_not_keep_the_file_are_not_waited_for() {
        let mut copies = copies(&["a"], &["a", "b", "c"], &[]);
        copies.not_keeping = vec!["b".into()];
        assert!(!Wanted::All.is_met(&copies));
        copies.not_keeping.push("c".into());
        assert!(Wanted::All.is_met(&copies));
        let says = told(&"x".parse().unwrap(), &copies);
        assert!(says.contains("; not keeping it: b, c"), "{says}");
    }

    #[test]
    fn a_timeout_names_who_lacks_it() {
        let says = told(&"x".parse().unwrap(), &copies(&["a"], &["a", "bbb"], &["ccc"]));
        assert!(says.contains("still fetching: bbb; absent: ccc"), "{says}");
    }

    #[test]
    fn wanted_copies_are_a_number_or_all() {
        assert_eq!("all".parse(), Ok(Wanted::All));
        assert_eq!("3".parse(), Ok(Wanted::Copies(3)));
        for text in ["0", "-1", "some", ""] {
            assert!(text.parse::<Wanted>().is_err(), "{text}");
        }
    }
}
