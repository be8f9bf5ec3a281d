//! Every block is signed by a quorum of those who validate its height, counted here once more.

use std::collections::{BTreeMap, BTreeSet};

use swift_chain::{NetworkId, NodeId, SealedBlock, Vote, VoteKind};

use super::{Checked, Checker, Violation, weights::Weights};
use crate::ledger::message::short;

/// Checks chains; a certificate that was found good once is not checked again.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    good: BTreeSet<Vec<u8>>,
}

impl Certificates {
    /// Checks a node's chain, from block 1 on.
    pub(crate) fn check(
        &mut self,
        node: usize,
        network: &NetworkId,
        founder: NodeId,
        chain: &[SealedBlock],
    ) -> Checked {
        let mut weights = Weights::first(founder);
        for (height, sealed) in (1..).zip(chain) {
            self.check_one(network, &weights, height, sealed).map_err(|reason| {
                let what = format!("block {height} on node {node}: {reason}");
                Violation::new(Checker::Certificates, what)
            })?;
            weights.pass(sealed);
        }
        Ok(())
    }

    fn check_one(
        &mut self,
        network: &NetworkId,
        weights: &Weights,
        height: u64,
        sealed: &SealedBlock,
    ) -> Result<(), String> {
        let (certificate, hash) = (&sealed.certificate, sealed.block.header.hash());
        if (certificate.height, certificate.block) != (height, hash) {
            return Err(format!(
                "its certificate is for {} at {}",
                short(&certificate.block),
                certificate.height
            ));
        }
        let mut signed = BTreeMap::new();
        for (validator, _) in &certificate.signatures {
            let Some(weight) = weights.of(validator) else {
                return Err(format!("{} signed it and is no validator", validator.short()));
            };
            if signed.insert(*validator, weight).is_some() {
                return Err(format!("{} signed it twice", validator.short()));
            }
        }
        let (weight, total) = (signed.values().sum::<u64>(), weights.total());
        if weight * 3 <= total * 2 {
            return Err(format!("its certificate has weight {weight} of {total}"));
        }
        let bytes = certificate.to_bytes();
        if self.good.contains(&bytes) {
            return Ok(());
        }
        for (validator, signature) in &certificate.signatures {
            let (kind, round) = (VoteKind::Precommit, certificate.round);
            let vote = Vote { kind, height, round, block: Some(hash), validator: *validator };
            if !validator.verify(network, &vote, signature) {
                return Err(format!("the signature of {} is not its own", validator.short()));
            }
        }
        self.good.insert(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::checkers::made_up::{NETWORK, block, key, weigh};

    /// Block 1 makes validators of 2, 3 and 4; the rest is what the test says.
    fn verdict(rest: &[SealedBlock]) -> Checked {
        let changes = (2..=4).map(|node| weigh(1, u64::from(node), node, 1)).collect();
        let mut chain = vec![block(1, changes, &[1])];
        chain.extend_from_slice(rest);
        Certificates::default().check(0, &NETWORK, key(1).id(), &chain)
    }

    #[test]
    fn a_quorum_of_the_validators_of_the_height_is_enough() {
        let demotion = vec![weigh(1, 9, 4, 0)];
        assert_eq!(verdict(&[block(2, demotion, &[1, 2, 4]), block(3, Vec::new(), &[1, 2, 3])]), Ok(()));
    }

    #[test]
    fn half_of_the_weight_is_noticed() {
        let error = verdict(&[block(2, Vec::new(), &[1, 2])]).unwrap_err();
        assert_eq!(error.checker, Checker::Certificates);
        assert!(error.what.contains("weight 2 of 4"), "{error}");
    }

    #[test]
    fn former_validators_forged_signatures_and_other_blocks_are_noticed() {
        let demotion = vec![weigh(1, 9, 4, 0)];
        assert!(verdict(&[block(2, demotion, &[1, 2, 3]), block(3, Vec::new(), &[1, 2, 4])]).is_err());
        let mut forged = block(2, Vec::new(), &[1, 2, 3]);
        let other = forged.certificate.signatures[0].1;
        forged.certificate.signatures[1].1 = other;
        assert!(verdict(&[forged]).is_err());
        let mut swapped = block(2, Vec::new(), &[1, 2, 3]);
        swapped.block.header.time_ms += 1;
        assert!(verdict(&[swapped]).is_err());
    }
}
