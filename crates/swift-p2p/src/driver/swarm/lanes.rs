//! Threads that fetch. Disks block and hashing takes its time, so content never passes through the threads that answer
//! requests; and bytes are decrypted, hashed and written on one core, while it has them in its cache.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use swift_chain::NodeId;
use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};

use super::{
    events::{Event, FetchEnd},
    fetch::{Fetch, Means, SmallTurns},
};
use crate::{
    driver::{
        intake::Intake,
        limits::{ConnectionLimit, Limits, Places},
    },
    swarm::FetchFailure,
    transport::{Dialer, PeerClients},
};

/// Two keep one source's connections apart, so that one decrypts while the other waits for the disk.
const LANES: usize = 2;
/// How long a fetch waits for its place under the limit on connections: not so long that its source would seem to stall.
const PLACE_WAIT: Duration = Duration::from_secs(2);

enum Order {
    Fetch(Fetch),
    Forget(NodeId),
}

/// All lanes.
pub(super) struct Lanes(Vec<Lane>);

struct Lane {
    orders: mpsc::UnboundedSender<Order>,
    running: Arc<AtomicUsize>,
    thread: thread::JoinHandle<()>,
}

impl Lanes {
    pub(super) fn spawn(
        dialer: &Dialer,
        limits: &Limits,
        events: &mpsc::UnboundedSender<Event>,
        intake: &Intake,
    ) -> io::Result<Self> {
        let places = Places::default();
        let follow = places.clone();
        limits.follow_connections(move |limit| follow.set(limit.map(ConnectionLimit::fetches)));
        let lanes = (0..LANES).map(|at| {
            let clients = Arc::new(PeerClients::new(dialer.clone()));
            let follow = clients.clone();
            // Each lane has half of the connections that may stay open without being used.
            let most = |limit: ConnectionLimit| limit.fetches().div_ceil(LANES);
            limits.follow_connections(move |limit| follow.keep_at_most(limit.map(most)));
            let means = Means {
                clients,
                down: limits.down().clone(),
                intake: intake.clone(),
                desk: Arc::default(),
                turns: SmallTurns::default(),
            };
            Lane::spawn(at, Worker { means: Arc::new(means), places: places.clone(), events: events.clone() })
        });
        lanes.collect::<Result<_, _>>().map(Self)
    }

    /// Gives a fetch to the lane that has least to do.
    pub(super) fn fetch(&self, fetch: Fetch) {
        if let Some(lane) = self.0.iter().min_by_key(|lane| lane.running.load(Ordering::Relaxed)) {
            lane.running.fetch_add(1, Ordering::Relaxed);
            // A lane that has ended is reported by whoever joins it; the machine sees a stall.
            let _ = lane.orders.send(Order::Fetch(fetch));
        }
    }

    /// Closes idle connections to a peer.
    pub(super) fn forget(&self, peer: NodeId) {
        for lane in &self.0 {
            let _ = lane.orders.send(Order::Forget(peer));
        }
    }

    /// Drops what runs and waits for the threads. Blocks.
    pub(super) fn join(self) {
        let threads: Vec<_> = self.0.into_iter().map(|lane| lane.thread).collect();
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread that fetches content has panicked");
            }
        }
    }
}

/// What a lane works with.
#[derive(Clone)]
struct Worker {
    means: Arc<Means>,
    /// Of all lanes together.
    places: Places,
    events: mpsc::UnboundedSender<Event>,
}

impl Lane {
    fn spawn(at: usize, worker: Worker) -> io::Result<Self> {
        let (orders, inbox) = mpsc::unbounded_channel();
        let running = Arc::new(AtomicUsize::new(0));
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let counter = running.clone();
        let thread = thread::Builder::new()
            .name(format!("lane-{at}"))
            .spawn(move || worker.run(&runtime, inbox, &counter))?;
        Ok(Self { orders, running, thread })
    }
}

impl Worker {
    fn run(self, runtime: &Runtime, mut orders: mpsc::UnboundedReceiver<Order>, running: &Arc<AtomicUsize>) {
        runtime.block_on(async {
            let mut fetches = JoinSet::new();
            loop {
                tokio::select! {
                    order = orders.recv() => match order {
                        None => break,
                        Some(Order::Forget(peer)) => {
                            self.means.clients.forget(&peer);
                            self.means.turns.forget(&peer);
                        }
                        Some(Order::Fetch(fetch)) => {
                            let running = Running::new(running);
                            fetches.spawn(self.clone().carry_out(fetch, running));
                        }
                    },
                    Some(_) = fetches.join_next() => {}
                }
            }
            fetches.shutdown().await;
        });
    }

    async fn carry_out(self, fetch: Fetch, _running: Running) {
        let end: Option<FetchEnd> = tokio::select! {
            biased;
            () = fetch.stop.cancelled() => None,
            end = self.fetch(&fetch) => Some(end),
        };
        if let Some(end) = end {
            let (id, from, file, slice) = (fetch.id, fetch.from, fetch.file.content.file_id, fetch.slice);
            // The owner may be gone: the node is stopping.
            let _ = self.events.send(Event::Fetched { id, from, file, slice, end });
        }
    }

    async fn fetch(&self, fetch: &Fetch) -> FetchEnd {
        match timeout(PLACE_WAIT, self.places.enter()).await {
            Ok(_place) => fetch.run(&self.means).await,
            Err(_) => FetchEnd::failed(FetchFailure::Refused, "this node may open no more connections"),
        }
    }
}

/// Counts a fetch while it runs.
struct Running(Arc<AtomicUsize>);

impl Running {
    /// A fetch that is counted already.
    fn new(running: &Arc<AtomicUsize>) -> Self {
        Self(running.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
