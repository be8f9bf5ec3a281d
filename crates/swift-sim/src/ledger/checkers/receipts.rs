//! That a transaction is final can be shown to somebody who has nothing but the network's id.

use swift_chain::{
    Expectation, Genesis, LedgerStore, MemoryLedger, MerklePath, NetworkId, Receipt, SealedBlock,
    SignedTransaction, ValidatorChange,
};

use super::{Checked, Checker, Violation};

/// Makes a receipt of one transaction, number `index` of the block at `height`, and reads it as a stranger would.
pub(crate) fn check_receipt(
    genesis: &Genesis,
    ledger: &MemoryLedger,
    height: u64,
    index: usize,
) -> Checked<Receipt> {
    let broken = |what: String| {
        let what = format!("transaction {index} of block {height} is final and cannot be proved: {what}");
        Violation::new(Checker::Receipts, what)
    };
    let receipt = make(genesis, ledger, height, index).map_err(broken)?;
    let again = Receipt::from_bytes(&receipt.to_bytes()).map_err(|error| broken(error.to_string()))?;
    let expected = Expectation { network: Some(genesis.id()), checkpoint: None };
    let proven = again.verify(&expected).map_err(|error| broken(error.to_string()))?;
    let block = proven.block == receipt.header.hash() && proven.height == height;
    if !block || proven.transaction != receipt.transaction.id() {
        return Err(broken("the receipt proves something else".to_owned()));
    }
    let other = Expectation { network: Some(NetworkId::from_bytes([0; 32])), checkpoint: None };
    if again.verify(&other).is_ok() {
        return Err(broken("the receipt holds in any network".to_owned()));
    }
    Ok(receipt)
}

/// All changes of the validators below the block, and the way from the transaction to the block's root.
fn make(genesis: &Genesis, ledger: &MemoryLedger, height: u64, index: usize) -> Result<Receipt, String> {
    let mut changes = Vec::new();
    let mut before = ledger.validators_at(1).map_err(|error| error.to_string())?;
    for sealed in ledger.blocks().iter().take_while(|sealed| sealed.block.header.height < height) {
        let header = sealed.block.header.clone();
        let validators = ledger.validators_at(header.height + 1).map_err(|error| error.to_string())?;
        if validators != before {
            before = validators.clone();
            changes.push(ValidatorChange { header, certificate: sealed.certificate.clone(), validators });
        }
    }
    let sealed = ledger.block(height).map_err(|error| error.to_string())?;
    let SealedBlock { block, certificate } = sealed.ok_or("there is no such block")?;
    let leaves: Vec<_> = block.transactions.iter().map(SignedTransaction::to_bytes).collect();
    let path = MerklePath::of(leaves.iter().map(Vec::as_slice), u32::try_from(index).unwrap_or(u32::MAX));
    let (Some(path), Some(transaction)) = (path, block.transactions.get(index).cloned()) else {
        return Err("there is no such transaction".to_owned());
    };
    Ok(Receipt { genesis: genesis.clone(), changes, header: block.header, certificate, transaction, path })
}

#[cfg(test)]
mod tests {
    use swift_chain::{Action, GenesisBody, Input, NodeChange, Now, Replica, RequestId};

    use super::*;
    use crate::ledger::checkers::made_up::{genesis, key};

    /// Two blocks of the founder alone; the first gives it another weight.
    fn ledger(genesis: &Genesis) -> MemoryLedger {
        let mut replica = Replica::new(key(1), MemoryLedger::new(genesis)).unwrap();
        let changes = [NodeChange::ValidatorWeight(2), NodeChange::Address("10.0.0.1:9000".parse().unwrap())];
        for (number, change) in (1..).zip(changes) {
            let action = Action::UpdateNode { node: key(1).id(), change };
            let submit = Input::Submit { request: RequestId(number), action, on_behalf_of: None };
            replica.step(Now::at_ms(1000 * number), vec![submit]).unwrap();
        }
        replica.into_store()
    }

    #[test]
    fn what_is_final_is_proved_through_the_changes_of_the_validators() {
        let genesis = Genesis::sign(&key(1), genesis());
        let receipt = check_receipt(&genesis, &ledger(&genesis), 2, 0).unwrap();
        assert_eq!((receipt.header.height, receipt.changes.len()), (2, 1));
    }

    #[test]
    fn what_no_receipt_proves_is_noticed() {
        let genesis = Genesis::sign(&key(1), genesis());
        let other = Genesis::sign(&key(2), GenesisBody { founder: key(2).id(), ..genesis.body().clone() });
        for error in [
            check_receipt(&other, &ledger(&genesis), 1, 0).unwrap_err(),
            check_receipt(&genesis, &ledger(&genesis), 3, 0).unwrap_err(),
        ] {
            assert_eq!(error.checker, Checker::Receipts);
        }
    }
}
