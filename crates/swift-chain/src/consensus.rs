//! Agreement on the next block: Tendermint, without input or output of its own.
//!
//! The values it agrees on are block hashes; blocks travel beside it. Whoever drives it starts a height when there is
//! something to decide, judges the blocks that are proposed, answers [`Output::Propose`] with a block's hash, and commits
//! what [`Output::Decide`] certifies. The algorithm itself is Malachite's core; this module gives it this crate's types
//! and names, and nothing else of the crate knows it.
//!
//! What keeps a validator honest across a crash is the order in which outputs are carried out: everything that came by
//! [`Output::Log`] must be durable before anything that came by [`Output::Announce`] after it is sent.

mod malachite;
mod message;

use std::{collections::VecDeque, time::Duration};

use malachite::Core;
pub use message::{
    ConsensusMessage, PolkaCertificate, Proposal, RoundCertificate, RoundEnd, SignedProposal, SignedVote,
    Step, WalEntry,
};

use crate::{
    certificate::Certificate,
    evidence::Evidence,
    hash::{BlockHash, NetworkId},
    identity::NodeKey,
    validators::ValidatorSet,
};

/// The longest that a validator waits for anything in a round before it gives up.
pub const STEP_TIMEOUT_MAX: Duration = Duration::from_secs(10);

/// What happens to the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// There is something to decide at this height. Ignored while a height is being decided, and when this node is none
    /// of the validators.
    Start {
        /// The height after the head.
        height: u64,
        /// Who decides it.
        validators: ValidatorSet,
    },
    /// This height was being decided when the program ended.
    Recover {
        /// The height after the head.
        height: u64,
        /// Who decides it.
        validators: ValidatorSet,
        /// All that was logged of it, in order.
        entries: Vec<WalEntry>,
    },
    /// The block asked for by [`Output::Propose`].
    Value {
        /// For which height.
        height: u64,
        /// In which round.
        round: u32,
        /// The block.
        block: BlockHash,
    },
    /// A proposal came, and its block was judged.
    Proposal {
        /// As it came.
        signed: SignedProposal,
        /// Whether the block follows the head by all rules.
        is_valid: bool,
    },
    /// A vote came.
    Vote(SignedVote),
    /// A quorum's prevotes came.
    Polka(PolkaCertificate),
    /// A reason to enter a later round came.
    Round(RoundCertificate),
    /// The height was decided elsewhere: its block came with a certificate. The engine rests.
    Stop,
    /// The moment that [`Engine::poll_timeout`] named has come.
    Timeout,
}

/// What the engine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Remember this until the height is decided.
    Log(WalEntry),
    /// Tell all other validators.
    Announce(Announcement),
    /// This node is to propose a block.
    Propose {
        /// At which height.
        height: u64,
        /// In which round.
        round: u32,
    },
    /// A block is final. The engine rests.
    Decide {
        /// A quorum's signatures for it.
        certificate: Certificate,
    },
    /// A validator was caught.
    Evidence(Evidence),
}

/// What a validator tells the others; a proposal's block is for the driver to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announcement {
    /// A proposal.
    Proposal(SignedProposal),
    /// A vote.
    Vote(SignedVote),
    /// A quorum's prevotes.
    Polka(PolkaCertificate),
    /// A reason to enter a later round.
    Round(RoundCertificate),
}

/// The engine contradicts itself; nothing it says counts any more, and the validator must stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("consensus cannot go on: {0}")]
pub struct EngineError(String);

/// One validator's part in consensus. Time is any clock that only goes forward, from any beginning.
#[derive(Debug)]
pub struct Engine {
    key: NodeKey,
    network: NetworkId,
    /// The height that is being decided.
    core: Option<Core>,
    outputs: VecDeque<Output>,
}

impl Engine {
    /// An engine at rest.
    pub fn new(key: NodeKey, network: NetworkId) -> Self {
        Self { key, network, core: None, outputs: VecDeque::new() }
    }

    /// Takes one input. Drain [`Self::poll_output`] before the next. After an error the engine is not to be used.
    pub fn handle(&mut self, now: Duration, input: Input) -> Result<(), EngineError> {
        match input {
            Input::Start { height, validators } => self.start(now, height, validators, None)?,
            Input::Recover { height, validators, entries } => {
                self.start(now, height, validators, Some(entries))?;
            }
            Input::Stop => {
                self.collect_evidence();
                self.core = None;
            }
            input => {
                let Some(core) = &mut self.core else { return Ok(()) };
                pass_on(core, now, input, &mut self.outputs)?;
                self.collect_evidence();
            }
        }
        if self.core.as_ref().is_some_and(Core::is_decided) {
            self.core = None;
        }
        Ok(())
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.core.as_ref().and_then(Core::next_timeout)
    }

    /// Whether a height is being decided.
    pub fn is_running(&self) -> bool {
        self.core.is_some()
    }

    /// The round of the height that is being decided.
    pub fn round(&self) -> Option<u32> {
        self.core.as_ref().and_then(Core::round)
    }

    /// Whether the answer to an earlier [`Output::Propose`] would still be of use.
    pub fn wants_proposal(&self, height: u64, round: u32) -> bool {
        self.core.as_ref().is_some_and(|core| core.height() == height && core.wants_proposal(round))
    }

    /// Whether a quorum is known to have prevoted for a block in an earlier round of the height that is being decided.
    pub fn has_polka(&self, round: u32, block: &BlockHash) -> bool {
        self.core.as_ref().is_some_and(|core| core.has_polka(round, block))
    }

    /// Whether a quorum is known to have prevoted for a block in any round that still counts.
    pub fn has_any_polka(&self, block: &BlockHash) -> bool {
        self.core.as_ref().is_some_and(|core| core.has_any_polka(block))
    }

    fn start(
        &mut self,
        now: Duration,
        height: u64,
        validators: ValidatorSet,
        entries: Option<Vec<WalEntry>>,
    ) -> Result<(), EngineError> {
        if self.core.is_some() || validators.weight(&self.key.id()) == 0 {
            return Ok(());
        }
        let (key, network, outputs) = (self.key.clone(), self.network, &mut self.outputs);
        self.core = Some(match entries {
            None => Core::start(key, network, height, validators, now, outputs)?,
            Some(entries) => Core::recover(key, network, height, validators, entries, now, outputs)?,
        });
        Ok(())
    }

    fn collect_evidence(&mut self) {
        let found = self.core.as_mut().map(Core::new_evidence).unwrap_or_default();
        self.outputs.extend(found.into_iter().map(Output::Evidence));
    }
}

fn pass_on(
    core: &mut Core,
    now: Duration,
    input: Input,
    outputs: &mut VecDeque<Output>,
) -> Result<(), EngineError> {
    match input {
        Input::Value { height, round, block } if core.height() == height => {
            core.propose(round, block, now, outputs)
        }
        Input::Proposal { signed, is_valid } if core.height() == signed.proposal.height => {
            core.on_proposal(signed, is_valid, now, outputs)
        }
        Input::Vote(signed) if core.height() == signed.vote.height => core.on_vote(&signed, now, outputs),
        Input::Polka(certificate) if core.height() == certificate.height => {
            core.on_polka(certificate, now, outputs)
        }
        Input::Round(certificate) if core.height() == certificate.height => {
            core.on_round_certificate(certificate, now, outputs)
        }
        Input::Timeout => core.on_timeouts(now, outputs),
        // Of another height, or not for an engine that is at work.
        _ => Ok(()),
    }
}
