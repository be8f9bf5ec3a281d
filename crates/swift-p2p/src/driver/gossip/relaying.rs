//! Bringing this node's transactions to where blocks are made.

use std::{sync::Arc, time::Duration};

use swift_chain::{LedgerReader, NodeId, SignedTransaction};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};
use tracing::debug;

use crate::{
    driver::LedgerHandle,
    transport::{DialError, PeerClients},
};

/// How long a validator may take to accept transactions.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// Brings this node's transactions to every validator. What does not arrive is sent again: the ledger keeps them in its
/// queue and gives them out at every tick.
pub(super) async fn relay(
    me: NodeId,
    ledger: LedgerHandle,
    clients: Arc<PeerClients>,
    mut waiting: mpsc::Receiver<Vec<SignedTransaction>>,
) {
    while let Some(transactions) = waiting.recv().await {
        let Ok(validators) = ledger.read(LedgerReader::validators).await else { return };
        let Ok(body) = postcard::to_allocvec(&transactions) else { continue };
        let mut sends = JoinSet::new();
        for validator in validators.iter().map(|validator| validator.node).filter(|node| *node != me) {
            let (clients, body) = (clients.clone(), body.clone());
            sends.spawn(async move {
                let Ok(client) = clients.client(&validator) else { return };
                let sent = timeout(SEND_TIMEOUT, client.post("/peer/transactions").body(body).send()).await;
                if let Ok(Err(error)) = sent {
                    let error = DialError::of(&error);
                    debug!(peer = %validator, %error, "transactions did not reach a validator");
                }
            });
        }
        sends.join_all().await;
    }
}
