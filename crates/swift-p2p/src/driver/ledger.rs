//! The thread that owns the ledger.
//!
//! Storage blocks, so the replica has a thread of its own. It takes what has piled up as one step: the more writes wait,
//! the more of them share a block and a disk sync. Nothing it says goes out before its step is durable.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use swift_chain::{
    Action, DbError, FollowError, Head, Input, Label, LedgerReader, NetworkId, NodeId, Now, Output, Poisoned,
    Replica, RequestId, SealedBlock, Settled, SignedTransaction, SubmitError, consensus::ConsensusMessage,
};
use tokio::{
    runtime::Handle,
    sync::{
        broadcast,
        mpsc::{self, error::TryRecvError},
        oneshot, watch,
    },
    task,
};
use tracing::error;

use super::{
    members::Members,
    validators::{BEHIND_MAX, ForValidators},
    wall_clock_ms,
};

/// Commands that may wait for the thread; senders beyond that wait themselves.
const COMMANDS_MAX: usize = 1024;
/// Commands that one step takes at most.
const STEP_COMMANDS_MAX: usize = 512;
/// How often waiting transactions are looked at again.
const TICK: Duration = Duration::from_secs(1);
/// Read connections kept open.
const READERS_KEPT: usize = 4;

/// Why the ledger gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The write was refused; the ledger is unchanged by it.
    #[error(transparent)]
    Refused(#[from] SubmitError),
    /// The ledger's thread has ended: the node is stopping, or its storage failed.
    #[error("the ledger has stopped")]
    Stopped,
    /// The ledger cannot be read.
    #[error("the ledger cannot be read: {0}")]
    Read(String),
}

enum Command {
    Submit {
        action: Action,
        label: Option<Label>,
        /// Told when the step that took it is durable.
        queued: oneshot::Sender<()>,
        reply: oneshot::Sender<Result<Settled, SubmitError>>,
    },
    Transactions {
        transactions: Vec<SignedTransaction>,
        reply: oneshot::Sender<()>,
    },
    Follow {
        blocks: Vec<SealedBlock>,
        reply: oneshot::Sender<Result<u64, FollowError>>,
    },
    Consensus {
        from: NodeId,
        message: ConsensusMessage,
    },
    EndHold,
    Tick,
}

/// What goes to the validators, to be carried by the gossip. It ends with the ledger's thread.
#[derive(Debug)]
pub struct ForValidatorsSource(pub(super) broadcast::WeakSender<ForValidators>);

/// What the owner of a running ledger holds.
#[derive(Debug)]
pub struct LedgerTask {
    /// For everybody who reads or writes.
    pub handle: LedgerHandle,
    /// Transactions and votes, to be brought to the validators.
    pub for_validators: ForValidatorsSource,
    /// Resolves when the thread ends: with an error when its storage failed.
    pub ended: oneshot::Receiver<Result<(), Poisoned>>,
}

/// Talks to the ledger's thread. Cheap to clone; the thread ends when the last clone is gone.
#[derive(Clone, Debug)]
pub struct LedgerHandle {
    commands: mpsc::Sender<Command>,
    head: watch::Receiver<Head>,
    members: Members,
    readers: LedgerReads,
    network: NetworkId,
}

impl LedgerTask {
    /// Starts the thread of a replica whose ledger is at `path`. From then on `members` is level with it.
    pub fn spawn(replica: Replica, path: &Path, members: Members) -> Result<Self, LedgerStartError> {
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let (for_validators, _) = broadcast::channel(BEHIND_MAX);
        let source = ForValidatorsSource(for_validators.downgrade());
        let (head_out, head) = watch::channel(*replica.head());
        let (ended_out, ended) = oneshot::channel();
        members.fill(replica.reader())?;
        let readers = LedgerReads { path: path.to_owned(), idle: Arc::default() };
        let network = replica.reader().network();
        let (waiting, start) = (Waiting::default(), Instant::now());
        let owner = Owner { replica, waiting, head: head_out, for_validators, start };
        let runtime = Handle::current();
        let owner_members = members.clone();
        thread::Builder::new().name("ledger".into()).spawn(move || {
            // Nobody may be left to hear how it ended.
            drop(ended_out.send(owner.run(inbox, &owner_members, &runtime)));
        })?;
        tick(commands.downgrade());
        Ok(Self {
            handle: LedgerHandle { commands, head, members, readers, network },
            for_validators: source,
            ended,
        })
    }
}

/// The ledger's thread could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LedgerStartError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The system gives no thread.
    #[error("no thread for the ledger: {0}")]
    Thread(#[from] std::io::Error),
}

fn tick(commands: mpsc::WeakSender<Command>) {
    task::spawn(async move {
        let mut interval = tokio::time::interval(TICK);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let Some(commands) = commands.upgrade() else { return };
            if commands.send(Command::Tick).await.is_err() {
                return;
            }
        }
    });
}

/// Requests whose answers have not come.
#[derive(Default)]
struct Waiting {
    next: u64,
    submits: HashMap<RequestId, oneshot::Sender<Result<Settled, SubmitError>>>,
    follows: HashMap<RequestId, oneshot::Sender<Result<u64, FollowError>>>,
    /// Whose transactions or writes the running step takes.
    received: Vec<oneshot::Sender<()>>,
}

impl Waiting {
    fn next_request(&mut self) -> RequestId {
        self.next += 1;
        RequestId(self.next)
    }

    fn input(&mut self, command: Command) -> Input {
        match command {
            Command::Submit { action, label, queued, reply } => {
                let request = self.next_request();
                self.received.push(queued);
                self.submits.insert(request, reply);
                Input::Submit { request, action, on_behalf_of: label }
            }
            Command::Transactions { transactions, reply } => {
                self.received.push(reply);
                Input::Transactions(transactions)
            }
            Command::Follow { blocks, reply } => {
                let request = self.next_request();
                self.follows.insert(request, reply);
                Input::Blocks { request, blocks }
            }
            Command::Consensus { from, message } => Input::Consensus { from, message },
            Command::EndHold => Input::EndHold,
            Command::Tick => Input::Tick,
        }
    }
}

struct Owner {
    replica: Replica,
    waiting: Waiting,
    head: watch::Sender<Head>,
    for_validators: broadcast::Sender<ForValidators>,
    /// Where its steady clock begins.
    start: Instant,
}

impl Owner {
    fn run(
        mut self,
        mut inbox: mpsc::Receiver<Command>,
        members: &Members,
        runtime: &Handle,
    ) -> Result<(), Poisoned> {
        let mut commands = Vec::new();
        loop {
            let held_back = commands.len();
            if !self.replica.has_work() && commands.is_empty() {
                let due = self.replica.poll_timeout().map(|due| self.start + due);
                let came = runtime.block_on(receive(&mut inbox, &mut commands, due));
                if came == Came::Nothing {
                    return Ok(());
                }
            }
            // With work at hand, what came meanwhile is taken along and nothing is waited for.
            while commands.len() < STEP_COMMANDS_MAX {
                match inbox.try_recv() {
                    Ok(command) => commands.push(command),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) if commands.is_empty() => return Ok(()),
                    Err(TryRecvError::Disconnected) => break,
                }
            }
            let later = hold_back(&mut commands, held_back);
            let inputs = commands.drain(..).map(|command| self.waiting.input(command)).collect();
            commands = later;
            let now = Now { wall_ms: wall_clock_ms(), steady: self.start.elapsed() };
            let outputs = self.replica.step(now, inputs)?;
            for output in outputs {
                self.carry_out(output, members);
            }
            for reply in self.waiting.received.drain(..) {
                let _ = reply.send(());
            }
        }
    }

    /// The outputs of a step are durable: now they may be acted on. Who asked may be gone meanwhile.
    fn carry_out(&mut self, output: Output, members: &Members) {
        match output {
            Output::Settled { request, outcome } => {
                if let Some(reply) = self.waiting.submits.remove(&request) {
                    drop(reply.send(outcome));
                }
            }
            Output::Committed(block) => {
                members.apply(&block);
                self.head.send_replace(block.as_head());
            }
            // With nobody to carry them they are lost, as on a bad link: what matters is said again.
            Output::Relay(transactions) => {
                drop(self.for_validators.send(ForValidators::Transactions(transactions.into())));
            }
            Output::Broadcast(message) => {
                drop(self.for_validators.send(ForValidators::Message(message)));
            }
            Output::Caught(evidence) => error!(
                height = evidence.height(), offenders = ?evidence.offenders(), id = %evidence.id(),
                "validators signed what excludes each other; the proof is kept"
            ),
            Output::Followed { request, outcome } => {
                if let Some(reply) = self.waiting.follows.remove(&request) {
                    drop(reply.send(outcome));
                }
            }
        }
    }
}

/// Takes transactions of others out of a step that brings votes or a proposal too: the answer to those need not wait
/// until many signatures were checked. The first `from` commands were held back before, and are not again.
fn hold_back(commands: &mut Vec<Command>, from: usize) -> Vec<Command> {
    if commands.iter().any(|command| matches!(command, Command::Consensus { .. })) {
        let is_heavy = |command: &mut Command| matches!(command, Command::Transactions { .. });
        commands.extract_if(from.., is_heavy).collect()
    } else {
        Vec::new()
    }
}

/// How waiting ended.
#[derive(PartialEq, Eq)]
enum Came {
    Commands,
    Timeout,
    /// Nothing ever will.
    Nothing,
}

async fn receive(
    inbox: &mut mpsc::Receiver<Command>,
    commands: &mut Vec<Command>,
    due: Option<Instant>,
) -> Came {
    let came = async {
        match inbox.recv_many(commands, STEP_COMMANDS_MAX).await {
            0 => Came::Nothing,
            _ => Came::Commands,
        }
    };
    match due {
        Some(due) => tokio::time::timeout_at(due.into(), came).await.unwrap_or(Came::Timeout),
        None => came.await,
    }
}

impl LedgerHandle {
    /// Changes the ledger: signs, queues and waits until a block is final and durable here. Dropping the future gives
    /// up waiting, not the write.
    pub async fn submit(&self, action: Action, label: Option<Label>) -> Result<Settled, LedgerError> {
        self.enqueue(action, label).await?.settled().await
    }

    /// Begins to change the ledger: when this returns, the write is decided, or durable in this node's queue. Nothing
    /// is final yet.
    pub async fn enqueue(&self, action: Action, label: Option<Label>) -> Result<Queued, LedgerError> {
        let (queued, is_queued) = oneshot::channel();
        let (reply, outcome) = oneshot::channel();
        self.send(Command::Submit { action, label, queued, reply }).await?;
        is_queued.await.map_err(|_| LedgerError::Stopped)?;
        Ok(Queued { outcome })
    }

    /// Hands over transactions of other members and waits until they were looked at: who sends many waits for it.
    pub async fn receive(&self, transactions: Vec<SignedTransaction>) -> Result<(), LedgerError> {
        let (reply, done) = oneshot::channel();
        self.send(Command::Transactions { transactions, reply }).await?;
        done.await.map_err(|_| LedgerError::Stopped)
    }

    /// Hands over what a validator says about the block that is being decided. Waits while the ledger is behind.
    pub async fn agree(&self, from: NodeId, messages: Vec<ConsensusMessage>) -> Result<(), LedgerError> {
        for message in messages {
            self.send(Command::Consensus { from, message }).await?;
        }
        Ok(())
    }

    /// Hands over blocks of other members and waits until they are checked and durable.
    pub async fn follow(&self, blocks: Vec<SealedBlock>) -> Result<Result<u64, FollowError>, LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Follow { blocks, reply }).await?;
        answer.await.map_err(|_| LedgerError::Stopped)
    }

    /// This node came from a backup, and knows now that no member has a block that it lacks: it may make blocks again.
    pub async fn end_hold(&self) -> Result<(), LedgerError> {
        self.send(Command::EndHold).await
    }

    /// The last block now.
    pub fn head(&self) -> Head {
        *self.head.borrow()
    }

    /// Tells of every new head; one who is slow sees the newest only.
    pub fn watch_head(&self) -> watch::Receiver<Head> {
        self.head.clone()
    }

    /// Who is a member now.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// The network.
    pub fn network(&self) -> NetworkId {
        self.network
    }

    /// Reads the ledger beside its thread, on a thread that may block.
    pub async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&LedgerReader) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let readers = self.readers.clone();
        let looked = task::spawn_blocking(move || readers.with(look)).await;
        looked.map_err(|_| LedgerError::Stopped)?.map_err(|error| LedgerError::Read(error.to_string()))
    }

    /// Reading only: does not keep the ledger's thread alive.
    pub(super) fn weak(&self) -> LedgerReads {
        self.readers.clone()
    }

    async fn send(&self, command: Command) -> Result<(), LedgerError> {
        self.commands.send(command).await.map_err(|_| LedgerError::Stopped)
    }
}

/// A write that a crash cannot take back. Dropping it gives up waiting, not the write.
#[derive(Debug)]
pub struct Queued {
    outcome: oneshot::Receiver<Result<Settled, SubmitError>>,
}

impl Queued {
    /// Whether the ledger has not decided yet.
    pub fn is_open(&self) -> bool {
        self.outcome.is_empty()
    }

    /// Waits until a block is final and durable here, or the ledger has refused.
    pub async fn settled(self) -> Result<Settled, LedgerError> {
        Ok(self.outcome.await.map_err(|_| LedgerError::Stopped)??)
    }
}

/// Read connections to one ledger, lent one at a time.
#[derive(Clone, Debug)]
pub(super) struct LedgerReads {
    path: PathBuf,
    idle: Arc<Mutex<Vec<LedgerReader>>>,
}

impl LedgerReads {
    /// Reads on the caller's thread, which may block.
    pub(super) fn with<T>(
        &self,
        look: impl FnOnce(&LedgerReader) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reader = match idle {
            Some(reader) => reader,
            None => LedgerReader::open(&self.path)?,
        };
        let looked = look(&reader)?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < READERS_KEPT {
            idle.push(reader);
        }
        Ok(looked)
    }
}
