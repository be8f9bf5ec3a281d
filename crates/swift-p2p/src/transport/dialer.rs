//! Reaching a node by its id: the ledger says where, the key says whether it is the one.

use std::{fmt, sync::Arc, time::Duration};

use reqwest::{
    Client, Method, RequestBuilder,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};
use swift_chain::{Address, NetworkId, NodeId, NodeKey};

use super::{
    dial_error::{DialError, NoAddress},
    tls::{ClientTls, TlsError},
};

/// From looking up the address to the end of the handshake.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// Shorter than the listener's header deadline: a connection the other side is about to close is never picked.
const IDLE_DEADLINE: Duration = Duration::from_secs(15);
/// Idle connections kept per peer. It bounds idle ones only: how many run at once is up to who sends requests.
const IDLE_MAX: usize = 4;
/// Silence after which the system asks whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);

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
        let tls = self.0.tls.towards(node).map_err(|error| setup(&error))?;
        let host: Arc<str> = node.to_string().into();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .https_only(true)
            .no_proxy()
            .referer(false)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .dns_resolver(Arc::new(Resolver { node, host: host.clone(), whereabouts }))
            .connect_timeout(CONNECT_DEADLINE)
            .pool_idle_timeout(IDLE_DEADLINE)
            .pool_max_idle_per_host(idle_max)
            .tcp_nodelay(true)
            .tcp_keepalive(KEEPALIVE)
            .build()
            .map_err(|error| setup(&error))?;
        Ok(PeerClient { node, host, client })
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dialer")
    }
}

/// HTTP to one node. Clones share its connections, which close when the last clone is dropped and the responses under
/// way are read.
#[derive(Clone, Debug)]
pub struct PeerClient {
    node: NodeId,
    host: Arc<str>,
    client: Client,
}

impl PeerClient {
    /// The node at the other end.
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// A GET of `path`, which may have a query.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// A POST to `path`, which may have a query.
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    /// Any other request. Errors of sending it and of reading its answer are read with [`DialError::of`].
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        // The slash before the path keeps it from becoming part of the host, whatever it holds. No port: reqwest then
        // takes the one that the resolver gives.
        let path = path.strip_prefix('/').unwrap_or(path);
        self.client.request(method, format!("https://{}/{path}", self.host))
    }
}

enum Whereabouts {
    Book(Arc<dyn AddressBook>),
    Given(Address),
}

/// Resolves the one host name of a peer's client, its id, to its address.
struct Resolver {
    node: NodeId,
    host: Arc<str>,
    whereabouts: Whereabouts,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let address = match &self.whereabouts {
            _ if name.as_str() != &*self.host => None,
            Whereabouts::Book(book) => book.address_of(&self.node),
            Whereabouts::Given(address) => Some(address.clone()),
        };
        Box::pin(async move {
            let address = address.ok_or(NoAddress)?;
            if let Some(ip) = address.ip() {
                return Ok(Box::new(std::iter::once((ip, address.port()).into())) as Addrs);
            }
            let found: Vec<_> = tokio::net::lookup_host((address.host(), address.port())).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
