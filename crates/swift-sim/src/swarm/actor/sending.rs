//! The uplink: letters and the bytes of transfers leave over it, one after the other.

use super::Actor;
use crate::swarm::{event::Event, links::LETTERS_LEN, slab::Key, transfer::Stage};

/// What HTTP says before the content: see "Heads" in `docs/protocol.md`.
const RESPONSE_HEAD: u64 = 98;
/// Bytes of content for each that is sent beside it: 22 of TLS for each 16 KiB, and the grain tree of each chunk, 2,745
/// bytes, with the first slice of it that somebody gets.
const BYTES_PER_EXTRA: u64 = 500;

impl Actor<'_> {
    /// Lets the uplink go on, if it has nothing to do.
    pub(super) fn drive_uplink(&mut self) {
        if self.node.up.is_noted {
            return;
        }
        if self.node.up.free_at <= self.now && !self.send_letters() && !self.send_bytes() {
            // No transfer may go on: letters that let one pass need wait no longer.
            self.send_letters();
        }
        if self.node.up.is_waited_for() {
            self.node.up.is_noted = true;
            self.note(self.node.up.free_at, Event::Left);
        }
    }

    /// Sends the letters that go before the next transfer: as many at once as may, since nothing comes between them.
    fn send_letters(&mut self) -> bool {
        let mut len = 0;
        while len < LETTERS_LEN
            && let Some(letter) = self.node.up.next_letter()
        {
            if self.is_withdrawn(&letter) {
                continue;
            }
            len += letter.len;
            let left = self.node.up.begin_letter(self.now, letter.len);
            self.dispatch(letter, left);
        }
        len > 0
    }

    /// Sends some bytes of the next transfer that may go on.
    fn send_bytes(&mut self) -> bool {
        let node = &mut *self.node;
        while let Some(key) = node.up.next_transfer() {
            let moving = node.serving.get_mut(key).filter(|outgoing| outgoing.is_moving());
            let Some(outgoing) = moving else { continue };
            let Some(len) = outgoing.next_len(node.up.quantum) else {
                outgoing.stage = Stage::Held;
                continue;
            };
            let head = if outgoing.is_untouched() { RESPONSE_HEAD } else { 0 } + len / BYTES_PER_EXTRA;
            outgoing.leave(len);
            let (to, incoming) = (outgoing.to, outgoing.incoming);
            node.account.sent += len;
            let left = node.up.begin_bytes(self.now, key, len + head);
            let len = u32::try_from(len).unwrap_or(u32::MAX);
            let arrived = Event::Arrived { incoming, outgoing: key, len };
            self.send(to, left.plus(self.scene.delay_ns), arrived);
            return true;
        }
        false
    }

    pub(super) fn left(&mut self) {
        self.node.up.is_noted = false;
        if let Some(key) = self.node.up.leaving.take() {
            self.bytes_left(key);
        }
        self.drive_uplink();
    }

    fn bytes_left(&mut self, key: Key) {
        let moving = self.node.serving.get_mut(key).filter(|outgoing| outgoing.is_moving());
        let Some(outgoing) = moving else { return };
        if outgoing.have_left() {
            self.node.up.enter_transfer(key);
        }
        self.tell_end(key);
    }
}
