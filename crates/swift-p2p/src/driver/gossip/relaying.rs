//! Bringing this node's transactions to where blocks are made.

use std::{sync::Arc, time::Duration};

use swift_chain::{LedgerReader, NodeId, SignedTransaction};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};
use tracing::{debug, warn};

use crate::{
    driver::{LedgerError, LedgerHandle},
    transport::{DialError, PeerClients},
};

/// How long a validator may take to accept transactions.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of transactions in one request: far below what a validator takes.
const BATCH_LEN: usize = 256 * 1024;

/// Brings this node's transactions to every validator. What does not arrive is sent again: the ledger keeps them in its
/// queue and gives them out at every tick.
pub(super) async fn relay(
    me: NodeId,
    ledger: LedgerHandle,
    clients: Arc<PeerClients>,
    mut waiting: mpsc::Receiver<Vec<SignedTransaction>>,
) {
    while let Some(transactions) = waiting.recv().await {
        let validators = match ledger.read(LedgerReader::validators).await {
            Ok(validators) => validators,
            Err(LedgerError::Stopped) => return,
            Err(error) => {
                warn!(%error, "transactions are not sent now");
                continue;
            }
        };
        let batches: Arc<[Vec<u8>]> = batches(&transactions).into();
        let mut sends = JoinSet::new();
        for validator in validators.iter().map(|validator| validator.node).filter(|node| *node != me) {
            let (clients, batches) = (clients.clone(), batches.clone());
            sends.spawn(async move {
                if let Err(error) = send(&clients, validator, &batches).await {
                    debug!(peer = %validator, %error, "transactions did not reach a validator");
                }
            });
        }
        sends.join_all().await;
    }
}

/// In order, since a later sequence overtakes an earlier one.
async fn send(clients: &PeerClients, to: NodeId, batches: &[Vec<u8>]) -> Result<(), DialError> {
    let client = clients.client(&to)?;
    for batch in batches {
        let sent = timeout(SEND_TIMEOUT, client.post("/peer/transactions").body(batch.clone()).send());
        let response = sent.await.map_err(|_| DialError::TimedOut)?;
        response.and_then(reqwest::Response::error_for_status).map_err(|error| DialError::of(&error))?;
    }
    Ok(())
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
