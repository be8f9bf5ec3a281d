//! Transactions that wait for a block.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    hash::TransactionId,
    identity::NodeId,
    limits::{MEMPOOL_AUTHOR_LEN_MAX, MEMPOOL_LEN_MAX},
    transaction::{Action, CheckedTransaction, SignedTransaction, Transaction},
};

/// Why a transaction was not taken. The pool is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MempoolError {
    /// The author's share is full.
    #[error(
        "{0} has {MEMPOOL_AUTHOR_LEN_MAX} bytes of transactions waiting; try again when some are in a block"
    )]
    AuthorFull(NodeId),
    /// The pool is full.
    #[error("{MEMPOOL_LEN_MAX} bytes of transactions are waiting; try again when some are in a block")]
    Full,
}

/// A transaction that others were told of and no block has taken is told again after this long, then after twice as long.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// The longest pause between telling of one transaction.
const TELL_AGAIN_MAX: Duration = Duration::from_secs(16);

/// Waiting transactions by author and sequence, bounded in bytes. An author's sequence is taken once; the first wins,
/// unless its author takes it back.
#[derive(Debug, Default)]
pub struct Mempool {
    authors: BTreeMap<NodeId, Queue>,
    len: usize,
}

#[derive(Debug, Default)]
struct Queue {
    transactions: BTreeMap<u64, Waiting>,
    len: usize,
}

#[derive(Debug)]
struct Waiting {
    transaction: CheckedTransaction,
    /// When others are to be told of it, on the steady clock.
    tell_at: Duration,
    /// The pause after that.
    pause: Duration,
}

impl Waiting {
    fn new(transaction: CheckedTransaction) -> Self {
        Self { transaction, tell_at: Duration::ZERO, pause: TELL_AGAIN_AFTER }
    }
}

impl Mempool {
    /// Takes a transaction in, if there is a place for it.
    pub fn insert(&mut self, transaction: CheckedTransaction) -> Result<(), MempoolError> {
        let (author, len) = (transaction.transaction().author, transaction.encoded_len());
        let sequence = transaction.transaction().sequence;
        if !self.has_place_for(transaction.transaction()) {
            return Ok(());
        }
        self.has_room_for(transaction.transaction(), len)?;
        if let Some(waiting) = self.waiting(&author, sequence).map(CheckedTransaction::id) {
            self.remove(&author, sequence, waiting);
        }
        let queue = self.authors.entry(author).or_default();
        queue.transactions.insert(sequence, Waiting::new(transaction));
        queue.len += len;
        self.len += len;
        Ok(())
    }

    /// Whether the transaction's sequence is free, or taken by what it takes back.
    pub fn has_place_for(&self, transaction: &Transaction) -> bool {
        let is_void = |one: &Transaction| one.action == Action::Void {};
        self.waiting(&transaction.author, transaction.sequence)
            .is_none_or(|waiting| is_void(transaction) && !is_void(waiting.transaction()))
    }

    fn waiting(&self, author: &NodeId, sequence: u64) -> Option<&CheckedTransaction> {
        self.authors.get(author)?.transactions.get(&sequence).map(|waiting| &waiting.transaction)
    }

    /// Whether a transaction of so many bytes that has a place would be taken in: to be asked before its signature is
    /// checked.
    pub fn has_room_for(&self, transaction: &Transaction, len: usize) -> Result<(), MempoolError> {
        let Transaction { author, sequence, .. } = transaction;
        let replaced = self.waiting(author, *sequence).map_or(0, CheckedTransaction::encoded_len);
        let queue_len = self.authors.get(author).map_or(0, |queue| queue.len);
        if queue_len - replaced + len > MEMPOOL_AUTHOR_LEN_MAX {
            return Err(MempoolError::AuthorFull(*author));
        }
        if self.len - replaced + len > MEMPOOL_LEN_MAX {
            return Err(MempoolError::Full);
        }
        Ok(())
    }

    /// This very transaction, signature and all, if it waits here: then it was checked.
    pub fn find(&self, signed: &SignedTransaction) -> Option<&CheckedTransaction> {
        let waiting = self.waiting(&signed.transaction.author, signed.transaction.sequence)?;
        (waiting.signed() == signed).then_some(waiting)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.authors.is_empty()
    }

    /// Transactions that wait.
    pub fn len(&self) -> usize {
        self.authors.values().map(|queue| queue.transactions.len()).sum()
    }

    /// Bytes that wait.
    pub fn encoded_len(&self) -> usize {
        self.len
    }

    /// All that wait: each author's in the order of their sequences, the authors taking turns, so that one with many
    /// does not keep the others out of a block.
    pub fn candidates(&self) -> impl Iterator<Item = &CheckedTransaction> {
        let mut queues: Vec<_> = self.authors.values().map(|queue| queue.transactions.values()).collect();
        let mut turn = 0;
        std::iter::from_fn(move || {
            while !queues.is_empty() {
                turn %= queues.len();
                match queues[turn].next() {
                    Some(waiting) => {
                        turn += 1;
                        return Some(&waiting.transaction);
                    }
                    None => drop(queues.remove(turn)),
                }
            }
            None
        })
    }

    /// Those that the other validators are to be told of now, of about so many bytes: first what was told longest ago, or
    /// never. Each counts as told, and has its next turn after a pause that doubles.
    pub fn tell_overdue(&mut self, now: Duration, len_max: usize) -> Vec<SignedTransaction> {
        let waiting = self.authors.values_mut().flat_map(|queue| queue.transactions.values_mut().enumerate());
        let mut due: Vec<_> = waiting.filter(|(_, waiting)| waiting.tell_at <= now).collect();
        // By their place in their author's queue: the authors take turns.
        due.sort_by_key(|(place, waiting)| (waiting.tell_at, *place));
        let mut len = 0;
        let due = due.into_iter().map(|(_, waiting)| waiting);
        let told = due.take_while(|waiting| {
            len += waiting.transaction.encoded_len();
            len <= len_max
        });
        told.map(|waiting| {
            waiting.tell_at = now + waiting.pause;
            waiting.pause = (waiting.pause * 2).min(TELL_AGAIN_MAX);
            waiting.transaction.signed().clone()
        })
        .collect()
    }

    /// Drops one transaction, if it waits here.
    pub fn remove(&mut self, author: &NodeId, sequence: u64, id: TransactionId) {
        let Some(queue) = self.authors.get_mut(author) else { return };
        if queue.transactions.get(&sequence).is_some_and(|waiting| waiting.transaction.id() == id) {
            let gone = queue.transactions.remove(&sequence).map_or(0, |gone| gone.transaction.encoded_len());
            queue.len -= gone;
            self.len -= gone;
        }
        self.forget_if_empty(author);
    }

    /// Drops an author's transactions up to the sequence that the ledger has reached: they can never count.
    pub fn overtake(&mut self, author: &NodeId, last_sequence: u64) {
        let Some(queue) = self.authors.get_mut(author) else { return };
        let kept = queue.transactions.split_off(&last_sequence.saturating_add(1));
        let gone = queue.transactions.values().map(|gone| gone.transaction.encoded_len()).sum::<usize>();
        queue.transactions = kept;
        queue.len -= gone;
        self.len -= gone;
        self.forget_if_empty(author);
    }

    fn forget_if_empty(&mut self, author: &NodeId) {
        if self.authors.get(author).is_some_and(|queue| queue.transactions.is_empty()) {
            self.authors.remove(author);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        hash::{Hash, NetworkId},
        identity::NodeKey,
    };

    fn transaction(author: u8, sequence: u64) -> CheckedTransaction {
        let (key, network) = (NodeKey::from_seed([author; 32]), NetworkId::default());
        let action = Action::RemoveFile { name: "n".repeat(200).parse().unwrap(), file_id: Hash::default() };
        let author = key.id();
        let body = Transaction { network, author, sequence, valid_until_ms: 1, on_behalf_of: None, action };
        SignedTransaction::sign(&key, body).check(&network).unwrap()
    }

    #[test]
    fn authors_take_turns_and_keep_their_own_order() {
        let mut pool = Mempool::default();
        for (author, sequence) in [(1, 3), (1, 1), (1, 2), (2, 9)] {
            pool.insert(transaction(author, sequence)).unwrap();
        }
        let mut sequences: Vec<_> = pool.candidates().map(|one| one.transaction().sequence).collect();
        assert_eq!(sequences.iter().position(|sequence| *sequence == 9).map(|at| at < 2), Some(true));
        sequences.retain(|sequence| *sequence != 9);
        assert_eq!(sequences, [1, 2, 3]);
    }

    /// The sequences that are told at a second, of up to `count` transactions.
    fn told(pool: &mut Mempool, second: u64, count: usize) -> Vec<u64> {
        let len = transaction(1, 1).encoded_len();
        let told = pool.tell_overdue(Duration::from_secs(second), count * len);
        told.iter().map(|signed| signed.transaction.sequence).collect()
    }

    #[test]
    fn telling_goes_on_where_it_ended_before_what_was_told_has_its_turn_again() {
        let mut pool = Mempool::default();
        for sequence in 1..=5 {
            pool.insert(transaction(1, sequence)).unwrap();
        }
        assert_eq!(told(&mut pool, 10, 2), [1, 2]);
        assert_eq!(told(&mut pool, 11, 2), [3, 4]);
        // What came meanwhile was never told.
        pool.insert(transaction(2, 6)).unwrap();
        assert_eq!(told(&mut pool, 12, 2), [6, 5], "of another author, whose turn it is");
        assert_eq!(told(&mut pool, 13, 3), [1, 2, 3]);
    }

    #[test]
    fn what_no_block_takes_is_told_ever_more_rarely_but_never_given_up() {
        let mut pool = Mempool::default();
        pool.insert(transaction(1, 1)).unwrap();
        let at: Vec<_> = (0..80).filter(|second| !told(&mut pool, *second, 1).is_empty()).collect();
        assert_eq!(at, [0, 1, 3, 7, 15, 31, 47, 63, 79]);
    }

    #[test]
    fn one_author_cannot_fill_the_pool() {
        let mut pool = Mempool::default();
        let first_refused = (1..).find(|sequence| pool.insert(transaction(1, *sequence)).is_err()).unwrap();
        assert!(pool.encoded_len() <= MEMPOOL_AUTHOR_LEN_MAX);
        let author = transaction(1, 1).transaction().author;
        assert_eq!(pool.insert(transaction(1, first_refused)), Err(MempoolError::AuthorFull(author)));
        assert_eq!(pool.insert(transaction(2, 1)), Ok(()));
    }

    #[test]
    fn a_sequence_is_taken_once_and_can_be_taken_back_once() {
        let (key, network, mut pool) =
            (NodeKey::from_seed([1; 32]), NetworkId::default(), Mempool::default());
        let void = |valid_until_ms| {
            let (author, action) = (key.id(), Action::Void {});
            let body =
                Transaction { network, author, sequence: 5, valid_until_ms, on_behalf_of: None, action };
            SignedTransaction::sign(&key, body).check(&network).unwrap()
        };
        pool.insert(transaction(1, 5)).unwrap();
        assert!(!pool.has_place_for(transaction(1, 5).transaction()));
        for one in [void(1), transaction(1, 5), void(2)] {
            pool.insert(one).unwrap();
        }
        assert_eq!(pool.candidates().map(CheckedTransaction::id).collect::<Vec<_>>(), [void(1).id()]);
        assert_eq!(pool.encoded_len(), void(1).encoded_len());
    }

    #[test]
    fn what_the_ledger_overtook_is_gone_and_counted_out() {
        let mut pool = Mempool::default();
        for sequence in 1..=5 {
            pool.insert(transaction(1, sequence)).unwrap();
        }
        let author = transaction(1, 1).transaction().author;
        pool.overtake(&author, 4);
        assert_eq!(pool.candidates().count(), 1);
        let last = transaction(1, 5);
        pool.remove(&author, 5, last.id());
        assert!(pool.is_empty());
        assert_eq!(pool.encoded_len(), 0);
    }
}
