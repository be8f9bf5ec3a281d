//! What happens on this node, for those who watch it: the last events in memory, each with an id.
//!
//! Whoever watches has nothing here but a place where it is: one that is slow, or comes back late, finds that what it
//! missed is gone and is told to load anew. Nothing grows with watchers.

mod feed;
mod ring;
mod stream;

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::Value;
use swift_p2p::driver::wall_clock_ms;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

pub use feed::EventsFeed;
pub(crate) use stream::Watching;

use crate::problem::Problem;
use ring::{Found, Ring};

/// Who may watch at once.
const STREAMS_MAX: usize = 64;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventType {
    /// A block is final.
    Ledger,
    /// What names mean, and content that is whole here.
    File,
    /// What moves.
    Transfer,
    /// Members come, go, change.
    Node,
    /// Who was refused.
    Security,
}

impl EventType {
    pub(crate) const ALL: [Self; 5] = [Self::Ledger, Self::File, Self::Transfer, Self::Node, Self::Security];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::File => "file",
            Self::Transfer => "transfer",
            Self::Node => "node",
            Self::Security => "security",
        }
    }
}

/// Some of the types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventTypes(u8);

impl EventTypes {
    pub(crate) fn with(self, kind: EventType) -> Self {
        Self(self.0 | 1 << kind as u8)
    }

    pub(crate) fn has(self, kind: EventType) -> bool {
        self.0 & (1 << kind as u8) != 0
    }
}

/// The events of a node. Cheap to clone.
#[derive(Clone)]
pub struct Events(Arc<Shared>);

struct Shared {
    ring: std::sync::Mutex<Ring>,
    /// The number of the last event; none when the node is stopping.
    latest: watch::Sender<Option<u64>>,
    places: Arc<Semaphore>,
    /// Who watches what moves: it is looked at for them only.
    transfers: watch::Sender<usize>,
    /// Tells the numbers of this start from those of another.
    epoch: u64,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

impl Default for Events {
    fn default() -> Self {
        Self(Arc::new(Shared {
            ring: std::sync::Mutex::default(),
            latest: watch::Sender::new(Some(0)),
            places: Arc::new(Semaphore::new(STREAMS_MAX)),
            transfers: watch::Sender::new(0),
            epoch: wall_clock_ms(),
        }))
    }
}

impl Events {
    /// Ends all streams now and begins no others.
    pub fn close(&self) {
        self.0.latest.send_replace(None);
    }

    fn push(&self, kind: EventType, data: &Value) {
        let number = self.ring().push(kind, data.to_string().into());
        self.0.latest.send_if_modified(|latest| {
            let is_open = latest.is_some();
            *latest = latest.map(|_| number);
            is_open
        });
    }

    /// What comes behind a number, of some types, as text of so many bytes about.
    fn after(&self, number: u64, types: EventTypes, len: usize) -> Found {
        self.ring().after(number, types, len)
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.0.places.clone().try_acquire_owned().map_err(|_| {
            let detail = format!("{STREAMS_MAX} streams of events are open already; close one");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", detail)
        })
    }

    fn ring(&self) -> std::sync::MutexGuard<'_, Ring> {
        self.0.ring.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_a_set() {
        let some = EventTypes::default().with(EventType::File).with(EventType::Security);
        let names: Vec<_> =
            EventType::ALL.into_iter().filter(|kind| some.has(*kind)).map(EventType::name).collect();
        assert_eq!(names, ["file", "security"]);
    }
}
