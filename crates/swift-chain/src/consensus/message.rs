//! What validators say to each other while they decide a block, signed.

use serde::{Deserialize, Serialize};

use crate::{
    block::Block,
    certificate::{Vote, VoteKind},
    encoding::{self, DecodeError},
    hash::{BlockHash, NetworkId},
    identity::{NodeId, NodeKey, Signature, Statement},
    limits::{BLOCK_LEN_MAX, CERTIFICATE_LEN_MAX, VALIDATORS_MAX},
    validators::ValidatorSet,
};

/// A validator proposes a block in a round that is its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// For which height.
    pub height: u64,
    /// In which round of that height, from 0.
    pub round: u32,
    /// Which block. Its creator may be another validator, when it was proposed before.
    pub block: BlockHash,
    /// The earlier round in which a quorum prevoted for it, if it was proposed before.
    pub valid_round: Option<u32>,
    /// By whom.
    pub proposer: NodeId,
}

impl Statement for Proposal {
    const TAG: &'static str = "swiftserve/proposal/1";
}

/// A [`Proposal`] and its proposer's signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedProposal {
    /// What is signed.
    pub proposal: Proposal,
    /// By the proposer.
    pub signature: Signature,
}

/// A [`Vote`] and its validator's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedVote {
    /// What is signed.
    pub vote: Vote,
    /// By the validator.
    pub signature: Signature,
}

impl SignedProposal {
    /// Signs a proposal.
    pub fn sign(key: &NodeKey, network: &NetworkId, proposal: Proposal) -> Self {
        let signature = key.sign(network, &proposal);
        Self { proposal, signature }
    }

    /// Whether the signature is the proposer's.
    pub fn verify(&self, network: &NetworkId) -> bool {
        self.proposal.proposer.verify(network, &self.proposal, &self.signature)
    }
}

impl SignedVote {
    /// Signs a vote.
    pub fn sign(key: &NodeKey, network: &NetworkId, vote: Vote) -> Self {
        Self { vote, signature: key.sign(network, &vote) }
    }

    /// Whether the signature is the validator's.
    pub fn verify(&self, network: &NetworkId) -> bool {
        self.vote.validator.verify(network, &self.vote, &self.signature)
    }
}

/// Prevotes of a quorum for one block in one round: who sees it may lock on that block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolkaCertificate {
    /// The height.
    pub height: u64,
    /// The round.
    pub round: u32,
    /// The block.
    pub block: BlockHash,
    /// Who prevoted.
    pub signatures: Vec<(NodeId, Signature)>,
}

/// Why a round may be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoundEnd {
    /// A quorum precommitted, not all of it for one block.
    Undecided,
    /// So many are in this later round that at least one honest validator is.
    Skipped,
}

/// Votes that show that validators have left a round, so that others follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundCertificate {
    /// The height.
    pub height: u64,
    /// The round of the votes.
    pub round: u32,
    /// What the votes show.
    pub end: RoundEnd,
    /// The votes: kind, block, who, signature.
    pub votes: Vec<(VoteKind, Option<BlockHash>, NodeId, Signature)>,
}

/// One message from a validator to the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConsensusMessage {
    /// A proposal, with the block beside it.
    Proposal(SignedProposal, Box<Block>),
    /// A vote.
    Vote(SignedVote),
    /// Why others should accept a block again.
    Polka(PolkaCertificate),
    /// Why others should enter a later round.
    Round(RoundCertificate),
}

impl ConsensusMessage {
    /// Bytes of the longest encoding.
    pub const LEN_MAX: usize =
        1024 + if BLOCK_LEN_MAX > CERTIFICATE_LEN_MAX { BLOCK_LEN_MAX } else { CERTIFICATE_LEN_MAX };

    /// Its canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        encoding::encode(self)
    }

    /// Reads canonical bytes. Nothing is checked but form and size.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let message: Self = encoding::decode("consensus message", bytes, Self::LEN_MAX)?;
        let len = match &message {
            Self::Proposal(..) | Self::Vote(_) => 0,
            Self::Polka(certificate) => certificate.signatures.len(),
            Self::Round(certificate) => certificate.votes.len(),
        };
        if len > VALIDATORS_MAX {
            return Err(DecodeError::TooLong { what: "certificate's list", len, len_max: VALIDATORS_MAX });
        }
        Ok(message)
    }

    /// The height it is about.
    pub fn height(&self) -> u64 {
        match self {
            Self::Proposal(signed, _) => signed.proposal.height,
            Self::Vote(signed) => signed.vote.height,
            Self::Polka(certificate) => certificate.height,
            Self::Round(certificate) => certificate.height,
        }
    }

    /// Whether it is a proposal or vote that one of `validators` signed: reason enough to begin a height.
    pub fn is_signed_by(&self, network: &NetworkId, validators: &ValidatorSet) -> bool {
        match self {
            Self::Proposal(signed, block) => {
                validators.weight(&signed.proposal.proposer) > 0
                    && block.header.hash() == signed.proposal.block
                    && signed.verify(network)
            }
            Self::Vote(signed) => validators.weight(&signed.vote.validator) > 0 && signed.verify(network),
            Self::Polka(_) | Self::Round(_) => false,
        }
    }
}

/// What a validator must remember of the height it is deciding, in the order in which it happened, so that after a
/// crash it says nothing that contradicts what it said before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WalEntry {
    /// A block that was found valid, to which the other entries refer by its hash.
    Block(Box<Block>),
    /// A block was judged as a proposal of a round.
    Value {
        /// In which round it was proposed.
        round: u32,
        /// The earlier round in which a quorum prevoted for it.
        valid_round: Option<u32>,
        /// By whom it was proposed.
        proposer: NodeId,
        /// Which.
        block: BlockHash,
        /// The verdict.
        is_valid: bool,
    },
    /// A proposal, its own or another's.
    Proposal(SignedProposal),
    /// A vote, its own or another's.
    Vote(SignedVote),
    /// A quorum's prevotes.
    Polka(PolkaCertificate),
    /// It waited long enough.
    Elapsed {
        /// For what.
        step: Step,
        /// In which round.
        round: u32,
    },
}

impl WalEntry {
    /// Bytes of the longest encoding.
    pub(crate) const LEN_MAX: usize = ConsensusMessage::LEN_MAX;
}

/// The three steps of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Step {
    /// Waiting for a proposal.
    Propose,
    /// Waiting for the prevotes to agree.
    Prevote,
    /// Waiting for the precommits to agree.
    Precommit,
}
