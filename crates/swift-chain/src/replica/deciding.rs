//! Is there anything to decide, and what is put into a block; and what a new block changes.

use std::sync::Arc;

use super::{Fatal, Now, Output, Replica, Settled, writing::ReviewScope};
use crate::{
    execution::{CertifiedBlock, Draft, draft_block, find_valid},
    limits::{BLOCK_LEN_MAX, TIME_MS_MAX},
    mempool::Mempool,
    rules::known_at,
    state::{Change, StateView},
    store::LedgerStore,
    transaction::CheckedTransaction,
};

/// Every round halves the block that is proposed, down to 1/64. A full one takes longer to every other validator than
/// the first rounds wait, where the proposer's way out is slow; the blocks must shrink faster than patience grows.
const HALVINGS_MAX: u32 = 6;

impl<S: LedgerStore> Replica<S> {
    /// Begins a height when something waits for a block, and proposes one when it is this node's turn.
    pub(super) fn decide(&mut self, now: Now) -> Result<(), Fatal> {
        if !self.decides() {
            return Ok(());
        }
        let mut refused = Vec::new();
        if !self.engine.is_running() && !self.is_stuck && !self.mempool.is_empty() {
            if self.find_work(now, &mut refused)? {
                self.start(now)?;
            } else {
                self.is_stuck = refused.is_empty();
            }
        }
        self.answer_engine(now, &mut refused)?;
        // Judged on the state after the block: what it contains may be why these were refused.
        for transaction in &refused {
            let body = transaction.transaction();
            if body.author == self.key.id() {
                self.review_own(now.wall_ms, body.sequence)?;
            }
        }
        self.send_waiting(now.wall_ms);
        Ok(())
    }

    /// Whether a transaction waits that a block could take: only then a height begins, so an idle network makes none.
    fn find_work(&mut self, now: Now, refused: &mut Vec<CheckedTransaction>) -> Result<bool, Fatal> {
        let height = self.head.height + 1;
        if let Err(version) = known_at(self.store.state().protocol()?, height) {
            return Err(Fatal::UnknownProtocol { height, version });
        }
        if self.validators.proposer(height, 0).node == self.key.id() {
            // This node proposes first: what is looked through becomes the block.
            let draft = self.draft(now, 0)?;
            self.drop_refused(&draft.refused, refused);
            let is_found = !draft.block.block().transactions.is_empty();
            self.open.draft = is_found.then_some(draft);
            return Ok(is_found);
        }
        let search = find_valid(&self.store.state(), &self.head, now.wall_ms, self.mempool.candidates())?;
        self.drop_refused(&search.refused, refused);
        Ok(search.is_found)
    }

    /// Gives the engine the block it wants. In the first round there must be something in it; later an empty one ends a
    /// height that was begun for a transaction which nobody here has.
    fn answer_engine(&mut self, now: Now, refused: &mut Vec<CheckedTransaction>) -> Result<(), Fatal> {
        let Some(round) = self.open.asked else { return Ok(()) };
        if !self.engine.wants_proposal(self.head.height + 1, round) {
            self.open.asked = None;
            return Ok(());
        }
        let draft = match self.open.draft.take().filter(|_| round == 0) {
            Some(draft) => draft,
            None => {
                let draft = self.draft(now, round)?;
                self.drop_refused(&draft.refused, refused);
                draft
            }
        };
        if round > 0 || !draft.block.block().transactions.is_empty() {
            self.open.asked = None;
            self.propose(now, round, draft.block)?;
        }
        Ok(())
    }

    fn draft(&self, now: Now, round: u32) -> Result<Draft, Fatal> {
        let (state, len_max) = (self.store.state(), BLOCK_LEN_MAX >> round.min(HALVINGS_MAX));
        let mut len = 0;
        let candidates = self.mempool.candidates().take_while(|candidate| {
            len += candidate.encoded_len();
            len <= len_max
        });
        let draft = draft_block(&self.key, &self.network, &state, &self.head, now.wall_ms, candidates)?;
        if draft.block.block().header.time_ms > TIME_MS_MAX {
            return Err(Fatal::Clock);
        }
        Ok(draft)
    }

    fn drop_refused(&mut self, found: &[CheckedTransaction], refused: &mut Vec<CheckedTransaction>) {
        for transaction in found {
            let body = transaction.transaction();
            self.mempool.remove(&body.author, body.sequence, transaction.id());
            refused.push(transaction.clone());
        }
    }

    /// Appends a final block. Durable when the step ends.
    pub(super) fn commit(&mut self, now: Now, block: CertifiedBlock) -> Result<(), Fatal> {
        self.close_height(now)?;
        self.store.append(&block)?;
        self.head = block.as_head();
        self.validators = block.effect().next_validators.clone();
        self.review_hold()?;
        if !self.decides() {
            // Others make the blocks: what waits here of other nodes they bring there themselves.
            self.mempool = Mempool::default();
        }
        for change in &block.effect().changes {
            if let Change::Author { node, record } = change {
                self.mempool.overtake(node, record.last_sequence);
            }
        }
        self.is_stuck = false;
        // Before anybody hears that a write is final: then what the block changes counts wherever it is followed.
        let block = Arc::new(block);
        self.outputs.push(Output::Committed(block.clone()));
        let height = self.head.height;
        let me = self.key.id();
        for signed in block.block().transactions.iter().filter(|signed| signed.transaction.author == me) {
            if let Some(entry) = self.outbox.take(&signed.transaction.action) {
                self.store.dequeue(entry.id)?;
                let settled = Settled { height, transaction: Some(signed.id()) };
                entry.settle(&mut self.outputs, &Ok(settled));
            }
        }
        self.review_outbox(now.wall_ms, ReviewScope::Overtaken)
    }
}
