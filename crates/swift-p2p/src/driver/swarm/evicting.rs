//! Letting go of a file: the machine first, so that nothing of it is offered any more, then the store.

use swift_chunks::{EvictOutcome, FileId, HeldPromise, StoreError};
use tokio::sync::oneshot;
use tracing::{debug, warn};

use super::{
    events::Event,
    files::{Entry, Stage},
    owner::Owner,
};
use crate::{
    driver::{catalog::report, wall_clock_ms},
    keeping::PROMISE_LEAST,
    swarm::Input,
};

impl Owner {
    /// Whether a file is on its way here, is read while it comes, or others were sent some of it of late.
    pub(super) fn is_used(&mut self, file: &FileId) -> bool {
        let is_used = |entry: &Entry| entry.receiving().is_some() || !entry.readers.is_quiet();
        self.measure();
        self.files.get(file).is_some_and(is_used) || !self.sent.of_file(*file).is_empty()
    }

    /// Lets go of a file by another's promise, unless it is used.
    pub(super) fn let_go(&mut self, promise: HeldPromise, reply: oneshot::Sender<bool>) {
        let file = promise.file_id;
        if self.is_used(&file) {
            // Who asked may be gone.
            let _ = reply.send(false);
            return;
        }
        if let Some(entry) = self.files.get_mut(&file) {
            entry.stage = Stage::Unwanted;
            self.tell(Input::Evicted { file });
        }
        let (store, events) = (self.library.store.clone(), self.events.clone());
        self.work.spawn_blocking(move || {
            // What is left of the promise must outlast what clocks may differ by.
            let margin_ms = u64::try_from(PROMISE_LEAST.as_millis() / 2).unwrap_or(u64::MAX);
            let now_ms = wall_clock_ms();
            let outcome = if promise.until_ms < now_ms.saturating_add(margin_ms) {
                Ok(EvictOutcome::PromiseOver)
            } else {
                store.evict(&promise, now_ms)
            };
            drop(store);
            let _ = events.send(Event::LetGo { file, outcome, reply });
        });
    }

    pub(super) fn on_let_go(
        &mut self,
        file: FileId,
        outcome: Result<EvictOutcome, StoreError>,
        reply: oneshot::Sender<bool>,
    ) {
        let is_gone = match outcome {
            Ok(EvictOutcome::Gone { visible, .. }) => {
                report(&visible);
                true
            }
            Ok(EvictOutcome::NotHere) => true,
            Ok(outcome) => {
                debug!(%file, ?outcome, "a file stays for now");
                false
            }
            Err(error) => {
                warn!(%file, %error, "a file that nothing keeps cannot be let go of; trying again");
                false
            }
        };
        // As it is now: gone, or here as before; it may also be kept again by now.
        self.look_again(Some(file));
        let _ = reply.send(is_gone);
    }
}
