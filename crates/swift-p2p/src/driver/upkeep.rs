//! Looking after the store: a little at a time, for as long as the node runs.
//!
//! Each round looks at one page of names in the files folder (somebody may have changed or deleted a file), verifies
//! content that looks changed, and deletes what has been in the trash long enough. A round costs the same for a small
//! store and a large one; a large one takes more rounds.

use std::time::Duration;

use swift_chunks::{FileId, Store, StoreError};
use tokio::{task, time::sleep};
use tracing::{info, warn};

use super::{catalog::report, wall_clock_ms};

/// Between rounds.
const PAUSE: Duration = Duration::from_secs(5);
/// Names looked at in a round.
const NAMES_PER_ROUND: usize = 500;
/// Contents verified in a round; each is read whole.
const SUSPECTS_PER_ROUND: usize = 1;
/// Runs the rounds until it is dropped.
#[derive(Debug)]
pub struct UpkeepTask(task::JoinHandle<()>);

impl UpkeepTask {
    /// Starts looking after a store. `on_verified` is told of content that was verified and may have lost chunks, which
    /// are to be fetched again.
    pub fn spawn(store: Store, on_verified: Box<dyn Fn(FileId) + Send + Sync>) -> Self {
        Self(task::spawn(run(store, on_verified)))
    }
}

impl Drop for UpkeepTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn run(store: Store, on_verified: Box<dyn Fn(FileId) + Send + Sync>) {
    let mut after = None;
    loop {
        let (store, from) = (store.clone(), after.take());
        let round = task::spawn_blocking(move || round(&store, from.as_deref()));
        match round.await {
            Ok(Ok(Round { next, verified })) => {
                after = next;
                verified.into_iter().for_each(&on_verified);
            }
            Ok(Err(error)) => warn!(%error, "the store cannot be looked after; trying again"),
            Err(_) => return,
        }
        sleep(PAUSE).await;
    }
}

/// What a round came to.
struct Round {
    /// The name to go on behind; none when all have been looked at.
    next: Option<String>,
    verified: Vec<FileId>,
}

fn round(store: &Store, after: Option<&str>) -> Result<Round, StoreError> {
    let names = store.list_names(after, NAMES_PER_ROUND)?;
    for name in names.iter().filter(|name| name.is_complete) {
        report(&store.check_visible(&name.name, wall_clock_ms())?);
    }
    let next = names.last().filter(|_| names.len() == NAMES_PER_ROUND).map(|name| name.name.clone());
    let mut verified = Vec::new();
    for file_id in store.suspects(SUSPECTS_PER_ROUND)? {
        warn!(%file_id, "the stored file was changed from outside; verifying it");
        let report = store.verify(file_id, |_| {})?;
        info!(%file_id, chunks = report.checked, bad = report.bad.len(), "verified");
        verified.push(file_id);
    }
    let expired = store.expire(wall_clock_ms())?;
    if expired.objects > 0 {
        info!(contents = expired.objects, bytes = expired.bytes, "emptied the trash of what was old enough");
    }
    Ok(Round { next, verified })
}
