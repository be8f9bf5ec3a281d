//! Who decides: validators and their weights.

use serde::{Deserialize, Serialize};

use crate::{
    encoding,
    hash::{Hash, sha256},
    identity::NodeId,
    limits::{VALIDATOR_WEIGHT_MAX, VALIDATORS_MAX},
};

/// One validator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validator {
    /// Its key.
    pub node: NodeId,
    /// What its vote counts, from 1 to [`VALIDATOR_WEIGHT_MAX`].
    pub weight: u32,
}

/// The validators of one height, ordered by key, each once, with a weight above 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Validator>", into = "Vec<Validator>")]
pub struct ValidatorSet(Vec<Validator>);

/// A list that is no validator set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValidatorSetError {
    /// A weight of 0 or above [`VALIDATOR_WEIGHT_MAX`].
    #[error("a validator's weight is from 1 to {VALIDATOR_WEIGHT_MAX}")]
    Weight,
    /// Not ordered by key, or one key twice.
    #[error("validators must be in the order of their keys, each once")]
    Order,
    /// More than [`VALIDATORS_MAX`].
    #[error("a network has at most {VALIDATORS_MAX} validators")]
    TooMany,
}

impl ValidatorSet {
    /// The set of one validator with weight 1: how every network begins.
    pub fn sole(node: NodeId) -> Self {
        Self(vec![Validator { node, weight: 1 }])
    }

    /// The validators in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = &Validator> {
        self.0.iter()
    }

    /// Number of validators.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none; a network never gets there.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A node's entry.
    pub fn get(&self, node: &NodeId) -> Option<&Validator> {
        self.position(node).map(|at| &self.0[at])
    }

    /// Who proposes in a round of a height: they take turns.
    ///
    /// # Panics
    /// On the empty set, which no network has.
    pub(crate) fn proposer(&self, height: u64, round: u32) -> &Validator {
        let turn = height.wrapping_add(u64::from(round)) % self.0.len() as u64;
        // Below the length, so it fits.
        &self.0[usize::try_from(turn).unwrap_or(0)]
    }

    /// A node's weight, 0 when it is no validator.
    pub fn weight(&self, node: &NodeId) -> u32 {
        self.position(node).map_or(0, |at| self.0[at].weight)
    }

    /// Sum of all weights.
    pub fn total_weight(&self) -> u64 {
        self.0.iter().map(|validator| u64::from(validator.weight)).sum()
    }

    /// Whether `weight` is a quorum: more than two thirds of the total.
    pub fn is_quorum(&self, weight: u64) -> bool {
        // At most 128 * 10^6 in all: far from overflow.
        weight * 3 > self.total_weight() * 2
    }

    /// The set with `node`'s weight changed; 0 takes it out.
    pub fn with_weight(&self, node: NodeId, weight: u32) -> Result<Self, ValidatorSetError> {
        let mut validators = self.0.clone();
        match (validators.binary_search_by_key(&node, |validator| validator.node), weight) {
            (Ok(at), 0) => {
                validators.remove(at);
            }
            (Ok(at), _) => validators[at].weight = weight,
            (Err(_), 0) => {}
            (Err(at), _) => validators.insert(at, Validator { node, weight }),
        }
        Self::try_from(validators)
    }

    /// SHA-256 of a domain prefix and the set's canonical bytes, which headers carry.
    pub fn hash(&self) -> Hash {
        Hash::from_bytes(sha256(&[b"swiftserve/validators/1\0", &encoding::encode(&self.0)]))
    }

    fn position(&self, node: &NodeId) -> Option<usize> {
        self.0.binary_search_by_key(node, |validator| validator.node).ok()
    }
}

impl TryFrom<Vec<Validator>> for ValidatorSet {
    type Error = ValidatorSetError;

    fn try_from(validators: Vec<Validator>) -> Result<Self, ValidatorSetError> {
        if validators.len() > VALIDATORS_MAX {
            return Err(ValidatorSetError::TooMany);
        }
        if validators.iter().any(|validator| !(1..=VALIDATOR_WEIGHT_MAX).contains(&validator.weight)) {
            return Err(ValidatorSetError::Weight);
        }
        if !validators.is_sorted_by(|a, b| a.node < b.node) {
            return Err(ValidatorSetError::Order);
        }
        Ok(Self(validators))
    }
}

impl From<ValidatorSet> for Vec<Validator> {
    fn from(set: ValidatorSet) -> Self {
        set.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8) -> NodeId {
        NodeId::from_bytes([number; 32])
    }

    #[test]
    fn a_quorum_is_more_than_two_thirds_of_the_weight() {
        let mut set = ValidatorSet::sole(node(1));
        assert!(set.is_quorum(1) && !set.is_quorum(0));
        for other in 2..=4 {
            set = set.with_weight(node(other), 1).unwrap();
        }
        assert!(set.is_quorum(3) && !set.is_quorum(2));
        let three = ValidatorSet::sole(node(1)).with_weight(node(1), 2).unwrap();
        let three = three.with_weight(node(2), 1).unwrap().with_weight(node(3), 1).unwrap();
        assert!(three.is_quorum(3) && !three.is_quorum(2));
    }

    #[test]
    fn weights_and_order_are_checked_when_a_set_is_read() {
        let one = Validator { node: node(1), weight: 1 };
        let two = Validator { node: node(2), weight: 1 };
        assert_eq!(ValidatorSet::try_from(vec![two, one]), Err(ValidatorSetError::Order));
        assert_eq!(ValidatorSet::try_from(vec![one, one]), Err(ValidatorSetError::Order));
        let none = Validator { node: node(1), weight: 0 };
        assert_eq!(ValidatorSet::try_from(vec![none]), Err(ValidatorSetError::Weight));
        assert!(ValidatorSet::sole(node(1)).with_weight(node(1), VALIDATOR_WEIGHT_MAX + 1).is_err());
    }
}
