//! The engine's types, which are this crate's own wherever they fit, and the way from one to the other.

use std::fmt;

use malachite_types::{
    self as types, Context, LinearTimeouts, NilOrVal, PolkaSignature, Round, RoundCertificateType,
    RoundSignature, SignedExtension, SignedMessage, SigningScheme, VoteType,
};

use crate::{
    certificate::{Certificate, Vote, VoteKind},
    consensus::message::{
        PolkaCertificate, Proposal, RoundCertificate, RoundEnd, SignedProposal, SignedVote,
    },
    hash::BlockHash,
    identity::{NodeId, Signature},
    validators::{Validator, ValidatorSet},
};

/// Names all of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Swift;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Height(pub(super) u64);

/// A [`Vote`] in the engine's words; both hold the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EngineVote {
    pub(super) kind: VoteType,
    pub(super) height: Height,
    pub(super) round: Round,
    pub(super) value: NilOrVal<BlockHash>,
    pub(super) validator: NodeId,
}

/// Never made: blocks do not travel in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ed25519;

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl types::Height for Height {
    const ZERO: Self = Self(0);
    const INITIAL: Self = Self(1);

    fn increment_by(&self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }

    fn decrement_by(&self, count: u64) -> Option<Self> {
        self.0.checked_sub(count).map(Self)
    }

    fn as_u64(&self) -> u64 {
        self.0
    }
}

impl types::Address for NodeId {}

impl types::Value for BlockHash {
    type Id = Self;

    fn id(&self) -> Self {
        *self
    }
}

impl types::Validator<Swift> for Validator {
    fn address(&self) -> &NodeId {
        &self.node
    }

    fn public_key(&self) -> &NodeId {
        &self.node
    }

    fn voting_power(&self) -> u64 {
        u64::from(self.weight)
    }
}

impl types::ValidatorSet<Swift> for ValidatorSet {
    fn count(&self) -> usize {
        self.len()
    }

    fn total_voting_power(&self) -> u64 {
        self.total_weight()
    }

    fn get_by_address(&self, address: &NodeId) -> Option<&Validator> {
        self.get(address)
    }

    fn get_by_index(&self, index: usize) -> Option<&Validator> {
        self.iter().nth(index)
    }
}

impl types::Proposal<Swift> for Proposal {
    fn height(&self) -> Height {
        Height(self.height)
    }

    fn round(&self) -> Round {
        Round::new(self.round)
    }

    fn value(&self) -> &BlockHash {
        &self.block
    }

    fn take_value(self) -> BlockHash {
        self.block
    }

    fn pol_round(&self) -> Round {
        to_round(self.valid_round)
    }

    fn validator_address(&self) -> &NodeId {
        &self.proposer
    }
}

impl types::ProposalPart<Swift> for Part {
    fn is_first(&self) -> bool {
        match *self {}
    }

    fn is_last(&self) -> bool {
        match *self {}
    }
}

impl types::Vote<Swift> for EngineVote {
    fn height(&self) -> Height {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &NilOrVal<BlockHash> {
        &self.value
    }

    fn take_value(self) -> NilOrVal<BlockHash> {
        self.value
    }

    fn vote_type(&self) -> VoteType {
        self.kind
    }

    fn validator_address(&self) -> &NodeId {
        &self.validator
    }

    fn extension(&self) -> Option<&SignedExtension<Swift>> {
        None
    }

    fn take_extension(&mut self) -> Option<SignedExtension<Swift>> {
        None
    }

    fn extend(self, _: SignedExtension<Swift>) -> Self {
        self
    }
}

impl SigningScheme for Ed25519 {
    type DecodingError = &'static str;
    type Signature = Signature;
    type PublicKey = NodeId;
    type PrivateKey = ();

    fn decode_signature(bytes: &[u8]) -> Result<Signature, &'static str> {
        bytes.try_into().map(Signature::from_bytes).map_err(|_| "a signature has 64 bytes")
    }

    fn encode_signature(signature: &Signature) -> Vec<u8> {
        signature.as_bytes().to_vec()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<NodeId, &'static str> {
        bytes.try_into().map(NodeId::from_bytes).map_err(|_| "a key has 32 bytes")
    }

    fn encode_public_key(key: &NodeId) -> Vec<u8> {
        key.as_bytes().to_vec()
    }
}

impl Context for Swift {
    type Address = NodeId;
    type Height = Height;
    type ProposalPart = Part;
    type Proposal = Proposal;
    type Validator = Validator;
    type ValidatorSet = ValidatorSet;
    type Timeouts = LinearTimeouts;
    type Value = BlockHash;
    type Vote = EngineVote;
    type Extension = ();
    type SigningScheme = Ed25519;

    fn select_proposer<'a>(&self, set: &'a ValidatorSet, height: Height, round: Round) -> &'a Validator {
        set.proposer(height.0, round.as_u32().unwrap_or(0))
    }

    fn new_proposal(
        &self,
        height: Height,
        round: Round,
        block: BlockHash,
        pol_round: Round,
        proposer: NodeId,
    ) -> Proposal {
        let (round, valid_round) = (round.as_u32().unwrap_or(0), pol_round.as_u32());
        Proposal { height: height.0, round, block, valid_round, proposer }
    }

    fn new_prevote(
        &self,
        height: Height,
        round: Round,
        value: NilOrVal<BlockHash>,
        validator: NodeId,
    ) -> EngineVote {
        EngineVote { kind: VoteType::Prevote, height, round, value, validator }
    }

    fn new_precommit(
        &self,
        height: Height,
        round: Round,
        value: NilOrVal<BlockHash>,
        validator: NodeId,
    ) -> EngineVote {
        EngineVote { kind: VoteType::Precommit, height, round, value, validator }
    }
}

pub(super) fn to_round(round: Option<u32>) -> Round {
    round.map_or(Round::Nil, Round::new)
}

pub(super) fn to_kind(kind: VoteKind) -> VoteType {
    match kind {
        VoteKind::Prevote => VoteType::Prevote,
        VoteKind::Precommit => VoteType::Precommit,
    }
}

pub(super) fn of_kind(kind: VoteType) -> VoteKind {
    match kind {
        VoteType::Prevote => VoteKind::Prevote,
        VoteType::Precommit => VoteKind::Precommit,
    }
}

pub(super) fn to_value(block: Option<BlockHash>) -> NilOrVal<BlockHash> {
    block.map_or(NilOrVal::Nil, NilOrVal::Val)
}

pub(super) fn of_value(value: NilOrVal<BlockHash>) -> Option<BlockHash> {
    match value {
        NilOrVal::Nil => None,
        NilOrVal::Val(block) => Some(block),
    }
}

pub(super) fn to_vote(signed: &SignedVote) -> SignedMessage<Swift, EngineVote> {
    let Vote { kind, height, round, block, validator } = signed.vote;
    let (kind, height, round) = (to_kind(kind), Height(height), Round::new(round));
    let vote = EngineVote { kind, height, round, value: to_value(block), validator };
    SignedMessage::new(vote, signed.signature)
}

pub(super) fn of_vote(vote: &EngineVote) -> Vote {
    let EngineVote { kind, height, round, value, validator } = *vote;
    let (kind, round) = (of_kind(kind), round.as_u32().unwrap_or(0));
    Vote { kind, height: height.0, round, block: of_value(value), validator }
}

pub(super) fn of_signed_vote(signed: &SignedMessage<Swift, EngineVote>) -> SignedVote {
    SignedVote { vote: of_vote(&signed.message), signature: signed.signature }
}

pub(super) fn of_signed_proposal(signed: SignedMessage<Swift, Proposal>) -> SignedProposal {
    SignedProposal { proposal: signed.message, signature: signed.signature }
}

pub(super) fn to_polka(certificate: PolkaCertificate) -> types::PolkaCertificate<Swift> {
    let PolkaCertificate { height, round, block, signatures } = certificate;
    let polka_signatures =
        signatures.into_iter().map(|(node, signature)| PolkaSignature::new(node, signature)).collect();
    let (height, round) = (Height(height), Round::new(round));
    types::PolkaCertificate { height, round, value_id: block, polka_signatures }
}

pub(super) fn of_polka(certificate: &types::PolkaCertificate<Swift>) -> PolkaCertificate {
    let signatures = certificate.polka_signatures.iter().map(|one| (one.address, one.signature)).collect();
    PolkaCertificate {
        height: certificate.height.0,
        round: certificate.round.as_u32().unwrap_or(0),
        block: certificate.value_id,
        signatures,
    }
}

pub(super) fn to_round_certificate(certificate: RoundCertificate) -> types::RoundCertificate<Swift> {
    let RoundCertificate { height, round, end, votes } = certificate;
    let signature =
        |(kind, block, node, signature)| RoundSignature::new(to_kind(kind), to_value(block), node, signature);
    types::RoundCertificate {
        height: Height(height),
        round: Round::new(round),
        cert_type: match end {
            RoundEnd::Undecided => RoundCertificateType::Precommit,
            RoundEnd::Skipped => RoundCertificateType::Skip,
        },
        round_signatures: votes.into_iter().map(signature).collect(),
    }
}

pub(super) fn of_round_certificate(certificate: &types::RoundCertificate<Swift>) -> RoundCertificate {
    let vote = |one: &RoundSignature<Swift>| {
        (of_kind(one.vote_type), of_value(one.value_id), one.address, one.signature)
    };
    RoundCertificate {
        height: certificate.height.0,
        round: certificate.round.as_u32().unwrap_or(0),
        end: match certificate.cert_type {
            RoundCertificateType::Precommit => RoundEnd::Undecided,
            RoundCertificateType::Skip => RoundEnd::Skipped,
        },
        votes: certificate.round_signatures.iter().map(vote).collect(),
    }
}

pub(super) fn of_commit(certificate: &types::CommitCertificate<Swift>) -> Certificate {
    let mut signatures: Vec<_> =
        certificate.commit_signatures.iter().map(|one| (one.address, one.signature)).collect();
    signatures.sort_by_key(|(node, _)| *node);
    Certificate {
        height: certificate.height.0,
        round: certificate.round.as_u32().unwrap_or(0),
        block: certificate.value_id,
        signatures,
    }
}
