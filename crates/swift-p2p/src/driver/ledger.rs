//! The thread that owns the ledger.
//!
//! Storage blocks, so the replica has a thread of its own. It takes what has piled up as one step: the more writes wait,
//! the more of them share a block and a disk sync. Nothing it says goes out before its step is durable.

mod checking;
mod command;
mod owner;
mod reads;
mod recent;
mod refusals;
mod turns;

use std::{path::Path, thread, time::Duration};

use swift_chain::{
    Action, DbError, FileRecord, FollowError, Hash, Head, Label, LedgerReader, NetworkId, NodeId, Poisoned,
    Replica, SealedBlock, Settled, SignedTransaction, SubmitError, TransactionError,
    consensus::ConsensusMessage,
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
    task,
};
use tracing::{debug, warn};

use checking::Checking;
use command::{Command, Sift};
pub use owner::LedgerTally;
use owner::Owner;
pub(super) use reads::LedgerReads;
use recent::RecentFiles;
pub use refusals::{REFUSALS_KEPT, Refusal, Refusals};
use turns::{Room, Turns};

use super::{
    members::Members,
    validators::{ForValidators, ForValidatorsSource},
};

/// Commands that may wait for the thread; senders beyond that wait themselves.
const COMMANDS_MAX: usize = 1024;
/// Bytes of consensus messages that may wait for the thread. Each validator has one request of at most 2 MiB.
const MESSAGES_LEN_MAX: u32 = 32 * 1024 * 1024;
/// Bytes of other members' transactions that may wait to be looked at.
const TRANSACTIONS_LEN_MAX: u32 = 16 * 1024 * 1024;
/// Bytes of blocks that may wait for the thread: a few steps of following.
const BLOCKS_LEN_MAX: u32 = 32 * 1024 * 1024;
/// How often waiting transactions are looked at again.
const TICK: Duration = Duration::from_secs(1);

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

/// Why the ledger did not take what another node handed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandOverError {
    /// Its last request waits still. Nothing of this one was looked at.
    #[error("an earlier request of this node waits for the ledger; send the next one when it is answered")]
    Busy,
    /// A transaction is not what it says. Nothing of the batch was taken.
    #[error("{0}; nothing of the batch was taken")]
    Forged(#[from] TransactionError),
    /// The ledger's thread has ended.
    #[error("the ledger has stopped")]
    Stopped,
}

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
    recent: RecentFiles,
    network: NetworkId,
    refusals: Refusals,
    tally: watch::Receiver<LedgerTally>,
    checking: Checking,
    /// Of those who bring transactions.
    authors: Turns,
    /// Of those who bring consensus messages.
    validators: Turns,
    blocks: Room,
}

impl LedgerTask {
    /// Starts the thread of a replica whose ledger is at `path`. From then on `members` is level with it.
    pub fn spawn(replica: Replica, path: &Path, members: Members) -> Result<Self, LedgerStartError> {
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let for_validators = ForValidators::default();
        let source = for_validators.downgrade();
        let (head_out, head) = watch::channel(*replica.head());
        let (ended_out, ended) = oneshot::channel();
        members.fill(replica.reader())?;
        let readers = LedgerReads::new(path);
        let network = replica.reader().network();
        let refusals = Refusals::default();
        let (owner, tally) = Owner::new(replica, head_out, for_validators, refusals.clone());
        let runtime = Handle::current();
        let owner_members = members.clone();
        thread::Builder::new().name("ledger".into()).spawn(move || {
            // Nobody may be left to hear how it ended.
            drop(ended_out.send(owner.run(inbox, &owner_members, &runtime)));
        })?;
        tick(commands.downgrade());
        Ok(Self {
            handle: LedgerHandle {
                commands,
                head,
                members,
                readers,
                recent: RecentFiles::default(),
                network,
                refusals,
                tally,
                checking: Checking::new(network),
                authors: Turns::new(TRANSACTIONS_LEN_MAX),
                validators: Turns::new(MESSAGES_LEN_MAX),
                blocks: Room::new(BLOCKS_LEN_MAX),
            },
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

    /// Hands over transactions of other members, `len` bytes of them, and waits until they were looked at: who sends
    /// many waits for it. The ledger's thread says which it has a use for, and their signatures are checked beside it.
    pub async fn receive(
        &self,
        from: NodeId,
        transactions: Vec<SignedTransaction>,
        len: usize,
    ) -> Result<(), HandOverError> {
        let turn = self.authors.take(from, len).await.ok_or(HandOverError::Busy)?;
        let (reply, sifted) = oneshot::channel();
        self.hand_over(Command::Sift(Sift { turn, transactions, reply })).await?;
        let (turn, transactions) = sifted.await.map_err(|_| HandOverError::Stopped)?;
        if transactions.is_empty() {
            return Ok(());
        }
        let checked = self.checking.check(turn, transactions).await;
        if let Err(HandOverError::Forged(error)) = &checked {
            warn!(peer = %from, %error, "a member brought a transaction that nobody signed");
        }
        let (turn, transactions) = checked?;
        let (reply, done) = oneshot::channel();
        self.hand_over(Command::Transactions { turn, transactions, reply }).await?;
        done.await.map_err(|_| HandOverError::Stopped)
    }

    /// Hands over what a member says about the block that is being decided, `len` bytes of it, and waits until the
    /// ledger has heard it.
    pub async fn agree(
        &self,
        from: NodeId,
        messages: Vec<ConsensusMessage>,
        len: usize,
    ) -> Result<(), HandOverError> {
        let turn = self.validators.take(from, len).await.ok_or(HandOverError::Busy)?;
        let (reply, done) = oneshot::channel();
        self.hand_over(Command::Consensus { turn, from, messages, reply }).await?;
        done.await.map_err(|_| HandOverError::Stopped)
    }

    /// Hands over blocks of other members, `len` bytes of them, and waits until they are checked and durable.
    pub async fn follow(
        &self,
        blocks: Vec<SealedBlock>,
        len: usize,
    ) -> Result<Result<u64, FollowError>, LedgerError> {
        let place = self.blocks.take(len).await;
        let (reply, answer) = oneshot::channel();
        self.send(Command::Follow { place, blocks, reply }).await?;
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

    /// What was refused lately after it had waited.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// What it has done since the node started, and what waits.
    pub fn tally(&self) -> LedgerTally {
        *self.tally.borrow()
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

    /// Has the whole file looked through beside everything else; see [`Self::damaged`]. Does not keep the ledger's thread
    /// alive.
    pub fn check_file(&self) {
        let readers = self.readers.clone();
        task::spawn_blocking(move || match readers.with(LedgerReader::check_file) {
            Ok(()) => debug!("the ledger's file is whole"),
            Err(error) => warn!(%error, "the ledger's file could not be looked through, or is damaged"),
        });
    }

    /// Waits until something that was read beside the ledger's thread was damaged; what it was. The node must stop then.
    pub async fn damaged(&self) -> String {
        self.readers.damaged().await
    }

    /// The live file with these bytes; one of them if it has several names. What was found since the last block is
    /// found again without a look at the disk.
    pub async fn live_file(&self, file_id: Hash) -> Result<Option<FileRecord>, LedgerError> {
        let height = self.head().height;
        if let Some(record) = self.recent.find(&file_id, height) {
            return Ok(Some(record));
        }
        let found = self.read(move |reader| reader.file_by_id(&file_id)).await?;
        // Of a block that came meanwhile it may be newer than it is kept as, and is forgotten with that block.
        if let Some(record) = &found {
            self.recent.keep(record, height);
        }
        Ok(found)
    }

    /// Reading only: does not keep the ledger's thread alive.
    pub(super) fn weak(&self) -> LedgerReads {
        self.readers.clone()
    }

    async fn hand_over(&self, command: Command) -> Result<(), HandOverError> {
        self.send(command).await.map_err(|_| HandOverError::Stopped)
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

#[cfg(test)]
mod tests;
