//! Carrying what the ledger wants the validators to have: transactions that wait for a block, and this node's part in
//! deciding one.
//!
//! Every validator has a link of its own, so that one that is slow or gone holds no other up. A link that falls behind
//! loses the oldest: everything here is said again when it matters.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use swift_chain::{NodeId, SignedTransaction, consensus::ConsensusMessage};
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

/// How long a validator may take to accept a request.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of transactions in one request: far below what a validator takes.
const BATCH_LEN: usize = 256 * 1024;
/// What a link may be behind. A proposal has up to 1 MiB, nearly all else a few hundred bytes.
pub(super) const BEHIND_MAX: usize = 64;

/// Something all other validators should have.
#[derive(Clone, Debug)]
pub(super) enum ForValidators {
    /// Transactions that wait for a block.
    Transactions(Arc<[SignedTransaction]>),
    /// This validator's part in deciding one.
    Message(Arc<ConsensusMessage>),
}

/// Keeps a link to every validator but this node, as long as it is one.
pub(super) async fn keep_links(
    me: NodeId,
    ledger: LedgerHandle,
    clients: Arc<PeerClients>,
    source: broadcast::WeakSender<ForValidators>,
) {
    let mut head = ledger.watch_head();
    let mut links = JoinSet::new();
    let mut linked: HashMap<NodeId, AbortHandle> = HashMap::new();
    loop {
        let validators = ledger.members().validators();
        linked.retain(|node, link| {
            let stays = validators.weight(node) > 0;
            if !stays {
                link.abort();
            }
            stays
        });
        for validator in validators.iter().map(|validator| validator.node).filter(|node| *node != me) {
            if let Entry::Vacant(place) = linked.entry(validator) {
                let Some(source) = source.upgrade() else { return };
                let link = Link { to: validator, clients: clients.clone(), source: source.subscribe() };
                place.insert(links.spawn(link.run()));
            }
        }
        if head.changed().await.is_err() {
            return;
        }
        // Ended links are only those that were aborted.
        while links.try_join_next().is_some() {}
    }
}

/// The way to one validator.
struct Link {
    to: NodeId,
    clients: Arc<PeerClients>,
    source: broadcast::Receiver<ForValidators>,
}

/// What goes out next, joined from all that waits.
#[derive(Default)]
struct Load {
    messages: Vec<u8>,
    transactions: Vec<SignedTransaction>,
}

impl Load {
    fn add(&mut self, item: ForValidators) {
        match item {
            ForValidators::Transactions(transactions) => self.transactions.extend_from_slice(&transactions),
            ForValidators::Message(message) => {
                self.messages.extend_from_slice(&consensus_frames::encode(&message));
            }
        }
    }

    fn is_full(&self) -> bool {
        self.messages.len() >= consensus_frames::BODY_LEN_MAX - consensus_frames::FRAME_LEN_MAX
    }
}

impl Link {
    async fn run(mut self) {
        loop {
            let mut load = Load::default();
            match self.source.recv().await {
                Ok(item) => load.add(item),
                Err(RecvError::Lagged(lost)) => {
                    debug!(peer = %self.to, lost, "a validator is slow; what was meant for it is dropped");
                    continue;
                }
                Err(RecvError::Closed) => return,
            }
            while !load.is_full() {
                match self.source.try_recv() {
                    Ok(item) => load.add(item),
                    Err(TryRecvError::Lagged(_)) => {}
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
            }
            if let Err(error) = self.send(load).await {
                debug!(peer = %self.to, %error, "a validator was not reached");
            }
        }
    }

    async fn send(&self, load: Load) -> Result<(), DialError> {
        if !load.messages.is_empty() {
            self.post("/peer/consensus", load.messages).await?;
        }
        // In order, since a later sequence overtakes an earlier one.
        for batch in batches(&load.transactions) {
            self.post("/peer/transactions", batch).await?;
        }
        Ok(())
    }

    async fn post(&self, path: &str, body: Vec<u8>) -> Result<(), DialError> {
        let client = self.clients.client(&self.to)?;
        let sent = timeout(SEND_TIMEOUT, client.post(path).body(body).send());
        let response = sent.await.map_err(|_| DialError::TimedOut)?;
        response.and_then(reqwest::Response::error_for_status).map_err(|error| DialError::of(&error))?;
        Ok(())
    }
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
mod tests {
    use swift_chain::{Action, Hash, NetworkId, NodeKey, Transaction};

    use super::*;

    #[test]
    fn many_transactions_go_in_order_in_requests_of_bounded_size() {
        let key = NodeKey::from_seed([1; 32]);
        let sign = |sequence| {
            let name = "n".repeat(240).parse().unwrap();
            let action = Action::RemoveFile { name, file_id: Hash::default() };
            let (network, author) = (NetworkId::default(), key.id());
            let body =
                Transaction { network, author, sequence, valid_until_ms: 1, on_behalf_of: None, action };
            SignedTransaction::sign(&key, body)
        };
        let transactions: Vec<_> = (0..6000).map(sign).collect();
        let batches = batches(&transactions);
        assert!(batches.len() > 1 && batches.iter().all(|batch| batch.len() < 2 * BATCH_LEN));
        let again: Vec<SignedTransaction> = batches
            .iter()
            .flat_map(|batch| postcard::from_bytes::<Vec<SignedTransaction>>(batch).unwrap())
            .collect();
        assert_eq!(again, transactions);
        assert!(super::batches(&[]).is_empty());
    }
}
