//! Threads that fetch. Disks block and hashing takes its time, so content never passes through the threads that answer
//! requests; and bytes are decrypted, hashed and written on one core, while it has them in its cache.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use swift_chain::NodeId;
use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc,
    task::JoinSet,
};

use super::{
    events::{Event, FetchEnd},
    fetch::Fetch,
};
use crate::{
    driver::limits::Throttle,
    transport::{Dialer, PeerClients},
};

/// Two keep one source's connections apart, so that one decrypts while the other waits for the disk.
const LANES: usize = 2;

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
        down: &Throttle,
        events: &mpsc::UnboundedSender<Event>,
    ) -> io::Result<Self> {
        (0..LANES)
            .map(|at| {
                Lane::spawn(at, Worker { dialer: dialer.clone(), down: down.clone(), events: events.clone() })
            })
            .collect::<Result<_, _>>()
            .map(Self)
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
struct Worker {
    dialer: Dialer,
    down: Throttle,
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
        let Self { dialer, down, events } = self;
        // Connections belong to the runtime that opened them, so every lane has clients of its own.
        let clients = Arc::new(PeerClients::new(dialer));
        runtime.block_on(async {
            let mut fetches = JoinSet::new();
            loop {
                tokio::select! {
                    order = orders.recv() => match order {
                        None => break,
                        Some(Order::Forget(peer)) => clients.forget(&peer),
                        Some(Order::Fetch(fetch)) => {
                            let place = Place(running.clone());
                            let (clients, down, events) = (clients.clone(), down.clone(), events.clone());
                            fetches.spawn(carry_out(fetch, clients, down, events, place));
                        }
                    },
                    Some(_) = fetches.join_next() => {}
                }
            }
            fetches.shutdown().await;
        });
    }
}

async fn carry_out(
    fetch: Fetch,
    clients: Arc<PeerClients>,
    down: Throttle,
    events: mpsc::UnboundedSender<Event>,
    _place: Place,
) {
    let end: Option<FetchEnd> = tokio::select! {
        biased;
        () = fetch.stop.cancelled() => None,
        end = fetch.run(&clients, &down) => Some(end),
    };
    if let Some(end) = end {
        let (from, file, slice) = (fetch.from, fetch.file.content.file_id, fetch.slice);
        // The owner may be gone: the node is stopping.
        let _ = events.send(Event::Fetched { from, file, slice, end });
    }
}

/// Counts a fetch while it runs.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
