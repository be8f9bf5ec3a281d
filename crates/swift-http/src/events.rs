//! What happens on this node, for those who watch it: the last events in memory, each with an id.
//!
//! Whoever watches has nothing here but a place where it is: one that is slow, or comes back late, finds that what it
//! missed is gone and is told to load anew. Nothing grows with watchers.

mod feed;
mod ring;
mod stream;

use std::{collections::BTreeMap, sync::Arc};

use axum::http::StatusCode;
use serde_json::Value;
use swift_p2p::driver::wall_clock_ms;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

pub use feed::EventsFeed;
pub(crate) use stream::Watching;

use crate::problem::Problem;
use ring::{Found, Ring};

/// Streams that may be open at once.
const STREAMS_MAX: usize = 64;
/// The same with one token, so that no holder of one keeps others from watching.
const STREAMS_PER_TOKEN_MAX: usize = 16;

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
    /// Streams that are open, by the label of who watches.
    by_label: std::sync::Mutex<BTreeMap<String, usize>>,
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
            by_label: std::sync::Mutex::default(),
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

    /// Waits until streams are to end.
    pub(crate) fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut latest = self.0.latest.subscribe();
        async move {
            // An error says that the last handle is gone.
            let _ = latest.wait_for(Option::is_none).await;
        }
    }

    fn push(&self, kind: EventType, data: &Value) {
        let number = self.ring().push(kind, data.to_string().into());
        self.tell(number);
    }

    /// Has everybody told that something was missed.
    fn lose(&self) {
        let number = self.ring().lose();
        self.tell(number);
    }

    fn tell(&self, number: u64) {
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

    fn place(&self, label: &str) -> Result<Place, Problem> {
        let refused = |count: usize, whose: &str| {
            let detail = format!("{count} streams of events{whose} are open already; close one");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", detail)
        };
        let permit = self.0.places.clone().try_acquire_owned().map_err(|_| refused(STREAMS_MAX, ""))?;
        let mut by_label = self.by_label();
        let count = by_label.entry(label.to_owned()).or_default();
        if *count >= STREAMS_PER_TOKEN_MAX {
            return Err(refused(STREAMS_PER_TOKEN_MAX, " with this token"));
        }
        *count += 1;
        Ok(Place { events: self.clone(), label: label.to_owned(), _permit: permit })
    }

    /// How many watch.
    pub(crate) fn watchers(&self) -> usize {
        STREAMS_MAX.saturating_sub(self.0.places.available_permits())
    }

    fn by_label(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, usize>> {
        self.0.by_label.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn ring(&self) -> std::sync::MutexGuard<'_, Ring> {
        self.0.ring.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A place for one stream, free again when dropped.
struct Place {
    events: Events,
    label: String,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_label = self.events.by_label();
        if let Some(count) = by_label.get_mut(&self.label) {
            *count -= 1;
            if *count == 0 {
                by_label.remove(&self.label);
            }
        }
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
