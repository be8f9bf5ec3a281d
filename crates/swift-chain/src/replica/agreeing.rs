//! Deciding a block together with the other validators: what comes from them, and what goes to them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Fatal, Now, Output, Replica, candidates::Candidates};
use crate::{
    block::Block,
    consensus::{self, Announcement, ConsensusMessage, SignedProposal, WalEntry},
    evidence::Evidence,
    execution::{BlockError, Draft, ValidBlock, check_block},
    hash::BlockHash,
    identity::NodeId,
    store::LedgerStore,
};

/// How far a block's time may be ahead of this node's clock when it is first proposed. Later it counts no more: a wrong
/// clock must not keep a block from being decided that others accept.
const CLOCK_AHEAD_MAX_MS: u64 = 30_000;
/// Different blocks judged per round: the proposer's, and one more that convicts it.
const BLOCKS_PER_ROUND_MAX: usize = 2;
/// Rounds ahead of the engine's own for which blocks are judged; it ignores what is beyond.
const ROUNDS_AHEAD_MAX: u32 = 10;

/// What is known of the height that is being decided. Forgotten as a whole when it is.
#[derive(Debug, Default)]
pub(super) struct OpenHeight {
    candidates: Candidates,
    /// What was proposed in a round, and the engine told of.
    judged: BTreeMap<u32, Vec<Judged>>,
    /// Blocks that break a rule.
    invalid: BTreeSet<BlockHash>,
    /// The round in which the engine wants a block of this node's.
    pub(super) asked: Option<u32>,
    /// Put together when looking whether there is anything to decide.
    pub(super) draft: Option<Draft>,
    /// What the engine wants remembered and no message depends on yet. It is stored with the first that does; lost in a
    /// crash before, it is as if it had never come.
    unlogged: Vec<WalEntry>,
    /// Something goes out with this step: all of the log must be stored with it.
    is_announcing: bool,
}

/// A proposal with its verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Judged {
    block: BlockHash,
    valid_round: Option<u32>,
    is_valid: bool,
}

impl<S: LedgerStore> Replica<S> {
    /// Brings the engine to where it was when the program ended.
    pub(super) fn recover(&mut self, now: Now) -> Result<(), Fatal> {
        let entries = std::mem::take(&mut self.recovered);
        if entries.is_empty() {
            return Ok(());
        }
        for entry in &entries {
            match entry {
                WalEntry::Block(block) => {
                    self.judge(block, 0)?;
                }
                WalEntry::Value { round, block, .. } => {
                    self.open.candidates.is_proposed(block, *round);
                }
                _ => {}
            }
        }
        // They are in the log already.
        self.open.unlogged.clear();
        let (height, validators) = (self.head.height + 1, self.validators.clone());
        self.drive(now, consensus::Input::Recover { height, validators, entries })
    }

    /// Tells the engine when it has waited long enough for something.
    pub(super) fn elapse(&mut self, now: Now) -> Result<(), Fatal> {
        if self.engine.poll_timeout().is_some_and(|due| due <= now.steady) {
            self.drive(now, consensus::Input::Timeout)?;
        }
        Ok(())
    }

    /// A message from another member.
    pub(super) fn receive(&mut self, now: Now, from: NodeId, message: ConsensusMessage) -> Result<(), Fatal> {
        let (next, is_validator) = (self.head.height + 1, self.validators.weight(&from) > 0);
        match message.height().checked_sub(next) {
            Some(0) if is_validator => self.hear(now, message)?,
            // They have decided what is still being decided here. A block in between may make this node a validator, or
            // the one that brings the message.
            Some(ahead @ 1..) => self.early.push(from, is_validator, ahead, message),
            // Late, or of nobody who decides this height.
            _ => {}
        }
        Ok(())
    }

    /// A message about the height after the head.
    pub(super) fn hear(&mut self, now: Now, message: ConsensusMessage) -> Result<(), Fatal> {
        // A message before this one may have decided the height.
        if !self.decides() || message.height() != self.head.height + 1 {
            return Ok(());
        }
        if !self.engine.is_running() {
            if !message.is_signed_by(&self.network, &self.validators) {
                return Ok(());
            }
            self.start(now)?;
        }
        match message {
            ConsensusMessage::Proposal(signed, block) => self.hear_proposal(now, signed, &block),
            ConsensusMessage::Vote(signed) => self.drive(now, consensus::Input::Vote(signed)),
            ConsensusMessage::Polka(certificate) => self.drive(now, consensus::Input::Polka(certificate)),
            ConsensusMessage::Round(certificate) => self.drive(now, consensus::Input::Round(certificate)),
        }
    }

    fn hear_proposal(&mut self, now: Now, signed: SignedProposal, block: &Block) -> Result<(), Fatal> {
        let proposal = &signed.proposal;
        let (hash, round) = (block.header.hash(), proposal.round);
        let is_near = self.engine.round().is_some_and(|own| round <= own.saturating_add(ROUNDS_AHEAD_MAX));
        let is_turn = self.validators.proposer(proposal.height, round).node == proposal.proposer;
        // The cheap questions first: executing a block is what costs.
        if hash != proposal.block || !is_near || !is_turn || !signed.verify(&self.network) {
            return Ok(());
        }
        // A body that is not the header's says nothing of the block: anybody may have put it there.
        let is_whole = block.header.transactions_root == Block::transactions_root(&block.transactions)
            && block.header.creator.verify(&self.network, &block.header, &block.signature);
        if !is_whole || proposal.valid_round.is_some_and(|valid_round| valid_round >= round) {
            return Ok(());
        }
        let (valid_round, known) = (proposal.valid_round, self.open.judged.get(&round));
        let known = known.map_or(&[][..], Vec::as_slice);
        if known.contains(&Judged { block: hash, valid_round, is_valid: true }) {
            return Ok(());
        }
        let others: BTreeSet<_> =
            known.iter().map(|judged| judged.block).filter(|one| *one != hash).collect();
        // What a quorum accepts is judged all the same: a proposer that sends other blocks before it must not keep this
        // node from it. One block of a round at most has a quorum.
        if others.len() >= BLOCKS_PER_ROUND_MAX && !self.engine.has_polka(round, &hash) {
            return Ok(());
        }
        let latest = now.wall_ms.saturating_add(CLOCK_AHEAD_MAX_MS).max(self.head.next_time_ms(0));
        // Not by the proposer's word: only if a quorum is seen to have taken it.
        let is_accepted = valid_round.is_some_and(|valid_round| self.engine.has_polka(valid_round, &hash));
        let is_in_time = is_accepted || block.header.time_ms <= latest;
        let is_valid = is_in_time && self.judge(block, round)?;
        let judged = Judged { block: hash, valid_round, is_valid };
        let of_round = self.open.judged.entry(round).or_default();
        if of_round.contains(&judged) {
            return Ok(());
        }
        of_round.push(judged);
        self.drive(now, consensus::Input::Proposal { signed, is_valid })
    }

    /// Whether a block that is proposed in a round follows the head by all rules. One that does is kept.
    fn judge(&mut self, block: &Block, round: u32) -> Result<bool, Fatal> {
        let hash = block.header.hash();
        if self.open.candidates.is_proposed(&hash, round) {
            return Ok(true);
        }
        if self.open.invalid.contains(&hash) {
            return Ok(false);
        }
        let checked =
            check_block(&self.network, &self.store.state(), &self.head, block.clone(), &self.mempool);
        match checked {
            Ok(block) => {
                self.keep_candidate(block, round);
                Ok(true)
            }
            Err(BlockError::State(error)) => Err(error.into()),
            Err(_) => {
                self.open.invalid.insert(hash);
                Ok(false)
            }
        }
    }

    fn keep_candidate(&mut self, block: ValidBlock, round: u32) {
        self.open.unlogged.push(WalEntry::Block(Box::new(block.block().clone())));
        self.open.candidates.insert(round, block);
        if let Some(own_round) = self.engine.round() {
            self.open.candidates.drop_old(own_round, |hash| self.engine.has_any_polka(hash));
        }
    }

    /// A candidate that the engine speaks of. One that was dropped is in the log.
    fn candidate(&mut self, hash: &BlockHash) -> Result<&ValidBlock, Fatal> {
        if !self.open.candidates.contains(hash) {
            let logged = self.store.wal()?;
            let block = logged.iter().chain(&self.open.unlogged).find_map(|entry| match entry {
                WalEntry::Block(block) if block.header.hash() == *hash => Some(block.as_ref().clone()),
                _ => None,
            });
            let round = self.engine.round().unwrap_or(0);
            self.judge(&block.ok_or(Fatal::Consensus)?, round)?;
        }
        self.open.candidates.get(hash).ok_or(Fatal::Consensus)
    }

    /// Begins to decide the height after the head.
    pub(super) fn start(&mut self, now: Now) -> Result<(), Fatal> {
        let (height, validators) = (self.head.height + 1, self.validators.clone());
        self.drive(now, consensus::Input::Start { height, validators })
    }

    /// Proposes a block of this node's own.
    pub(super) fn propose(&mut self, now: Now, round: u32, block: ValidBlock) -> Result<(), Fatal> {
        let (height, hash) = (self.head.height + 1, block.hash());
        self.keep_candidate(block, round);
        self.drive(now, consensus::Input::Value { height, round, block: hash })
    }

    /// Gives the engine an input and does what comes of it.
    pub(super) fn drive(&mut self, now: Now, input: consensus::Input) -> Result<(), Fatal> {
        self.engine.handle(now.steady, input)?;
        while let Some(output) = self.engine.poll_output() {
            match output {
                consensus::Output::Log(entry) => self.open.unlogged.push(entry),
                consensus::Output::Announce(announcement) => self.announce(announcement)?,
                consensus::Output::Propose { round, .. } => self.open.asked = Some(round),
                consensus::Output::Evidence(evidence) => self.catch(now, evidence)?,
                consensus::Output::Decide { certificate } => {
                    let block = self.candidate(&certificate.block)?.clone();
                    let block = block.certify(&self.network, &self.validators, certificate);
                    self.commit(now, block.map_err(|_| Fatal::Consensus)?)?;
                }
            }
        }
        Ok(())
    }

    fn announce(&mut self, announcement: Announcement) -> Result<(), Fatal> {
        if self.is_sole_validator() {
            return Ok(());
        }
        let message = match announcement {
            Announcement::Proposal(signed) => {
                let block = Box::new(self.candidate(&signed.proposal.block)?.block().clone());
                self.note_left(&block.transactions);
                ConsensusMessage::Proposal(signed, block)
            }
            Announcement::Vote(signed) => ConsensusMessage::Vote(signed),
            Announcement::Polka(certificate) => ConsensusMessage::Polka(certificate),
            Announcement::Round(certificate) => ConsensusMessage::Round(certificate),
        };
        self.open.is_announcing = true;
        self.outputs.push(Output::Broadcast(Arc::new(message)));
        Ok(())
    }

    /// Keeps evidence, and tells of what is new. Only what convicts by itself: the engine pairs a proposal with itself
    /// when its block was refused for its time and comes once more when that time has come.
    pub(super) fn catch(&mut self, now: Now, evidence: Evidence) -> Result<(), Fatal> {
        if evidence.verify(&self.network).is_err() {
            return Ok(());
        }
        if self.store.keep_evidence(&evidence, now.wall_ms)? {
            self.outputs.push(Output::Caught(Arc::new(evidence)));
        }
        Ok(())
    }

    /// The height is decided, here or elsewhere: the engine rests, and nothing of the height is needed any more.
    pub(super) fn close_height(&mut self, now: Now) -> Result<(), Fatal> {
        self.engine.handle(now.steady, consensus::Input::Stop)?;
        while let Some(output) = self.engine.poll_output() {
            match output {
                consensus::Output::Evidence(evidence) => self.catch(now, evidence)?,
                // The vote that completed the quorum: others may lack just this one. The block is durable with it.
                consensus::Output::Announce(vote @ Announcement::Vote(_)) => self.announce(vote)?,
                _ => {}
            }
        }
        self.open = OpenHeight::default();
        Ok(())
    }

    /// Ends a step for the log: what goes out must not be forgotten.
    pub(super) fn write_log(&mut self) -> Result<(), Fatal> {
        if std::mem::take(&mut self.open.is_announcing) {
            for entry in std::mem::take(&mut self.open.unlogged) {
                self.store.log(&entry)?;
            }
        }
        Ok(())
    }

    pub(super) fn is_sole_validator(&self) -> bool {
        self.validators.len() == 1 && self.decides()
    }
}
