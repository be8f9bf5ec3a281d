//! What a node sends to whom requests it.

use std::{ops::Range, time::Duration};

use swift_p2p::swarm::{FetchFailure, SendOutcome};

use super::Actor;
use crate::swarm::{
    envelope::{Content, Request},
    machine,
    plan::Conduct,
    slab::Key,
    transfer::{Outgoing, Stage, Window},
};

/// What both sides send before there is a connection.
pub(super) const HANDSHAKE_LEN: u64 = 3000;
/// So late the kernel tells a server that nothing it sends is acknowledged.
const TCP_PATIENCE: Duration = Duration::from_secs(15);

impl Actor<'_> {
    /// The server has a request, of a node in one of its lives.
    pub(super) fn serve(&mut self, (to, life): (usize, u64), request: Request) {
        let Request { incoming, file, piece, is_open } = request;
        if !is_open {
            self.node.up.acknowledge(self.now, HANDSHAKE_LEN);
        }
        if !self.scene.lives(to, life) {
            // Nobody waits for it any more.
            return;
        }
        let (peer, id, layout) =
            (self.scene.id(to), self.scene.files[file].id, self.scene.files[file].layout);
        let conduct = self.scene.conduct(self.node.at);
        let Some(machine) = &self.node.machine else { return };
        if conduct == Conduct::Boasts || !machine.serves(&id, piece) {
            let given_up = machine.is_given_up(&id);
            let why = if given_up { FetchFailure::Refused } else { FetchFailure::NotThere };
            self.input(machine::send_started(peer, id, piece));
            self.input(machine::send_ended(peer, id, piece, SendOutcome::Broken));
            return self.post_refusal(to, incoming, why);
        }
        let round_trip_ns = 2 * self.scene.delay_ns;
        let reused =
            is_open.then(|| self.node.connections.take_window(self.now, to, round_trip_ns)).flatten();
        let (path, window) = (self.scene.path_from(self.node.at), reused.unwrap_or(Window::FIRST));
        let len = machine::len(piece, layout);
        let mut outgoing = Outgoing::new((to, incoming), (file, piece, len), path, window);
        if conduct == Conduct::Stalls {
            outgoing.stage = Stage::Hanging;
            self.node.serving.insert(outgoing);
            self.books.hung += 1;
            return self.input(machine::send_started(peer, id, piece));
        }
        let key = self.node.serving.insert(outgoing);
        self.node.up.enter_transfer(key);
        self.input(machine::send_started(peer, id, piece));
        self.keep_ticking();
        self.drive_uplink();
        self.tell_end(key);
    }

    /// Tells the machine that its program has handed over the last byte, once.
    pub(super) fn tell_end(&mut self, key: Key) {
        let Some(outgoing) = self.node.serving.get_mut(key) else { return };
        if outgoing.tell_end() {
            let (to, file, piece) = (outgoing.to, outgoing.file, outgoing.piece);
            let (peer, id) = (self.scene.id(to), self.scene.files[file].id);
            self.input(machine::send_ended(peer, id, piece, SendOutcome::Sent));
        }
    }

    pub(super) fn acked(&mut self, key: Key, len: u32, is_marked: bool) {
        let Some(outgoing) = self.node.serving.get_mut(key) else { return };
        outgoing.hear(self.now, u64::from(len), is_marked);
        if outgoing.stage == Stage::Held {
            outgoing.stage = Stage::Sending;
            self.node.up.enter_transfer(key);
            self.drive_uplink();
        } else if let Some(window) = outgoing.window_after() {
            self.node.connections.keep_window(self.now, outgoing.to, window);
            self.node.serving.remove(key);
        }
    }

    /// The server hears that the receiver has closed the connection, or its kernel has lost patience. What was sent
    /// whole meanwhile is over already.
    pub(super) fn closed(&mut self, to: usize, incoming: Key) {
        let Some(key) = self.node.find_send(to, incoming) else { return };
        let Some(outgoing) = self.node.serving.remove(key) else { return };
        if !outgoing.is_end_told() {
            let (peer, id) = (self.scene.id(to), self.scene.files[outgoing.file].id);
            self.input(machine::send_ended(peer, id, outgoing.piece, SendOutcome::Broken));
        }
    }

    /// The connections with these peers are no more. If the peers' kernels say so the server hears of it soon, else when
    /// its own loses patience. Returns who received something, and what they call it.
    pub(crate) fn lose_peers(&mut self, peers: Range<usize>, is_told: bool) -> Vec<(usize, Key)> {
        peers.clone().for_each(|peer| self.node.connections.close(peer));
        let mut severed = Vec::new();
        for (_, outgoing) in self.node.serving.iter_mut() {
            if outgoing.stage != Stage::Severed && peers.contains(&outgoing.to) {
                outgoing.stage = Stage::Severed;
                severed.push((outgoing.to, outgoing.incoming));
            }
        }
        let soon = self.now.plus(self.scene.delay_ns);
        let at = if is_told { soon } else { self.now.after(TCP_PATIENCE) };
        let me = (self.node.at, self.scene.life(self.node.at));
        for &(to, incoming) in &severed {
            self.tell(at, me, to, Content::Close { incoming, not_before: at });
        }
        severed
    }
}
