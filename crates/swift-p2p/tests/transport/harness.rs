//! A node that answers who is calling, a ledger to change under it, and raw sockets to misbehave with.

use std::{
    collections::HashMap,
    future::pending,
    net::SocketAddr,
    sync::{Arc, RwLock},
    time::Duration,
};

use axum::{Extension, Router, routing::get};
use swift_chain::{Address, NetworkId, NodeId, NodeKey, Role};
use swift_p2p::transport::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
    time::Instant,
};

pub(crate) fn key(number: u8) -> NodeKey {
    NodeKey::from_seed([number; 32])
}

pub(crate) fn network() -> NetworkId {
    NetworkId::from_bytes([0xab; 32])
}

pub(crate) const MEMBER: Standing = Standing::Member(Role::Publisher);

/// Fails a test whose event never comes.
pub(crate) async fn soon<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), event).await.expect("the event never came")
}

/// Who is a member and where everybody is.
#[derive(Default)]
pub(crate) struct Ledger {
    standings: RwLock<HashMap<NodeId, Standing>>,
    addresses: RwLock<HashMap<NodeId, Address>>,
}

impl Ledger {
    pub(crate) fn set(&self, node: NodeId, standing: Standing) {
        self.standings.write().unwrap().insert(node, standing);
    }

    pub(crate) fn locate(&self, node: NodeId, at: SocketAddr) {
        self.addresses.write().unwrap().insert(node, at.to_string().parse().unwrap());
    }

    pub(crate) fn lose(&self, node: NodeId) {
        self.addresses.write().unwrap().remove(&node);
    }
}

impl Membership for Ledger {
    fn standing(&self, node: &NodeId) -> Standing {
        self.standings.read().unwrap().get(node).copied().unwrap_or(Standing::Stranger)
    }
}

impl AddressBook for Ledger {
    fn address_of(&self, node: &NodeId) -> Option<Address> {
        self.addresses.read().unwrap().get(node).cloned()
    }
}

/// A serving node.
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) at: SocketAddr,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) sessions: Sessions,
    stop: oneshot::Sender<Instant>,
    served: JoinHandle<usize>,
}

impl Node {
    /// Node 1, which answers `/whoami`.
    pub(crate) async fn start() -> Self {
        Self::start_with(Router::new(), |config| config).await
    }

    pub(crate) async fn start_limited(limits: Limits) -> Self {
        Self::start_with(Router::new(), |config| config.with_limits(limits)).await
    }

    pub(crate) async fn start_with(
        router: Router,
        change: impl FnOnce(ListenerConfig) -> ListenerConfig,
    ) -> Self {
        let (key, ledger) = (key(1), Arc::new(Ledger::default()));
        let sessions = Sessions::new(ledger.clone());
        let config = change(ListenerConfig::new(&key, network(), sessions.clone()).unwrap());
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let at = listener.local_addr().unwrap();
        ledger.locate(key.id(), at);
        let (stop, stopped) = oneshot::channel();
        let router = router.route("/whoami", get(who_am_i));
        let served = tokio::spawn(async move {
            let shutdown = async {
                match stopped.await {
                    Ok(deadline) => deadline,
                    Err(_) => pending().await,
                }
            };
            listener.serve(router, config, shutdown).await
        });
        Self { id: key.id(), at, ledger, sessions, stop, served }
    }

    /// A client of node `number` for this node.
    pub(crate) fn client(&self, number: u8) -> PeerClient {
        let dialer = Dialer::new(&key(number), network(), self.ledger.clone()).unwrap();
        dialer.client(self.id).unwrap()
    }

    /// Tells it to stop; what it answers once it has is how many connections it cut.
    pub(crate) fn stop(self, deadline: Instant) -> JoinHandle<usize> {
        self.stop.send(deadline).unwrap();
        self.served
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.at).await.unwrap()
    }
}

async fn who_am_i(
    Extension(caller): Extension<Caller>,
    Extension(RemoteAddress(from)): Extension<RemoteAddress>,
) -> String {
    assert!(from.ip().is_loopback());
    format!("{caller:?}")
}

/// How `/whoami` names a node.
pub(crate) fn node(number: u8, standing: Standing) -> String {
    format!("{:?}", Caller::Node { id: key(number).id(), standing })
}

/// Asks `/whoami` as a peer.
pub(crate) async fn ask(client: &PeerClient) -> Result<String, DialError> {
    let answer = soon(client.get("/whoami").send()).await?.error_for_status()?;
    soon(answer.text()).await
}

/// Sends bytes and reads the answer until the other side closes.
pub(crate) async fn exchange(tcp: &mut TcpStream, bytes: &[u8]) -> Vec<u8> {
    tcp.write_all(bytes).await.unwrap();
    until_closed(tcp).await
}

/// What arrives until the other side closes or resets.
pub(crate) async fn until_closed(tcp: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is an end as well.
    let _ = soon(tcp.read_to_end(&mut bytes)).await;
    bytes
}

/// Asks for `path` in plain HTTP and reads until `last` has arrived; the connection stays open.
pub(crate) async fn ask_plainly(tcp: &mut TcpStream, path: &str, last: &str) -> String {
    tcp.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    let mut buffer = [0; 1024];
    while !text.contains(last) {
        let read = soon(tcp.read(&mut buffer)).await.unwrap();
        assert!(read > 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    text
}
