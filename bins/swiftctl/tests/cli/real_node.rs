//! A real node in this process.

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use swiftserve_node::{Node, NodeOptions};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::program::{Run, swiftctl_with};

/// A node in this process.
pub(crate) struct RealNode {
    node: Option<Node>,
    pub(crate) at: SocketAddr,
    pub(crate) id: String,
    pub(crate) token: String,
    runtime: Runtime,
    folder: TempDir,
}

impl RealNode {
    pub(crate) fn start() -> Self {
        let (runtime, folder) = (Runtime::new().unwrap(), tempfile::tempdir().unwrap());
        let data_dir = folder.path().join("node");
        let mut options = NodeOptions::new(data_dir.to_str().unwrap(), "127.0.0.1", 1).unwrap();
        // Nobody else is to reach it, so any port will do.
        options.config.bind.set_port(0);
        let node = runtime.block_on(Node::start(options)).unwrap();
        let (at, id) = (node.local_addr(), node.id().to_string());
        let token = fs::read_to_string(data_dir.join("admin-token")).unwrap().trim().to_owned();
        Self { node: Some(node), at, id, token, runtime, folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `ID@HOST:PORT`.
    pub(crate) fn named(&self) -> String {
        format!("{}@{}", self.id, self.at)
    }

    pub(crate) fn ask(&self, node: &str, args: &[&str]) -> Run {
        let token = ("SWIFTSERVE_TOKEN", self.token.as_str());
        swiftctl_with(self.path(), &[token, ("SWIFTSERVE_NODE", node)], args, b"")
    }
}

impl RealNode {
    /// Stops it, and leaves its folder.
    pub(crate) fn stop(&mut self) {
        if let Some(node) = self.node.take() {
            self.runtime.block_on(node.stop(Duration::from_secs(5)));
        }
    }
}

impl Drop for RealNode {
    fn drop(&mut self) {
        self.stop();
    }
}
