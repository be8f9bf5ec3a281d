//! A node's parts, wired to each other.

use std::{path::PathBuf, sync::Arc, time::Duration};

use swift_chain::{Action, Address, NodeChange, NodeId, NodeKey, Poisoned};
use swift_http::{AccessPolicy, Events, EventsFeed, Handles, Services};
use swift_p2p::{
    driver::{
        CatalogError, CatalogTask, Conduct, ConductTask, ConnectionLimit, Finality, GossipSetup, GossipTask,
        JoinDesk, KeepingSetup, KeepingTask, LedgerHandle, LedgerTask, Members, Patience, PeerEvent,
        Presence, Publisher, ScrubTask, SwarmSetup, SwarmTask, UpkeepTask,
    },
    gossip::Shelf,
    security::SecurityLog,
    swarm,
    transport::{Dialer, PeerClients, Sessions},
};
use tokio::{
    sync::{oneshot, watch},
    task,
};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::{
    StartError,
    opening::{Stored, random},
};
use crate::config::Config;

/// What the parts are made from.
pub(super) struct Parts {
    pub(super) key: NodeKey,
    pub(super) members: Members,
    pub(super) sessions: Sessions,
    pub(super) dialer: Dialer,
    pub(super) config: Config,
    pub(super) patience: Patience,
    pub(super) look_every: Duration,
    pub(super) isolation_first: Duration,
    pub(super) security: SecurityLog,
    pub(super) ledger_path: PathBuf,
    /// Where browsers find the node.
    pub(super) page_address: String,
}

/// The parts at work.
pub(super) struct Running {
    pub(super) services: Services,
    /// Lets the gossip begin.
    pub(super) greet: oneshot::Sender<()>,
    pub(super) events: EventsFeed,
    pub(super) ledger: LedgerHandle,
    pub(super) gossip: GossipTask,
    pub(super) upkeep: UpkeepTask,
    pub(super) conduct: ConductTask,
    pub(super) ledger_ended: oneshot::Receiver<Result<(), Poisoned>>,
    pub(super) catalog_ended: oneshot::Receiver<Result<(), CatalogError>>,
    pub(super) swarm_ended: oneshot::Receiver<()>,
    pub(super) keeping_ended: oneshot::Receiver<()>,
    pub(super) scrub_ended: oneshot::Receiver<()>,
    pub(super) uploads: TaskTracker,
    /// Why the store stopped.
    pub(super) store_stopped: oneshot::Receiver<String>,
}

impl Parts {
    pub(super) async fn start(self, stored: Stored) -> Result<Running, StartError> {
        let Stored { replica, store, tokens, limits } = stored;
        let (stop, store_stopped) = oneshot::channel();
        store.on_stop(move |reason| {
            // Nobody listens any more when the node is stopping anyway.
            let _ = stop.send(reason.to_owned());
        });
        let id = self.key.id();
        let presence = Presence::default();
        let (conduct, isolations) =
            Conduct::new(id, self.members.clone(), self.security.clone(), self.isolation_first);
        let finality = Finality::new(id, self.members.clone(), presence.clone(), self.patience);
        let is_held = replica.is_held();
        let ledger = LedgerTask::spawn(replica, &self.ledger_path, self.members)?;
        ledger.handle.check_file();
        let catalog = CatalogTask::spawn(&ledger.handle, store.clone());
        let publisher = Publisher::new(ledger.handle.clone(), catalog.handle.clone(), store.clone());
        publisher.resume().await?;
        let clients = Arc::new(PeerClients::new(self.dialer.clone()));
        limits.follow_connections({
            let (sessions, clients) = (self.sessions.clone(), clients.clone());
            move |limit| {
                sessions.keep_at_most(limit.map(ConnectionLimit::incoming));
                clients.keep_at_most(limit.map(ConnectionLimit::messages));
            }
        });
        let swarm = SwarmTask::spawn(SwarmSetup {
            me: id,
            ledger: ledger.handle.clone(),
            catalog: catalog.handle.clone(),
            store: store.clone(),
            clients: clients.clone(),
            dialer: self.dialer.clone(),
            limits: limits.clone(),
            conduct: conduct.clone(),
            seed: u64::from_le_bytes(random()?),
            config: swarm::Config::default(),
            look_every: self.look_every,
        })?;
        let on_verified = || {
            let swarm = swarm.handle.clone();
            Box::new(move |file| {
                let swarm = swarm.clone();
                // What is not whole any more is fetched again; when the node is stopping, after its next start.
                task::spawn(async move { swarm.keep_changed(Some(file)).await });
            })
        };
        let upkeep = UpkeepTask::spawn(store.clone(), on_verified());
        let scrub = ScrubTask::spawn(store.clone(), self.config.scrub, on_verified());
        let key = Arc::new(self.key);
        let (shelf_in, shelf) = watch::channel(Shelf::default());
        let keeping = KeepingTask::spawn(KeepingSetup {
            key: key.clone(),
            network: ledger.handle.network(),
            store: store.clone(),
            swarm: swarm.handle.clone(),
            clients: clients.clone(),
            shelf: shelf_in,
            seed: u64::from_le_bytes(random()?),
        });
        let conduct_task = ConductTask::spawn(
            conduct.clone(),
            isolations,
            self.sessions.clone(),
            presence.clone(),
            swarm.handle.clone(),
        );
        let (told, judged, connections) = (swarm.handle.clone(), conduct.clone(), self.sessions.clone());
        let (greet, begin) = oneshot::channel();
        let gossip = GossipTask::spawn(GossipSetup {
            me: id,
            ledger: ledger.handle.clone(),
            clients,
            sessions: self.sessions,
            conduct: conduct.clone(),
            for_validators: ledger.for_validators,
            presence: presence.clone(),
            shelf: shelf.clone(),
            on_peer: Box::new(move |event| match event {
                // When that is over, the swarm is told then.
                PeerEvent::Online(peer) if judged.isolated_for(&peer).is_some() => {}
                PeerEvent::Online(peer) => told.peer_online(peer),
                PeerEvent::Offline(peer) => told.peer_offline(peer),
            }),
            is_held,
            seed: u64::from_le_bytes(random()?),
            begin,
        });
        update_address(&ledger.handle, id, &self.config.address);
        let host_name = self.config.address.ip().is_none().then(|| self.config.address.host().to_owned());
        let uploads = publisher.tasks().clone();
        let services = Services::from(Handles {
            desk: JoinDesk::new(id, ledger.handle.clone(), finality.clone(), self.dialer),
            key,
            ledger: ledger.handle.clone(),
            catalog: catalog.handle,
            publisher,
            finality,
            presence,
            gossip: gossip.handle.clone(),
            store,
            swarm: swarm.handle,
            keeping: keeping.handle,
            scrub: scrub.handle,
            shelf,
            connections,
            limits,
            security: self.security,
            events: Events::default(),
            tokens: Arc::new(tokens),
            conduct,
            policy: Arc::new(AccessPolicy {
                allow_plain_http: self.config.clients.allow_plain_http,
                keep_at_start: self.config.keep,
                host_names: self.config.clients.host_names.into_iter().chain(host_name).collect(),
                page_address: self.page_address,
                trusted_proxies: self.config.clients.trusted_proxies,
                requests: self.config.clients.requests,
            }),
        });
        let events = EventsFeed::spawn(services.clone());
        let (ledger, ledger_ended) = (ledger.handle, ledger.ended);
        Ok(Running {
            services,
            greet,
            events,
            ledger,
            gossip,
            upkeep,
            conduct: conduct_task,
            ledger_ended,
            catalog_ended: catalog.ended,
            swarm_ended: swarm.ended,
            keeping_ended: keeping.ended,
            scrub_ended: scrub.ended,
            uploads,
            store_stopped,
        })
    }
}

/// Tells the ledger when this member is dialled elsewhere now.
fn update_address(ledger: &LedgerHandle, node: NodeId, address: &Address) {
    let Some(known) = ledger.members().address(&node).filter(|known| known != address) else { return };
    if address.is_loopback() && !known.is_loopback() {
        // Told to the others, this would cut them off; it is rather a flag that was forgotten.
        warn!(%known, %address, "this start names an address only this machine can reach; the ledger keeps the one it has");
        return;
    }
    let (ledger, address) = (ledger.clone(), address.clone());
    task::spawn(async move {
        let change = NodeChange::Address(address.clone());
        let queued = ledger.enqueue(Action::UpdateNode { node, change }, None).await;
        // While it waits, the node may be stopped.
        drop(ledger);
        let settled = match queued {
            Ok(queued) => queued.settled().await,
            Err(error) => Err(error),
        };
        match settled {
            Ok(_) => info!(%address, "the ledger has this node's new address"),
            Err(error) => warn!(%address, %error, "the ledger does not have this node's new address"),
        }
    });
}
