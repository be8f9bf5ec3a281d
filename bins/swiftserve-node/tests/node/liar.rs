//! A member with a valid key that says and serves whatever a test wants: a listener, a key and a script, and no node.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::Value;
use swift_chain::{
    Action, FileEntry, Hash, NetworkId, NodeId, NodeKey, Role, SignedTransaction, Transaction,
};
use swift_chunks::{FileId, Manifest};
use swift_p2p::{
    driver::ask_to_join,
    swarm::message::{Message as _, Offer},
    transport::{AddressBook, Dialer, Listener, ListenerConfig, Membership, PeerClient, Sessions, Standing},
};
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    client::{Client, soon},
    site::Site,
};

/// What it answers to a request for a path, given the body.
type Script = Box<dyn Fn(&Request<()>, Bytes) -> Response + Send>;

type Scripts = Arc<Mutex<HashMap<&'static str, Script>>>;
type Asked = watch::Sender<HashMap<String, usize>>;

/// Everybody may say anything to a liar.
struct Everybody;

impl Membership for Everybody {
    fn standing(&self, _: &NodeId) -> Standing {
        Standing::Member(Role::Publisher)
    }
}

struct Nowhere;

impl AddressBook for Nowhere {
    fn address_of(&self, _: &NodeId) -> Option<swift_chain::Address> {
        None
    }
}

/// A member that lies.
pub(crate) struct Liar {
    pub(crate) key: NodeKey,
    /// Asks the node that took it in.
    pub(crate) client: PeerClient,
    network: NetworkId,
    scripts: Scripts,
    /// How often which path was asked for.
    asked: Asked,
    server: JoinHandle<usize>,
    sequence: std::sync::atomic::AtomicU64,
}

impl Liar {
    /// A publisher that is taken in by a node.
    pub(crate) async fn join(site: &Site) -> Self {
        Self::enter(&site.client, site.home.address()).await
    }

    /// The same by the node at an address, which an admin's client asks.
    pub(crate) async fn enter(admin: &Client, address: SocketAddr) -> Self {
        let key = NodeKey::from_seed(rand_seed());
        let status = admin.get("/v1/status").await.ok().json();
        let network: NetworkId = status["network_id"].as_str().unwrap().parse().unwrap();
        let node: NodeId = status["node_id"].as_str().unwrap().parse().unwrap();
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let mine = listener.local_addr().unwrap().to_string().parse().unwrap();
        let (scripts, asked) = (Scripts::default(), Asked::default());
        let answering = (scripts.clone(), asked.clone());
        let router = Router::new().fallback(move |request: Request| answer(answering.clone(), request));
        let config = ListenerConfig::new(&key, network, Sessions::new(Arc::new(Everybody))).unwrap();
        let server = tokio::spawn(listener.serve(router, config, std::future::pending()));
        let made = admin.post("/v1/invites", "").await.ok().json();
        let ticket = made["ticket"].as_str().unwrap().parse().unwrap();
        let dialer = Dialer::new(&key, network, Arc::new(Nowhere)).unwrap();
        soon(ask_to_join(&dialer, &key, &ticket, mine)).await.unwrap();
        let client = dialer.client_at(node, address.to_string().parse().unwrap()).unwrap();
        Self { key, client, network, scripts, asked, server, sequence: 1.into() }
    }

    /// From now on this is what it answers there.
    pub(crate) fn answers(
        &self,
        path: &'static str,
        script: impl Fn(&Request<()>, Bytes) -> Response + Send + 'static,
    ) {
        self.scripts.lock().unwrap().insert(path, Box::new(script));
    }

    /// How often it was asked for a path.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.asked.borrow().get(path).copied().unwrap_or(0)
    }

    /// Waits until it was asked for a path so often.
    pub(crate) async fn was_asked(&self, path: &str, times: usize) {
        let often = |asked: &HashMap<String, usize>| asked.get(path).is_some_and(|count| *count >= times);
        soon(self.asked.subscribe().wait_for(often)).await.unwrap();
    }

    /// Says something to the node. Status 0 if the connection was cut meanwhile, as it is in the moment of isolation.
    pub(crate) async fn says(&self, path: &str, body: impl Into<Bytes>) -> (u16, Bytes) {
        let Ok(answer) = soon(self.client.post(path).body(body).send()).await else {
            return (0, Bytes::new());
        };
        let status = answer.status().as_u16();
        (status, soon(answer.bytes()).await.unwrap_or_default())
    }

    /// The same in the form of the original service.
    pub(crate) async fn fills_in(&self, path: &str, form: &str) -> (u16, Value) {
        let request = self.client.post(path).header("content-type", "application/x-www-form-urlencoded");
        let answer = soon(request.body(form.to_owned()).send()).await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&soon(answer.bytes()).await.unwrap()).unwrap())
    }

    /// Offers slices of a file.
    pub(crate) async fn offers(&self, file: FileId, slices: Vec<u32>) -> (u16, Bytes) {
        let take = u8::try_from(slices.len()).unwrap();
        self.says("/response", Offer { file, slices, take, map: None }.encode()).await
    }

    /// An action, signed by its key or another's.
    pub(crate) fn signs(&self, action: Action) -> Transaction {
        let sequence = self.sequence.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let (network, author) = (self.network, self.key.id());
        Transaction { network, author, sequence, valid_until_ms: u64::MAX, on_behalf_of: None, action }
    }

    /// Brings one transaction.
    pub(crate) async fn brings(&self, signed: &SignedTransaction) -> (u16, Bytes) {
        // A list of one.
        self.says("/peer/transactions", [&[1], signed.to_bytes().as_slice()].concat()).await
    }

    /// Publishes content under its true manifest, or what it says is one.
    pub(crate) async fn publishes(
        &self,
        site: &Site,
        name: &str,
        bytes: &[u8],
        manifest_hash: Option<Hash>,
    ) -> FileId {
        let manifest = Manifest::of(bytes).unwrap();
        let file = FileEntry {
            name: name.parse().unwrap(),
            size: bytes.len() as u64,
            file_id: Hash::from_bytes(*manifest.file_id().as_bytes()),
            manifest_hash: manifest_hash.unwrap_or(Hash::from_bytes(*manifest.hash().as_bytes())),
        };
        let height = site.node.ledger().head().height;
        let signed = SignedTransaction::sign(&self.key, self.signs(Action::AddFile { file, replaces: None }));
        assert_eq!(self.brings(&signed).await.0, 202);
        site.reaches(height + 1).await;
        manifest.file_id()
    }

    /// Its row among the peers of a node.
    pub(crate) async fn row(&self, site: &Site) -> Value {
        let peers = site.client.get("/v1/peers").await.ok().json();
        let id = self.key.id().to_string();
        let rows = peers["peers"].as_array().unwrap();
        rows.iter().find(|row| row["node_id"] == id).expect("it is a member").clone()
    }

    /// Waits until the node has nothing to do with it any more; its row then.
    pub(crate) async fn is_isolated(&self, site: &Site) -> Value {
        crate::client::until(|| async { self.row(site).await["isolated_until_ms"].is_u64() }).await;
        self.row(site).await
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Keys of this process, each another.
fn rand_seed() -> [u8; 32] {
    static MADE: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let number = MADE.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    *blake3::hash(format!("liar {number}").as_bytes()).as_bytes()
}

async fn answer((scripts, asked): (Scripts, Asked), request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
    let path = parts.uri.path().to_owned();
    let request = Request::from_parts(parts, ());
    let scripted = scripts.lock().unwrap().get(path.as_str()).map(|script| script(&request, body.clone()));
    asked.send_modify(|asked| *asked.entry(path.clone()).or_default() += 1);
    scripted.unwrap_or_else(|| match path.as_str() {
        // It has always the head that it is told of.
        "/peer/hello" => Body::from(body).into_response(),
        "/key" => "a key".into_response(),
        _ => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    })
}
