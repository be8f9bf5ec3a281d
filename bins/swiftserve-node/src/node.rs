//! One node: its parts put together, started in the order in which they need each other, and stopped in the reverse.

mod certificate;
mod error;
mod opening;
mod parts;

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use serde::Serialize;
use swift_chain::{Address, AddressError, NetworkId, NetworkParams, NodeId, Poisoned};
use swift_http::EventsFeed;
use swift_p2p::{
    driver::{
        CatalogError, ConductTask, GossipTask, LOOK_EVERY, LedgerHandle, Members, Patience, UpkeepTask,
        ask_to_join, fetch_chain, wall_clock_ms,
    },
    offences::ISOLATION_FIRST,
    security::SecurityTask,
    transport::{Dialer, Listener, ListenerConfig, Sessions},
};
use tokio::{
    sync::oneshot,
    task::{self, JoinHandle},
    time::Instant,
};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

pub use certificate::CertificateError;
pub use error::{LedgerDamage, NodeFailure, StartError};

use crate::{config::Config, data_dir::DataDir, routes::Routes};
use certificate::Certificate;
use opening::{LedgerOrTicket, Opened, Stored};
pub(crate) use opening::{content_network, follow_network, random};
use parts::Parts;

/// How long the ledger's thread may take to end a step.
const LAST_STEP: Duration = Duration::from_secs(2);

/// How a node runs.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// Everything an operator sets.
    pub config: Config,
    /// Limits of the network, if this start founds one.
    pub params: NetworkParams,
    /// How long clients wait for a block.
    pub patience: Patience,
    /// How often the swarm looks for itself what the store wants, besides being told.
    pub look_every: Duration,
    /// How long a member is isolated that does wrong, the first time.
    pub isolation_first: Duration,
}

impl NodeOptions {
    /// A node with a data folder, reachable at a host and port, everything else as by default.
    pub fn new(data_dir: &str, host: &str, port: u16) -> Result<Self, AddressError> {
        Ok(Self {
            config: Config::new(data_dir, Address::new(host, port)?),
            params: NetworkParams::default(),
            patience: Patience::default(),
            look_every: LOOK_EVERY,
            isolation_first: ISOLATION_FIRST,
        })
    }
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    id: NodeId,
    network: NetworkId,
    local_addr: SocketAddr,
    ledger: LedgerHandle,
    gossip: GossipTask,
    upkeep: UpkeepTask,
    conduct: ConductTask,
    events: EventsFeed,
    ledger_ended: oneshot::Receiver<Result<(), Poisoned>>,
    catalog_ended: oneshot::Receiver<Result<(), CatalogError>>,
    swarm_ended: oneshot::Receiver<()>,
    keeping_ended: oneshot::Receiver<()>,
    store_stopped: oneshot::Receiver<String>,
    scrub_ended: oneshot::Receiver<()>,
    security_ended: oneshot::Receiver<()>,
    uploads: TaskTracker,
    routes: Routes,
    certificate: Option<Certificate>,
    sign_in_address: Unprinted,
    drain: oneshot::Sender<Instant>,
    server: JoinHandle<usize>,
    /// Last, so that the folder is free only when nothing uses it.
    data_dir: DataDir,
}

impl Node {
    /// Starts a node: founds a network, joins one by a ticket, or goes on with the one its folder belongs to.
    pub async fn start(options: NodeOptions) -> Result<Self, StartError> {
        let data_dir = options.config.data_dir.clone();
        Self::try_start(options).await.map_err(|error| error.in_folder(&data_dir))
    }

    async fn try_start(options: NodeOptions) -> Result<Self, StartError> {
        let (config, patience, look_every) = (options.config.clone(), options.patience, options.look_every);
        let isolation_first = options.isolation_first;
        let certificate = config.clients.certificate.clone().map(Certificate::load).transpose()?;
        let listener = bind(config.bind).await?;
        let local_addr = listener.local_addr().map_err(StartError::bind(config.bind))?;
        let Opened { data_dir, key, ledger } = blocking(move || Opened::open(&options)).await?;
        let (id, network) = (key.id(), ledger.network());

        // The port answers from here on: a node that joins is dialled back.
        let members = Members::default();
        let sessions = Sessions::new(Arc::new(members.clone()));
        let routes = Routes::default();
        let (drain, drained) = oneshot::channel();
        let SecurityTask { log: security, ended: security_ended } =
            start_security(data_dir.file("security.log"))?;
        let mut listener_config =
            ListenerConfig::new(&key, network, sessions.clone())?.with_security(security.clone());
        if let Some(certificate) = &certificate {
            listener_config = listener_config.with_operator_tls(certificate.tls());
        }
        let server = task::spawn(listener.serve(routes.service(&key)?, listener_config, async {
            // A node that is dropped instead of stopped cuts at once.
            drained.await.unwrap_or_else(|_| Instant::now())
        }));

        let dialer = Dialer::new(&key, network, Arc::new(members.clone()))?;
        let ledger_path = data_dir.file("ledger.db");
        if let LedgerOrTicket::Ticket(ticket) = &ledger {
            let inviter = ask_to_join(&dialer, &key, ticket, config.address.clone()).await?;
            fetch_chain(&inviter, &key, ticket, &ledger_path).await?;
            info!(%network, "joined the network");
        }
        let (data_dir, stored) = blocking({
            let (key, config) = (key.clone(), config.clone());
            move || Stored::open(&data_dir, &key, ledger, &config).map(|stored| (data_dir, stored))
        })
        .await?;
        let node_file = NodeFile::new(id, local_addr);
        let page_address = match &certificate {
            Some(_) => format!("https://{}", browser_host(&config, local_addr)),
            None => node_file.url.clone(),
        };
        let parts = Parts {
            key,
            members,
            sessions,
            dialer,
            config,
            patience,
            look_every,
            isolation_first,
            security,
            ledger_path,
            page_address,
        };
        let running = parts.start(stored).await?;
        let (sign_in_address, _) = running.services.invite_browser(random()?, wall_clock_ms());
        routes.set(swift_http::router(running.services));
        // A gossip that has ended is noticed by whoever waits for its end.
        let _ = running.greet.send(());
        data_dir.write("node.json", &node_file.to_bytes())?;
        info!(node = %id, %network, listening = %local_addr, "the node is running");
        Ok(Self {
            id,
            network,
            local_addr,
            ledger: running.ledger,
            gossip: running.gossip,
            upkeep: running.upkeep,
            conduct: running.conduct,
            events: running.events,
            ledger_ended: running.ledger_ended,
            catalog_ended: running.catalog_ended,
            swarm_ended: running.swarm_ended,
            keeping_ended: running.keeping_ended,
            store_stopped: running.store_stopped,
            scrub_ended: running.scrub_ended,
            security_ended,
            uploads: running.uploads,
            routes,
            certificate,
            sign_in_address: Unprinted(sign_in_address),
            drain,
            server,
            data_dir,
        })
    }

    /// This node.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Its network.
    pub fn network(&self) -> NetworkId {
        self.network
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Signs one browser in as the operator, once, within ten minutes of the start. It holds a secret.
    pub fn sign_in_address(&self) -> &str {
        &self.sign_in_address.0
    }

    /// Reads the certificate for browsers again, if there is one; false if there is none. One that cannot be used
    /// leaves the one in use.
    pub fn reload_certificate(&self) -> Result<bool, CertificateError> {
        self.certificate.as_ref().map_or(Ok(false), |certificate| certificate.reload().map(|()| true))
    }

    /// Its ledger.
    pub fn ledger(&self) -> &LedgerHandle {
        &self.ledger
    }

    /// Its folder.
    pub fn data_dir(&self) -> &DataDir {
        &self.data_dir
    }

    /// Resolves when the node cannot go on; stop it then.
    pub async fn failed(&mut self) -> NodeFailure {
        let folder = self.data_dir.path();
        tokio::select! {
            // First, as it may be why another ends.
            biased;
            Ok(reason) = &mut self.store_stopped => NodeFailure::Store(reason),
            ended = &mut self.ledger_ended => match ended {
                Ok(Err(poisoned)) => NodeFailure::of_ledger(folder, poisoned),
                _ => NodeFailure::Ended("the ledger"),
            },
            reason = self.ledger.damaged() => NodeFailure::damaged(folder, &reason),
            ended = &mut self.gossip.ended => match ended {
                Ok(error) => error.into(),
                Err(_) => NodeFailure::Ended("the gossip"),
            },
            ended = &mut self.catalog_ended => match ended {
                Ok(Err(error)) => NodeFailure::of_catalog(folder, error),
                _ => NodeFailure::Ended("the catalog"),
            },
            _ = &mut self.swarm_ended => NodeFailure::Ended("the swarm"),
            _ = &mut self.server => NodeFailure::Ended("the server"),
        }
    }

    /// Takes no new requests, lets running ones finish for at most `grace`, and gives the folder free.
    pub async fn stop(self, grace: Duration) {
        let Self {
            ledger,
            gossip,
            upkeep,
            conduct,
            events,
            ledger_ended,
            catalog_ended,
            swarm_ended,
            keeping_ended,
            scrub_ended,
            security_ended,
            uploads,
            routes,
            drain,
            server,
            data_dir,
            ..
        } = self;
        // Streams of events have no end of their own.
        drop(events);
        // The server may have ended already.
        let _ = drain.send(Instant::now() + grace);
        match server.await {
            Ok(0) => {}
            Ok(cut) => warn!(cut, "connections were cut because they did not end in time"),
            Err(error) => warn!(%error, "the server failed"),
        }
        // The last handle ends the ledger's thread, and that the catalog. Writes still running are in their queue.
        routes.clear();
        drop((gossip, upkeep, conduct, ledger));
        uploads.close();
        let ended = async {
            (
                keeping_ended.await,
                swarm_ended.await,
                ledger_ended.await,
                catalog_ended.await,
                scrub_ended.await,
                security_ended.await,
                uploads.wait().await,
            )
        };
        if tokio::time::timeout(LAST_STEP, ended).await.is_err() {
            warn!(
                "the ledger or the store was still at work; what it had not finished goes on at the next start"
            );
        }
        drop(data_dir);
    }
}

/// A text with a secret in it, which does not show it where a node is printed.
struct Unprinted(String);

impl fmt::Debug for Unprinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}

/// What a browser on another machine calls this node, with its port.
fn browser_host(config: &Config, listening: SocketAddr) -> String {
    let port = listening.port();
    match config.clients.host_names.first() {
        Some(name) => format!("{name}:{port}"),
        None => config.address.to_string(),
    }
}

fn start_security(path: PathBuf) -> Result<SecurityTask, StartError> {
    SecurityTask::spawn(&path, wall_clock_ms).map_err(|source| StartError::SecurityLog { path, source })
}

async fn bind(address: SocketAddr) -> Result<Listener, StartError> {
    Listener::bind(address).await.map_err(StartError::bind(address))
}

/// Runs what blocks on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StartError> + Send + 'static,
) -> Result<T, StartError> {
    task::spawn_blocking(work).await.map_err(|_| StartError::Interrupted)?
}

/// Where a running node can be reached, for `swiftctl --data-dir`.
#[derive(Serialize)]
struct NodeFile {
    url: String,
    node_id: NodeId,
    pid: u32,
}

impl NodeFile {
    fn new(node_id: NodeId, listening: SocketAddr) -> Self {
        let host = match listening.ip() {
            ip if !ip.is_unspecified() => ip,
            ip if ip.is_ipv6() => std::net::Ipv6Addr::LOCALHOST.into(),
            _ => std::net::Ipv4Addr::LOCALHOST.into(),
        };
        let url = format!("http://{}", SocketAddr::new(host, listening.port()));
        Self { url, node_id, pid: std::process::id() }
    }

    fn to_bytes(&self) -> Vec<u8> {
        // Texts and numbers in a struct: nothing that JSON could not hold.
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}
