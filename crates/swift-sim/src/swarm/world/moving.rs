//! Content on its way: requested, sent turn by turn, heard of, and there.

use swift_chunks::ChunkIndex;
use swift_p2p::swarm::{CheckOutcome, FetchFailure, FetchOutcome, SendOutcome};

use super::{Due, TICK, World, place};
use crate::swarm::{
    links::Parcel,
    machine::{self, Piece},
    node::Fetching,
    plan::Conduct,
    slab::Key,
    transfer::{Path, Stage, Transfer},
};

/// What HTTP says before the content.
const RESPONSE_HEAD: u64 = 300;
/// Acknowledgements are so much less than what they acknowledge: one packet of 66 bytes for two.
const BYTES_PER_ACK_BYTE: u64 = 44;
/// What both sides send before there is a connection.
const HANDSHAKE_LEN: u64 = 3000;

impl World {
    /// A machine requests a piece.
    pub(super) fn request(&mut self, at: usize, from: usize, file: usize, piece: Piece) {
        let rate = self.nodes[from].up.speed.rate().min(self.nodes[at].down.speed.rate());
        let path = Path::new(self.delay_ns, rate);
        let len = machine::len(piece, self.files[file].layout);
        let mut transfer = Transfer::new((from, at), file, piece, len, path);
        let node = &mut self.nodes[at];
        transfer.life = node.life;
        let window = node.take_connection(self.now, from, 2 * self.delay_ns);
        if let Some(window) = window {
            transfer.set_window(window);
        } else {
            node.up.acknowledge(HANDSHAKE_LEN);
            self.nodes[from].up.acknowledge(HANDSHAKE_LEN);
        }
        let key = self.transfers.insert(transfer);
        self.nodes[at].fetching.push(Fetching { from, file, piece, transfer: key });
        let after_ns = if window.is_some() { 0 } else { self.handshake_ns };
        self.post_request(at, from, key, after_ns);
        self.keep_ticking(at);
    }

    /// A machine breaks off a fetch: its connection is closed, which the source hears of in time.
    pub(super) fn cancel(&mut self, at: usize, from: usize, file: usize, piece: Piece) {
        let Some(place) = self.nodes[at].find_fetch(from, file, piece) else {
            return self.books.violate(self.now, &format!("node {at} cancelled what does not run"));
        };
        let fetching = self.nodes[at].fetching.swap_remove(place);
        self.books.cancelled += 1;
        self.post_close(at, from, fetching.transfer);
    }

    /// A source's server has a request.
    pub(super) fn serve(&mut self, key: Key) {
        let Some(&Transfer { from, to, life, file, piece, .. }) = self.transfers.get(key) else { return };
        if self.nodes[to].machine.is_none() || self.nodes[to].life != life {
            // Nobody waits for it any more.
            self.transfers.remove(key);
            return;
        }
        let (peer, id) = (self.nodes[to].id, self.files[file].id);
        let conduct = self.plan.conduct(from);
        let Some(machine) = &self.nodes[from].machine else { return };
        if conduct == Conduct::Boasts || !machine.serves(&id, piece) {
            let given_up = machine.is_given_up(&id);
            let why = if given_up { FetchFailure::Refused } else { FetchFailure::NotThere };
            self.input(from, machine::send_started(peer, id, piece));
            self.input(from, machine::send_ended(peer, id, piece, SendOutcome::Broken));
            return self.post_refusal(from, to, key, why);
        }
        if let Some(transfer) = self.transfers.get_mut(key) {
            transfer.stage = if conduct == Conduct::Stalls { Stage::Hanging } else { Stage::Sending };
        }
        self.nodes[from].serving.push(key);
        if conduct == Conduct::Stalls {
            self.books.hung += 1;
            return self.input(from, machine::send_started(peer, id, piece));
        }
        self.nodes[from].up.enter_transfer(key);
        self.input(from, machine::send_started(peer, id, piece));
        self.keep_ticking(from);
        self.drive_uplink(from);
        self.tell_end(key);
    }

    /// Lets an uplink go on that has nothing to do.
    pub(super) fn drive_uplink(&mut self, at: usize) {
        let up = &mut self.nodes[at].up;
        if up.leaving.is_some() {
            return;
        }
        if let Some((letter, len)) = up.next_letter() {
            let left = up.begin(self.now, Parcel::Letter(letter), len);
            return self.agenda.note(left, Due::Left(place(at)));
        }
        while let Some(key) = up.next_transfer() {
            let Some(transfer) = self.transfers.get_mut(key).filter(|transfer| transfer.is_moving()) else {
                continue;
            };
            let Some(len) = transfer.next_len(self.now, up.quantum) else {
                transfer.stage = Stage::Held;
                if let Some(heard) = transfer.hears_at() {
                    self.agenda.note(heard, Due::Heard(key));
                }
                continue;
            };
            let head = if transfer.left() == transfer.len() { RESPONSE_HEAD } else { 0 };
            transfer.leave(len);
            self.books.nodes[at].sent += len;
            let left = up.begin(self.now, Parcel::Bytes(key), len + head);
            return self.agenda.note(left, Due::Left(place(at)));
        }
        // No transfer may go on: letters that let one pass need wait no longer.
        if let Some((letter, len)) = up.next_letter() {
            let left = up.begin(self.now, Parcel::Letter(letter), len);
            self.agenda.note(left, Due::Left(place(at)));
        }
    }

    pub(super) fn left(&mut self, at: usize) {
        match self.nodes[at].up.leaving.take() {
            Some(Parcel::Letter(letter)) => self.letter_left(letter),
            Some(Parcel::Bytes(key)) => self.bytes_left(at, key),
            None => {}
        }
        self.drive_uplink(at);
        if at == 0 {
            self.judge_progress();
        }
    }

    fn bytes_left(&mut self, at: usize, key: Key) {
        let Some(transfer) = self.transfers.get_mut(key).filter(|transfer| transfer.is_moving()) else {
            return;
        };
        self.agenda.note(self.now.plus(self.delay_ns), Due::Arrived(key));
        if transfer.left() > 0 {
            self.nodes[at].up.enter_transfer(key);
        } else {
            transfer.stage = Stage::Sent;
        }
        self.tell_end(key);
        if self.transfers.get(key).is_some_and(|transfer| transfer.stage == Stage::Sent) {
            self.nodes[at].serving.retain(|&other| other != key);
        }
    }

    /// Tells the source's machine that its program has handed over the last byte, once.
    fn tell_end(&mut self, key: Key) {
        let Some(transfer) = self.transfers.get_mut(key) else { return };
        if transfer.unwritten() > 0 || std::mem::replace(&mut transfer.is_end_told, true) {
            return;
        }
        let &mut Transfer { from, to, file, piece, .. } = transfer;
        let (peer, id) = (self.nodes[to].id, self.files[file].id);
        self.input(from, machine::send_ended(peer, id, piece, SendOutcome::Sent));
    }

    pub(super) fn arrived(&mut self, key: Key) {
        let len = self.transfers.get(key).map_or(0, Transfer::arriving_len);
        let is_lost = self.is_lost(len);
        let Some(transfer) = self.transfers.get_mut(key).filter(|transfer| transfer.is_moving()) else {
            return;
        };
        let receiver = &mut self.nodes[transfer.to];
        let arrival = receiver.down.arrive(self.now, len);
        receiver.up.acknowledge(len / BYTES_PER_ACK_BYTE);
        let late_ns = if is_lost { 2 * self.delay_ns } else { 0 };
        transfer.arrive(arrival.done.plus(late_ns), is_lost || arrival.waited_ns > self.queue_ns);
        if transfer.stage == Stage::Held
            && transfer.is_first_arrival()
            && let Some(heard) = transfer.hears_at()
        {
            self.agenda.note(heard, Due::Heard(key));
        }
        if let Some(end) = transfer.ends_at() {
            self.agenda.note(end, Due::Ended(key));
        }
    }

    pub(super) fn heard(&mut self, key: Key) {
        let Some(transfer) = self.transfers.get_mut(key).filter(|transfer| transfer.stage == Stage::Held)
        else {
            return;
        };
        transfer.stage = Stage::Sending;
        let from = transfer.from;
        self.nodes[from].up.enter_transfer(key);
        self.drive_uplink(from);
    }

    /// The last byte is there. It is verified as it comes, so there is nothing more to wait for.
    pub(super) fn ended(&mut self, key: Key) {
        let moving = self.transfers.get(key).filter(|transfer| transfer.is_moving());
        let Some(&Transfer { from, to, file, piece, .. }) = moving else { return };
        let Some(place) = self.nodes[to]
            .find_fetch(from, file, piece)
            .filter(|&place| self.nodes[to].fetching[place].transfer == key)
        else {
            // Broken off: the source hears of it in time.
            return;
        };
        self.nodes[to].fetching.swap_remove(place);
        let Some(transfer) = self.transfers.remove(key) else { return };
        let window = transfer.window_after();
        self.nodes[to].keep_connection(self.now, from, window);
        let outcome = if self.plan.conduct(from) == Conduct::Lies {
            FetchOutcome::WrongBytes
        } else if piece.is_chunk() && self.check(file, piece.chunk()) == CheckOutcome::ManifestFalse {
            FetchOutcome::ManifestFalse
        } else {
            self.books.verify(self.now, (to, file), piece);
            FetchOutcome::Verified
        };
        let (source, id) = (self.nodes[from].id, self.files[file].id);
        self.input(to, machine::fetched(source, id, piece, outcome));
        self.judge_progress();
    }

    /// What comes of looking at a whole chunk: of a false file the one in the middle gives it away.
    pub(super) fn check(&self, file: usize, chunk: ChunkIndex) -> CheckOutcome {
        let middle = self.files[file].layout.chunk_count() / 2;
        let is_false = !self.plan.is_true(file) && chunk.get() == middle;
        if is_false { CheckOutcome::ManifestFalse } else { CheckOutcome::Verified }
    }

    /// A fetch ended without content.
    pub(super) fn fetch_over(&mut self, key: Key, outcome: FetchOutcome) {
        let Some(Transfer { from, to, file, piece, .. }) = self.transfers.remove(key) else { return };
        let Some(place) = self.nodes[to]
            .find_fetch(from, file, piece)
            .filter(|&place| self.nodes[to].fetching[place].transfer == key)
        else {
            return;
        };
        self.nodes[to].fetching.swap_remove(place);
        let (source, id) = (self.nodes[from].id, self.files[file].id);
        self.input(to, machine::fetched(source, id, piece, outcome));
    }

    /// The source hears that a connection was closed.
    pub(super) fn closed(&mut self, key: Key) {
        let Some(transfer) = self.transfers.remove(key) else { return };
        let Transfer { from, to, file, piece, .. } = transfer;
        self.nodes[from].serving.retain(|&other| other != key);
        if transfer.stage != Stage::Requested && !transfer.is_end_told {
            let (peer, id) = (self.nodes[to].id, self.files[file].id);
            self.input(from, machine::send_ended(peer, id, piece, SendOutcome::Broken));
        }
    }

    fn keep_ticking(&mut self, at: usize) {
        if !std::mem::replace(&mut self.nodes[at].is_ticking, true) {
            self.agenda.note(self.now.after(TICK), Due::Tick(place(at)));
        }
    }

    /// A second has passed: the machine is told what has moved meanwhile.
    pub(super) fn tick(&mut self, at: usize) {
        let mut moved = Vec::new();
        for fetching in &self.nodes[at].fetching {
            let Some(transfer) = self.transfers.get_mut(fetching.transfer) else { continue };
            let received = transfer.received(self.now);
            if std::mem::replace(&mut transfer.told, received) != received {
                let (source, id) = (self.nodes[transfer.from].id, self.files[transfer.file].id);
                moved.push(machine::fetch_progress(source, id, transfer.piece, received));
            }
        }
        for &key in &self.nodes[at].serving {
            let Some(transfer) = self.transfers.get_mut(key).filter(|transfer| !transfer.is_end_told) else {
                continue;
            };
            let left = transfer.unwritten();
            if std::mem::replace(&mut transfer.told_left, left) != left {
                let (peer, id) = (self.nodes[transfer.to].id, self.files[transfer.file].id);
                moved.push(machine::send_progress(peer, id, transfer.piece));
            }
        }
        moved.into_iter().for_each(|input| self.input(at, input));
        let node = &self.nodes[at];
        if node.fetching.is_empty() && node.serving.is_empty() {
            self.nodes[at].is_ticking = false;
        } else {
            self.agenda.note(self.now.after(TICK), Due::Tick(place(at)));
        }
    }
}
