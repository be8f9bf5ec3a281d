//! The task that owns the gossip: greets members and fetches blocks from those ahead.

mod following;
mod greeting;
mod pushing;
mod removal;

use std::sync::Arc;

use swift_chain::NodeId;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep_until},
};
use tracing::{error, info};

use following::{compare, fetch};
use greeting::greet;
use pushing::push;

use super::{
    conduct::Conduct,
    ledger::LedgerHandle,
    presence::{PeerEvent, Presence},
    validators::{ForValidatorsSource, keep_links},
};
use crate::{
    gossip::{Gossip, HeadNote, Hello, Input, Output, Shelf},
    swarm::Time,
    transport::{PeerClients, Sessions},
};

/// Inputs that may wait for the task.
const INPUTS_MAX: usize = 256;
/// What a gossip needs.
pub struct GossipSetup {
    /// This node.
    pub me: NodeId,
    /// Its ledger.
    pub ledger: LedgerHandle,
    /// Reaches members.
    pub clients: Arc<PeerClients>,
    /// Cut when their node is removed.
    pub sessions: Sessions,
    /// Is told who does wrong.
    pub conduct: Conduct,
    /// What goes to the validators, from [`LedgerTask`](super::LedgerTask).
    pub for_validators: ForValidatorsSource,
    /// Kept level with who can be reached.
    pub presence: Presence,
    /// What this node has, told to everybody.
    pub shelf: watch::Receiver<Shelf>,
    /// Told of every member that comes or goes.
    pub on_peer: Box<dyn Fn(PeerEvent) + Send>,
    /// This node came from a backup, and makes no blocks before it has heard from every member.
    pub is_held: bool,
    /// 64 bits from the caller's random source.
    pub seed: u64,
    /// Nobody is greeted before this is told: whoever hears from a node asks it things at once, and offers it files, and
    /// waits before the next time if nothing answers. The gossip ends if it is dropped.
    pub begin: oneshot::Receiver<()>,
}

/// Why a gossip ended by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GossipError {
    /// The network follows rules that this program does not know.
    #[error("{0}")]
    UnknownProtocol(String),
    /// This node was removed from the network.
    #[error("this node was removed from the network by block {height}; what it had is still in its folder")]
    Removed {
        /// By which block.
        height: u64,
    },
    /// The ledger has stopped.
    #[error("the ledger has stopped")]
    Ledger,
}

/// What the owner of a running gossip holds. The task ends when it is dropped.
#[derive(Debug)]
pub struct GossipTask {
    /// For the routes that members call.
    pub handle: GossipHandle,
    /// Resolves when the gossip cannot go on.
    pub ended: oneshot::Receiver<GossipError>,
    /// Ends all of it when dropped.
    _tasks: JoinSet<()>,
}

/// Tells the gossip of greetings. Cheap to clone.
#[derive(Clone, Debug)]
pub struct GossipHandle {
    inputs: mpsc::Sender<Input>,
    presence: Presence,
    shelf: watch::Receiver<Shelf>,
    ledger: LedgerHandle,
}

impl GossipTask {
    /// Starts greeting, as soon as it is told to.
    pub fn spawn(setup: GossipSetup) -> Self {
        let (inputs, inbox) = mpsc::channel(INPUTS_MAX);
        let (ended_out, ended) = oneshot::channel();
        let handle = GossipHandle {
            inputs: inputs.clone(),
            presence: setup.presence.clone(),
            shelf: setup.shelf.clone(),
            ledger: setup.ledger.clone(),
        };
        let mut tasks = JoinSet::new();
        let (me, clients) = (setup.me, setup.clients.clone());
        tasks.spawn(keep_links(me, setup.ledger.clone(), clients, setup.for_validators));
        let driver = Driver {
            machine: Gossip::new(note(&setup.ledger), setup.seed),
            start: Instant::now(),
            me: setup.me,
            ledger: setup.ledger,
            clients: setup.clients,
            sessions: setup.sessions,
            conduct: setup.conduct,
            presence: setup.presence,
            shelf: setup.shelf,
            on_peer: setup.on_peer,
            is_held: setup.is_held,
            work: JoinSet::new(),
            fetch: None,
            comparing: JoinSet::new(),
        };
        tasks.spawn(async move {
            if setup.begin.await.is_ok() {
                // Nobody may be left to hear how it ended.
                let _ = ended_out.send(driver.run(inbox).await);
            }
        });
        Self { handle, ended, _tasks: tasks }
    }
}

impl GossipHandle {
    /// A member greets; the answer is this node's head. When many greet at once, some are only answered.
    pub fn greeted(&self, from: NodeId, hello: Hello) -> Hello {
        self.presence.note_hello(from, hello);
        let _ = self.inputs.try_send(Input::Greeted { from, head: hello.into() });
        Hello::new(note(&self.ledger), *self.shelf.borrow())
    }
}

fn note(ledger: &LedgerHandle) -> HeadNote {
    let head = ledger.head();
    HeadNote { height: head.height, hash: head.hash }
}

struct Driver {
    machine: Gossip,
    start: Instant,
    me: NodeId,
    ledger: LedgerHandle,
    clients: Arc<PeerClients>,
    sessions: Sessions,
    conduct: Conduct,
    presence: Presence,
    shelf: watch::Receiver<Shelf>,
    on_peer: Box<dyn Fn(PeerEvent) + Send>,
    is_held: bool,
    work: JoinSet<Result<Input, GossipError>>,
    /// The one fetch that runs.
    fetch: Option<AbortHandle>,
    /// Looks at blocks that differ; nothing waits for them.
    comparing: JoinSet<()>,
}

impl Driver {
    async fn run(mut self, mut inbox: mpsc::Receiver<Input>) -> GossipError {
        let mut head = self.ledger.watch_head();
        self.take_members();
        loop {
            while let Some(output) = self.machine.poll_output() {
                self.carry_out(output);
            }
            if self.is_held && self.machine.is_level_with_all() {
                info!(
                    "every member was heard and none has a block that this node lacks: it makes blocks again"
                );
                self.is_held = false;
                if self.ledger.end_hold().await.is_err() {
                    return GossipError::Ledger;
                }
            }
            let due = self.machine.poll_timeout().map(|due| self.start + due.elapsed());
            let input = tokio::select! {
                changed = head.changed() => {
                    if changed.is_err() {
                        return GossipError::Ledger;
                    }
                    head.mark_unchanged();
                    self.take_members();
                    Input::Head { head: note(&self.ledger), known_by: self.ledger.members().last_signers() }
                }
                Some(input) = inbox.recv() => input,
                Some(done) = self.work.join_next() => match done {
                    Ok(Ok(input)) => input,
                    Ok(Err(fatal)) => return fatal,
                    // Given up, or it panicked, which was reported; the machine's own timeouts go on.
                    Err(_) => Input::Timeout,
                },
                () = sleep_until(due.unwrap_or(self.start)), if due.is_some() => Input::Timeout,
            };
            self.machine.handle(self.now(), input);
        }
    }

    fn now(&self) -> Time {
        Time::after_start(self.start.elapsed())
    }

    /// A block may have changed who is a member, and where.
    fn take_members(&mut self) {
        self.clients.refresh();
        self.conduct.forget_former_members();
        let cut = self.sessions.close_former_members();
        if cut > 0 {
            info!(cut, "closed the connections of a node that was removed");
        }
        let all = self.ledger.members().all();
        let others = all.into_iter().map(|(node, _)| node).filter(|node| *node != self.me).collect();
        self.machine.handle(self.now(), Input::Members { others });
    }

    fn tell(&self, event: PeerEvent) {
        self.presence.note(event);
        (self.on_peer)(event);
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Greet { to } => {
                let (me, clients, ledger) = (self.me, self.clients.clone(), self.ledger.clone());
                let (presence, shelf) = (self.presence.clone(), *self.shelf.borrow());
                let conduct = self.conduct.clone();
                self.work.spawn(async move {
                    greet(me, &clients, &ledger, (&presence, &conduct, shelf), to).await
                });
            }
            Output::Fetch { from } => {
                let (clients, ledger) = (self.clients.clone(), self.ledger.clone());
                let conduct = self.conduct.clone();
                let fetch = self.work.spawn(async move {
                    let outcome = fetch(&clients, &ledger, &conduct, from).await?;
                    Ok(Input::Fetched { from, outcome })
                });
                self.fetch = Some(fetch);
            }
            Output::GiveUp { from } => {
                info!(peer = %from, "a member told of blocks and sends none");
                if let Some(fetch) = self.fetch.take() {
                    fetch.abort();
                }
            }
            Output::Push { to, behind } => {
                let (clients, ledger) = (self.clients.clone(), self.ledger.clone());
                self.work.spawn(async move {
                    push(&clients, &ledger, to, behind).await;
                    Ok(Input::Pushed { to })
                });
            }
            Output::Online { peer } => {
                info!(%peer, "a member is there");
                self.tell(PeerEvent::Online(peer));
            }
            Output::Offline { peer } => {
                info!(%peer, "a member is away");
                self.tell(PeerEvent::Offline(peer));
            }
            Output::Differs { peer, theirs } => {
                error!(
                    %peer, height = theirs.height, hash = %theirs.hash,
                    "a member has another block at this height: validators signed two, or that member's ledger is damaged"
                );
                while self.comparing.try_join_next().is_some() {}
                let (clients, ledger) = (self.clients.clone(), self.ledger.clone());
                self.comparing.spawn(async move { compare(&clients, &ledger, peer, theirs.height).await });
            }
        }
    }
}
