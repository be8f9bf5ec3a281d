//! The thread itself: it owns the replica, and does what comes of each step.

use std::time::Instant;

use swift_chain::{Head, Now, Output, Poisoned, Replica};
use tokio::{
    runtime::Handle,
    sync::{
        mpsc::{self, error::TryRecvError},
        watch,
    },
};
use tracing::error;

use super::{
    command::{Command, Sift, Waiting},
    refusals::{Refusal, Refusals},
};
use crate::driver::{members::Members, validators::ForValidators, wall_clock_ms};

/// Commands that one step takes at most.
const STEP_COMMANDS_MAX: usize = 512;

/// What the ledger has done since the node started, and what waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerTally {
    /// Blocks that became final here.
    pub blocks: u64,
    /// Rounds that these took: one each, if nothing goes wrong.
    pub rounds: u64,
    /// Transactions that wait for a block.
    pub waiting: usize,
    /// Their bytes.
    pub waiting_bytes: usize,
}

/// Owns the replica.
pub(super) struct Owner {
    replica: Replica,
    waiting: Waiting,
    head: watch::Sender<Head>,
    for_validators: ForValidators,
    refusals: Refusals,
    tally: watch::Sender<LedgerTally>,
    /// Where its steady clock begins.
    start: Instant,
}

impl Owner {
    pub(super) fn new(
        replica: Replica,
        head: watch::Sender<Head>,
        for_validators: ForValidators,
        refusals: Refusals,
    ) -> (Self, watch::Receiver<LedgerTally>) {
        let (waiting, start) = (Waiting::default(), Instant::now());
        let (tally, told) = watch::channel(LedgerTally::default());
        (Self { replica, waiting, head, for_validators, refusals, tally, start }, told)
    }

    /// Takes steps until nobody can send commands any more, or the replica fails.
    pub(super) fn run(
        mut self,
        mut inbox: mpsc::Receiver<Command>,
        members: &Members,
        runtime: &Handle,
    ) -> Result<(), Poisoned> {
        let mut commands = Vec::new();
        loop {
            if !self.is_due() {
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
            let mut inputs = Vec::new();
            for command in commands.drain(..) {
                self.waiting.add(command, &mut inputs);
            }
            for Sift { turn, transactions, reply } in self.waiting.sifts.drain(..) {
                drop(reply.send((turn, self.replica.sift(transactions)?)));
            }
            if inputs.is_empty() && !self.is_due() {
                continue;
            }
            let now = Now { wall_ms: wall_clock_ms(), steady: self.start.elapsed() };
            let outputs = self.replica.step(now, inputs)?;
            if members.is_held() == self.replica.may_sign() {
                members.hold(!self.replica.may_sign());
            }
            for output in outputs {
                self.carry_out(output, members);
            }
            let mempool = self.replica.mempool();
            let (waiting, waiting_bytes) = (mempool.len(), mempool.encoded_len());
            self.tally.send_modify(|tally| (tally.waiting, tally.waiting_bytes) = (waiting, waiting_bytes));
            self.waiting.end_step();
        }
    }

    /// Whether a step is due, whatever comes.
    fn is_due(&self) -> bool {
        let has_elapsed = |due| due <= self.start.elapsed();
        self.replica.has_work() || self.replica.poll_timeout().is_some_and(has_elapsed)
    }

    /// The outputs of a step are durable: now they may be acted on. Who asked may be gone meanwhile.
    fn carry_out(&mut self, output: Output, members: &Members) {
        match output {
            Output::Settled { request, outcome } => {
                if let Some(reply) = self.waiting.submits.remove(&request) {
                    drop(reply.send(outcome));
                }
            }
            Output::Refused { action, on_behalf_of, error } => {
                self.refusals.note(Refusal { refused_ms: wall_clock_ms(), action, on_behalf_of, error });
            }
            Output::Committed(block) => {
                members.apply(&block);
                let rounds = u64::from(block.sealed().certificate.round) + 1;
                self.tally.send_modify(|tally| {
                    (tally.blocks, tally.rounds) = (tally.blocks + 1, tally.rounds + rounds);
                });
                self.head.send_replace(block.as_head());
            }
            // With nobody to carry them they are lost, as on a bad link: what matters is said again.
            Output::Relay(transactions) => {
                drop(self.for_validators.transactions.send(transactions.into()));
            }
            Output::Broadcast(message) => {
                drop(self.for_validators.messages.send(message));
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
