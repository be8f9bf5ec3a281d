//! The Tendermint algorithm by Malachite, without its networking. Nothing outside this module names its types.
//!
//! The engine runs as a coroutine: it is given an input and asks for effects until it rests. [`Effects`] answers those
//! that need an answer (sign, verify) and notes the others as [`Output`]s, so that everything that must be durable
//! or sent is in the hands of whoever drives the [`Core`].
//!
//! The value that is agreed on is a block's hash. Blocks travel beside it and are judged before the engine hears of
//! them, which is why it runs in the mode with separate values (`ProposalAndParts`).

mod context;
mod effects;

use std::{
    collections::{BTreeSet, VecDeque},
    convert::Infallible,
    fmt,
    time::Duration,
};

use malachite_consensus::{
    Error, Input, LocallyProposedValue, Params, ProposedValue, State, ThresholdParams, process,
};
use malachite_types::{
    Round, SignedMessage, Timeout, TimeoutKind, Validity, ValueOrigin, ValuePayload, VoteExtensionPolicy,
};

use self::{
    context::{Height, Swift, to_polka, to_round, to_round_certificate, to_vote},
    effects::{Effects, evidence_of},
};
use super::{
    EngineError, Output,
    message::{PolkaCertificate, RoundCertificate, SignedProposal, SignedVote, Step, WalEntry},
};
use crate::{
    evidence::Evidence,
    hash::{BlockHash, Hash, NetworkId},
    identity::{NodeId, NodeKey},
    validators::ValidatorSet,
};

/// Messages that the engine itself may keep for later heights. It is never given any: a height begins first.
const ENGINE_QUEUE_LEN: usize = 1;

/// The engine at one height.
pub(super) struct Core {
    state: State<Swift>,
    effects: Effects,
    /// Evidence that was given.
    reported: BTreeSet<Hash>,
}

impl Core {
    /// Begins a height.
    pub(super) fn start(
        key: NodeKey,
        network: NetworkId,
        height: u64,
        validators: ValidatorSet,
        now: Duration,
        outputs: &mut VecDeque<Output>,
    ) -> Result<Self, EngineError> {
        let mut core = Self::at_rest(key, network, height, validators.clone());
        core.drive(start_height(height, validators), now, outputs)?;
        Ok(core)
    }

    /// Begins a height that was being decided when the program ended. The entries bring the engine to where it was;
    /// what it said then it says again, with the same signatures.
    pub(super) fn recover(
        key: NodeKey,
        network: NetworkId,
        height: u64,
        validators: ValidatorSet,
        entries: Vec<WalEntry>,
        now: Duration,
        outputs: &mut VecDeque<Output>,
    ) -> Result<Self, EngineError> {
        let mut core = Self::at_rest(key, network, height, validators.clone());
        let entries: Vec<_> = entries.into_iter().filter_map(|entry| to_input(height, entry)).collect();
        core.effects.is_recovering = true;
        core.drive(start_height(height, validators), now, outputs)?;
        core.state.index_wal_entries(entries.iter());
        for entry in entries {
            if core.effects.is_decided {
                break;
            }
            core.drive(entry, now, outputs)?;
        }
        core.state.reset_entries_index();
        core.effects.is_recovering = false;
        Ok(core)
    }

    fn at_rest(key: NodeKey, network: NetworkId, height: u64, validators: ValidatorSet) -> Self {
        let params = Params {
            address: key.id(),
            threshold_params: ThresholdParams::default(),
            value_payload: ValuePayload::ProposalAndParts,
            enabled: true,
        };
        let queue = ENGINE_QUEUE_LEN;
        let state = State::new(Swift, Height(height), validators, params, queue, queue);
        Self { state, effects: Effects::new(key, network), reported: BTreeSet::new() }
    }

    pub(super) fn height(&self) -> u64 {
        self.state.height().0
    }

    pub(super) fn round(&self) -> Option<u32> {
        self.state.round().as_u32()
    }

    /// Whether a proposal of this node for the round would still be of use.
    pub(super) fn wants_proposal(&self, round: u32) -> bool {
        self.round() == Some(round) && self.state.driver.step_is_propose()
    }

    pub(super) fn is_decided(&self) -> bool {
        self.effects.is_decided
    }

    /// When the next step is to be given up.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        self.effects.timers.iter().map(|(_, due)| *due).min()
    }

    /// A block this node proposes in a round that is its own.
    pub(super) fn propose(
        &mut self,
        round: u32,
        block: BlockHash,
        now: Duration,
        outputs: &mut VecDeque<Output>,
    ) -> Result<(), EngineError> {
        let value = LocallyProposedValue::new(self.state.height(), Round::new(round), block);
        self.drive(Input::Propose(value), now, outputs)
    }

    /// A proposal whose block was judged: the verdict first, so that the engine can use the proposal at once.
    pub(super) fn on_proposal(
        &mut self,
        signed: SignedProposal,
        is_valid: bool,
        now: Duration,
        outputs: &mut VecDeque<Output>,
    ) -> Result<(), EngineError> {
        let proposal = &signed.proposal;
        let value = to_proposed_value(
            proposal.height,
            proposal.round,
            proposal.valid_round,
            proposal.proposer,
            proposal.block,
            is_valid,
        );
        self.drive(Input::ProposedValue(value, ValueOrigin::Consensus), now, outputs)?;
        self.drive(Input::Proposal(SignedMessage::new(signed.proposal, signed.signature)), now, outputs)
    }

    pub(super) fn on_vote(
        &mut self,
        signed: &SignedVote,
        now: Duration,
        outputs: &mut VecDeque<Output>,
    ) -> Result<(), EngineError> {
        self.drive(Input::Vote(to_vote(signed)), now, outputs)
    }

    pub(super) fn on_polka(
        &mut self,
        certificate: PolkaCertificate,
        now: Duration,
        outputs: &mut VecDeque<Output>,
    ) -> Result<(), EngineError> {
        self.drive(Input::PolkaCertificate(to_polka(certificate)), now, outputs)
    }

    pub(super) fn on_round_certificate(
        &mut self,
        certificate: RoundCertificate,
        now: Duration,
        outputs: &mut VecDeque<Output>,
    ) -> Result<(), EngineError> {
        self.drive(Input::RoundCertificate(to_round_certificate(certificate)), now, outputs)
    }

    /// Tells the engine of every timeout that is due, the oldest first.
    pub(super) fn on_timeouts(
        &mut self,
        now: Duration,
        outputs: &mut VecDeque<Output>,
    ) -> Result<(), EngineError> {
        loop {
            let timers = &self.effects.timers;
            let due = timers.iter().enumerate().filter(|(_, (_, due))| *due <= now);
            // The first of equals: timers stand in the order in which they were set.
            let Some((at, _)) = due.min_by_key(|(at, (_, due))| (*due, *at)) else { return Ok(()) };
            let (timeout, _) = self.effects.timers.remove(at);
            self.drive(Input::TimeoutElapsed(timeout), now, outputs)?;
        }
    }

    /// Whether a quorum is known to have prevoted for a block in a round.
    pub(super) fn has_polka(&self, round: u32, block: &BlockHash) -> bool {
        self.state.polka_certificate(Round::new(round), block).is_some()
    }

    /// The same of any round, but for those before the round in which this validator is locked: what came of them is
    /// overtaken.
    pub(super) fn has_any_polka(&self, block: &BlockHash) -> bool {
        self.state.driver.polka_certificates().iter().any(|polka| polka.value_id == *block)
    }

    /// What validators of this height did twice that may be done once. Each is given once; the engine keeps it all until
    /// the height ends, so that its own bound on what one validator can cause holds.
    pub(super) fn new_evidence(&mut self) -> Vec<Evidence> {
        let driver = &self.state.driver;
        let votes = driver.votes().evidence().iter().flat_map(|(_, pairs)| pairs);
        let proposals = driver.proposals().evidence().iter().flat_map(|(_, pairs)| pairs);
        let kept = evidence_of(votes, proposals);
        let found = self.effects.final_evidence.drain(..).chain(kept);
        found.filter(|evidence| self.reported.insert(evidence.id())).collect()
    }

    fn drive(
        &mut self,
        input: Input<Swift>,
        now: Duration,
        outputs: &mut VecDeque<Output>,
    ) -> Result<(), EngineError> {
        let (state, effects) = (&mut self.state, &mut self.effects);
        let result: Result<(), Error<Swift>> = process!(
            input: input, state: state, metrics: &(),
            with: effect => Ok::<_, Infallible>(effects.answer(effect, now))
        );
        outputs.append(&mut self.effects.noted);
        result.map_err(|error| EngineError(error.to_string()))
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("height", &self.height()).field("round", &self.round()).finish()
    }
}

fn start_height(height: u64, validators: ValidatorSet) -> Input<Swift> {
    // Also after a crash this is no restart: that would mean to forget what came before.
    let is_restart = false;
    Input::StartHeight(Height(height), validators, is_restart, None, VoteExtensionPolicy::Disabled)
}

fn to_proposed_value(
    height: u64,
    round: u32,
    valid_round: Option<u32>,
    proposer: NodeId,
    block: BlockHash,
    is_valid: bool,
) -> ProposedValue<Swift> {
    ProposedValue {
        height: Height(height),
        round: Round::new(round),
        valid_round: to_round(valid_round),
        proposer,
        value: block,
        validity: Validity::from_bool(is_valid),
    }
}

/// An entry of the write-ahead log as the input it was made of; none for a block, which the engine does not see.
fn to_input(height: u64, entry: WalEntry) -> Option<Input<Swift>> {
    Some(match entry {
        WalEntry::Block(_) => return None,
        WalEntry::Value { round, valid_round, proposer, block, is_valid } => {
            let value = to_proposed_value(height, round, valid_round, proposer, block, is_valid);
            Input::ProposedValue(value, ValueOrigin::Consensus)
        }
        WalEntry::Proposal(signed) => Input::Proposal(SignedMessage::new(signed.proposal, signed.signature)),
        WalEntry::Vote(signed) => Input::Vote(to_vote(&signed)),
        WalEntry::Polka(certificate) => Input::PolkaCertificate(to_polka(certificate)),
        WalEntry::Elapsed { step, round } => {
            let kind = match step {
                Step::Propose => TimeoutKind::Propose,
                Step::Prevote => TimeoutKind::Prevote,
                Step::Precommit => TimeoutKind::Precommit,
            };
            Input::TimeoutElapsed(Timeout::new(Round::new(round), kind))
        }
    })
}
