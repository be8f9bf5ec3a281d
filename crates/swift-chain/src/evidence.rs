//! Proof that validators broke the protocol: they signed what excludes each other.
//!
//! Two different votes or proposals of one validator in one step are a crime whatever else happened, and two signatures
//! prove it. Two final blocks at one height prove that validators of more than a third of the weight did so.

use serde::{Deserialize, Serialize};

use crate::{
    block::Header,
    certificate::{Certificate, CertificateError},
    consensus::{SignedProposal, SignedVote},
    encoding::{self, DecodeError},
    hash::{Hash, NetworkId, sha256},
    identity::NodeId,
    limits::EVIDENCE_LEN_MAX,
    validators::ValidatorSet,
};

/// What some validators did. Self-contained: [`Evidence::verify`] needs nothing but the network's id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Evidence {
    /// Two votes of one validator in one step.
    DoubleVote {
        /// The one that came first.
        first: SignedVote,
        /// The other.
        second: SignedVote,
    },
    /// Two proposals of one validator in one round.
    DoubleProposal {
        /// The one that came first.
        first: SignedProposal,
        /// The other.
        second: SignedProposal,
    },
    /// Two final blocks at one height.
    Fork(Box<Fork>),
}

/// Two final blocks that follow the same block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    /// The validators of their height.
    pub validators: ValidatorSet,
    /// The block that is in this ledger.
    pub first: (Header, Certificate),
    /// The other.
    pub second: (Header, Certificate),
}

/// Why something is no evidence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// The two are the same, or of different validators, heights, rounds or steps: nothing excludes the other.
    #[error("the two statements do not contradict each other")]
    NoContradiction,
    /// A signature does not fit.
    #[error("a signature is not that of {0}")]
    Signature(NodeId),
    /// One of the two blocks is not final.
    #[error("one of the two blocks is not final: {0}")]
    NotFinal(#[from] CertificateError),
}

/// Bytes that are no file of evidence, or one that proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceFileError {
    /// It does not begin like one.
    #[error("this is no file of evidence against validators, or of a newer program")]
    NoEvidence,
    /// What is in it is no evidence.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It proves nothing.
    #[error(transparent)]
    Proof(#[from] EvidenceError),
}

/// How a file of evidence begins: a name and the version of the format.
const FILE_MARK: &[u8] = b"swevid\x01\x00";

impl Evidence {
    /// Bytes of the longest file.
    pub const FILE_LEN_MAX: usize = EVIDENCE_LEN_MAX + 64;

    /// The height at which it happened.
    pub fn height(&self) -> u64 {
        match self {
            Self::DoubleVote { first, .. } => first.vote.height,
            Self::DoubleProposal { first, .. } => first.proposal.height,
            Self::Fork(fork) => fork.first.0.height,
        }
    }

    /// Who did it. For a fork: who signed for both blocks; when they did so in different rounds, no single pair of
    /// signatures convicts one of them.
    pub fn offenders(&self) -> Vec<NodeId> {
        match self {
            Self::DoubleVote { first, .. } => vec![first.vote.validator],
            Self::DoubleProposal { first, .. } => vec![first.proposal.proposer],
            Self::Fork(fork) => {
                let second = &fork.second.1.signatures;
                let signed_both = fork.first.1.signatures.iter().map(|(node, _)| *node);
                signed_both.filter(|node| second.iter().any(|(other, _)| other == node)).collect()
            }
        }
    }

    /// Names it: the same whichever of the two came first.
    pub fn id(&self) -> Hash {
        let (mut one, mut two) = match self {
            Self::DoubleVote { first, second } => (encoding::encode(first), encoding::encode(second)),
            Self::DoubleProposal { first, second } => (encoding::encode(first), encoding::encode(second)),
            Self::Fork(fork) => (encoding::encode(&fork.first.0), encoding::encode(&fork.second.0)),
        };
        if one > two {
            std::mem::swap(&mut one, &mut two);
        }
        Hash::from_bytes(sha256(&[b"swiftserve/evidence/1\0", &one, &two]))
    }

    /// Checks that the statements contradict each other and are signed by whom they name. That these were validators at
    /// that height is for the chain to say; for a fork, that `validators` were.
    pub fn verify(&self, network: &NetworkId) -> Result<(), EvidenceError> {
        match self {
            Self::DoubleVote { first, second } => {
                let (a, b) = (&first.vote, &second.vote);
                let is_one_step =
                    (a.kind, a.height, a.round, a.validator) == (b.kind, b.height, b.round, b.validator);
                if !is_one_step || a.block == b.block {
                    return Err(EvidenceError::NoContradiction);
                }
                let are_signed = first.verify(network) && second.verify(network);
                if are_signed { Ok(()) } else { Err(EvidenceError::Signature(a.validator)) }
            }
            Self::DoubleProposal { first, second } => {
                let (a, b) = (&first.proposal, &second.proposal);
                if (a.height, a.round, a.proposer) != (b.height, b.round, b.proposer) || a == b {
                    return Err(EvidenceError::NoContradiction);
                }
                let are_signed = first.verify(network) && second.verify(network);
                if are_signed { Ok(()) } else { Err(EvidenceError::Signature(a.proposer)) }
            }
            Self::Fork(fork) => {
                let (first, second) = (&fork.first, &fork.second);
                let (a, b) = (first.0.hash(), second.0.hash());
                if first.0.height != second.0.height || a == b {
                    return Err(EvidenceError::NoContradiction);
                }
                first.1.check(network, &fork.validators, first.0.height, a)?;
                Ok(second.1.check(network, &fork.validators, second.0.height, b)?)
            }
        }
    }

    /// What it is, for people: `double vote`, `double proposal` or `fork`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::DoubleVote { .. } => "double vote",
            Self::DoubleProposal { .. } => "double proposal",
            Self::Fork(_) => "fork",
        }
    }

    /// The bytes of a file that proves it to anybody: a mark, the network, and the evidence.
    pub fn to_file(&self, network: &NetworkId) -> Vec<u8> {
        [FILE_MARK, network.as_bytes().as_slice(), &self.to_bytes()].concat()
    }

    /// Reads and verifies such a file.
    pub fn from_file(bytes: &[u8]) -> Result<(NetworkId, Self), EvidenceFileError> {
        let rest = bytes.strip_prefix(FILE_MARK).ok_or(EvidenceFileError::NoEvidence)?;
        let (network, content) = rest.split_first_chunk::<32>().ok_or(EvidenceFileError::NoEvidence)?;
        let (network, evidence) = (NetworkId::from_bytes(*network), Self::from_bytes(content)?);
        evidence.verify(&network)?;
        Ok((network, evidence))
    }

    /// Its canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        encoding::encode(self)
    }

    /// Reads canonical bytes. Nothing is checked but form and size.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        encoding::decode("evidence", bytes, EVIDENCE_LEN_MAX)
    }
}
