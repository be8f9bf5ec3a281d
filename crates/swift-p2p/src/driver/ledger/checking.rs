//! Signatures of other members' transactions, checked beside the ledger's thread.

use std::sync::Arc;

use swift_chain::{CheckedTransaction, NetworkId, SignedTransaction, TransactionError};
use tokio::{sync::Semaphore, task};

use super::{HandOverError, turns::Turn};

/// Batches that are checked at once; others wait.
const CHECKS_MAX: usize = 2;

/// Checks batches on threads that may block. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Checking {
    network: NetworkId,
    places: Arc<Semaphore>,
}

impl Checking {
    pub(super) fn new(network: NetworkId) -> Self {
        Self { network, places: Arc::new(Semaphore::new(CHECKS_MAX)) }
    }

    /// Checks a batch up to its first transaction that is not what it says. The sender's turn lasts as long as the check
    /// does, whoever still waits for it.
    pub(super) async fn check(
        &self,
        turn: Turn,
        transactions: Vec<SignedTransaction>,
    ) -> Result<(Turn, Vec<CheckedTransaction>), HandOverError> {
        // It is never closed.
        let place = self.places.clone().acquire_owned().await.map_err(|_| HandOverError::Stopped)?;
        let network = self.network;
        let checked = task::spawn_blocking(move || {
            let _place = place;
            let checked = transactions.into_iter().map(|signed| signed.check(&network));
            checked.collect::<Result<_, TransactionError>>().map(|checked| (turn, checked))
        });
        Ok(checked.await.map_err(|_| HandOverError::Stopped)??)
    }
}
