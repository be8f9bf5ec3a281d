//! The task that owns the gossip: greets members, fetches blocks from those ahead, and brings this node's transactions
//! to the validators.

mod removal;

use std::{sync::Arc, time::Duration};

use swift_chain::{ChainFrame, FollowError, FrameDecoder, NodeId, SealedBlock, SignedTransaction};
use tokio::{
    sync::{mpsc, oneshot},
    task::{self, JoinSet},
    time::{Instant, sleep_until, timeout},
};
use tracing::{debug, error, info, warn};

use super::ledger::{LedgerError, LedgerHandle};
use crate::{
    gossip::{FetchOutcome, Gossip, HELLO_LEN_MAX, HeadNote, Hello, Input, Output},
    swarm::Time,
    transport::{DialError, PeerClients, Sessions},
};

/// Inputs that may wait for the task.
const INPUTS_MAX: usize = 256;
/// A greeting takes no longer than this, or has failed.
const GREET_TIMEOUT: Duration = Duration::from_secs(5);
/// A stream of blocks that brings nothing for this long has failed.
const STALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Blocks handed to the ledger together, which makes them one disk sync.
const BLOCKS_PER_STEP: usize = 256;
/// Bytes of the frame of one block.
const FRAME_LEN_MAX: usize = SealedBlock::LEN_MAX + 64;
/// Bytes of these, so that full blocks do not pile up in memory.
const BYTES_PER_STEP: usize = 8 * 1024 * 1024;

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
    /// This node's transactions, from [`LedgerTask`](super::LedgerTask).
    pub relay: mpsc::Receiver<Vec<SignedTransaction>>,
    /// Told of every member that comes or goes.
    pub on_peer: Box<dyn Fn(PeerEvent) + Send>,
    /// 64 bits from the caller's random source.
    pub seed: u64,
}

/// A member can be reached, or not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerEvent {
    /// It can.
    Online(NodeId),
    /// It cannot.
    Offline(NodeId),
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
    ledger: LedgerHandle,
}

impl GossipTask {
    /// Starts greeting.
    pub fn spawn(setup: GossipSetup) -> Self {
        let (inputs, inbox) = mpsc::channel(INPUTS_MAX);
        let (ended_out, ended) = oneshot::channel();
        let handle = GossipHandle { inputs: inputs.clone(), ledger: setup.ledger.clone() };
        let mut tasks = JoinSet::new();
        tasks.spawn(relay(setup.me, setup.ledger.clone(), setup.clients.clone(), setup.relay));
        let driver = Driver {
            machine: Gossip::new(note(&setup.ledger), setup.seed),
            start: Instant::now(),
            me: setup.me,
            ledger: setup.ledger,
            clients: setup.clients,
            sessions: setup.sessions,
            on_peer: setup.on_peer,
            work: JoinSet::new(),
        };
        tasks.spawn(async move {
            // Nobody may be left to hear how it ended.
            let _ = ended_out.send(driver.run(inbox).await);
        });
        Self { handle, ended, _tasks: tasks }
    }
}

impl GossipHandle {
    /// A member greets; the answer is this node's head. When many greet at once, some are only answered.
    pub fn greeted(&self, from: NodeId, hello: Hello) -> Hello {
        let _ = self.inputs.try_send(Input::Greeted { from, head: hello.into() });
        note(&self.ledger).into()
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
    on_peer: Box<dyn Fn(PeerEvent) + Send>,
    work: JoinSet<Result<Input, GossipError>>,
}

impl Driver {
    async fn run(mut self, mut inbox: mpsc::Receiver<Input>) -> GossipError {
        let mut head = self.ledger.watch_head();
        self.take_members();
        loop {
            while let Some(output) = self.machine.poll_output() {
                self.carry_out(output);
            }
            let due = self.machine.poll_timeout().map(|due| self.start + due.elapsed());
            let input = tokio::select! {
                changed = head.changed() => {
                    if changed.is_err() {
                        return GossipError::Ledger;
                    }
                    head.mark_unchanged();
                    self.take_members();
                    Input::Head { head: note(&self.ledger) }
                }
                Some(input) = inbox.recv() => input,
                Some(done) = self.work.join_next() => match done {
                    Ok(Ok(input)) => input,
                    Ok(Err(fatal)) => return fatal,
                    // A greeting or fetch that panicked was reported; the machine's own timeouts go on.
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
        let cut = self.sessions.close_former_members();
        if cut > 0 {
            info!(cut, "closed the connections of a node that was removed");
        }
        let all = self.ledger.members().all();
        let others = all.into_iter().map(|(node, _)| node).filter(|node| *node != self.me).collect();
        self.machine.handle(self.now(), Input::Members { others });
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Greet { to } => {
                let (me, clients, ledger) = (self.me, self.clients.clone(), self.ledger.clone());
                self.work.spawn(async move { greet(me, &clients, &ledger, to).await });
            }
            Output::Fetch { from } => {
                let (clients, ledger) = (self.clients.clone(), self.ledger.clone());
                self.work.spawn(async move {
                    let outcome = fetch(&clients, &ledger, from).await?;
                    Ok(Input::Fetched { from, outcome })
                });
            }
            Output::Online { peer } => {
                info!(%peer, "a member is there");
                (self.on_peer)(PeerEvent::Online(peer));
            }
            Output::Offline { peer } => {
                info!(%peer, "a member is away");
                (self.on_peer)(PeerEvent::Offline(peer));
            }
            Output::Differs { peer, theirs } => error!(
                %peer, height = theirs.height, hash = %theirs.hash,
                "a member has another block at this height: validators signed two, or that member's ledger is damaged"
            ),
        }
    }
}

async fn greet(
    me: NodeId,
    clients: &PeerClients,
    ledger: &LedgerHandle,
    to: NodeId,
) -> Result<Input, GossipError> {
    match timeout(GREET_TIMEOUT, exchange(clients, to, note(ledger).into())).await {
        Ok(Ok(Answer::Hello(hello))) => Ok(Input::Answered { by: to, head: hello.into() }),
        Ok(Ok(Answer::Gone(frame))) => {
            let validators = ledger.read(swift_chain::LedgerReader::validators).await;
            let validators = validators.map_err(|_| GossipError::Ledger)?;
            match removal::proved_by(&frame, me, &ledger.network(), &validators) {
                Some(height) => Err(GossipError::Removed { height }),
                None => Ok(Input::NotReached { to }),
            }
        }
        Ok(Ok(Answer::Other)) => {
            warn!(peer = %to, "a member answers greetings with something else");
            Ok(Input::NotReached { to })
        }
        Ok(Err(error)) => {
            debug!(peer = %to, %error, "a member was not reached");
            Ok(Input::NotReached { to })
        }
        Err(_) => Ok(Input::NotReached { to }),
    }
}

/// What comes back for a greeting.
enum Answer {
    Hello(Hello),
    /// This node was removed, by the block in this frame.
    Gone(Vec<u8>),
    Other,
}

async fn exchange(clients: &PeerClients, to: NodeId, hello: Hello) -> Result<Answer, DialError> {
    let client = clients.client(&to)?;
    let response = client.post("/peer/hello").body(hello.to_bytes()).send().await;
    let response = response.map_err(|error| DialError::of(&error))?;
    if response.status() == reqwest::StatusCode::GONE {
        return Ok(Answer::Gone(limited(response, FRAME_LEN_MAX).await?));
    }
    let response = response.error_for_status().map_err(|error| DialError::of(&error))?;
    let bytes = limited(response, HELLO_LEN_MAX).await?;
    Ok(Hello::from_bytes(&bytes).map_or(Answer::Other, Answer::Hello))
}

/// A short body; what is longer is cut, and then is no message.
async fn limited(mut response: reqwest::Response, len_max: usize) -> Result<Vec<u8>, DialError> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| DialError::of(&error))? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > len_max {
            break;
        }
    }
    Ok(bytes)
}

/// Why fetching stopped early.
enum Stop {
    Failed(String),
    Refused(String),
    Fatal(GossipError),
}

async fn fetch(
    clients: &PeerClients,
    ledger: &LedgerHandle,
    from: NodeId,
) -> Result<FetchOutcome, GossipError> {
    match try_fetch(clients, ledger, from).await {
        Ok(()) => Ok(FetchOutcome::Taken),
        Err(Stop::Failed(reason)) => {
            info!(peer = %from, %reason, "blocks did not come; asking another member");
            Ok(FetchOutcome::Failed)
        }
        Err(Stop::Refused(reason)) => {
            warn!(peer = %from, %reason, "a member sent blocks that break a rule");
            Ok(FetchOutcome::Refused)
        }
        Err(Stop::Fatal(error)) => Err(error),
    }
}

/// Streams blocks behind the head into the ledger, which checks each one.
async fn try_fetch(clients: &PeerClients, ledger: &LedgerHandle, from: NodeId) -> Result<(), Stop> {
    let failed = |error: DialError| Stop::Failed(error.to_string());
    let client = clients.client(&from).map_err(failed)?;
    let next = ledger.head().height + 1;
    let request = client.post("/getBlockDatas").body(format!("num={next}")).send();
    let response = timeout(STALL_TIMEOUT, request).await.map_err(|_| Stop::Failed("no answer".into()))?;
    let response = response.and_then(reqwest::Response::error_for_status);
    let mut response = response.map_err(|error| failed(DialError::of(&error)))?;
    let mut follower = Follower::new(ledger);
    loop {
        let piece = timeout(STALL_TIMEOUT, response.chunk()).await;
        let piece = piece.map_err(|_| Stop::Failed("the stream of blocks stalled".into()))?;
        match piece.map_err(|error| failed(DialError::of(&error)))? {
            Some(piece) => follower.push(&piece).await?,
            None => return follower.finish().await,
        }
    }
}

/// Takes a chain stream into the ledger, in steps of bounded size.
struct Follower<'l> {
    ledger: &'l LedgerHandle,
    decoder: FrameDecoder,
    blocks: Vec<SealedBlock>,
    /// Bytes that came since the last step.
    len: usize,
}

impl<'l> Follower<'l> {
    fn new(ledger: &'l LedgerHandle) -> Self {
        Self { ledger, decoder: FrameDecoder::default(), blocks: Vec::new(), len: 0 }
    }

    async fn push(&mut self, piece: &[u8]) -> Result<(), Stop> {
        self.len += piece.len();
        self.decoder.push(piece);
        while let Some(frame) = self.decoder.next_frame().map_err(|error| Stop::Refused(error.to_string()))? {
            match frame {
                ChainFrame::Block(sealed) => self.blocks.push(*sealed),
                ChainFrame::Genesis(_) => {
                    return Err(Stop::Refused("a genesis block among the others".into()));
                }
            }
            if self.blocks.len() >= BLOCKS_PER_STEP || self.len >= BYTES_PER_STEP {
                self.step().await?;
            }
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<(), Stop> {
        self.step().await?;
        self.decoder.finish().map_err(|error| Stop::Failed(error.to_string()))
    }

    async fn step(&mut self) -> Result<(), Stop> {
        self.len = 0;
        let blocks = std::mem::take(&mut self.blocks);
        if blocks.is_empty() {
            return Ok(());
        }
        match self.ledger.follow(blocks).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(FollowError::UnknownProtocol(reason))) => {
                Err(Stop::Fatal(GossipError::UnknownProtocol(reason)))
            }
            Ok(Err(error @ FollowError::Fork { .. })) => {
                error!(%error, "the network has forked");
                Err(Stop::Refused(error.to_string()))
            }
            Ok(Err(error)) => Err(Stop::Refused(error.to_string())),
            Err(LedgerError::Stopped) => Err(Stop::Fatal(GossipError::Ledger)),
            Err(error) => Err(Stop::Failed(error.to_string())),
        }
    }
}

/// Brings this node's transactions to every validator. What does not arrive is sent again: the ledger keeps them in its
/// queue and gives them out at every tick.
async fn relay(
    me: NodeId,
    ledger: LedgerHandle,
    clients: Arc<PeerClients>,
    mut waiting: mpsc::Receiver<Vec<SignedTransaction>>,
) {
    while let Some(transactions) = waiting.recv().await {
        let Ok(validators) = ledger.read(swift_chain::LedgerReader::validators).await else { return };
        let Ok(body) = postcard::to_allocvec(&transactions) else { continue };
        let mut sends = JoinSet::new();
        for validator in validators.iter().map(|validator| validator.node).filter(|node| *node != me) {
            let (clients, body) = (clients.clone(), body.clone());
            sends.spawn(async move {
                let Ok(client) = clients.client(&validator) else { return };
                let sent = timeout(GREET_TIMEOUT, client.post("/peer/transactions").body(body).send()).await;
                if let Ok(Err(error)) = sent {
                    let error = DialError::of(&error);
                    debug!(peer = %validator, %error, "transactions did not reach a validator");
                }
            });
        }
        sends.join_all().await;
        task::yield_now().await;
    }
}
