//! Blocks that nobody decided, for those who ask.

use swift_chain::{Certificate, Head, LedgerStore, MemoryLedger, NodeKey, SealedBlock, draft_block};

use super::liar::Liar;
use crate::dice::Dice;

/// Blocks from a height on that are not what they claim to be. None when there is nothing to make them of.
///
/// The forger has a member's key, and the key of the equivocating validator if there is one: they work together.
pub(crate) fn forge(
    dice: &mut Dice,
    ledger: &MemoryLedger,
    key: &NodeKey,
    liar: Option<&Liar>,
    from_height: u64,
) -> Vec<SealedBlock> {
    let from = usize::try_from(from_height.saturating_sub(1)).unwrap_or(usize::MAX);
    let mut genuine = ledger.blocks().get(from..).unwrap_or_default().to_vec();
    genuine.truncate(4);
    let Ok(head) = ledger.head() else { return Vec::new() };
    if from_height == head.height + 1 {
        return invent(dice, ledger, liar.map_or(key, Liar::key), &head).into_iter().collect();
    }
    let Some(block) = genuine.first_mut() else { return Vec::new() };
    let certificate = &mut block.certificate;
    match dice.index(6) {
        0 => certificate.signatures.clear(),
        1 => drop(certificate.signatures.pop()),
        2 => {
            let own = Certificate::sign_alone(key, &ledger.network(), certificate.height, certificate.block);
            certificate.signatures.extend(own.signatures);
            certificate.signatures.sort_by_key(|(node, _)| *node);
        }
        3 => certificate.round += 1,
        4 => drop(block.block.transactions.pop()),
        _ => drop(genuine.remove(0)),
    }
    genuine
}

/// A block on top of all, right in everything but its certificate: that has one signature, or more that are copies of
/// it.
fn invent(dice: &mut Dice, ledger: &MemoryLedger, key: &NodeKey, head: &Head) -> Option<SealedBlock> {
    let (network, state) = (ledger.network(), ledger.state());
    let draft = draft_block(key, &network, state, head, head.time_ms + 1 + u64::from(dice.number(0, 50)), []);
    let block = draft.ok()?.block.block().clone();
    let mut certificate = Certificate::sign_alone(key, &network, block.header.height, block.header.hash());
    if dice.chance(500) {
        let (_, signature) = certificate.signatures[0];
        let validators = ledger.validators().ok()?;
        certificate.signatures = validators.iter().map(|one| (one.node, signature)).collect();
    }
    Some(SealedBlock { block, certificate })
}
