//! A network of its own: every node on a link that can be cut, by Linux network namespaces and a bridge.

use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A bridge and the namespaces on it. Everything goes when it is dropped. Needs root, which the machines that run all
/// checks give.
#[derive(Debug)]
pub(crate) struct Lan {
    /// Names differ between worlds that run beside each other; interface names have at most 15 characters.
    tag: String,
    links: u8,
}

/// Where a node lives that does not live with us.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The namespace.
    pub(crate) namespace: String,
    pub(crate) address: Ipv4Addr,
    /// The end of its cable that is on the bridge.
    link: String,
}

impl Lan {
    /// Addresses are `10.231.NET.N`; `seed` chooses NET and the names.
    pub(crate) fn new(seed: u64) -> Result<Self> {
        let lan = Self { tag: format!("sw{:05x}", seed & 0xf_ffff), links: 0 };
        ip(&["link", "add", &lan.bridge(), "type", "bridge"])?;
        ip(&["addr", "add", &format!("{}/24", lan.address(254)), "dev", &lan.bridge()])?;
        ip(&["link", "set", &lan.bridge(), "up"])?;
        Ok(lan)
    }

    /// A namespace with a cable to the bridge.
    pub(crate) fn place(&mut self) -> Result<Place> {
        self.links += 1;
        let number = self.links;
        ensure!(number < 254, "a network has at most 253 places");
        let place = Place {
            namespace: format!("{}n{number}", self.tag),
            address: self.address(number),
            link: format!("{}v{number}", self.tag),
        };
        let Place { namespace, link, .. } = &place;
        ip(&["netns", "add", namespace])?;
        ip(&["link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", namespace])?;
        ip(&["link", "set", link, "master", &self.bridge(), "up"])?;
        let address = format!("{}/24", place.address);
        ip(&["-n", namespace, "addr", "add", &address, "dev", "eth0"])?;
        ip(&["-n", namespace, "link", "set", "eth0", "up"])?;
        ip(&["-n", namespace, "link", "set", "lo", "up"])?;
        Ok(place)
    }

    /// Pulls the cable.
    pub(crate) fn cut(&self, place: &Place) -> Result<()> {
        ip(&["link", "set", &place.link, "down"])
    }

    /// Puts it back.
    pub(crate) fn mend(&self, place: &Place) -> Result<()> {
        ip(&["link", "set", &place.link, "up"])
    }

    fn bridge(&self) -> String {
        format!("{}b", self.tag)
    }

    fn address(&self, host: u8) -> Ipv4Addr {
        let net = self.tag.bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
        Ipv4Addr::new(10, 231, net, host)
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        // What is not there gives an error, and nothing better can be done with it here.
        for number in 1..=self.links {
            let _ = ip(&["netns", "del", &format!("{}n{number}", self.tag)]);
        }
        let _ = ip(&["link", "del", &self.bridge()]);
    }
}

fn ip(args: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(args).output().context("`ip` (iproute2) cannot be run")?;
    let says = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "`ip {}` failed; this scenario needs root and network namespaces: {says}",
        args.join(" ")
    );
    Ok(())
}
