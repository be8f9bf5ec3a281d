//! The task that owns the letting go: finds what nothing here keeps, asks holders, and promises others.

mod asking;

use std::{collections::HashMap, sync::Arc, time::Duration};

use swift_chain::{NetworkId, NodeId, NodeKey};
use swift_chunks::{
    FileId, GivenPromise, HeldPromise, KeepRule, PromiseOutcome, Store, StoreError, Surplus, Whole,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{self, JoinSet},
    time::{Instant, MissedTickBehavior, interval},
};
use tracing::{info, warn};

use super::{swarm::SwarmHandle, wall_clock_ms};
use crate::{
    gossip::{Keeps, Shelf},
    keeping::{Input, KeepAnswer, KeepRefusal, KeepRequest, Keeping, Output, Promise, SignedPromise},
    swarm::{ExchangeId, Time},
    transport::PeerClients,
};

/// How often it is looked for what need not be here.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Contents that are looked at in one go.
const PAGE_LEN: usize = 64;
/// Of those, as many are tried at once.
const SURVEYS_MAX: usize = 16;
/// Requests that may wait for the task.
const COMMANDS_MAX: usize = 64;

/// What letting go needs.
pub struct KeepingSetup {
    /// Signs promises.
    pub key: Arc<NodeKey>,
    /// For which network.
    pub network: NetworkId,
    /// Content.
    pub store: Store,
    /// Knows who holds what, and what is being transferred.
    pub swarm: SwarmHandle,
    /// Reaches members.
    pub clients: Arc<PeerClients>,
    /// Kept level with what is here whole, for others to be told.
    pub shelf: watch::Sender<Shelf>,
    /// All choices follow from it.
    pub seed: u64,
}

/// What the owner of the task holds.
#[derive(Debug)]
pub struct KeepingTask {
    /// For the routes.
    pub handle: KeepingHandle,
    /// Resolves when every handle is gone and the store is free.
    pub ended: oneshot::Receiver<()>,
}

/// Talks to the task, which ends when the last clone is gone. Cheap to clone.
#[derive(Clone, Debug)]
pub struct KeepingHandle {
    commands: mpsc::Sender<Command>,
}

enum Command {
    Asked { from: NodeId, request: KeepRequest, reply: oneshot::Sender<KeepAnswer> },
    Look,
}

/// What the task's own workers report.
enum Event {
    Found {
        page: Vec<Surplus>,
        next: Option<Surplus>,
    },
    LookFailed(StoreError),
    Surveyed {
        file: FileId,
        holders: Vec<NodeId>,
    },
    /// A file that was found is used: it is looked at again later.
    Used,
    Asked(Input),
    Evicted {
        file: FileId,
        is_gone: bool,
    },
    Promised {
        exchange: ExchangeId,
        answer: KeepAnswer,
    },
}

impl KeepingTask {
    /// Starts it.
    pub fn spawn(setup: KeepingSetup) -> Self {
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let (ended_in, ended) = oneshot::channel();
        let owner = Owner {
            machine: Keeping::new(setup.key.id(), setup.seed),
            start: Instant::now(),
            setup,
            work: JoinSet::new(),
            questions: HashMap::new(),
            next_exchange: 0,
            is_looking: false,
            after: None,
        };
        task::spawn(async move {
            owner.run(inbox).await;
            // Nobody may be left to hear that it ended.
            let _ = ended_in.send(());
        });
        Self { handle: KeepingHandle { commands }, ended }
    }
}

impl KeepingHandle {
    /// A member asks this node to keep a file for it.
    pub async fn asked(&self, from: NodeId, request: KeepRequest) -> KeepAnswer {
        let (reply, answer) = oneshot::channel();
        let refused = KeepAnswer::Refused(KeepRefusal::Unable);
        if self.commands.send(Command::Asked { from, request, reply }).await.is_err() {
            return refused;
        }
        answer.await.unwrap_or(refused)
    }

    /// What is kept here has changed: it is looked at once for what may go.
    pub fn look(&self) {
        // Where many wait, it is looked soon anyway.
        let _ = self.commands.try_send(Command::Look);
    }
}

struct Owner {
    machine: Keeping,
    start: Instant,
    setup: KeepingSetup,
    work: JoinSet<Event>,
    /// Members that wait for an answer.
    questions: HashMap<ExchangeId, oneshot::Sender<KeepAnswer>>,
    next_exchange: u64,
    is_looking: bool,
    /// Where to look on.
    after: Option<Surplus>,
}

impl Owner {
    async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut tick = interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = inbox.recv() => match command {
                    Some(Command::Asked { from, request, reply }) => {
                        self.next_exchange += 1;
                        let exchange = ExchangeId(self.next_exchange);
                        self.questions.insert(exchange, reply);
                        self.tell(Input::Asked { from, exchange, request });
                    }
                    Some(Command::Look) => {
                        self.machine.forget_pauses();
                        self.after = None;
                        self.look();
                    }
                    None => break,
                },
                // A panic was reported; what it was about is tried again after the next start.
                Some(done) = self.work.join_next() => if let Ok(event) = done {
                    self.on_event(event);
                },
                _ = tick.tick() => self.look(),
            }
        }
        // What blocks is at work on the store, and ends by itself; the rest is waiting for others.
        let Self { work, setup, .. } = self;
        drop(setup);
        let mut work = work;
        work.abort_all();
        while work.join_next().await.is_some() {}
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Found { page, next } => {
                self.is_looking = false;
                self.after = next;
                let now = self.now();
                let due = page.iter().map(|surplus| surplus.file_id);
                for file in due.filter(|file| self.machine.is_due(now, file)).take(SURVEYS_MAX) {
                    let swarm = self.setup.swarm.clone();
                    // A swarm that has ended knows of nobody.
                    self.work.spawn(async move {
                        // Nobody is asked to promise anything for what would stay all the same.
                        if swarm.is_used(file).await.unwrap_or(true) {
                            return Event::Used;
                        }
                        Event::Surveyed { file, holders: swarm.holders(file).await.unwrap_or_default() }
                    });
                }
            }
            Event::LookFailed(error) => {
                self.is_looking = false;
                warn!(%error, "the store cannot be searched for what need not be kept; trying again");
            }
            Event::Surveyed { file, holders } => self.tell(Input::Surplus { file, holders }),
            Event::Used => {}
            Event::Asked(input) => self.tell(input),
            Event::Evicted { file, is_gone } => self.tell(Input::Evicted { file, is_gone }),
            Event::Promised { exchange, answer } => self.answer(exchange, answer),
        }
    }

    fn tell(&mut self, input: Input) {
        self.machine.handle(self.now(), wall_clock_ms(), input);
        while let Some(output) = self.machine.poll_output() {
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Ask { to, exchange, request } => {
                let (clients, network) = (self.setup.clients.clone(), self.setup.network);
                self.work.spawn(async move {
                    Event::Asked(match asking::ask(&clients, &network, to, &request).await {
                        Some(answer) => Input::Answered { exchange, answer },
                        None => Input::Failed { exchange },
                    })
                });
            }
            Output::Evict { promise } => self.evict(promise),
            Output::Promise { exchange, promise, only_if_kept } => {
                let (store, key, network) =
                    (self.setup.store.clone(), self.setup.key.clone(), self.setup.network);
                self.work.spawn_blocking(move || {
                    let answer = give(&store, &key, &network, promise, only_if_kept);
                    Event::Promised { exchange, answer }
                });
            }
            Output::Refuse { exchange, refusal } => self.answer(exchange, KeepAnswer::Refused(refusal)),
        }
    }

    fn answer(&mut self, exchange: ExchangeId, answer: KeepAnswer) {
        if let Some(reply) = self.questions.remove(&exchange) {
            // Who asked may be gone; then it does not know of the promise, and this node keeps it all the same.
            let _ = reply.send(answer);
        }
    }

    fn evict(&mut self, signed: SignedPromise) {
        let Promise { file, promiser, until_ms, .. } = signed.promise;
        let statement = signed.to_record();
        let swarm = self.setup.swarm.clone();
        self.work.spawn(async move {
            let is_gone = swarm.evict(HeldPromise { file_id: file, until_ms, statement }).await.unwrap_or(false);
            if is_gone {
                info!(%file, keeper = %promiser, "let go of a file that nothing keeps here; another has promised to keep it");
            }
            Event::Evicted { file, is_gone }
        });
    }

    /// Looks for what need not be here, a page at a time.
    fn look(&mut self) {
        if std::mem::replace(&mut self.is_looking, true) {
            return;
        }
        let (store, after, shelf) = (self.setup.store.clone(), self.after.take(), self.setup.shelf.clone());
        self.work.spawn_blocking(move || {
            let looked = look_at(&store, after.as_ref(), &shelf);
            match looked {
                Ok(page) => {
                    let next = page.last().filter(|_| page.len() == PAGE_LEN).copied();
                    Event::Found { page, next }
                }
                Err(error) => Event::LookFailed(error),
            }
        });
    }

    fn now(&self) -> Time {
        Time::after_start(self.start.elapsed())
    }
}

/// Contents that nothing keeps, after one of them; and what there is to tell of this node.
fn look_at(
    store: &Store,
    after: Option<&Surplus>,
    shelf: &watch::Sender<Shelf>,
) -> Result<Vec<Surplus>, StoreError> {
    store.forget_promises(wall_clock_ms())?;
    let Whole { files, bytes } = store.whole()?;
    let keeps = match *store.keep_rule() {
        KeepRule::All => Keeps::All,
        KeepRule::None => Keeps::None,
        KeepRule::Patterns(_) => Keeps::Some,
    };
    let available_bytes = Some(store.usage()?.available);
    shelf.send_replace(Shelf { files, bytes, keeps, available_bytes });
    store.surplus(after, PAGE_LEN)
}

/// Binds this node, durably, and then says so.
fn give(
    store: &Store,
    key: &NodeKey,
    network: &NetworkId,
    promise: Promise,
    only_if_kept: bool,
) -> KeepAnswer {
    let Promise { file, asker, until_ms, .. } = promise;
    let given = GivenPromise { file_id: file, to: asker.as_bytes().to_vec(), until_ms };
    match store.promise(&given, only_if_kept, wall_clock_ms()) {
        Ok(PromiseOutcome::Given) => {
            info!(%file, to = %asker, "promised to keep a file, so that the other node may let go of it");
            KeepAnswer::Promised(SignedPromise::sign(key, network, promise))
        }
        Ok(PromiseOutcome::NotHeld) => KeepAnswer::Refused(KeepRefusal::NotHeld),
        Ok(PromiseOutcome::NotKept) => KeepAnswer::Refused(KeepRefusal::NotKept),
        Err(error) => {
            warn!(%file, %error, "a promise cannot be stored, so it is not given");
            KeepAnswer::Refused(KeepRefusal::Unable)
        }
    }
}
