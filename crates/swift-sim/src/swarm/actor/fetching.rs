//! What a node requests and receives.

use std::time::Duration;

use swift_p2p::swarm::{CheckOutcome, FetchFailure, FetchOutcome};

use super::{Actor, serving::HANDSHAKE_LEN};
use crate::swarm::{
    envelope::{Content, Request},
    event::Event,
    machine::{self, Piece},
    plan::Conduct,
    slab::Key,
    transfer::Incoming,
};

/// Acknowledgements are so much less than what they acknowledge: one packet of 66 bytes for two.
const BYTES_PER_ACK_BYTE: u64 = 44;
/// How often a driver tells its machine of progress.
const TICK: Duration = Duration::from_secs(1);

impl Actor<'_> {
    /// The machine requests a piece.
    pub(super) fn request(&mut self, from: usize, file: usize, piece: Piece) {
        let len = machine::len(piece, self.scene.files[file].layout);
        let is_open = self.node.connections.take(self.now, from);
        if !is_open {
            self.node.up.acknowledge(self.now, HANDSHAKE_LEN);
        }
        let incoming = self.node.fetching.insert(Incoming::new(self.now, from, (file, piece, len)));
        self.post_request(from, Request { incoming, file, piece, is_open });
        self.keep_ticking();
    }

    /// The machine breaks off a fetch: its connection is closed, which the source hears of in time, unless it has never
    /// heard of the fetch itself.
    pub(super) fn cancel(&mut self, from: usize, file: usize, piece: Piece) {
        let Some(key) = self.node.find_fetch(from, file, piece) else {
            return self.violate(format!("node {} cancelled what does not run", self.node.at));
        };
        self.books.cancelled += 1;
        let asked_at = self.node.fetching.remove(key).and_then(|incoming| incoming.asked_at);
        if let Some(not_before) = asked_at {
            self.post_close(from, key, not_before);
        }
    }

    /// Bytes come to the downlink. Of a transfer that was broken off nothing is acknowledged any more.
    pub(super) fn bytes_arrived(&mut self, key: Key, outgoing: Key, len: u32) {
        if self.node.machine.is_none() {
            return;
        }
        let bytes = u64::from(len);
        if self.node.fetching.get(key).is_some_and(|incoming| incoming.is_severed) {
            return;
        }
        let arrival = self.node.down.arrive(self.now, bytes);
        let is_lost = self.is_lost(bytes);
        let Some(incoming) = self.node.fetching.get_mut(key) else { return };
        let late_ns = if is_lost { 2 * self.scene.delay_ns } else { 0 };
        let done = incoming.arrive(self.now, bytes, arrival.done.plus(late_ns));
        let (from, is_all_here) = (incoming.from, incoming.is_all_here());
        self.node.up.acknowledge(self.now, bytes / BYTES_PER_ACK_BYTE);
        let is_marked = is_lost || arrival.waited_ns > self.scene.queue_ns;
        self.send(from, done.plus(self.scene.delay_ns), Event::Acked { outgoing, len, is_marked });
        if is_all_here {
            self.note(done, Event::Ended(key));
        }
    }

    /// The last byte is there. It is verified as it comes, so there is nothing more to wait for.
    pub(super) fn ended(&mut self, key: Key) {
        let coming = self.node.fetching.get(key).filter(|incoming| !incoming.is_severed);
        let Some(&Incoming { from, file, piece, .. }) = coming else { return };
        self.node.fetching.remove(key);
        self.node.connections.keep(self.now, from);
        let outcome = if self.scene.conduct(from) == Conduct::Lies {
            FetchOutcome::WrongBytes
        } else if piece.is_chunk() && self.scene.check(file, piece.chunk()) == CheckOutcome::ManifestFalse {
            FetchOutcome::ManifestFalse
        } else {
            self.judge_piece(file, piece);
            FetchOutcome::Verified
        };
        let (source, id) = (self.scene.id(from), self.scene.files[file].id);
        self.input(machine::fetched(source, id, piece, outcome));
    }

    /// A fetch ended without content.
    pub(super) fn fetch_over(&mut self, key: Key, outcome: FetchOutcome) {
        let Some(Incoming { from, file, piece, .. }) = self.node.fetching.remove(key) else { return };
        let (source, id) = (self.scene.id(from), self.scene.files[file].id);
        self.input(machine::fetched(source, id, piece, outcome));
    }

    /// Nothing comes over a connection any more. The node hears of it if the source's kernel says so, and never
    /// otherwise: its machine must notice.
    pub(crate) fn lose_source(&mut self, key: Key, is_told: bool) {
        let Some(incoming) = self.node.fetching.get_mut(key) else { return };
        incoming.is_severed = true;
        let from = incoming.from;
        if is_told {
            let me = (self.node.at, self.scene.life(self.node.at));
            let failed = Content::Failed(key, FetchFailure::Unreachable);
            self.tell(self.now.plus(self.scene.delay_ns), me, from, failed);
        }
    }

    pub(super) fn keep_ticking(&mut self) {
        if !std::mem::replace(&mut self.node.is_ticking, true) {
            self.note(self.now.after(TICK), Event::Tick);
        }
    }

    /// A second has passed: the machine is told what has moved meanwhile.
    pub(super) fn tick(&mut self) {
        let (scene, node) = (self.scene, &mut *self.node);
        let mut fetching: Vec<&mut Incoming> =
            node.fetching.iter_mut().map(|(_, incoming)| incoming).collect();
        // The oldest first: a fetch whose patience ends with this second has moved before it ends.
        fetching.sort_by_key(|incoming| incoming.since);
        let mut moved = Vec::new();
        for incoming in fetching {
            if let Some(received) = incoming.has_moved(self.now) {
                let (source, id) = (scene.id(incoming.from), scene.files[incoming.file].id);
                moved.push(machine::fetch_progress(source, id, incoming.piece, received));
            }
        }
        for (_, outgoing) in node.serving.iter_mut() {
            if outgoing.has_moved() {
                let (peer, id) = (scene.id(outgoing.to), scene.files[outgoing.file].id);
                moved.push(machine::send_progress(peer, id, outgoing.piece));
            }
        }
        moved.into_iter().for_each(|input| self.input(input));
        self.node.is_ticking = false;
        if self.node.fetching.len() > 0 || self.node.unsent() > 0 {
            self.keep_ticking();
        }
    }
}
