//! Nodes with ledgers, stores and swarms. Blocks are carried by hand, and who is online is said by hand.

use std::{
    fs,
    future::pending,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use axum::Router;
use swift_chain::*;
use swift_chunks::{FileId, Hold, ManifestHash, SLICE_LEVEL_MAX, Store, StoreOptions};
use swift_p2p::{
    driver::{
        CatalogError, CatalogTask, Conduct, LOOK_EVERY, LedgerHandle, LedgerTask, Members, Publisher,
        SwarmHandle, SwarmSetup, SwarmTask, wall_clock_ms,
    },
    offences::ISOLATION_FIRST,
    security::SecurityLog,
    swarm::Config,
    transport::{Dialer, Listener, ListenerConfig, PeerClients, Sessions},
};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    manners::Manners,
    server::{Served, router},
};

/// Tests of this process that have a network.
static TESTS: AtomicU8 = AtomicU8::new(0);

/// Bytes in a chunk.
pub(crate) const C: usize = 4 << 20;

/// Fails a test whose event never comes.
pub(crate) async fn soon<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), event).await.expect("the event never came")
}

/// Bytes that repeat nowhere.
pub(crate) fn content(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(len).collect()
}

/// One node. Its folder and address stay while it is stopped and started again.
pub(crate) struct Peer {
    pub(crate) key: NodeKey,
    pub(crate) manners: Arc<Manners>,
    folder: TempDir,
    at: SocketAddr,
    quota_bytes: Option<u64>,
    config: Config,
    running: Option<Running>,
}

struct Running {
    ledger: LedgerHandle,
    publisher: Publisher,
    swarm: SwarmTask,
    store: Store,
    server: JoinHandle<usize>,
    /// Ends of what must have ended before the folder is opened again.
    ledger_ended: oneshot::Receiver<Result<(), Poisoned>>,
    catalog_ended: oneshot::Receiver<Result<(), CatalogError>>,
}

/// Whole chunks move, whatever the size of a file and the speed of this machine.
pub(crate) fn whole_chunks() -> Config {
    Config { slice_levels: (SLICE_LEVEL_MAX, SLICE_LEVEL_MAX), ..Config::default() }
}

/// Slices of at most 128 KiB move.
pub(crate) fn small_slices() -> Config {
    Config { slice_levels: (0, 1), ..Config::default() }
}

/// The founder publishes to node 1 and is held up after some requests; node 2, which sees only node 1, gets as much
/// from there meanwhile, looked at by `midway`, and the rest when the founder goes on.
pub(crate) async fn is_passed_on_early(
    network: &Network,
    bytes: &[u8],
    requests: usize,
    midway: impl Fn(FileId),
) {
    network.meet(0, 1);
    network.meet(1, 2);
    network.peers[0].manners.hold_after(requests);
    let file = network.publish("relayed.bin", bytes).await;
    network.peers[1].manners.until(|seen| seen.confirms == requests).await;
    midway(file);

    network.peers[0].manners.release();
    network.copied(file, 2, 1).await;
    assert!(fs::read(network.peers[2].file("relayed.bin")).unwrap() == bytes);
    let sent = network.peers[0].manners.seen.borrow().sent.clone();
    assert!(sent.iter().all(|(to, _)| *to == network.peers[1].id()));
}

/// A founder and members that know each other's addresses.
pub(crate) struct Network {
    pub(crate) peers: Vec<Peer>,
    genesis: Genesis,
}

impl Network {
    /// Nodes 0 to `count` - 1, the first the founder, all level, nobody online.
    pub(crate) async fn of(count: u8) -> Self {
        Self::with(count, &whole_chunks()).await
    }

    /// The same with numbers of the caller's.
    pub(crate) async fn with(count: u8, config: &Config) -> Self {
        // An address that nobody else on this machine takes while a node is stopped: other programs, and the ports of
        // connections, are at 127.0.0.1.
        let process = u8::try_from(std::process::id() % 250).unwrap() + 1;
        let test = TESTS.fetch_add(1, Ordering::Relaxed);
        let mut peers = Vec::new();
        for number in 0..count {
            peers.push(Peer {
                key: NodeKey::from_seed([number + 1; 32]),
                manners: Arc::new(Manners::honest()),
                folder: tempfile::tempdir().unwrap(),
                at: (Ipv4Addr::new(127, process, test, number + 1), 8000).into(),
                quota_bytes: None,
                config: config.clone(),
                running: None,
            });
        }
        let body = GenesisBody {
            protocol_version: PROTOCOL_VERSION,
            nonce: [7; 16],
            time_ms: wall_clock_ms(),
            founder: peers[0].key.id(),
            address: peers[0].address(),
            params: NetworkParams::default(),
            origin: None,
        };
        let genesis = Genesis::sign(&peers[0].key, body);
        for peer in &peers {
            LedgerDb::create(&peer.ledger_path(), &genesis).unwrap();
        }
        let mut network = Self { peers, genesis };
        for number in 0..usize::from(count) {
            network.start(number).await;
        }
        for number in 1..usize::from(count) {
            network.admit(number).await;
        }
        for number in 1..usize::from(count) {
            network.level(number).await;
        }
        network
    }

    pub(crate) async fn start(&mut self, number: usize) {
        let network = self.genesis.id();
        self.peers[number].start(network).await;
    }

    /// Stops a node as a signal would: what runs is dropped.
    pub(crate) async fn stop(&mut self, number: usize) {
        let peer = &mut self.peers[number];
        let Running { ledger, publisher, swarm, store, server, ledger_ended, catalog_ended } =
            peer.running.take().unwrap();
        server.abort();
        // It is cancelled.
        let _ = server.await;
        let SwarmTask { handle, ended: swarm_ended } = swarm;
        drop((handle, ledger, publisher, store));
        soon(swarm_ended).await.unwrap();
        soon(ledger_ended).await.unwrap().unwrap();
        soon(catalog_ended).await.unwrap().unwrap();
    }

    async fn admit(&self, number: usize) {
        let (founder, joiner, network) = (&self.peers[0].key, &self.peers[number], self.genesis.id());
        let (nonce, role) = ([u8::try_from(number).unwrap(); 16], Role::Publisher);
        let not_after_ms = wall_clock_ms() + 3_600_000;
        let terms = InvitationTerms { inviter: founder.id(), role, nonce, not_after_ms };
        let invitation = Box::new(Invitation::sign(founder, &network, terms));
        let (node, address) = (joiner.key.id(), joiner.address());
        let request = JoinRequest { node, address: address.clone(), nonce };
        let joiner_signature = joiner.key.sign(&network, &request);
        let action = Action::AddNode { node, address, invitation, joiner_signature };
        soon(self.peers[0].ledger().submit(action, None)).await.unwrap();
    }

    /// Carries the founder's blocks to a node.
    pub(crate) async fn level(&self, number: usize) {
        let to = self.peers[number].ledger();
        let (from, height) = (to.head().height + 1, self.peers[0].ledger().head().height);
        let blocks = self.peers[0].ledger().read(move |reader| {
            (from..=height)
                .map(|height| Ok(reader.block(height)?.unwrap()))
                .collect::<Result<Vec<_>, DbError>>()
        });
        let blocks = soon(blocks).await.unwrap();
        if !blocks.is_empty() {
            soon(to.follow(blocks, usize::MAX)).await.unwrap().unwrap();
        }
    }

    /// Puts a file on the founder and its block on every node that runs.
    pub(crate) async fn publish(&self, name: &str, bytes: &[u8]) -> FileId {
        let founder = self.peers[0].running();
        let mut upload = founder.store.begin_upload(Some(bytes.len() as u64)).unwrap();
        upload.write(bytes).unwrap();
        let staged = upload.finish().unwrap();
        let file = staged.file_id;
        let published = founder.publisher.publish(staged, name.parse().unwrap(), None, None, [1; 16]);
        soon(published).await.unwrap();
        self.level_all().await;
        file
    }

    /// Puts content on the founder and publishes it under a manifest that is not the true one.
    pub(crate) async fn publish_forged(&self, name: &str, bytes: &[u8], forged: ManifestHash) {
        let mut upload = self.peers[0].store().begin_upload(None).unwrap();
        upload.write(bytes).unwrap();
        let staged = upload.finish().unwrap();
        let file = FileEntry {
            name: name.parse().unwrap(),
            size: staged.len,
            file_id: Hash::from_bytes(*staged.file_id.as_bytes()),
            manifest_hash: Hash::from_bytes(*forged.as_bytes()),
        };
        let hold = Hold { key: b"kept".to_vec(), payload: Vec::new() };
        self.peers[0].store().adopt(staged, &hold, wall_clock_ms()).unwrap();
        soon(self.peers[0].ledger().submit(Action::AddFile { file, replaces: None }, None)).await.unwrap();
        self.level_all().await;
    }

    async fn level_all(&self) {
        for number in 1..self.peers.len() {
            if self.peers[number].running.is_some() {
                self.level(number).await;
            }
        }
    }

    /// Two nodes see each other.
    pub(crate) fn meet(&self, one: usize, other: usize) {
        self.peers[one].swarm().peer_online(self.peers[other].id());
        self.peers[other].swarm().peer_online(self.peers[one].id());
    }

    /// A node is not seen any more.
    pub(crate) fn lose(&self, gone: usize) {
        for peer in self.peers.iter().filter(|peer| peer.running.is_some()) {
            peer.swarm().peer_offline(self.peers[gone].id());
        }
    }

    /// Waits until `at` has been told that `number` holds a whole copy.
    pub(crate) async fn copied(&self, file: FileId, number: usize, at: usize) {
        let copy = (self.peers[number].id(), file);
        self.peers[at].manners.until(|seen| seen.complete.contains(&copy)).await;
    }
}

impl Peer {
    pub(crate) fn id(&self) -> NodeId {
        self.key.id()
    }

    pub(crate) fn swarm(&self) -> &SwarmHandle {
        &self.running().swarm.handle
    }

    pub(crate) fn store(&self) -> &Store {
        &self.running().store
    }

    pub(crate) fn ledger(&self) -> &LedgerHandle {
        &self.running().ledger
    }

    /// Where a file of this name appears.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("files").join(name)
    }

    /// Room for content, from the next start on.
    pub(crate) fn set_quota(&mut self, bytes: Option<u64>) {
        self.quota_bytes = bytes;
    }

    fn address(&self) -> Address {
        self.at.to_string().parse().unwrap()
    }

    fn ledger_path(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("the node runs")
    }

    /// Where the store keeps what is on its way.
    pub(crate) fn partial(&self) -> PathBuf {
        self.folder.path().join("content/partial")
    }

    /// The store of a node that is stopped.
    pub(crate) fn open_store(&self) -> Store {
        let mut options = StoreOptions::in_dir(self.folder.path());
        options.quota_bytes = self.quota_bytes;
        options.free_floor_bytes = 0;
        Store::open(options).unwrap()
    }

    async fn start(&mut self, network: NetworkId) {
        let db = LedgerDb::open(&self.ledger_path()).unwrap().unwrap();
        let replica = Replica::new(self.key.clone(), db).unwrap();
        let store = self.open_store();
        let members = Members::default();
        let ledger = LedgerTask::spawn(replica, &self.ledger_path(), members.clone()).unwrap();
        let catalog = CatalogTask::spawn(&ledger.handle, store.clone());
        let publisher = Publisher::new(ledger.handle.clone(), catalog.handle.clone(), store.clone());
        let dialer = Dialer::new(&self.key, network, Arc::new(members.clone())).unwrap();
        let swarm = SwarmTask::spawn(SwarmSetup {
            look_every: LOOK_EVERY,
            limits: swift_p2p::driver::Limits::unlimited(),
            conduct: {
                let security = SecurityLog::in_memory(wall_clock_ms);
                Conduct::new(self.id(), members.clone(), security, ISOLATION_FIRST).0
            },
            me: self.id(),
            ledger: ledger.handle.clone(),
            catalog: catalog.handle.clone(),
            store: store.clone(),
            clients: Arc::new(PeerClients::new(dialer.clone())),
            dialer,
            seed: 1,
            config: self.config.clone(),
        })
        .unwrap();
        let served =
            Served { swarm: swarm.handle.clone(), store: store.clone(), manners: self.manners.clone() };
        let server = serve(self.at, router(served), &self.key, network, members).await;
        self.running = Some(Running {
            ledger: ledger.handle,
            publisher,
            swarm,
            store,
            server,
            ledger_ended: ledger.ended,
            catalog_ended: catalog.ended,
        });
    }
}

async fn serve(
    at: SocketAddr,
    router: Router,
    key: &NodeKey,
    network: NetworkId,
    members: Members,
) -> JoinHandle<usize> {
    let config = ListenerConfig::new(key, network, Sessions::new(Arc::new(members))).unwrap();
    let listener = Listener::bind(at).await.unwrap();
    tokio::spawn(listener.serve(router, config, pending()))
}
