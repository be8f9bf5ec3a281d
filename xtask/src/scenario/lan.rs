//! A network of its own: every node in a Linux network namespace, on a cable that is as fast as it is told to be, and
//! that can be cut.
//!
//! The switch is in a namespace too, so nothing outside is changed, no address can be one that is in use, and nothing
//! leads out. Whoever wants something of a node, this program too, goes where the node is ([`mod@inside`]): what is asked
//! and told there does not go over the cable, is not counted on it, and gets through when it is cut.
//!
//! A cable is shaped by `tbf` at both ends, which every kernel with traffic control has; there is no delay and no loss,
//! for which many kernels lack the modules. A network falls apart into two when some cables are put into another bridge.

mod inside;
mod naming;

use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

pub(crate) use inside::inside;
use naming::Tag;
pub(crate) use naming::sweep;

/// The two bridges in the switch: cables in different ones do not meet.
const BRIDGE: &str = "whole";
const APART: &str = "apart";
/// The node's end of its cable.
const PLUG: &str = "eth0";
/// The longest that a packet waits before a cable that is busy.
const QUEUE: &str = "50ms";

/// A switch and the namespaces on it. Everything goes when it is dropped, with the processes that are still in there.
#[derive(Debug)]
pub(crate) struct Lan {
    tag: Tag,
    places: u8,
}

/// Where a node lives that does not live with us.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The namespace.
    pub(crate) namespace: String,
    pub(crate) address: Ipv4Addr,
    /// The end of its cable that is in the switch.
    port: String,
}

/// How fast a cable is in either direction, seen from the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cable {
    /// Mbit/s; 0 for as fast as the machine is.
    pub(crate) up: u32,
    pub(crate) down: u32,
}

impl Cable {
    pub(crate) const fn both(mbit: u32) -> Self {
        Self { up: mbit, down: mbit }
    }
}

impl Lan {
    /// Names differ between networks that are there at the same time, by `seed`.
    pub(crate) fn new(seed: u64) -> Result<Self> {
        // First of all, so that what is made is taken down when the rest fails.
        let lan = Self { tag: Tag::ours(seed)?, places: 0 };
        let switch = lan.switch();
        ip(&["netns", "add", &switch])?;
        for bridge in [BRIDGE, APART] {
            ip(&["-n", &switch, "link", "add", bridge, "type", "bridge"])?;
            ip(&["-n", &switch, "link", "set", bridge, "up"])?;
        }
        Ok(lan)
    }

    /// Why there can be no such network here, if so.
    pub(crate) fn obstacle(seed: u64) -> Option<String> {
        let tried = || -> Result<()> {
            let mut lan = Self::new(seed)?;
            let place = lan.place(Cable::both(10))?;
            run(Command::new("ip").args(["netns", "exec", &place.namespace, "true"]))?;
            ensure!(place.sent()? < 1_000_000, "the counters of a new cable are not its own");
            Ok(())
        };
        tried().err().map(|error| format!("{error:#}"))
    }

    /// A namespace with a cable to the switch.
    pub(crate) fn place(&mut self, cable: Cable) -> Result<Place> {
        ensure!(self.places < 250, "a network has at most 250 places");
        self.places += 1;
        let number = self.places;
        let namespace = self.tag.namespace(&number.to_string());
        // The addresses are seen in here only, so every network can have the same.
        let place =
            Place { namespace, address: Ipv4Addr::new(10, 231, 0, number), port: format!("port{number}") };
        let (Place { namespace, port, .. }, switch) = (&place, self.switch());
        ip(&["netns", "add", namespace])?;
        ip(&["-n", &switch, "link", "add", port, "type", "veth", "peer", "name", PLUG, "netns", namespace])?;
        ip(&["-n", &switch, "link", "set", port, "master", BRIDGE, "up"])?;
        let address = format!("{}/24", place.address);
        ip(&["-n", namespace, "addr", "add", &address, "dev", PLUG])?;
        ip(&["-n", namespace, "link", "set", PLUG, "up"])?;
        ip(&["-n", namespace, "link", "set", "lo", "up"])?;
        shape(namespace, PLUG, cable.up)?;
        shape(&switch, port, cable.down)?;
        Ok(place)
    }

    /// Pulls the cable.
    pub(crate) fn cut(&self, place: &Place) -> Result<()> {
        ip(&["-n", &self.switch(), "link", "set", &place.port, "down"])
    }

    /// Puts it back.
    pub(crate) fn mend(&self, place: &Place) -> Result<()> {
        ip(&["-n", &self.switch(), "link", "set", &place.port, "up"])
    }

    /// These do not reach the others any more, but each other.
    pub(crate) fn part(&self, places: &[&Place]) -> Result<()> {
        self.plug(places, APART)
    }

    /// They do again.
    pub(crate) fn heal(&self, places: &[&Place]) -> Result<()> {
        self.plug(places, BRIDGE)
    }

    fn plug(&self, places: &[&Place], bridge: &str) -> Result<()> {
        let switch = self.switch();
        places.iter().try_for_each(|place| ip(&["-n", &switch, "link", "set", &place.port, "master", bridge]))
    }

    fn switch(&self) -> String {
        self.tag.namespace("switch")
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        // What could not be made is not there; nothing better can be done with another error here.
        let places = (1..=self.places).map(|number| self.tag.namespace(&number.to_string()));
        for namespace in places.chain([self.switch()]) {
            naming::remove(&namespace).ok();
        }
    }
}

impl Place {
    /// Bytes that have left over the cable so far, with all that is around content.
    pub(crate) fn sent(&self) -> Result<u64> {
        let table = inside(&self.namespace, || Ok(std::fs::read_to_string("/proc/thread-self/net/dev")?))?;
        sent_over(&table, PLUG).with_context(|| format!("no {PLUG} in {table}"))
    }
}

/// The bytes that an interface has sent, from a table as in `/proc/net/dev`.
fn sent_over(table: &str, interface: &str) -> Option<u64> {
    let rows = table.lines().filter_map(|line| line.split_once(':'));
    let (_, numbers) = rows.into_iter().find(|(name, _)| name.trim() == interface)?;
    numbers.split_whitespace().nth(8)?.parse().ok()
}

/// Lets an interface send no faster than this.
fn shape(namespace: &str, interface: &str, mbit: u32) -> Result<()> {
    if mbit == 0 {
        return Ok(());
    }
    // 2 ms at once, and no less than a large packet or two.
    let burst = (u64::from(mbit) * 1_000_000 / 8 / 500).max(16_000).to_string();
    let rate = format!("{mbit}mbit");
    let tbf = ["tbf", "rate", &rate, "burst", &burst, "latency", QUEUE];
    run(Command::new("tc").args(["-n", namespace, "qdisc", "add", "dev", interface, "root"]).args(tbf))
}

fn ip(args: &[&str]) -> Result<()> {
    run(Command::new("ip").args(args))
}

/// Runs a command of a moment. Not in our process group: Ctrl-C is for us, who then take down what was built.
fn run(command: &mut Command) -> Result<()> {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("`{program}` (iproute2) cannot be run"))?;
    if output.status.success() {
        return Ok(());
    }
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    bail!("`{program} {}` failed: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim());
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn what_an_interface_has_sent_is_read_from_the_table() {
        let table = "Inter-|   Receive                                                |  Transmit\n \
            face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
            lo:     123       2    0    0    0     0          0         0      456       2    0    0    0     0       0          0\n  \
            eth0: 98765      10    0    0    0     0          0         0     4321      11    0    0    0     0       0          0\n";
        assert_eq!(sent_over(table, "eth0"), Some(4321));
        assert_eq!(sent_over(table, "lo"), Some(456));
        assert_eq!(sent_over(table, "eth"), None);
        assert_eq!(sent_over("eth0: 1 2 3", "eth0"), None);
    }

    /// Where networks are not allowed the reason is told instead, and nothing is left there either.
    #[test]
    fn a_network_leaves_nothing_behind() -> Result<()> {
        let seed = 0x7e57;
        let obstacle = Lan::obstacle(seed);
        let tag = Tag::ours(seed)?;
        let left = |what: &str| Path::new(naming::NAMESPACES).join(tag.namespace(what)).exists();
        assert!(!left("switch") && !left("1"));
        if let Some(reason) = obstacle {
            assert!(!reason.is_empty());
            return Ok(());
        }
        let mut lan = Lan::new(seed)?;
        let place = lan.place(Cable { up: 2, down: 0 })?;
        assert!(left("switch") && left("1"));
        let there = inside(&place.namespace, || Ok(fs::read_to_string("/proc/thread-self/net/dev")?))?;
        assert!(there.contains(PLUG), "{there}");
        lan.cut(&place)?;
        lan.mend(&place)?;
        lan.part(&[&place])?;
        lan.heal(&[&place])?;
        drop(lan);
        assert!(!left("switch") && !left("1"));
        Ok(())
    }
}
