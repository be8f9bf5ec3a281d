//! A validator that came from a backup: it has signed what it does not know of, and must not sign against it.
//!
//! First it hears from every member. If none has a block that it lacks, then of all that is final it has everything, and
//! what it signed for a height that is not final is still open. So it lets the others decide without it until nothing
//! that it may have signed can count: the height after the head, of which it may have seen votes, and the one behind
//! that, which it may have begun alone. The only validator of a network has nobody who could hold a vote of its.

use super::{Fatal, Replica};
use crate::store::LedgerStore;

/// Heights behind the head that a validator may have signed for when every member says that none of them is final.
const OPEN_HEIGHTS: u64 = 2;

impl<S: LedgerStore> Replica<S> {
    /// Whether this node came from a backup and is to be told by [`Input::EndHold`](super::Input::EndHold) that it has
    /// heard from every member.
    pub fn is_held(&self) -> bool {
        self.signs_from == u64::MAX
    }

    /// Whether this node may sign for the next height, if it is a validator of it: always, unless it came from a backup
    /// and what it may have signed before is still open.
    pub fn may_sign(&self) -> bool {
        self.head.height + 1 >= self.signs_from
    }

    pub(super) fn end_hold(&mut self) -> Result<(), Fatal> {
        if !self.is_held() {
            return Ok(());
        }
        let me = self.key.id();
        let is_open = self.validators.weight(&me) > 0 && self.validators.len() > 1;
        self.hold_until(if is_open { self.head.height + 1 + OPEN_HEIGHTS } else { 0 })
    }

    /// After a block: what was open is decided.
    pub(super) fn review_hold(&mut self) -> Result<(), Fatal> {
        if self.signs_from > 0 && self.may_sign() { self.hold_until(0) } else { Ok(()) }
    }

    fn hold_until(&mut self, height: u64) -> Result<(), Fatal> {
        self.store.hold_signing(height)?;
        self.signs_from = height;
        Ok(())
    }
}
