//! What the tests share: a network of three real nodes, and the driver that opens browsers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};

use super::driver::Driver;
use super::page::{Page, Width};
use super::programs::Programs;
use crate::scenario::binaries::Binaries;
use crate::scenario::node::{Node, NodeSpec};
use crate::scenario::wait::Patience;
use crate::scenario::world::World;

/// A founder and two nodes that joined it. Tests leave them running; who needs a node to stop or to remove joins one.
#[derive(Debug)]
pub(crate) struct Stage {
    nodes: Vec<Node>,
    driver: Driver,
    named: usize,
    /// Last, since all others write to its folder.
    world: World,
}

impl Stage {
    pub(crate) fn found(binaries: Binaries, programs: &Programs, patience: &Patience) -> Result<Self> {
        let mut world = World::new("browser", Arc::new(binaries), patience.clone())?;
        let driver = Driver::start(programs, &world.path("browser")?, patience)?;
        let founder = world.found()?;
        let mut stage = Self { nodes: vec![founder], driver, named: 0, world };
        for _ in 0..2 {
            let node = stage.join()?;
            stage.nodes.push(node);
        }
        Ok(stage)
    }

    /// The node that founded the network, and decides alone which blocks are final.
    pub(crate) fn founder(&self) -> Result<&Node> {
        self.node(0)
    }

    pub(crate) fn node(&self, index: usize) -> Result<&Node> {
        self.nodes.get(index).context("there is no such node")
    }

    /// A further node, which ends with the test that has it.
    pub(crate) fn join(&mut self) -> Result<Node> {
        let founder = self.nodes.first().context("a network has a founder")?;
        self.world.join(founder)
    }

    /// The same with further arguments.
    pub(crate) fn join_with(&mut self, args: &[&str]) -> Result<Node> {
        let ticket = self.founder()?.ticket()?;
        let spec = self.world.spec()?;
        let args = args.iter().map(Into::into).collect();
        self.world.start(NodeSpec { ticket: Some(ticket), args, ..spec })
    }

    /// A further node that joins by this ticket.
    pub(crate) fn join_by(&mut self, ticket: &str) -> Result<Node> {
        let spec = self.world.spec()?;
        self.world.start(NodeSpec { ticket: Some(ticket.to_owned()), ..spec })
    }

    /// A node that founds a network of its own, which ends with the test that has it.
    pub(crate) fn found_apart(&mut self) -> Result<Node> {
        self.world.found()
    }

    /// A page in a fresh browser.
    pub(crate) fn page(&mut self, width: Width) -> Result<Page> {
        let downloads = self.path("downloads")?;
        Page::new(self.driver.open()?, width, &downloads, self.world.patience())
    }

    /// A name that no other test uses: `report.pdf` becomes `report-7.pdf`.
    pub(crate) fn name(&mut self, plain: &str) -> String {
        self.named += 1;
        match plain.rsplit_once('.') {
            Some((stem, ending)) => format!("{stem}-{}.{ending}", self.named),
            None => format!("{plain}-{}", self.named),
        }
    }

    /// A file of random bytes on this machine.
    pub(crate) fn file(&self, name: &str, size: u64) -> Result<PathBuf> {
        self.world.file(name, size, seed_of(name))
    }

    /// A path in a folder that goes with the network.
    pub(crate) fn path(&self, name: &str) -> Result<PathBuf> {
        self.world.path(name)
    }

    pub(crate) fn patience(&self) -> &Patience {
        self.world.patience()
    }

    /// Fails if one of the shared nodes has ended by itself.
    pub(crate) fn assert_running(&mut self) -> Result<()> {
        self.nodes.iter_mut().try_for_each(Node::assert_running)
    }

    /// Ends the shared nodes in order.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.nodes.iter_mut().try_for_each(Node::stop)
    }

    /// Leaves the folder behind, with the nodes' logs.
    pub(crate) fn keep(&mut self) {
        self.world.keep();
    }
}

/// Publishes a file of this machine by `swiftctl`, whose answer means that it is final.
pub(crate) fn publish(node: &Node, name: &str, file: &Path) -> Result<()> {
    node.ctl(&[&"upload", &file, &"--as", &name])?.ok().map(drop)
}

/// An address that signs a browser in once, with all rights.
pub(crate) fn sign_in_address(node: &Node) -> Result<String> {
    let answer = node.http("POST", "/v1/dashboard", Some(&node.token()?), b"")?.expect(201)?.json()?;
    Ok(answer["url"].as_str().context("the answer has no url")?.to_owned())
}

/// A fresh token with these scopes.
pub(crate) fn token(node: &Node, label: &str, scopes: &str) -> Result<String> {
    let answer = node.ctl_json(&[&"token", &"create", &label, &"--scope", &scopes])?;
    Ok(answer["token"].as_str().context("the answer has no token")?.to_owned())
}

/// The address of a node's dashboard, opened at one of its pages.
pub(crate) fn address(node: &Node, page: &str) -> String {
    format!("http://{}/{page}", node.address())
}

/// Opens a node's dashboard, signed in by a one-time address.
pub(crate) fn sign_in(page: &Page, node: &Node) -> Result<()> {
    page.open(&sign_in_address(node)?)?;
    page.sees("nav a[href=\"#/files\"]")
}

/// Another seed for every name, so that no two files have the same content.
fn seed_of(name: &str) -> u64 {
    name.bytes().fold(0, |seed, byte| seed.wrapping_mul(257).wrapping_add(u64::from(byte)))
}
