//! Nodes in this process, each with a folder and a port of its own.

use std::{
    collections::HashMap,
    fs,
    net::SocketAddr,
    os::unix::fs::{FileExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use swift_chain::{LedgerDb, NetworkParams, NodeId, NodeKey};
use swift_p2p::{
    driver::Patience,
    transport::{AddressBook, Dialer, PeerClient},
};
use swiftserve_node::{Config, Node, NodeOptions, StartError};
use tempfile::TempDir;

use crate::{
    client::{Client, soon},
    port::Port,
};

/// Where a node lives while it is down.
pub(crate) struct Home {
    folder: TempDir,
    port: Port,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), port: Port::new() }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.number()
    }

    pub(crate) fn options(&self) -> NodeOptions {
        NodeOptions::new(self.folder().to_str().unwrap(), "127.0.0.1", self.port()).unwrap()
    }

    /// A client with the token of the first start.
    pub(crate) fn admin(&self) -> Client {
        let token = fs::read_to_string(self.path("admin-token")).unwrap();
        Client::new(self.address(), Some(token.trim().to_owned()))
    }

    pub(crate) fn key(&self) -> NodeKey {
        NodeKey::from_pem(&fs::read_to_string(self.path("node.key")).unwrap()).unwrap()
    }

    /// Names in a folder of the data folder; a folder that is not there has none.
    pub(crate) fn listed(&self, inside: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(inside)) else { return Vec::new() };
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Removes the ledger of a node that is down.
    pub(crate) fn forget_ledger(&self) {
        LedgerDb::remove(&self.path("ledger.db")).unwrap();
    }

    /// Changes one byte of stored content as a failing disk does: the file keeps its times.
    pub(crate) fn rot(&self, bytes: &[u8], at: usize) {
        let path = self.path("content/objects").join(b3sum(bytes));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[!bytes[at]], at as u64).unwrap();
        file.set_times(fs::FileTimes::new().set_modified(modified)).unwrap();
    }

    /// Starts a node here and waits until it is ready.
    pub(crate) async fn start(self) -> Site {
        self.try_start(|_| {}).await.map_err(|(error, _)| error).unwrap()
    }

    /// Starts a node here with other settings; a failure gives the home back.
    pub(crate) async fn try_start(
        self,
        change: impl FnOnce(&mut Config),
    ) -> Result<Site, (StartError, Self)> {
        let mut options = self.options();
        change(&mut options.config);
        self.launch(options).await
    }

    /// Starts a node here as no operator can.
    pub(crate) async fn start_as(self, change: impl FnOnce(&mut NodeOptions)) -> Site {
        let mut options = self.options();
        change(&mut options);
        self.launch(options).await.map_err(|(error, _)| error).unwrap()
    }

    /// Starts a node here whose clients wait so long, with a ticket where there is no ledger yet.
    pub(crate) async fn start_with(self, patience: Patience, ticket: Option<&str>) -> Site {
        let mut options = self.options();
        options.patience = patience;
        options.config.join = ticket.map(|ticket| ticket.parse().unwrap());
        self.launch(options).await.map_err(|(error, _)| error).unwrap()
    }

    /// Founds a network here that has these limits.
    pub(crate) async fn found_with_limits(self, params: NetworkParams) -> Site {
        let mut options = self.options();
        options.params = params;
        self.launch(options).await.map_err(|(error, _)| error).unwrap()
    }

    async fn launch(self, options: NodeOptions) -> Result<Site, (StartError, Self)> {
        match soon(Node::start(options)).await {
            Ok(node) => {
                let client = self.admin();
                crate::client::until(|| async { client.get("/readyz").await.status == 200 }).await;
                Ok(Site { node, client, home: self })
            }
            Err(error) => Err((error, self)),
        }
    }
}

struct At(HashMap<NodeId, SocketAddr>);

impl AddressBook for At {
    fn address_of(&self, node: &NodeId) -> Option<swift_chain::Address> {
        self.0.get(node).map(|at| at.to_string().parse().unwrap())
    }
}

/// A running node.
pub(crate) struct Site {
    pub(crate) node: Node,
    pub(crate) client: Client,
    /// Last: the folder goes when the node has gone.
    pub(crate) home: Home,
}

impl Site {
    /// A network's first node.
    pub(crate) async fn found() -> Self {
        Home::new().start().await
    }

    pub(crate) async fn found_with(change: impl FnOnce(&mut Config)) -> Self {
        Home::new().try_start(change).await.map_err(|(error, _)| error).unwrap()
    }

    /// A further node, level with the network that the ticket is for.
    pub(crate) async fn join(ticket: &str) -> Self {
        Self::try_join(ticket).await.map_err(|(error, _)| error).unwrap()
    }

    pub(crate) async fn try_join(ticket: &str) -> Result<Self, (StartError, Home)> {
        let ticket = ticket.parse().unwrap();
        Home::new().try_start(|config| config.join = Some(ticket)).await
    }

    /// A ticket of this node.
    pub(crate) async fn invite(&self) -> String {
        self.invite_as("publisher").await
    }

    /// A ticket of this node for a role.
    pub(crate) async fn invite_as(&self, role: &str) -> String {
        let wanted = serde_json::json!({ "role": role });
        let made = self.client.post_json("/v1/invites", &wanted).await.ok().json();
        made["ticket"].as_str().unwrap().to_owned()
    }

    /// Asks this node as another one does that has this key.
    pub(crate) fn seen_by(&self, key: &NodeKey) -> PeerClient {
        self.seen_at(self.home.address(), key)
    }

    /// The same, under another address that leads here.
    pub(crate) fn seen_at(&self, address: SocketAddr, key: &NodeKey) -> PeerClient {
        let book = At(HashMap::from([(self.node.id(), address)]));
        let dialer = Dialer::new(key, self.node.network(), Arc::new(book)).unwrap();
        dialer.client(self.node.id()).unwrap()
    }

    /// Waits until this node reaches a quorum of the validators, or none.
    pub(crate) async fn has_quorum(&self, wanted: bool) {
        crate::client::until(|| async {
            self.client.get("/v1/status").await.ok().json()["quorum"]["has_quorum"] == wanted
        })
        .await;
    }

    /// Waits until the ledger here has a block.
    pub(crate) async fn reaches(&self, height: u64) {
        let mut head = self.node.ledger().watch_head();
        soon(head.wait_for(|head| head.height >= height)).await.unwrap();
    }

    /// Waits until all content of a name is here.
    pub(crate) async fn completes(&self, name: &str) {
        let path = format!("/v1/files/{name}?meta");
        crate::client::until(|| async {
            let answer = self.client.get(&path).await;
            answer.status == 200 && answer.json()["complete"] == true
        })
        .await;
    }

    /// Stops the node and gives its home.
    pub(crate) async fn stop(self) -> Home {
        soon(self.node.stop(Duration::from_secs(10))).await;
        self.home
    }
}

/// Bytes that do not repeat soon, and differ from those of another seed.
pub(crate) fn content(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

/// BLAKE3 by its own crate, as `b3sum` prints it.
pub(crate) fn b3sum(content: &[u8]) -> String {
    blake3::hash(content).to_hex().to_string()
}
