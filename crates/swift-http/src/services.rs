//! Everything the routes need, in one place.

use std::{ops::Deref, sync::Arc};

use swift_chain::NodeKey;
use swift_chunks::{KeepRule, Store};
use swift_p2p::driver::{
    CatalogHandle, Conduct, Finality, GossipHandle, JoinDesk, KeepingHandle, LedgerHandle, Limits, Presence,
    Publisher, ScrubHandle, SwarmHandle,
};

use swift_p2p::{gossip::Shelf, security::SecurityLog};
use tokio::sync::{Semaphore, watch};

use crate::{
    access::{Cidr, Rates, RequestLimits},
    content::Buffers,
    events::Events,
    metrics::Metrics,
    sessions::Sessions,
    tokens::Tokens,
};

/// [`Handles`] that all routes share: every request clones them once for each layer that it passes.
#[derive(Clone)]
pub struct Services(Arc<Shared>);

struct Shared {
    handles: Handles,
    buffers: Buffers,
    rates: Rates,
    sessions: Sessions,
    metrics: Metrics,
    verifying: Arc<Semaphore>,
}

impl Services {
    /// An address that signs one browser in as the operator, once and for ten minutes, and until when. The secret is to
    /// be random.
    pub fn invite_browser(&self, secret: [u8; 32], now_ms: u64) -> (String, u64) {
        let (secret, expires_ms) = self.sessions().invite(secret, now_ms);
        (format!("{}/#signin={secret}", self.policy.page_address), expires_ms)
    }

    /// What clients have asked of late.
    pub(crate) fn rates(&self) -> &Rates {
        &self.0.rates
    }

    /// Browsers that are signed in.
    pub(crate) fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    /// What is counted.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Whoever holds it verifies the chain: one at a time.
    pub(crate) fn verifying(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.verifying)
    }

    /// Memory for content on its way out.
    pub(crate) fn buffers(&self) -> &Buffers {
        &self.0.buffers
    }
}

impl From<Handles> for Services {
    fn from(handles: Handles) -> Self {
        let rates = Rates::new(handles.policy.requests);
        let (buffers, sessions, metrics) = (Buffers::default(), Sessions::default(), Metrics::new());
        let verifying = Arc::new(Semaphore::new(1));
        Self(Arc::new(Shared { handles, buffers, rates, sessions, metrics, verifying }))
    }
}

impl Deref for Services {
    type Target = Handles;

    fn deref(&self) -> &Handles {
        &self.0.handles
    }
}

/// Handles to a node's parts. The HTTP service holds no state of its own but these.
pub struct Handles {
    /// This node's key: invitations are signed with it.
    pub key: Arc<NodeKey>,
    /// The ledger.
    pub ledger: LedgerHandle,
    /// How far the store has followed the ledger.
    pub catalog: CatalogHandle,
    /// Brings files into the network.
    pub publisher: Publisher,
    /// Says how long a write is waited for, and whether the validators can decide.
    pub finality: Finality,
    /// Who can be reached.
    pub presence: Presence,
    /// Keeps this node level with the others.
    pub gossip: GossipHandle,
    /// Takes requests to join.
    pub desk: JoinDesk,
    /// Content.
    pub store: Store,
    /// Spreads content, and knows who has it.
    pub swarm: SwarmHandle,
    /// Lets go of files, and promises others to keep theirs.
    pub keeping: KeepingHandle,
    /// Reads again what is stored.
    pub scrub: ScrubHandle,
    /// What this node has, as it tells others.
    pub shelf: watch::Receiver<Shelf>,
    /// Connections of nodes.
    pub connections: swift_p2p::transport::Sessions,
    /// What may move between members how fast.
    pub limits: Limits,
    /// What happens, for those who watch it.
    pub events: Events,
    /// Where it is noted who was refused and who did wrong.
    pub security: SecurityLog,
    /// Credentials of clients.
    pub tokens: Arc<Tokens>,
    /// What is known of members' conduct.
    pub conduct: Conduct,
    /// Who may call how.
    pub policy: Arc<AccessPolicy>,
}

/// What an operator decides about clients.
#[derive(Clone, Debug, Default)]
pub struct AccessPolicy {
    /// Take tokens over plain HTTP also from other machines.
    pub allow_plain_http: bool,
    /// What to keep, as this start says: the next start says it again, whatever clients set until then.
    pub keep_at_start: Option<KeepRule>,
    /// Names, besides IP addresses and `localhost`, under which clients call this node.
    pub host_names: Vec<String>,
    /// Where browsers find this node, as in `http://127.0.0.1:8000`.
    pub page_address: String,
    /// Proxies whose word is taken for where a request comes from.
    pub trusted_proxies: Vec<Cidr>,
    /// How many requests clients may make.
    pub requests: RequestLimits,
}
