//! Carrying what the ledger wants the validators to have: transactions that wait for a block, and this node's part in
//! deciding one.
//!
//! Every validator has two lanes of its own, so that one that is slow or gone holds no other up, and transactions never
//! stand before a vote. A lane that falls behind loses the oldest: transactions and votes are said again when it matters.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    sync::Arc,
    time::Duration,
};

use swift_chain::{
    NodeId, SignedTransaction,
    consensus::{ConsensusMessage, STEP_TIMEOUT_MAX},
};
use tokio::{
    sync::broadcast::{
        self,
        error::{RecvError, TryRecvError},
    },
    task::{AbortHandle, JoinSet},
    time::timeout,
};
use tracing::debug;

use super::ledger::LedgerHandle;
use crate::{
    gossip::consensus_frames,
    transport::{DialError, PeerClients},
};

/// How long a validator may take to accept a request. Longer than the longest wait for a proposal: what is still of use
/// when it arrives must not be broken off before.
const SEND_TIMEOUT: Duration = STEP_TIMEOUT_MAX.saturating_add(Duration::from_secs(5));
/// Bytes of transactions in one request: far below what a validator takes.
const BATCH_LEN: usize = 256 * 1024;
/// What a lane may be behind. A proposal has up to 1 MiB, nearly all else a few hundred bytes.
const BEHIND_MAX: usize = 64;

const MESSAGES_PATH: &str = "/peer/consensus";
const TRANSACTIONS_PATH: &str = "/peer/transactions";

/// Where the ledger's thread puts what all other validators should have.
#[derive(Debug)]
pub(super) struct ForValidators {
    /// This validator's part in deciding a block.
    pub(super) messages: broadcast::Sender<Arc<ConsensusMessage>>,
    /// Transactions that wait for a block.
    pub(super) transactions: broadcast::Sender<Arc<[SignedTransaction]>>,
}

/// What goes to the validators, to be carried by the gossip. It ends with the ledger's thread.
#[derive(Debug)]
pub struct ForValidatorsSource {
    messages: broadcast::WeakSender<Arc<ConsensusMessage>>,
    transactions: broadcast::WeakSender<Arc<[SignedTransaction]>>,
    /// Takes messages in for validators whose lanes are not there yet: after a start, and when a block makes a validator.
    /// What is said of its first height may be said before its lanes are there, and a proposal is said once.
    spare: broadcast::Receiver<Arc<ConsensusMessage>>,
}

impl Default for ForValidators {
    fn default() -> Self {
        let (messages, transactions) =
            (broadcast::Sender::new(BEHIND_MAX), broadcast::Sender::new(BEHIND_MAX));
        Self { messages, transactions }
    }
}

impl ForValidators {
    pub(super) fn downgrade(&self) -> ForValidatorsSource {
        ForValidatorsSource {
            messages: self.messages.downgrade(),
            transactions: self.transactions.downgrade(),
            spare: self.messages.subscribe(),
        }
    }
}

impl ForValidatorsSource {
    fn upgrade(&self) -> Option<ForValidators> {
        let (messages, transactions) = (self.messages.upgrade()?, self.transactions.upgrade()?);
        Some(ForValidators { messages, transactions })
    }
}

/// Keeps lanes to every validator but this node, as long as it is one.
pub(super) async fn keep_links(
    me: NodeId,
    ledger: LedgerHandle,
    clients: Arc<PeerClients>,
    source: ForValidatorsSource,
) {
    let mut head = ledger.watch_head();
    let mut links = Links::new(source);
    loop {
        let validators = ledger.members().validators();
        let others = validators.iter().map(|validator| validator.node).filter(|node| *node != me).collect();
        let is_open = links.keep(others, ledger.head().height, |to| {
            let clients = clients.clone();
            move |path, body| post(clients.clone(), to, path, body)
        });
        if !is_open || head.changed().await.is_err() {
            return;
        }
    }
}

/// The lanes of all validators.
struct Links {
    source: ForValidatorsSource,
    lanes: JoinSet<()>,
    linked: HashMap<NodeId, [AbortHandle; 2]>,
}

impl Links {
    fn new(source: ForValidatorsSource) -> Self {
        Self { source, lanes: JoinSet::new(), linked: HashMap::new() }
    }

    /// Opens and closes lanes so that there are those to `others`, whose ledger's head is at a height. False when there
    /// is nothing to carry any more.
    fn keep<P, F>(&mut self, others: Vec<NodeId>, height: u64, poster: impl Fn(NodeId) -> P) -> bool
    where
        P: Fn(&'static str, Vec<u8>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<(), DialError>> + Send + 'static,
    {
        let Some(source) = self.source.upgrade() else { return false };
        self.linked.retain(|node, lanes| {
            let stays = others.contains(node);
            if !stays {
                lanes.iter().for_each(AbortHandle::abort);
            }
            stays
        });
        let missing = others.into_iter().filter(|node| !self.linked.contains_key(node));
        let opening: Vec<_> = missing
            .map(|node| (node, source.messages.subscribe(), source.transactions.subscribe()))
            .collect();
        // In this order: what comes in between is carried twice, and not lost.
        let spare = std::mem::replace(&mut self.source.spare, source.messages.subscribe());
        let said = said_above(height, spare);
        for (node, messages, transactions) in opening {
            let lane = Lane { to: node, post: poster(node) };
            let lanes = [
                self.lanes.spawn(lane.clone().carry_messages(said.clone(), messages)),
                self.lanes.spawn(lane.carry_transactions(transactions)),
            ];
            self.linked.insert(node, lanes);
        }
        // Ended lanes are only those that were aborted.
        while self.lanes.try_join_next().is_some() {}
        true
    }
}

/// What was said about heights above this one.
fn said_above(
    height: u64,
    mut spare: broadcast::Receiver<Arc<ConsensusMessage>>,
) -> VecDeque<Arc<ConsensusMessage>> {
    let mut said = VecDeque::new();
    loop {
        match spare.try_recv() {
            Ok(message) if message.height() > height => said.push_back(message),
            Ok(_) | Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => return said,
        }
    }
}

/// A way to one validator.
#[derive(Clone)]
struct Lane<P> {
    to: NodeId,
    post: P,
}

impl<P, F> Lane<P>
where
    P: Fn(&'static str, Vec<u8>) -> F,
    F: Future<Output = Result<(), DialError>>,
{
    /// Messages, joined in one request from all that wait: first those that were said before the lane was there.
    async fn carry_messages(
        self,
        mut waiting: VecDeque<Arc<ConsensusMessage>>,
        mut source: broadcast::Receiver<Arc<ConsensusMessage>>,
    ) {
        loop {
            let mut body = Vec::new();
            while body.len() <= consensus_frames::BODY_LEN_MAX - consensus_frames::FRAME_LEN_MAX {
                let message = match waiting.pop_front() {
                    Some(message) => message,
                    None if body.is_empty() => match self.next(&mut source).await {
                        Some(message) => message,
                        None => return,
                    },
                    None => match source.try_recv() {
                        Ok(message) => message,
                        Err(TryRecvError::Lagged(_)) => continue,
                        Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                    },
                };
                body.extend_from_slice(&consensus_frames::encode(&message));
            }
            self.send(MESSAGES_PATH, body).await;
        }
    }

    async fn carry_transactions(self, mut source: broadcast::Receiver<Arc<[SignedTransaction]>>) {
        while let Some(first) = self.next(&mut source).await {
            let mut transactions = first.to_vec();
            loop {
                match source.try_recv() {
                    Ok(more) => transactions.extend_from_slice(&more),
                    Err(TryRecvError::Lagged(_)) => {}
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
            }
            // In order, since a later sequence overtakes an earlier one.
            for batch in batches(&transactions) {
                if !self.send(TRANSACTIONS_PATH, batch).await {
                    break;
                }
            }
        }
    }

    /// What comes next; none when nothing will.
    async fn next<T: Clone>(&self, source: &mut broadcast::Receiver<T>) -> Option<T> {
        loop {
            match source.recv().await {
                Ok(item) => return Some(item),
                Err(RecvError::Lagged(lost)) => {
                    debug!(peer = %self.to, lost, "a validator is slow; what was meant for it is dropped");
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    async fn send(&self, path: &'static str, body: Vec<u8>) -> bool {
        let sent = (self.post)(path, body).await;
        if let Err(error) = &sent {
            debug!(peer = %self.to, path, %error, "a validator did not take a request");
        }
        sent.is_ok()
    }
}

async fn post(
    clients: Arc<PeerClients>,
    to: NodeId,
    path: &'static str,
    body: Vec<u8>,
) -> Result<(), DialError> {
    let client = clients.client(&to)?;
    let sent = timeout(SEND_TIMEOUT, client.post(path).body(body).send());
    sent.await.map_err(|_| DialError::TimedOut)??.error_for_status().map(drop)
}

/// Encoded lists of about [`BATCH_LEN`] bytes each.
fn batches(transactions: &[SignedTransaction]) -> Vec<Vec<u8>> {
    let mut batches = Vec::new();
    let (mut from, mut len) = (0, 0);
    for (at, transaction) in transactions.iter().enumerate() {
        len += transaction.to_bytes().len();
        if len >= BATCH_LEN || at + 1 == transactions.len() {
            // The ledger's types encode without failing.
            batches.extend(postcard::to_allocvec(&transactions[from..=at]));
            (from, len) = (at + 1, 0);
        }
    }
    batches
}

#[cfg(test)]
mod tests;
