//! Evidence convicts the guilty and nobody else.

use swift_chain::{Evidence, NetworkId, NodeId};

use super::{Checked, Checker, Violation};

/// Checks what an honest node has kept. `liar` is the only one who may be in it.
pub(crate) fn check_evidence(evidence: &Evidence, network: &NetworkId, liar: Option<NodeId>) -> Checked {
    if matches!(evidence, Evidence::Fork(_)) {
        let what = format!("a node holds proof that the network forked at height {}", evidence.height());
        return Err(Violation::new(Checker::Agreement, what));
    }
    let broken = |what: String| Violation::new(Checker::Evidence, what);
    let again = Evidence::from_bytes(&evidence.to_bytes());
    let again = again.map_err(|error| broken(format!("it does not read back: {error}")))?;
    again.verify(network).map_err(|error| broken(format!("it does not verify: {error}")))?;
    let offenders = again.offenders();
    if offenders.is_empty() || offenders.iter().any(|node| Some(*node) != liar) {
        let names: Vec<_> = offenders.iter().map(NodeId::short).collect();
        return Err(broken(format!("it names {names:?}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use swift_chain::{BlockHash, Vote, VoteKind, consensus::SignedVote};

    use super::*;
    use crate::ledger::checkers::made_up::{NETWORK, key};

    fn vote(signer: u8, block: Option<u8>) -> SignedVote {
        let block = block.map(|number| BlockHash::from_bytes([number; 32]));
        let vote = Vote { kind: VoteKind::Prevote, height: 1, round: 0, block, validator: key(4).id() };
        SignedVote::sign(&key(signer), &NETWORK, vote)
    }

    #[test]
    fn two_votes_of_the_liar_convict_it_and_only_it() {
        let evidence = Evidence::DoubleVote { first: vote(4, None), second: vote(4, Some(1)) };
        assert_eq!(check_evidence(&evidence, &NETWORK, Some(key(4).id())), Ok(()));
        for liar in [None, Some(key(5).id())] {
            let error = check_evidence(&evidence, &NETWORK, liar).unwrap_err();
            assert_eq!(error.checker, Checker::Evidence);
        }
    }

    #[test]
    fn evidence_that_proves_nothing_is_noticed() {
        let liar = Some(key(4).id());
        let forged = Evidence::DoubleVote { first: vote(4, None), second: vote(9, Some(1)) };
        assert!(check_evidence(&forged, &NETWORK, liar).is_err());
        let same = Evidence::DoubleVote { first: vote(4, None), second: vote(4, None) };
        assert!(check_evidence(&same, &NETWORK, liar).is_err());
    }
}
