//! Waiting for a node that is asked too often.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use crate::{error::Error, output::note};

/// How long one request waits in all. A node that wants to be left alone for longer is told about instead.
const WAIT_MAX: Duration = Duration::from_secs(120);
/// Times that one request is sent at most.
const SENT_MAX: u32 = 20;

/// What one request may still wait.
#[derive(Default)]
pub(crate) struct Patience {
    waited: Duration,
    sent: u32,
}

/// Whether it was said that this program waits: once is enough.
#[derive(Default)]
pub(super) struct Said(AtomicBool);

impl Patience {
    /// Waits as long as a refusal asks for; the refusal itself if it asks for something else, or for too much.
    pub(super) async fn wait(&mut self, error: Error, said: &Said) -> Result<(), Error> {
        let Some(wait) = error.asks_to_wait() else { return Err(error) };
        let (waited, sent) = (self.waited.saturating_add(wait), self.sent + 1);
        if waited > WAIT_MAX || sent >= SENT_MAX {
            return Err(error);
        }
        (self.waited, self.sent) = (waited, sent);
        if !said.0.swap(true, Ordering::Relaxed) {
            note(&format!(
                "note: {error}; waiting as long as the node says, {} s for now",
                wait.as_secs().max(1)
            ));
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Problem;

    fn refused(status: u16, retry_after: Duration) -> Error {
        let mut problem = Problem::new(status, None, None);
        problem.retry_after = Some(retry_after);
        Error::Refused { what: "x".into(), problem }
    }

    #[tokio::test]
    async fn only_who_is_asked_too_often_is_waited_for_and_not_for_ever() {
        let said = Said::default();
        assert!(Patience::default().wait(refused(503, Duration::ZERO), &said).await.is_err());
        assert!(Patience::default().wait(refused(429, WAIT_MAX * 2), &said).await.is_err());
        let (mut patience, mut sent) = (Patience::default(), 1);
        while patience.wait(refused(429, Duration::ZERO), &said).await.is_ok() {
            sent += 1;
        }
        assert_eq!(sent, SENT_MAX);
    }
}
