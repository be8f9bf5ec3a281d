//! Lanes to made-up validators.

use std::future::pending;

use swift_chain::{Action, Hash, NetworkId, NodeKey, Transaction, Vote, VoteKind, consensus::SignedVote};
use tokio::sync::mpsc;

use super::*;

#[test]
fn many_transactions_go_in_order_in_requests_of_bounded_size() {
    let key = NodeKey::from_seed([1; 32]);
    let sign = |sequence| {
        let name = "n".repeat(240).parse().unwrap();
        let action = Action::RemoveFile { name, file_id: Hash::default() };
        let (network, author) = (NetworkId::default(), key.id());
        let body = Transaction { network, author, sequence, valid_until_ms: 1, on_behalf_of: None, action };
        SignedTransaction::sign(&key, body)
    };
    let transactions: Vec<_> = (0..6000).map(sign).collect();
    let batches = batches(&transactions);
    assert!(batches.len() > 1 && batches.iter().all(|batch| batch.len() < 2 * BATCH_LEN));
    let again: Vec<SignedTransaction> = batches
        .iter()
        .flat_map(|batch| postcard::from_bytes::<Vec<SignedTransaction>>(batch).unwrap())
        .collect();
    assert_eq!(again, transactions);
    assert!(super::batches(&[]).is_empty());
}

fn vote(height: u64) -> Arc<ConsensusMessage> {
    let key = NodeKey::from_seed([1; 32]);
    let vote = Vote { kind: VoteKind::Prevote, height, round: 0, block: None, validator: key.id() };
    Arc::new(ConsensusMessage::Vote(SignedVote::sign(&key, &NetworkId::default(), vote)))
}

fn transactions() -> Arc<[SignedTransaction]> {
    let key = NodeKey::from_seed([1; 32]);
    let (network, author, action) = (NetworkId::default(), key.id(), Action::Void {});
    let body = Transaction { network, author, sequence: 1, valid_until_ms: 1, on_behalf_of: None, action };
    [SignedTransaction::sign(&key, body)].into()
}

fn node(number: u8) -> NodeId {
    NodeId::from_bytes([number; 32])
}

/// Opens lanes; what arrives is told with the heights of messages. A request with transactions is never answered.
fn keep(links: &mut Links, others: &[u8], height: u64, arrived: &mpsc::UnboundedSender<(NodeId, Vec<u64>)>) {
    let others = others.iter().map(|number| node(*number)).collect();
    assert!(links.keep(others, height, |to| {
        let arrived = arrived.clone();
        move |path, body: Vec<u8>| {
            let arrived = arrived.clone();
            async move {
                let messages = match path {
                    MESSAGES_PATH => consensus_frames::decode(&body).unwrap(),
                    _ => Vec::new(),
                };
                arrived.send((to, messages.iter().map(ConsensusMessage::height).collect())).unwrap();
                if path == MESSAGES_PATH { Ok(()) } else { pending().await }
            }
        }
    }));
}

#[tokio::test]
async fn messages_do_not_wait_for_a_validator_to_take_transactions() {
    let (out, (arrived, mut arrivals)) = (ForValidators::default(), mpsc::unbounded_channel());
    let mut links = Links::new(out.downgrade());
    keep(&mut links, &[1], 4, &arrived);
    out.transactions.send(transactions()).unwrap();
    assert_eq!(arrivals.recv().await, Some((node(1), vec![])));
    out.messages.send(vote(5)).unwrap();
    assert_eq!(arrivals.recv().await, Some((node(1), vec![5])));
}

/// The ledger goes on to the next height before anybody has seen that its block made a validator.
#[tokio::test]
async fn a_new_validator_gets_what_was_said_of_its_first_height_before_its_lane_was_there() {
    let (out, (arrived, mut arrivals)) = (ForValidators::default(), mpsc::unbounded_channel());
    let mut links = Links::new(out.downgrade());
    // Said before the first lane was there: after a start the log is said again.
    for height in [4, 5] {
        out.messages.send(vote(height)).unwrap();
    }
    keep(&mut links, &[1], 4, &arrived);
    assert_eq!(arrivals.recv().await, Some((node(1), vec![5])));
    out.messages.send(vote(5)).unwrap();
    out.messages.send(vote(6)).unwrap();
    keep(&mut links, &[1, 2, 3], 5, &arrived);
    let mut came =
        [arrivals.recv().await.unwrap(), arrivals.recv().await.unwrap(), arrivals.recv().await.unwrap()];
    came.sort();
    assert_eq!(came, [(node(1), vec![5, 6]), (node(2), vec![6]), (node(3), vec![6])]);
    // Nothing is kept for later but what comes from now on.
    keep(&mut links, &[1, 2, 3, 4], 5, &arrived);
    out.messages.send(vote(7)).unwrap();
    for _ in 0..4 {
        assert_eq!(arrivals.recv().await.unwrap().1, [7]);
    }
}

#[tokio::test]
async fn who_decides_no_more_gets_nothing_more() {
    let (out, (arrived, mut arrivals)) = (ForValidators::default(), mpsc::unbounded_channel());
    let mut links = Links::new(out.downgrade());
    keep(&mut links, &[1, 2], 4, &arrived);
    keep(&mut links, &[2], 5, &arrived);
    out.messages.send(vote(6)).unwrap();
    assert_eq!(arrivals.recv().await, Some((node(2), vec![6])));
    drop(out);
    assert!(!links.keep(vec![node(2)], 6, |_| |_, _| async { Ok(()) }));
    drop(arrived);
    // The lane to the other ends with its source; nothing else came.
    assert_eq!(arrivals.recv().await, None);
}
