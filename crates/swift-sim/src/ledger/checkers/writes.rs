//! What clients were told holds: acknowledged means in the chain, refused means not.

use std::collections::BTreeMap;

use swift_chain::{
    Action, GenesisBody, NodeChange, NodeId, Role, SealedBlock, Settled, SignedTransaction, TransactionId,
};

use super::{Checked, Checker, Violation};
use crate::ledger::message::short;

#[derive(Clone, Debug)]
struct Promise {
    author: NodeId,
    action: Action,
    settled: Settled,
}

/// All that honest nodes told their clients.
#[derive(Debug)]
pub(crate) struct Writes {
    genesis: GenesisBody,
    promises: Vec<Promise>,
    /// What left its author's node, by author.
    sent: BTreeMap<NodeId, Vec<(Action, TransactionId)>>,
    /// Transactions whose clients were told that nothing came of them, and what they were told.
    refused: BTreeMap<TransactionId, String>,
}

impl Writes {
    pub(crate) fn new(genesis: GenesisBody) -> Self {
        let (promises, sent, refused) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Self { genesis, promises, sent, refused }
    }

    /// An honest node lets others see a transaction of its own.
    pub(crate) fn sends(&mut self, signed: &SignedTransaction) {
        let sent = self.sent.entry(signed.transaction.author).or_default();
        let id = signed.id();
        if sent.iter().all(|(_, known)| *known != id) {
            sent.push((signed.transaction.action.clone(), id));
        }
    }

    /// A node goes on with an older copy of its disk. What it has sent since it does not know, and cannot take back.
    pub(crate) fn forgets(&mut self, author: &NodeId) {
        self.sent.remove(author);
    }

    /// A node told a client that its write is final.
    pub(crate) fn accepts(&mut self, author: NodeId, action: Action, settled: Settled) {
        self.promises.push(Promise { author, action, settled });
    }

    /// A node told a client that its write will not be. `chain` is what the node had then.
    pub(crate) fn refuses(&mut self, author: NodeId, action: &Action, reason: &str, chain: &[SealedBlock]) {
        let sent = self.sent.get(&author).into_iter().flatten();
        let sent: Vec<_> = sent.filter(|(sent, _)| sent == action).map(|(_, id)| *id).collect();
        if sent.is_empty() {
            return;
        }
        let transactions = chain.iter().flat_map(|sealed| &sealed.block.transactions);
        let own = transactions.filter(|signed| signed.transaction.author == author);
        let final_ids: Vec<_> = own.map(SignedTransaction::id).collect();
        for id in sent.into_iter().filter(|id| !final_ids.contains(id)) {
            self.refused.insert(id, reason.to_owned());
        }
    }

    /// Whether the chain keeps every word.
    pub(crate) fn check(&self, chain: &[SealedBlock]) -> Checked {
        let mut heights = BTreeMap::new();
        for sealed in chain {
            let height = sealed.block.header.height;
            for signed in &sealed.block.transactions {
                let id = signed.id();
                if let Some(reason) = self.refused.get(&id) {
                    let what = format!(
                        "block {height} has transaction {} by {}, of which its client was told: {reason}",
                        short(&id),
                        signed.transaction.author.short()
                    );
                    return Err(Violation::new(Checker::Refused, what));
                }
                if let Some(before) = heights.insert(id, height) {
                    let what = format!("transaction {} is in block {before} and {height}", short(&id));
                    return Err(Violation::new(Checker::Acknowledged, what));
                }
            }
        }
        self.promises.iter().try_for_each(|promise| promise.check(&self.genesis, chain, &heights))
    }
}

impl Promise {
    fn check(
        &self,
        genesis: &GenesisBody,
        chain: &[SealedBlock],
        heights: &BTreeMap<TransactionId, u64>,
    ) -> Checked {
        let Settled { height, transaction } = self.settled;
        let is_kept = match transaction {
            Some(id) => heights.get(&id) == Some(&height),
            None => self.is_true_at(genesis, chain, height),
        };
        if is_kept {
            return Ok(());
        }
        let what = format!(
            "{} acknowledged {:?} with {:?}, and it is not so",
            self.author.short(),
            self.action,
            self.settled
        );
        Err(Violation::new(Checker::Acknowledged, what))
    }

    /// Whether what was asked for was so already, as the node said.
    fn is_true_at(&self, genesis: &GenesisBody, chain: &[SealedBlock], height: u64) -> bool {
        let until = chain.iter().take_while(|sealed| sealed.block.header.height <= height);
        let mut transactions = until.flat_map(|sealed| {
            let height = sealed.block.header.height;
            sealed.block.transactions.iter().map(move |signed| (height, &signed.transaction))
        });
        match &self.action {
            Action::AddFile { file, .. } => transactions.any(|(at, transaction)| {
                let is_same = matches!(&transaction.action, Action::AddFile { file: own, .. } if own == file);
                at == height && transaction.author == self.author && is_same
            }),
            Action::UpdateNode { node, change } => {
                let last =
                    transactions.filter_map(|(_, transaction)| latest(&transaction.action, *node, change));
                let is_founder = *node == genesis.founder;
                last.last().map_or_else(
                    || match change {
                        NodeChange::ValidatorWeight(weight) => *weight == u32::from(is_founder),
                        NodeChange::Address(address) => is_founder && *address == genesis.address,
                        NodeChange::Role(role) => is_founder && *role == Role::Admin,
                    },
                    |last| last == *change,
                )
            }
            Action::RemoveNode { node } => transactions.any(|(at, transaction)| {
                at == height && transaction.action == Action::RemoveNode { node: *node }
            }),
            Action::AddNode { node, .. } => transactions.any(|(at, transaction)| {
                let is_same = matches!(&transaction.action, Action::AddNode { node: own, .. } if own == node);
                at == height && is_same
            }),
            // Never true already.
            Action::RemoveFile { .. } | Action::Upgrade { .. } | Action::Void {} => false,
        }
    }
}

/// What an action makes of a node's record in the same respect as `change`.
fn latest(action: &Action, of: NodeId, change: &NodeChange) -> Option<NodeChange> {
    match (action, change) {
        (Action::UpdateNode { node, change: own }, _)
            if *node == of && std::mem::discriminant(own) == std::mem::discriminant(change) =>
        {
            Some(own.clone())
        }
        (Action::AddNode { node, address, .. }, NodeChange::Address(_)) if *node == of => {
            Some(NodeChange::Address(address.clone()))
        }
        (Action::RemoveNode { node }, NodeChange::ValidatorWeight(_)) if *node == of => {
            Some(NodeChange::ValidatorWeight(0))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::checkers::made_up::{add, block, genesis, key, transaction};

    fn settled(height: u64, transaction: Option<&SignedTransaction>) -> Settled {
        Settled { height, transaction: transaction.map(SignedTransaction::id) }
    }

    #[test]
    fn an_acknowledged_write_is_in_its_block() {
        let one = transaction(1, 1, add("a", 1, None));
        let mut writes = Writes::new(genesis());
        writes.accepts(key(1).id(), add("a", 1, None), settled(2, Some(&one)));
        let kept = [block(1, Vec::new(), &[1]), block(2, vec![one.clone()], &[1])];
        assert_eq!(writes.check(&kept), Ok(()));
        for broken in [vec![], vec![block(1, vec![one], &[1])]] {
            assert_eq!(writes.check(&broken).unwrap_err().checker, Checker::Acknowledged);
        }
    }

    #[test]
    fn a_write_that_counts_twice_is_noticed() {
        let one = transaction(1, 1, add("a", 1, None));
        let chain = [block(1, vec![one.clone()], &[1]), block(2, vec![one], &[1])];
        assert_eq!(Writes::new(genesis()).check(&chain).unwrap_err().checker, Checker::Acknowledged);
    }

    #[test]
    fn what_was_called_true_already_was_true() {
        let chain = [block(1, vec![transaction(1, 1, add("a", 1, None))], &[1])];
        let mut honest = Writes::new(genesis());
        honest.accepts(key(1).id(), add("a", 1, None), settled(1, None));
        assert_eq!(honest.check(&chain), Ok(()));
        for (author, action) in [(2, add("a", 1, None)), (1, add("a", 2, None))] {
            let mut wrong = Writes::new(genesis());
            wrong.accepts(key(author).id(), action, settled(1, None));
            assert_eq!(wrong.check(&chain).unwrap_err().checker, Checker::Acknowledged);
        }
    }

    #[test]
    fn a_refused_write_that_happens_later_is_noticed() {
        let one = transaction(1, 1, add("a", 1, None));
        let mut writes = Writes::new(genesis());
        writes.sends(&one);
        writes.refuses(key(1).id(), &add("a", 1, None), "the name is taken", &[]);
        assert_eq!(writes.check(&[block(1, Vec::new(), &[1])]), Ok(()));
        let error = writes.check(&[block(1, vec![one.clone()], &[1])]).unwrap_err();
        assert_eq!(error.checker, Checker::Refused);
        // It was final before somebody asked for the same once more, and that was refused.
        let mut writes = Writes::new(genesis());
        writes.sends(&one);
        let chain = [block(1, vec![one], &[1])];
        writes.refuses(key(1).id(), &add("a", 1, None), "the name is taken", &chain);
        assert_eq!(writes.check(&chain), Ok(()));
    }
}
