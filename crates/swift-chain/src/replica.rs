//! One node's ledger as a state machine: it takes what clients and peers bring, decides or follows blocks, and says
//! what became of it.
//!
//! [`Replica::step`] is the only way in. A step is one SQLite transaction; its outputs are returned only once that is
//! durable, so whoever acts on them acts on what a crash cannot take back. The replica has no clock and no thread of
//! its own. When its storage fails it is poisoned and takes no further step: it no longer knows what is stored.

mod deciding;
mod outbox;
mod writing;

use std::sync::Arc;

use outbox::Outbox;
use writing::ReviewScope;

use crate::{
    block::SealedBlock,
    consensus::{self, Engine, UnsupportedSet},
    db::{DbError, LedgerDb, LedgerReader},
    execution::{CertifiedBlock, Head},
    hash::{BlockHash, NetworkId, TransactionId},
    identity::{NodeId, NodeKey},
    mempool::Mempool,
    rules::Rejection,
    state::StateError,
    transaction::{Action, Label, SignedTransaction},
    validators::ValidatorSet,
};

/// How long a node's own transaction may wait for a block before it is signed anew.
///
/// Long, so that members whose clocks differ can write all the same; the sequence, not the time, makes a transaction
/// count once.
pub const TRANSACTION_VALIDITY_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// Chosen by the caller to recognise the answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What happens to a replica.
#[derive(Clone, Debug)]
pub enum Input {
    /// A client of this node wants the ledger changed. Answered by [`Output::Settled`], after any time.
    Submit {
        /// Names the answer.
        request: RequestId,
        /// What is wanted.
        action: Action,
        /// For which client.
        on_behalf_of: Option<Label>,
    },
    /// Transactions of other members, for a validator to put into a block.
    Transactions(Vec<SignedTransaction>),
    /// Blocks of other members, in order. Answered by [`Output::Followed`].
    Blocks {
        /// Names the answer.
        request: RequestId,
        /// From any height on; those below the head are skipped.
        blocks: Vec<SealedBlock>,
    },
    /// Time has passed: look whether waiting transactions are still right, and send them again.
    Tick,
}

/// What a step led to, in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// A client's request is decided.
    Settled {
        /// Which.
        request: RequestId,
        /// How.
        outcome: Result<Settled, SubmitError>,
    },
    /// A block is final and durable here.
    Committed(Arc<CertifiedBlock>),
    /// This node's transactions are waiting for a validator elsewhere: bring them there.
    Relay(Vec<SignedTransaction>),
    /// A peer's blocks were taken up to a height.
    Followed {
        /// Which request.
        request: RequestId,
        /// The head's height now, or what was wrong with the first block that could not follow.
        outcome: Result<u64, FollowError>,
    },
}

/// A write that is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The block that holds it.
    pub height: u64,
    /// That block's transaction, when this request led to one.
    pub transaction: Option<TransactionId>,
}

/// Why a write did not happen. The ledger is unchanged by it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The rules say no.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Too many of this node's writes are waiting.
    #[error("too many writes of this node are waiting for a block; try again later")]
    QueueFull,
    /// The engine could not go on after it.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedSet),
}

/// Why a block of a peer was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// Blocks between the head and the first one are missing.
    #[error("block {first} came, the head is block {head}")]
    Gap {
        /// The head's height.
        head: u64,
        /// The first block's.
        first: u64,
    },
    /// A final block that is here has another hash than the one that came, which is final as well by its certificate.
    #[error(
        "two final blocks at height {height}: {ours} here, {theirs} from the peer; validators signed both"
    )]
    Fork {
        /// Where.
        height: u64,
        /// The block here.
        ours: BlockHash,
        /// The peer's.
        theirs: BlockHash,
    },
    /// The block breaks a rule.
    #[error("{0}")]
    Invalid(String),
    /// This program is too old for the block's rules.
    #[error("{0}")]
    UnknownProtocol(String),
}

/// The replica cannot go on; the node must stop. What was acknowledged before is stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ledger stopped: {0}")]
pub struct Poisoned(String);

/// An error that poisons.
#[derive(Debug, thiserror::Error)]
enum Fatal {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("consensus decided a block that is not the one proposed")]
    Consensus,
    #[error("the time of this machine is beyond what a block can carry")]
    Clock,
    #[error("from block {height} on the network follows protocol version {version}: use a newer program")]
    UnknownProtocol { height: u64, version: u16 },
}

/// See the module's text.
#[derive(Debug)]
pub struct Replica {
    key: NodeKey,
    network: NetworkId,
    db: LedgerDb,
    head: Head,
    validators: ValidatorSet,
    mempool: Mempool,
    outbox: Outbox,
    engine: Engine,
    outputs: Vec<Output>,
    /// What waits gave no block at the last attempt, and nothing has happened since.
    is_stuck: bool,
    poisoned: Option<Poisoned>,
}

impl Replica {
    /// Takes a ledger up where it was left, with the transactions that were waiting.
    pub fn new(key: NodeKey, db: LedgerDb) -> Result<Self, DbError> {
        let network = db.reader().network();
        let (head, validators) = (db.reader().head()?, db.reader().validators()?);
        let outbox = Outbox::load(&db)?;
        let engine = Engine::new(key.clone(), network);
        Ok(Self {
            key,
            network,
            db,
            head,
            validators,
            mempool: Mempool::default(),
            outbox,
            engine,
            outputs: Vec::new(),
            is_stuck: false,
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

    /// Everything that can be read.
    pub fn reader(&self) -> &LedgerReader {
        self.db.reader()
    }

    /// Whether another step would find work without any input: at most one block is decided per step.
    pub fn has_work(&self) -> bool {
        self.poisoned.is_none()
            && !self.is_stuck
            && self.decides()
            && consensus::supports(&self.validators).is_ok()
            && !self.mempool.is_empty()
    }

    /// Takes inputs, decides at most one block, makes all of it durable, and returns what it led to.
    ///
    /// `now_ms` is the wall clock, in milliseconds since 1970.
    pub fn step(&mut self, now_ms: u64, inputs: Vec<Input>) -> Result<Vec<Output>, Poisoned> {
        if let Some(poisoned) = &self.poisoned {
            return Err(poisoned.clone());
        }
        match self.try_step(now_ms, inputs) {
            Ok(()) => Ok(std::mem::take(&mut self.outputs)),
            Err(fatal) => {
                let poisoned = Poisoned(fatal.to_string());
                self.poisoned = Some(poisoned.clone());
                Err(poisoned)
            }
        }
    }

    fn try_step(&mut self, now_ms: u64, inputs: Vec<Input>) -> Result<(), Fatal> {
        self.db.begin()?;
        self.is_stuck &= inputs.is_empty();
        for input in inputs {
            match input {
                Input::Submit { request, action, on_behalf_of } => {
                    self.submit(now_ms, request, action, on_behalf_of)?;
                }
                Input::Transactions(transactions) => self.pool_foreign(transactions)?,
                Input::Blocks { request, blocks } => {
                    let outcome = self.follow(now_ms, blocks)?;
                    self.outputs.push(Output::Followed { request, outcome });
                }
                Input::Tick => {
                    self.review_outbox(now_ms, ReviewScope::All)?;
                }
            }
        }
        self.send_waiting(now_ms);
        self.decide(now_ms)?;
        self.db.commit()?;
        Ok(())
    }

    /// Whether this node makes blocks.
    fn decides(&self) -> bool {
        self.validators.weight(&self.key.id()) > 0
    }
}
