//! The task that owns the swarm: it tells the machine what happens and does what it asks for.
//!
//! Three kinds of workers stand beside it. *Lanes* are threads that fetch: each runs its requests, hashes and writes
//! the bytes as they come. Blocking work (commits, looking things up) goes to tokio's blocking threads. Messages to
//! peers are small tasks. All of them report back as [`Event`]s; nobody but the owner touches the machine.

mod arriving;
mod checking;
mod commits;
mod copies;
mod events;
mod evicting;
mod fetch;
mod files;
mod handle;
mod incoming;
mod known;
mod lanes;
mod library;
mod manifest;
mod outputs;
mod owner;
mod post;
mod priorities;
mod rates;
mod reading;
mod reports;
mod sends;
mod serving;
mod survey;
mod tally;
mod transfers;
mod trees;

use std::{io, sync::Arc, time::Duration};

use swift_chain::NodeId;
use swift_chunks::{Store, StoreError};
use tokio::{
    sync::{mpsc, oneshot},
    task,
};
use tokio_util::task::TaskTracker;

use super::{
    catalog::CatalogHandle, conduct::Conduct, intake::Intake, ledger::LedgerHandle, limits::Limits,
    wall_clock_ms,
};
use crate::{
    swarm::{Config, Swarm},
    transport::{Dialer, PeerClients},
};

pub use arriving::{Arriving, ArrivingContent, NoLongerArriving};
pub use copies::FileCopies;
pub use handle::{Stopped, SwarmHandle};
pub use priorities::Prioritized;
pub use rates::PeerRate;
pub use sends::SendGuard;
pub use serving::Serving;
pub use tally::{Durations, SwarmTally};
pub use transfers::{Outgoing, PeerTraffic, Traffic, TransferStage, TransferState, Transfers};
pub use trees::GRAINS_HEADER;

use lanes::Lanes;
use library::Library;
use owner::Owner;
use post::Post;
use priorities::Priorities;

/// How often the store is asked what it wants beside what blocks and reports brought: chunks that rotted, a manifest that
/// replaces a false one.
pub const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Requests of peers and clients that may wait for the task; who comes later waits outside.
const COMMANDS_MAX: usize = 256;

/// What a swarm is made of.
pub struct SwarmSetup {
    /// This node.
    pub me: NodeId,
    /// Says which files there are and who published them. It is not kept alive by the swarm.
    pub ledger: LedgerHandle,
    /// Tells when the store has followed the ledger.
    pub catalog: CatalogHandle,
    /// Content.
    pub store: Store,
    /// For messages to peers.
    pub clients: Arc<PeerClients>,
    /// For content: every lane has connections of its own.
    pub dialer: Dialer,
    /// What may move how fast.
    pub limits: Limits,
    /// Is told who does wrong.
    pub conduct: Conduct,
    /// All choices follow from it.
    pub seed: u64,
    /// The machine's numbers. Its incarnation is set here.
    pub config: Config,
    /// How often it looks for itself what the store wants; [`LOOK_EVERY`], but for a test that must see who tells it.
    pub look_every: Duration,
}

/// What the owner of a running swarm holds.
#[derive(Debug)]
pub struct SwarmTask {
    /// For everybody who asks or tells.
    pub handle: SwarmHandle,
    /// Resolves when every handle is gone and every thread has ended: the store is free then.
    pub ended: oneshot::Receiver<()>,
}

/// The swarm could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SwarmStartError {
    /// The system gives no thread.
    #[error("no threads for transfers: {0}")]
    Thread(#[from] io::Error),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SwarmTask {
    /// Starts the task and its threads. It ends when the last handle is gone: running fetches are dropped, and what
    /// is durable stays.
    pub fn spawn(setup: SwarmSetup) -> Result<Self, SwarmStartError> {
        // What was live before is found through the store; only later blocks are looked at.
        let followed = setup.store.applied_height()?.unwrap_or(0);
        let priorities = Priorities::load(&setup.store)?;
        let (commands_in, commands) = mpsc::channel(COMMANDS_MAX);
        let (events_in, events) = mpsc::unbounded_channel();
        let (ended_in, ended) = oneshot::channel();
        let config = Config { incarnation: wall_clock_ms(), ..setup.config };
        let work = TaskTracker::new();
        let intake = Intake::spawn(setup.store.clone(), &work);
        let lanes = Lanes::spawn(&setup.dialer, &setup.limits, &events_in, &intake)?;
        // It is free when the lanes have ended.
        drop(intake);
        let (mut owner, status) = Owner::new(
            setup.me,
            Swarm::new(setup.me, config, setup.seed),
            lanes,
            Library::new(setup.ledger.weak(), setup.store),
            Post::new(setup.clients, setup.conduct, events_in.clone()),
            (events_in.clone(), work),
            followed,
        );
        owner.priorities = priorities;
        owner.look_every = setup.look_every;
        let handle = SwarmHandle::new(setup.me, commands_in, events_in, status, owner.stored.downgrade());
        let heights = setup.catalog.watch();
        drop(setup.ledger);
        task::spawn(async move {
            owner.run(commands, events, heights).await;
            // Nobody may be left to hear that it ended.
            let _ = ended_in.send(());
        });
        Ok(Self { handle, ended })
    }
}
