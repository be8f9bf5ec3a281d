//! The validators' signatures that make a block final.

use serde::{Deserialize, Serialize};

use crate::{
    encoding::{self, DecodeError},
    hash::{BlockHash, NetworkId},
    identity::{NodeId, NodeKey, Signature, Statement},
    limits::CERTIFICATE_LEN_MAX,
    validators::ValidatorSet,
};

/// Which of Tendermint's two votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VoteKind {
    /// The first: "this block is valid".
    Prevote,
    /// The second: "a quorum says so". A quorum of these is a certificate.
    Precommit,
}

/// What a validator signs. These bytes stay the same when more validators come, so old certificates keep their worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Which vote.
    pub kind: VoteKind,
    /// For which height.
    pub height: u64,
    /// In which round of that height, from 0.
    pub round: u32,
    /// For which block; none is a vote to go on to the next round.
    pub block: Option<BlockHash>,
    /// By whom.
    pub validator: NodeId,
}

impl Statement for Vote {
    const TAG: &'static str = "swiftserve/vote/1";
}

/// Precommits of a quorum for one block in one round. Stored beside the block, not inside its hash: different nodes may
/// hold different certificates of one block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The block's height.
    pub height: u64,
    /// The round that decided.
    pub round: u32,
    /// The block.
    pub block: BlockHash,
    /// Who signed, in the order of their keys.
    pub signatures: Vec<(NodeId, Signature)>,
}

/// Why a certificate does not make a block final.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It is for another block.
    #[error("the certificate is for block {block} at height {height}")]
    OtherBlock {
        /// The height it names.
        height: u64,
        /// The block it names.
        block: BlockHash,
    },
    /// One validator signs twice, or the signatures are not in the order of the keys.
    #[error("the certificate's signers are not in order, each once")]
    Order,
    /// A signer is no validator at this height.
    #[error("{0} signed the certificate but is no validator at this height")]
    NotAValidator(NodeId),
    /// A signature does not fit.
    #[error("the signature of validator {0} in the certificate is not its own")]
    Signature(NodeId),
    /// The signers are no quorum.
    #[error("the certificate has weight {weight} of {total}, more than two thirds are needed")]
    NoQuorum {
        /// Weight of those who signed.
        weight: u64,
        /// Weight of all.
        total: u64,
    },
}

impl Certificate {
    /// A sole validator's certificate.
    pub fn sign_alone(key: &NodeKey, network: &NetworkId, height: u64, block: BlockHash) -> Self {
        let kind = VoteKind::Precommit;
        let vote = Vote { kind, height, round: 0, block: Some(block), validator: key.id() };
        Self { height, round: 0, block, signatures: vec![(key.id(), key.sign(network, &vote))] }
    }

    /// Its canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        encoding::encode(self)
    }

    /// Reads canonical bytes. Nothing is checked but the form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        encoding::decode("certificate", bytes, CERTIFICATE_LEN_MAX)
    }

    /// Checks that a quorum of `validators` signed exactly this block.
    pub fn check(
        &self,
        network: &NetworkId,
        validators: &ValidatorSet,
        height: u64,
        block: BlockHash,
    ) -> Result<(), CertificateError> {
        if self.height != height || self.block != block {
            return Err(CertificateError::OtherBlock { height: self.height, block: self.block });
        }
        let mut last = None;
        let mut weight = 0;
        for (validator, signature) in &self.signatures {
            if last.replace(validator).is_some_and(|last| last >= validator) {
                return Err(CertificateError::Order);
            }
            let own = validators.weight(validator);
            if own == 0 {
                return Err(CertificateError::NotAValidator(*validator));
            }
            let kind = VoteKind::Precommit;
            let vote = Vote { kind, height, round: self.round, block: Some(block), validator: *validator };
            if !validator.verify(network, &vote, signature) {
                return Err(CertificateError::Signature(*validator));
            }
            weight += u64::from(own);
        }
        let total = validators.total_weight();
        if validators.is_quorum(weight) { Ok(()) } else { Err(CertificateError::NoQuorum { weight, total }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: NetworkId = NetworkId::from_bytes([3; 32]);
    const BLOCK: BlockHash = BlockHash::from_bytes([4; 32]);

    /// Four validators with weight 1 and a certificate that all of them signed.
    fn four() -> (ValidatorSet, Certificate) {
        let mut keys: Vec<_> = (1..=4).map(|number| NodeKey::from_seed([number; 32])).collect();
        keys.sort_by_key(NodeKey::id);
        let mut set = ValidatorSet::default();
        let mut signatures = Vec::new();
        for key in &keys {
            set = set.with_weight(key.id(), 1).unwrap();
            signatures.extend(Certificate::sign_alone(key, &NETWORK, 9, BLOCK).signatures);
        }
        (set, Certificate { height: 9, round: 0, block: BLOCK, signatures })
    }

    #[test]
    fn three_of_four_suffice_and_two_do_not() {
        let (set, mut certificate) = four();
        certificate.signatures.truncate(3);
        assert_eq!(certificate.check(&NETWORK, &set, 9, BLOCK), Ok(()));
        certificate.signatures.truncate(2);
        let error = CertificateError::NoQuorum { weight: 2, total: 4 };
        assert_eq!(certificate.check(&NETWORK, &set, 9, BLOCK), Err(error));
    }

    #[test]
    fn a_signature_counts_once_and_only_from_a_validator() {
        let (set, full) = four();
        let mut doubled = full.clone();
        doubled.signatures.insert(1, full.signatures[0]);
        assert_eq!(doubled.check(&NETWORK, &set, 9, BLOCK), Err(CertificateError::Order));
        let outsider = full.signatures[0].0;
        let smaller = set.with_weight(outsider, 0).unwrap();
        let error = CertificateError::NotAValidator(outsider);
        assert_eq!(full.check(&NETWORK, &smaller, 9, BLOCK), Err(error));
    }

    #[test]
    fn a_certificate_holds_for_its_block_height_round_and_network_only() {
        let (set, full) = four();
        let other = BlockHash::from_bytes([5; 32]);
        assert!(matches!(full.check(&NETWORK, &set, 9, other), Err(CertificateError::OtherBlock { .. })));
        assert!(matches!(full.check(&NETWORK, &set, 8, BLOCK), Err(CertificateError::OtherBlock { .. })));
        let elsewhere = NetworkId::from_bytes([6; 32]);
        assert!(matches!(full.check(&elsewhere, &set, 9, BLOCK), Err(CertificateError::Signature(_))));
        let later = Certificate { round: 1, ..full };
        assert!(matches!(later.check(&NETWORK, &set, 9, BLOCK), Err(CertificateError::Signature(_))));
    }
}
