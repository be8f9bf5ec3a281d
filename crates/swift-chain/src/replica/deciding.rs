//! Making blocks, and taking them over: what changes the head.

use std::sync::Arc;

use super::{Fatal, FollowError, Output, Replica, Settled, writing::ReviewScope};
use crate::{
    block::SealedBlock,
    consensus,
    execution::{BlockError, CertifiedBlock, Draft, Head, draft_block, seal_draft, verify_block},
    limits::TIME_MS_MAX,
    rules::known_at,
    state::{Change, StateView},
};

impl Replica {
    /// Decides at most one block from what waits.
    pub(super) fn decide(&mut self, now_ms: u64) -> Result<(), Fatal> {
        if !self.decides() || self.mempool.is_empty() || consensus::supports(&self.validators).is_err() {
            return Ok(());
        }
        let height = self.head.height + 1;
        if let Err(version) = known_at(self.db.state().protocol()?, height) {
            return Err(Fatal::UnknownProtocol { height, version });
        }
        let draft = {
            let state = self.db.state();
            let candidates = self.mempool.candidates();
            draft_block(&self.key, &self.network, &state, &self.head, now_ms, candidates)?
        };
        if draft.block.header.time_ms > TIME_MS_MAX {
            return Err(Fatal::Clock);
        }
        let refused = self.take_refused(&draft);
        self.is_stuck = draft.block.transactions.is_empty() && draft.refused.is_empty();
        // Only a valid transaction starts a height: an idle network makes no blocks.
        if !draft.block.transactions.is_empty() {
            self.agree(now_ms, height, draft)?;
        }
        // Judged on the state after the block: what it contains may be why these were refused.
        for sequence in refused {
            self.review_own(now_ms, sequence)?;
        }
        self.send_waiting(now_ms);
        Ok(())
    }

    /// Runs the engine on a draft and commits what it decides.
    pub(super) fn agree(&mut self, now_ms: u64, height: u64, draft: Draft) -> Result<(), Fatal> {
        let validators = self.validators.clone();
        self.engine.handle(consensus::Input::Start { height, validators });
        let mut draft = Some(draft);
        while let Some(output) = self.engine.poll_output() {
            match (output, draft.take()) {
                (consensus::Output::Propose { height, round }, Some(open)) => {
                    let block = open.block.header.hash();
                    self.engine.handle(consensus::Input::Proposal { height, round, block });
                    draft = Some(open);
                }
                (consensus::Output::Decide { certificate }, Some(Draft { block, effect, .. })) => {
                    let sealed = seal_draft(&self.network, &self.validators, block, effect, certificate);
                    let block = sealed.map_err(|_| Fatal::Consensus)?;
                    self.commit(now_ms, block)?;
                }
                (_, None) => return Err(Fatal::Consensus),
            }
        }
        Ok(())
    }

    /// Drops what the rules refused; gives the sequences of this node's own among it.
    pub(super) fn take_refused(&mut self, draft: &Draft) -> Vec<u64> {
        let mut own = Vec::new();
        for refused in &draft.refused {
            let body = refused.transaction();
            self.mempool.remove(&body.author, body.sequence, refused.id());
            if body.author == self.key.id() {
                own.push(body.sequence);
            }
        }
        own
    }

    /// Appends a final block. Durable when the step ends.
    pub(super) fn commit(&mut self, now_ms: u64, block: CertifiedBlock) -> Result<(), Fatal> {
        self.db.append(&block)?;
        self.head = block.as_head();
        self.validators = block.effect().next_validators.clone();
        for change in &block.effect().changes {
            if let Change::Author { node, record } = change {
                self.mempool.overtake(node, record.last_sequence);
            }
        }
        // Before anybody hears that a write is final: then what the block changes counts wherever it is followed.
        let block = Arc::new(block);
        self.outputs.push(Output::Committed(block.clone()));
        let height = self.head.height;
        let me = self.key.id();
        for signed in block.block().transactions.iter().filter(|signed| signed.transaction.author == me) {
            if let Some(entry) = self.outbox.take(&signed.transaction.action) {
                self.db.dequeue(entry.id)?;
                let settled = Settled { height, transaction: Some(signed.id()) };
                entry.settle(&mut self.outputs, &Ok(settled));
            }
        }
        self.review_outbox(now_ms, ReviewScope::Overtaken)
    }

    pub(super) fn follow(
        &mut self,
        now_ms: u64,
        blocks: Vec<SealedBlock>,
    ) -> Result<Result<u64, FollowError>, Fatal> {
        for sealed in blocks {
            let found = sealed.block.header.height;
            if found <= self.head.height {
                if let Some(fork) = self.find_fork(&sealed)? {
                    return Ok(Err(fork));
                }
                continue;
            }
            if found > self.head.height + 1 {
                return Ok(Err(FollowError::Gap { head: self.head.height, first: found }));
            }
            let (certificate, hash) = (&sealed.certificate, sealed.block.header.hash());
            let is_final = certificate.check(&self.network, &self.validators, found, hash).is_ok();
            let verified = verify_block(&self.network, &self.db.state(), &self.head, sealed);
            match verified {
                Ok(block) => self.commit(now_ms, block)?,
                Err(BlockError::State(error)) => return Err(error.into()),
                Err(BlockError::Previous { found, .. }) if is_final => {
                    let Head { height, hash: ours, .. } = self.head;
                    return Ok(Err(FollowError::Fork { height, ours, theirs: found }));
                }
                Err(error @ BlockError::UnknownProtocol { .. }) => {
                    return Ok(Err(FollowError::UnknownProtocol(error.to_string())));
                }
                Err(error) => return Ok(Err(FollowError::Invalid(error.to_string()))),
            }
        }
        Ok(Ok(self.head.height))
    }

    /// Whether a block at a height that is decided here differs and is final all the same.
    ///
    /// The certificate is checked against the set that is known for sure: today's, when the block is the head's rival.
    pub(super) fn find_fork(&self, sealed: &SealedBlock) -> Result<Option<FollowError>, Fatal> {
        let (height, theirs) = (sealed.block.header.height, sealed.block.header.hash());
        let Some(ours) = self.db.reader().block_hash(height)? else { return Ok(None) };
        let is_final = || sealed.certificate.check(&self.network, &self.validators, height, theirs).is_ok();
        Ok((ours != theirs && is_final()).then_some(FollowError::Fork { height, ours, theirs }))
    }
}
