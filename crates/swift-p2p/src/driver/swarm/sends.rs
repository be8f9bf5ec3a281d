//! What is going out: the machine is told when a request is served, and how that ends.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use swift_chain::NodeId;
use swift_chunks::{FileId, Slice};
use tokio::sync::mpsc;

use super::events::Event;
use crate::swarm::{Input, SendOutcome};

/// Goes with the body of an answer to a peer. Dropped, it tells the swarm whether all of it was sent.
pub struct SendGuard {
    id: u64,
    len: u64,
    sent: Arc<AtomicU64>,
    events: mpsc::UnboundedSender<Event>,
}

impl SendGuard {
    /// Bytes were handed to the connection.
    pub fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Drop for SendGuard {
    fn drop(&mut self) {
        let all = self.sent.load(Ordering::Relaxed) >= self.len;
        let outcome = if all { SendOutcome::Sent } else { SendOutcome::Broken };
        // The swarm may have ended.
        let _ = self.events.send(Event::SendEnded { id: self.id, outcome });
    }
}

impl std::fmt::Debug for SendGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SendGuard").field("id", &self.id).field("len", &self.len).finish_non_exhaustive()
    }
}

/// All sends that the machine was told of.
#[derive(Default)]
pub(super) struct Sends {
    running: HashMap<u64, Sending>,
    next: u64,
}

/// One of them.
pub(super) struct Sending {
    pub(super) to: NodeId,
    pub(super) file: FileId,
    pub(super) slice: Slice,
    sent: Arc<AtomicU64>,
    /// Bytes of which the machine was told.
    seen: u64,
    /// Bytes that were measured.
    counted: u64,
}

impl Sends {
    pub(super) fn begin(
        &mut self,
        to: NodeId,
        file: FileId,
        (slice, len): (Slice, u64),
        events: &mpsc::UnboundedSender<Event>,
    ) -> SendGuard {
        let (id, sent) = (self.next, Arc::new(AtomicU64::new(0)));
        self.next += 1;
        self.running.insert(id, Sending { to, file, slice, sent: sent.clone(), seen: 0, counted: 0 });
        SendGuard { id, len, sent, events: events.clone() }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    pub(super) fn end(&mut self, id: u64) -> Option<Sending> {
        self.running.remove(&id)
    }

    /// Those of which bytes went out since the last time.
    pub(super) fn progressed(&mut self) -> Vec<Input> {
        let mut progressed = Vec::new();
        for sending in self.running.values_mut() {
            let sent = sending.sent.load(Ordering::Relaxed);
            if std::mem::replace(&mut sending.seen, sent) != sent {
                let Sending { to, file, slice, .. } = *sending;
                progressed.push(Input::SendProgress { to, file, slice });
            }
        }
        progressed
    }

    /// Bytes that went out since the last time, of each send.
    pub(super) fn take_fresh(&mut self) -> Vec<(NodeId, FileId, u64)> {
        let sends = self.running.values_mut();
        sends.map(|sending| (sending.to, sending.file, sending.take_fresh())).collect()
    }
}

impl Sending {
    /// Bytes that went out since the last time.
    pub(super) fn take_fresh(&mut self) -> u64 {
        let sent = self.sent.load(Ordering::Relaxed);
        sent - std::mem::replace(&mut self.counted, sent)
    }
}
