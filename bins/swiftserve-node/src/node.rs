//! One node: its parts put together, started in the order in which they need each other, and stopped in the reverse.

use std::{collections::BTreeSet, io, net::SocketAddr, sync::Arc, time::Duration};

use serde::Serialize;
use swift_chain::{
    Action, Address, AddressError, DbError, Genesis, GenesisBody, LedgerDb, NetworkId, NetworkParams,
    NodeChange, NodeId, NodeKey, PROTOCOL_VERSION, Poisoned, Replica, Ticket,
};
use swift_chunks::{OpenError, Store, StoreOptions};
use swift_http::{AccessPolicy, Scope, Services, TokenError, TokenRecord, Tokens};
use swift_p2p::{
    driver::{
        CatalogError, CatalogTask, LedgerHandle, LedgerStartError, LedgerTask, PublishError, Publisher,
        wall_clock_ms,
    },
    transport::{Listener, ListenerConfig, Sessions, TlsError},
};
use tokio::{
    sync::oneshot,
    task::{self, JoinHandle},
    time::Instant,
};
use tracing::{info, warn};

use crate::{
    config::Config,
    data_dir::{DataDir, DataDirError},
};

/// The label of the token made at the first start.
const ADMIN_LABEL: &str = "admin";

/// How a node runs.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// Everything an operator sets.
    pub config: Config,
    /// Limits of the network, if this start founds one.
    pub params: NetworkParams,
}

impl NodeOptions {
    /// A node with a data folder, reachable at a host and port, everything else as by default.
    pub fn new(data_dir: &str, host: &str, port: u16) -> Result<Self, AddressError> {
        Ok(Self {
            config: Config::new(data_dir, Address::new(host, port)?),
            params: NetworkParams::default(),
        })
    }
}

/// Why a node did not start. What it had made in its folder stays and is used by the next start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The port.
    #[error("cannot listen on {address}: {source}{}", hint(.source))]
    Bind {
        /// Where.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The ledger.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The ledger's thread.
    #[error(transparent)]
    Ledger(#[from] LedgerStartError),
    /// The store.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The tokens.
    #[error(transparent)]
    Tokens(#[from] TokenError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Interrupted uploads could not be read.
    #[error(transparent)]
    Resume(#[from] PublishError),
    /// The folder belongs to another network than the ticket.
    #[error("the data folder belongs to network {ours}, the ticket is for {theirs}: use another --data-dir")]
    OtherNetwork {
        /// The folder's.
        ours: NetworkId,
        /// The ticket's.
        theirs: NetworkId,
    },
    /// The system has no random numbers.
    #[error("no random numbers from the system: {0}")]
    Random(getrandom::Error),
    /// A thread that was to open something has ended.
    #[error("the start was interrupted")]
    Interrupted,
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => " (another program uses the port; choose another --port)",
        io::ErrorKind::PermissionDenied => " (ports below 1024 need rights; choose another --port)",
        io::ErrorKind::AddrNotAvailable => " (this machine does not have that address; see --bind)",
        _ => "",
    }
}

/// Why a running node had to stop. What it had acknowledged is stored.
#[derive(Debug, thiserror::Error)]
pub enum NodeFailure {
    /// The ledger's storage.
    #[error(transparent)]
    Ledger(#[from] Poisoned),
    /// The catalog.
    #[error("the store cannot follow the ledger: {0}")]
    Catalog(#[from] CatalogError),
    /// A part ended that should not.
    #[error("{0} ended unexpectedly")]
    Ended(&'static str),
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    id: NodeId,
    network: NetworkId,
    local_addr: SocketAddr,
    ledger: LedgerHandle,
    ledger_ended: oneshot::Receiver<Result<(), Poisoned>>,
    catalog_ended: oneshot::Receiver<Result<(), CatalogError>>,
    drain: oneshot::Sender<Instant>,
    server: JoinHandle<usize>,
    /// Last, so that the folder is free only when nothing uses it.
    data_dir: DataDir,
}

/// Where a running node can be reached, for `swiftctl --data-dir`.
#[derive(Serialize)]
struct NodeFile {
    url: String,
    node_id: NodeId,
    pid: u32,
}

impl NodeFile {
    fn to_bytes(&self) -> Vec<u8> {
        // Texts and numbers in a struct: nothing that JSON could not hold.
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

impl Node {
    /// Starts a node: founds a network, or goes on with the one its folder belongs to.
    pub async fn start(options: NodeOptions) -> Result<Self, StartError> {
        let config = options.config.clone();
        let listener = bind(config.bind).await?;
        let local_addr = listener.local_addr().map_err(|source| bind_error(config.bind, source))?;
        let opened = task::spawn_blocking(move || Opened::open(&options)).await;
        let Opened { data_dir, key, replica, store, tokens } =
            opened.map_err(|_| StartError::Interrupted)??;

        let (id, network) = (key.id(), replica.reader().network());
        let ledger = LedgerTask::spawn(replica, &data_dir.file("ledger.db"))?;
        let catalog = CatalogTask::spawn(&ledger.handle, store.clone());
        let publisher = Publisher::new(ledger.handle.clone(), catalog.handle.clone(), store.clone());
        publisher.resume().await?;
        update_address(&ledger.handle, id, &config.address);

        let host_name = config.address.ip().is_none().then(|| config.address.host().to_owned());
        let services = Services {
            key: Arc::new(key.clone()),
            ledger: ledger.handle.clone(),
            catalog: catalog.handle.clone(),
            publisher,
            store,
            tokens: Arc::new(tokens),
            policy: Arc::new(AccessPolicy {
                allow_plain_http: config.allow_plain_http,
                host_names: host_name.into_iter().collect(),
            }),
        };
        let sessions = Sessions::new(Arc::new(ledger.handle.members().clone()));
        let listener_config = ListenerConfig::new(&key, network, sessions)?;
        let (drain, drained) = oneshot::channel();
        let server = task::spawn(listener.serve(swift_http::router(services), listener_config, async {
            // A node that is dropped instead of stopped cuts at once.
            drained.await.unwrap_or_else(|_| Instant::now())
        }));

        let file = NodeFile { url: local_url(local_addr), node_id: id, pid: std::process::id() };
        data_dir.write("node.json", &file.to_bytes())?;
        info!(node = %id, %network, address = %config.address, listening = %local_addr, "the node is running");
        Ok(Self {
            id,
            network,
            local_addr,
            ledger: ledger.handle,
            ledger_ended: ledger.ended,
            catalog_ended: catalog.ended,
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
        tokio::select! {
            ended = &mut self.ledger_ended => match ended {
                Ok(Err(poisoned)) => poisoned.into(),
                _ => NodeFailure::Ended("the ledger"),
            },
            ended = &mut self.catalog_ended => match ended {
                Ok(Err(error)) => error.into(),
                _ => NodeFailure::Ended("the catalog"),
            },
            _ = &mut self.server => NodeFailure::Ended("the server"),
        }
    }

    /// Takes no new requests, lets running ones finish for at most `grace`, and gives the folder free.
    pub async fn stop(self, grace: Duration) {
        let Self { ledger, ledger_ended, catalog_ended, drain, server, data_dir, .. } = self;
        // The server may have ended already.
        let _ = drain.send(Instant::now() + grace);
        match server.await {
            Ok(0) => {}
            Ok(cut) => warn!(cut, "connections were cut because they did not end in time"),
            Err(error) => warn!(%error, "the server failed"),
        }
        // The last handle ends the ledger's thread, and that the catalog. Writes still running are in their queue.
        drop(ledger);
        let ended = async { (ledger_ended.await, catalog_ended.await) };
        if tokio::time::timeout(Duration::from_secs(2), ended).await.is_err() {
            warn!("writes were still waiting for their block; they go on at the next start");
        }
        drop(data_dir);
    }
}

/// What is on disk, opened. All of it blocks, so it has a thread of its own.
struct Opened {
    data_dir: DataDir,
    key: NodeKey,
    replica: Replica,
    store: Store,
    tokens: Tokens,
}

impl Opened {
    fn open(options: &NodeOptions) -> Result<Self, StartError> {
        let config = &options.config;
        let data_dir = DataDir::open(&config.data_dir)?;
        let key = data_dir.key()?;
        let db = match LedgerDb::open(&data_dir.file("ledger.db"))? {
            Some(db) => go_on(db, config.join.as_ref())?,
            None => found(&data_dir, &key, options)?,
        };
        let replica = Replica::new(key.clone(), db)?;
        let mut store = StoreOptions::in_dir(data_dir.path());
        store.quota_bytes = config.quota_bytes;
        if let Some(bytes) = config.free_floor_bytes {
            store.free_floor_bytes = bytes;
        }
        let store = Store::open(store)?;
        let tokens = Tokens::open(&data_dir.file("tokens.db"))?;
        ensure_admin_token(&data_dir, &tokens)?;
        Ok(Self { data_dir, key, replica, store, tokens })
    }
}

fn go_on(db: LedgerDb, ticket: Option<&Ticket>) -> Result<LedgerDb, StartError> {
    let ours = db.reader().network();
    match ticket {
        Some(ticket) if ticket.network != ours => {
            Err(StartError::OtherNetwork { ours, theirs: ticket.network })
        }
        Some(_) => {
            info!("this folder belongs to the ticket's network already; the ticket is not needed");
            Ok(db)
        }
        None => Ok(db),
    }
}

fn found(data_dir: &DataDir, key: &NodeKey, options: &NodeOptions) -> Result<LedgerDb, StartError> {
    let body = GenesisBody {
        protocol_version: PROTOCOL_VERSION,
        nonce: random()?,
        time_ms: wall_clock_ms(),
        founder: key.id(),
        address: options.config.address.clone(),
        params: options.params,
    };
    let genesis = Genesis::sign(key, body);
    info!(network = %genesis.id(), "founding a network");
    Ok(LedgerDb::create(&data_dir.file("ledger.db"), &genesis)?)
}

/// The first start makes a token that may do everything, and leaves it where only the owner of the folder finds it.
fn ensure_admin_token(data_dir: &DataDir, tokens: &Tokens) -> Result<(), StartError> {
    let is_known = std::fs::read_to_string(data_dir.file("admin-token"))
        .is_ok_and(|text| tokens.find(text.trim(), wall_clock_ms()).is_some());
    if is_known {
        return Ok(());
    }
    // Lost or half made: nobody can hold its secret but through that file.
    tokens.revoke(ADMIN_LABEL)?;
    let Ok(label) = ADMIN_LABEL.to_owned().try_into() else { unreachable!("a constant that is a label") };
    let scopes = BTreeSet::from([Scope::Admin]);
    let record = TokenRecord { label, scopes, created_ms: wall_clock_ms(), expires_ms: None };
    let token = tokens.create(record, random()?)?;
    Ok(data_dir.write("admin-token", format!("{token}\n").as_bytes())?)
}

fn random<const N: usize>() -> Result<[u8; N], StartError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(StartError::Random)?;
    Ok(bytes)
}

/// Tells the ledger when this member is dialled elsewhere now.
fn update_address(ledger: &LedgerHandle, node: NodeId, address: &Address) {
    let known = ledger.members().address(&node);
    if known.is_none_or(|known| known == *address) {
        return;
    }
    let (ledger, address) = (ledger.clone(), address.clone());
    task::spawn(async move {
        let change = NodeChange::Address(address.clone());
        match ledger.submit(Action::UpdateNode { node, change }, None).await {
            Ok(_) => info!(%address, "the ledger has this node's new address"),
            Err(error) => warn!(%address, %error, "the ledger does not have this node's new address"),
        }
    });
}

async fn bind(address: SocketAddr) -> Result<Listener, StartError> {
    Listener::bind(address).await.map_err(|source| bind_error(address, source))
}

fn bind_error(address: SocketAddr, source: io::Error) -> StartError {
    StartError::Bind { address, source }
}

/// How a client on this machine reaches a listening address.
fn local_url(address: SocketAddr) -> String {
    let host = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        ip if ip.is_ipv6() => std::net::Ipv6Addr::LOCALHOST.into(),
        _ => std::net::Ipv4Addr::LOCALHOST.into(),
    };
    format!("http://{}", SocketAddr::new(host, address.port()))
}
