//! One node's ledger as a state machine: it takes what clients and peers bring, decides or follows blocks, and says
//! what became of it.
//!
//! [`Replica::step`] is the only way in. A step is one transaction of the storage; its outputs are returned only once
//! that is durable, so whoever acts on them acts on what a crash cannot take back. Above all a vote is sent only when
//! everything that led to it is on disk: what a validator signed before a crash it remembers after it. The replica has
//! no clock and no thread of its own. When its storage or the consensus engine fails it is poisoned and takes no further
//! step: it no longer knows what is stored, or what it may sign.

mod agreeing;
mod candidates;
mod deciding;
mod early;
mod following;
mod holding;
mod input;
mod outbox;
mod output;
mod writing;

use std::time::Duration;

use agreeing::OpenHeight;
use early::EarlyMessages;
use outbox::Outbox;
use writing::ReviewScope;

pub use input::{Input, Now, RequestId};
pub use output::{FollowError, Output, Settled, SubmitError};

use crate::{
    consensus::{Engine, EngineError, WalEntry},
    db::{DbError, LedgerDb, LedgerReader},
    execution::Head,
    hash::NetworkId,
    identity::{NodeId, NodeKey},
    mempool::Mempool,
    state::StateError,
    store::LedgerStore,
    transaction::SignedTransaction,
    validators::ValidatorSet,
};

/// How long a node's own transaction may wait for a block before it is signed anew.
///
/// Long, so that members whose clocks differ can write all the same; the sequence, not the time, makes a transaction
/// count once.
pub const TRANSACTION_VALIDITY_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// The replica cannot go on; the node must stop. What was acknowledged before is stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ledger stopped: {reason}")]
pub struct Poisoned {
    reason: String,
    is_damage: bool,
}

impl Poisoned {
    /// What went wrong.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Whether the storage holds what nobody wrote; see [`DbError::is_damage`].
    pub fn is_damage(&self) -> bool {
        self.is_damage
    }
}

/// An error that poisons.
#[derive(Debug, thiserror::Error)]
enum Fatal {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("consensus decided a block that is not there or not certified")]
    Consensus,
    #[error("the time of this machine is beyond what a block can carry")]
    Clock,
    #[error("from block {height} on the network follows protocol version {version}: use a newer program")]
    UnknownProtocol { height: u64, version: u16 },
}

/// See the module's text.
#[derive(Debug)]
pub struct Replica<S = LedgerDb> {
    key: NodeKey,
    network: NetworkId,
    store: S,
    head: Head,
    validators: ValidatorSet,
    mempool: Mempool,
    outbox: Outbox,
    engine: Engine,
    /// What is known of the height that is being decided.
    open: OpenHeight,
    early: EarlyMessages,
    /// Stored when the program ended, for the first step.
    recovered: Vec<WalEntry>,
    outputs: Vec<Output>,
    /// The first height at which this node may sign; see [`LedgerStore::signs_from`].
    signs_from: u64,
    /// What waits gave no block at the last attempt, and nothing has happened since.
    is_stuck: bool,
    /// The head at the last tick, to notice that nothing was decided since.
    ticked_height: u64,
    poisoned: Option<Poisoned>,
}

impl<S: LedgerStore> Replica<S> {
    /// Takes a ledger up where it was left, with the transactions that were waiting and the height that was being
    /// decided.
    pub fn new(key: NodeKey, store: S) -> Result<Self, DbError> {
        let network = store.network();
        let (head, validators) = (store.head()?, store.validators()?);
        let (outbox, signs_from) = (Outbox::load(&store)?, store.signs_from()?);
        // The log of a backup is not all that was signed.
        let recovered = if signs_from == 0 { store.wal()? } else { Vec::new() };
        let engine = Engine::new(key.clone(), network);
        Ok(Self {
            key,
            network,
            store,
            head,
            validators,
            mempool: Mempool::default(),
            outbox,
            engine,
            open: OpenHeight::default(),
            early: EarlyMessages::default(),
            recovered,
            outputs: Vec::new(),
            signs_from,
            is_stuck: false,
            ticked_height: head.height,
            poisoned: None,
        })
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        self.key.id()
    }

    /// The last block.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Who certifies the next block.
    pub fn validators(&self) -> &ValidatorSet {
        &self.validators
    }

    /// Its storage, for reading.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Gives the storage back.
    pub fn into_store(self) -> S {
        self.store
    }

    /// The round of the height that is being decided, when one is.
    pub fn round(&self) -> Option<u32> {
        self.engine.round()
    }

    /// What waits for a block here.
    pub fn mempool(&self) -> &Mempool {
        &self.mempool
    }

    /// Whether another step would find work without any input: at most one block is decided per step.
    pub fn has_work(&self) -> bool {
        self.poisoned.is_none()
            && (!self.recovered.is_empty()
                || self.early.is_due(self.head.height)
                || self.decides() && !self.engine.is_running() && !self.is_stuck && !self.mempool.is_empty())
    }

    /// When a step is due even if nothing happens before, on the steady clock.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.engine.poll_timeout()
    }

    /// Takes inputs, decides at most one block, makes all of it durable, and returns what it led to.
    pub fn step(&mut self, now: Now, inputs: Vec<Input>) -> Result<Vec<Output>, Poisoned> {
        if let Some(poisoned) = &self.poisoned {
            return Err(poisoned.clone());
        }
        match self.try_step(now, inputs) {
            Ok(()) => Ok(std::mem::take(&mut self.outputs)),
            Err(fatal) => Err(self.poison(&fatal)),
        }
    }

    /// Those transactions of other members that this node would put into a block if their signatures are right: it
    /// decides, and has room for them, and has not got them yet. Asked before they are checked, since a signature costs
    /// far more to check than to make up.
    pub fn sift(
        &mut self,
        mut transactions: Vec<SignedTransaction>,
    ) -> Result<Vec<SignedTransaction>, Poisoned> {
        if let Some(poisoned) = &self.poisoned {
            return Err(poisoned.clone());
        }
        let mut failed = None;
        transactions.retain(|signed| match self.wants(signed) {
            Ok(is_wanted) => is_wanted,
            Err(fatal) => {
                failed = Some(fatal);
                false
            }
        });
        failed.map_or(Ok(transactions), |fatal| Err(self.poison(&fatal)))
    }

    fn poison(&mut self, fatal: &Fatal) -> Poisoned {
        let is_damage = match fatal {
            Fatal::Db(error) => error.is_damage(),
            Fatal::State(error) => error.is_damage(),
            Fatal::Engine(_) | Fatal::Consensus | Fatal::Clock | Fatal::UnknownProtocol { .. } => false,
        };
        let poisoned = Poisoned { reason: fatal.to_string(), is_damage };
        self.poisoned = Some(poisoned.clone());
        poisoned
    }

    fn try_step(&mut self, now: Now, inputs: Vec<Input>) -> Result<(), Fatal> {
        self.store.begin()?;
        self.is_stuck &= inputs.is_empty();
        self.recover(now)?;
        for message in self.early.take_due(self.head.height) {
            self.hear(now, message)?;
        }
        for input in inputs {
            match input {
                Input::Submit { request, action, on_behalf_of } => {
                    self.submit(now.wall_ms, request, action, on_behalf_of)?;
                }
                Input::Transactions(transactions) => self.pool_foreign(transactions)?,
                Input::Checked(transactions) => self.pool_checked(transactions)?,
                Input::Blocks { request, blocks } => {
                    let outcome = self.follow(now, blocks)?;
                    self.outputs.push(Output::Followed { request, outcome });
                }
                Input::Consensus { from, message } => self.receive(now, from, message)?,
                Input::EndHold => self.end_hold()?,
                Input::Tick => {
                    self.review_outbox(now.wall_ms, ReviewScope::OnTheirWay)?;
                    self.relay_overdue(now);
                }
            }
        }
        // After all that came: what was waited for may be among it.
        self.elapse(now)?;
        self.send_waiting(now.wall_ms);
        self.decide(now)?;
        self.write_log()?;
        self.store.commit()?;
        Ok(())
    }

    /// Whether this node makes blocks.
    fn decides(&self) -> bool {
        self.may_sign() && self.validators.weight(&self.key.id()) > 0
    }
}

impl Replica {
    /// Everything that can be read.
    pub fn reader(&self) -> &LedgerReader {
        self.store.reader()
    }
}
