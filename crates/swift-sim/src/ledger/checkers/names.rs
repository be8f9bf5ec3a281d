//! The live names are what the chain's transactions make of them, one after the other.

use std::collections::BTreeMap;

use swift_chain::{Action, FileRecord, Hash, NodeId, SealedBlock};

use super::{Checked, Checker, Violation};

/// Goes through a chain and compares what comes out with a state's files.
pub(crate) fn check_names<'f>(chain: &[SealedBlock], files: impl Iterator<Item = &'f FileRecord>) -> Checked {
    let broken = |what: String| Violation::new(Checker::Names, what);
    let mut live: BTreeMap<&str, (Hash, NodeId)> = BTreeMap::new();
    for sealed in chain {
        let height = sealed.block.header.height;
        for signed in &sealed.block.transactions {
            let author = signed.transaction.author;
            let (name, expected, next) = match &signed.transaction.action {
                Action::AddFile { file, replaces } => {
                    (file.name.as_str(), *replaces, Some((file.file_id, author)))
                }
                Action::RemoveFile { name, file_id } => (name.as_str(), Some(*file_id), None),
                _ => continue,
            };
            let current = live.get(name).map(|(content, _)| *content);
            if current != expected {
                let what = format!("block {height} changes {name}, expecting {expected:?}, from {current:?}");
                return Err(broken(what));
            }
            match next {
                Some(next) => live.insert(name, next),
                None => live.remove(name),
            };
        }
    }
    let stored: BTreeMap<_, _> =
        files.map(|file| (file.entry.name.as_str(), (file.entry.file_id, file.publisher))).collect();
    if stored == live {
        return Ok(());
    }
    let differing = live.iter().find(|(name, file)| stored.get(*name) != Some(*file));
    let what = match differing {
        Some((name, _)) => format!("the chain has {name}, the state does not have it so"),
        None => "the state has a name that the chain does not have".to_owned(),
    };
    Err(broken(what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::checkers::made_up::{add, block, key, transaction};

    fn record(name: &str, content: u8, publisher: u8) -> FileRecord {
        let Action::AddFile { file, .. } = add(name, content, None) else { unreachable!("it adds a file") };
        FileRecord { entry: file, publisher: key(publisher).id(), height: 1, time_ms: 1 }
    }

    fn chain(actions: Vec<Action>) -> Vec<SealedBlock> {
        let transactions = (1..).zip(actions).map(|(sequence, action)| transaction(1, sequence, action));
        vec![block(1, transactions.collect(), &[1])]
    }

    #[test]
    fn names_are_added_replaced_and_removed() {
        let name = "b".parse().unwrap();
        let gone = Action::RemoveFile { name, file_id: Hash::from_bytes([5; 32]) };
        let chain = chain(vec![add("a", 1, None), add("a", 2, Some(1)), add("b", 5, None), gone]);
        assert_eq!(check_names(&chain, [record("a", 2, 1)].iter()), Ok(()));
    }

    #[test]
    fn a_lost_name_one_too_many_and_another_content_are_noticed() {
        let chain = chain(vec![add("a", 1, None)]);
        for files in [vec![], vec![record("a", 2, 1)], vec![record("a", 1, 1), record("b", 1, 1)]] {
            assert_eq!(check_names(&chain, files.iter()).unwrap_err().checker, Checker::Names);
        }
    }

    #[test]
    fn a_name_that_is_taken_twice_is_noticed() {
        let chain = chain(vec![add("a", 1, None), add("a", 2, None)]);
        assert!(check_names(&chain, [record("a", 2, 1)].iter()).is_err());
    }
}
