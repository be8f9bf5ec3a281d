//! Reaching a node by its id: the ledger says where, the key says whether it is the one.

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::Method;
use rustls::{ClientConfig, pki_types::ServerName};
use swift_chain::{Address, NetworkId, NodeId, NodeKey};
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, timeout, timeout_at},
};

use super::{
    dial_error::DialError,
    exchange::PeerRequest,
    line::Line,
    pool::Pool,
    socket::prepare,
    tls::{ClientTls, SecureStream, TlsError},
};

/// From looking up the address to the end of the handshake.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// Idle connections kept per peer. It bounds idle ones only: how many run at once is up to who sends requests.
const IDLE_MAX: usize = 4;

/// Where nodes can be dialled: the ledger's addresses, and what the operator says instead.
pub trait AddressBook: Send + Sync {
    /// Where to dial `node` now; nothing when it is no member or has no address.
    fn address_of(&self, node: &NodeId) -> Option<Address>;
}

/// Makes clients for peers. It opens no connection by itself.
#[derive(Clone)]
pub struct Dialer(Arc<Identity>);

struct Identity {
    tls: ClientTls,
    addresses: Arc<dyn AddressBook>,
}

impl Dialer {
    /// Dials as the holder of `key` in `network`.
    pub fn new(key: &NodeKey, network: NetworkId, addresses: Arc<dyn AddressBook>) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(Identity { tls: ClientTls::new(key, network)?, addresses })))
    }

    /// A client for `node`, wherever the address book says it is: asked again for each new connection.
    pub fn client(&self, node: NodeId) -> Result<PeerClient, DialError> {
        self.build(node, Whereabouts::Book(self.0.addresses.clone()), IDLE_MAX)
    }

    /// The same, which keeps one connection at most when nothing runs.
    pub(super) fn thrifty_client(&self, node: NodeId) -> Result<PeerClient, DialError> {
        self.build(node, Whereabouts::Book(self.0.addresses.clone()), 1)
    }

    /// A client for `node` at `address`, which no ledger confirms: the inviter in a ticket, or a node that asks to
    /// join. The key is checked all the same.
    pub fn client_at(&self, node: NodeId, address: Address) -> Result<PeerClient, DialError> {
        self.build(node, Whereabouts::Given(address), IDLE_MAX)
    }

    /// Where the address book says `node` is.
    pub(super) fn address_of(&self, node: &NodeId) -> Option<Address> {
        self.0.addresses.address_of(node)
    }

    fn build(
        &self,
        node: NodeId,
        whereabouts: Whereabouts,
        idle_max: usize,
    ) -> Result<PeerClient, DialError> {
        let setup = |error: &dyn fmt::Display| DialError::Setup(error.to_string());
        let tls = self.0.tls.towards(node).map_err(|error| setup(&error))?.into();
        let name = ServerName::try_from(node.to_string()).map_err(|error| setup(&error))?;
        let pool = Pool::new(idle_max);
        Ok(PeerClient(Arc::new(Peer { node, whereabouts, tls, name, pool })))
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dialer")
    }
}

/// HTTP to one node. Clones share its connections, which close when the last clone is dropped and the responses under
/// way are read.
#[derive(Clone)]
pub struct PeerClient(Arc<Peer>);

struct Peer {
    node: NodeId,
    whereabouts: Whereabouts,
    tls: Arc<ClientConfig>,
    /// The node's id, which the handshake does not show.
    name: ServerName<'static>,
    pool: Arc<Pool>,
}

enum Whereabouts {
    Book(Arc<dyn AddressBook>),
    Given(Address),
}

impl PeerClient {
    /// The node at the other end.
    pub fn node(&self) -> NodeId {
        self.0.node
    }

    /// A GET of `path`, which may have a query.
    pub fn get(&self, path: &str) -> PeerRequest {
        self.request(Method::GET, path)
    }

    /// A POST to `path`, which may have a query.
    pub fn post(&self, path: &str) -> PeerRequest {
        self.request(Method::POST, path)
    }

    /// Any other request.
    pub fn request(&self, method: Method, path: &str) -> PeerRequest {
        PeerRequest::new(self.clone(), method, path)
    }

    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.0.pool
    }

    /// A new connection.
    pub(super) async fn dial(&self) -> Result<Box<Line>, DialError> {
        match timeout(CONNECT_DEADLINE, self.0.connect()).await {
            Ok(connected) => connected,
            Err(_) => {
                Err(DialError::Unreachable(format!("no connection in {} s", CONNECT_DEADLINE.as_secs())))
            }
        }
    }
}

impl fmt::Debug for PeerClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PeerClient").field(&self.0.node).finish()
    }
}

impl Peer {
    async fn connect(&self) -> Result<Box<Line>, DialError> {
        let address = match &self.whereabouts {
            Whereabouts::Book(book) => book.address_of(&self.node),
            Whereabouts::Given(address) => Some(address.clone()),
        };
        let address = address.ok_or(DialError::NoAddress)?;
        let failed = |error: io::Error| DialError::of_connecting(&error);
        let tcp = reach(&address).await.map_err(failed)?;
        prepare(&tcp).map_err(failed)?;
        let stream = SecureStream::open(tcp, self.tls.clone(), self.name.clone()).await.map_err(failed)?;
        Line::begin(stream).await.map(Box::new).map_err(failed)
    }
}

/// Tries every address that a name stands for, one after another, each with an even share of the time that is left.
async fn reach(address: &Address) -> io::Result<TcpStream> {
    if let Some(ip) = address.ip() {
        return TcpStream::connect((ip, address.port())).await;
    }
    let deadline = Instant::now() + CONNECT_DEADLINE;
    let found: Vec<SocketAddr> = lookup_host((address.host(), address.port())).await?.collect();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for (tried, &at) in found.iter().enumerate() {
        let left = u32::try_from(found.len() - tried).unwrap_or(u32::MAX);
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        match timeout_at(Instant::now() + share, TcpStream::connect(at)).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(error)) => failure = error,
            Err(_) => failure = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failure)
}
