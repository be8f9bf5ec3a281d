//! A member's writes on their way into a block: crashes, other writers, and being taken back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod network;

use network::*;
use swift_chain::*;

#[test]
fn two_writers_at_once_both_get_into_the_ledger() {
    let (mut founder, mut alice) = founder_and_member();
    alice.request(1, add("hers", 5));
    founder.submit(add("his", 6)).unwrap();
    exchange(&mut alice, &mut founder);
    assert!(alice.outcome(1).unwrap().is_ok());
    assert_eq!(alice.replica.head(), founder.replica.head());
    assert_eq!(alice.replica.reader().counts().unwrap().files, 2);
}

#[test]
fn two_writers_of_one_name_end_with_one_file_and_one_refusal() {
    let (mut founder, mut alice) = founder_and_member();
    alice.request(1, add("same", 5));
    founder.submit(add("same", 6)).unwrap();
    exchange(&mut alice, &mut founder);
    // Alice learns of the founder's block, and takes her own transaction back.
    alice.step(vec![Input::Tick]);
    exchange(&mut alice, &mut founder);
    let outcome = alice.outcome(1).unwrap();
    assert!(matches!(outcome, Err(SubmitError::Rejected(Rejection::NameTaken { .. }))), "{outcome:?}");
    alice.step(vec![Input::Tick]);
    assert!(alice.relayed().is_empty());
}

#[test]
fn a_members_write_survives_a_crash_before_it_was_relayed() {
    let (mut founder, mut alice) = founder_and_member();
    alice.request(1, add("hers", 5));
    assert_eq!(alice.outcome(1), None, "not final before a validator says so");
    alice.reopen();
    alice.step(vec![Input::Tick]);
    exchange(&mut alice, &mut founder);
    let name: FileName = "hers".parse().unwrap();
    let record = founder.replica.reader().file(&name.key()).unwrap().unwrap();
    assert_eq!(record.publisher, key(2).id());
    alice.step(vec![Input::Tick]);
    assert!(alice.relayed().is_empty(), "the queue still holds what is final");
}

#[test]
fn a_waiting_write_is_not_sent_again_at_every_tick() {
    let (_, mut alice) = founder_and_member();
    alice.request(1, add("x", 5));
    assert_eq!(alice.relayed().len(), 1);
    alice.step(vec![Input::Tick]);
    assert_eq!(alice.relayed().len(), 0);
    alice.now_ms += 10_000;
    alice.step(vec![Input::Tick]);
    assert_eq!(alice.relayed().len(), 1);
}

/// A member with more writes waiting than validators keep of one author sent them all, again and again; what did not fit
/// was dropped there, after its signature was checked, and sat out the pause before it was sent once more.
#[test]
fn of_a_long_queue_only_so_much_is_sent_as_is_kept_and_none_of_it_waits_for_the_clock() {
    let (mut founder, mut alice) = founder_and_member();
    let part = "n".repeat(200);
    let submit = |number: u64| {
        let action = add(&format!("{part}/{part}/{part}/{part}/{number}"), 5);
        submission(number, action)
    };
    alice.step((0..4500).map(submit).collect());
    let bytes_of = |sent: &[SignedTransaction]| sent.iter().map(|one| one.to_bytes().len()).sum::<usize>();
    let mut rounds = 0;
    loop {
        let sent = alice.relayed();
        assert!(bytes_of(&sent) <= limits::MEMPOOL_AUTHOR_LEN_MAX / 2);
        if sent.is_empty() {
            break;
        }
        founder.step(vec![Input::Transactions(sent)]);
        alice.catch_up(&founder);
        rounds += 1;
    }
    assert!(rounds > 2, "the queue was too short to say anything");
    assert_eq!(founder.replica.reader().counts().unwrap().files, 4500);
}

#[test]
fn equal_requests_share_one_transaction_and_all_get_their_answer() {
    let (mut founder, mut alice) = founder_and_member();
    alice.request(1, add("a", 1));
    alice.request(2, add("a", 1));
    assert_eq!(alice.relayed().len(), 1);
    alice.now_ms += 10_000;
    alice.step(vec![Input::Tick]);
    exchange(&mut alice, &mut founder);
    assert!(alice.outcome(1).unwrap().is_ok());
    assert_eq!(alice.outcome(1), alice.outcome(2));
}

#[test]
fn an_overtaken_write_is_signed_anew_with_a_higher_sequence() {
    let (mut founder, mut alice) = founder_and_member();
    alice.request(1, add("first", 1));
    let first = alice.relayed();
    alice.request(2, add("second", 2));
    let second = alice.relayed();
    // The second arrives alone and is taken; the first can never count any more.
    founder.step(vec![Input::Transactions(second)]);
    founder.step(vec![Input::Transactions(first)]);
    let next = alice.replica.head().height + 1;
    let blocks = founder.blocks(next);
    alice.step(vec![Input::Blocks { request: RequestId(0), blocks }]);
    assert!(alice.outcome(2).unwrap().is_ok());
    assert_eq!(alice.outcome(1), None);
    exchange(&mut alice, &mut founder);
    assert!(alice.outcome(1).unwrap().is_ok());
    assert_eq!(founder.replica.reader().counts().unwrap().files, 2);
}

#[test]
fn a_member_whose_clock_is_hours_behind_can_write() {
    let (mut founder, mut alice) = founder_and_member();
    founder.now_ms += 6 * 60 * 60 * 1000;
    alice.request(1, add("x", 5));
    exchange(&mut alice, &mut founder);
    assert!(alice.outcome(1).unwrap().is_ok());
}

/// The client that asked for it may have hung up, or asked not to wait; the node may have been started again.
#[test]
fn a_refusal_after_waiting_is_told_once_also_when_nobody_waits() {
    let refusals = |peer: &Peer| -> Vec<_> {
        let outputs = peer.outputs.iter().filter_map(|output| match output {
            Output::Refused { action, error, .. } => Some((action.clone(), error.clone())),
            _ => None,
        });
        outputs.collect()
    };
    let (mut founder, mut alice, _) = a_write_that_came_second();
    assert_eq!(refusals(&alice), [], "told while the transaction can still count");
    alice.reopen();
    // It is sent once more, then taken back once more.
    alice.step(Vec::new());
    alice.step(vec![Input::Tick]);
    exchange(&mut alice, &mut founder);
    let told = refusals(&alice);
    let [(action, SubmitError::Rejected(Rejection::NameTaken { .. }))] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(*action, add("same", 5));
    // Who is refused at once hears it, and it never waited.
    alice.outputs.clear();
    assert!(matches!(alice.refused(add("same", 5)), Rejection::NameTaken { .. }));
    assert_eq!(refusals(&alice), []);
}

#[test]
fn a_write_that_lapsed_while_the_validator_was_away_is_signed_anew() {
    let (mut founder, mut alice) = founder_and_member();
    alice.request(1, add("hers", 5));
    let lapsed = alice.relayed();
    alice.now_ms += TRANSACTION_VALIDITY_MS + 60_000;
    founder.now_ms = alice.now_ms;
    founder.step(vec![Input::Transactions(lapsed)]);
    assert_eq!(founder.replica.head().height, 1, "a lapsed transaction got into a block");
    alice.step(vec![Input::Tick]);
    exchange(&mut alice, &mut founder);
    assert!(alice.outcome(1).unwrap().is_ok());
}

/// The member did not see the block with its write before the write lapsed; meanwhile an admin removed the file. Signed
/// anew with a new sequence it counted twice, and the file came back.
#[test]
fn a_lapsed_write_that_is_in_a_block_already_does_not_count_twice() {
    let (mut founder, mut alice) = founder_and_member();
    alice.request(1, add("x", 5));
    let sent = alice.relayed();
    founder.step(vec![Input::Transactions(sent)]);
    founder.submit(remove("x", 5)).unwrap();
    alice.now_ms += TRANSACTION_VALIDITY_MS + 60_000;
    founder.now_ms = alice.now_ms;
    alice.step(vec![Input::Tick]);
    let again = alice.relayed();
    assert_eq!(again.len(), 1);
    founder.step(vec![Input::Transactions(again)]);
    assert_eq!(founder.replica.reader().counts().unwrap().files, 0, "a removed file came back");
    alice.catch_up(&founder);
    assert!(alice.relayed().is_empty());
}

/// A founder, and a member whose request 1 wants the name `same`, which the founder has taken meanwhile. The member knows
/// that, and begins to take back what others may hold: its transactions.
fn a_write_that_came_second() -> (Peer, Peer, Vec<SignedTransaction>) {
    let (mut founder, mut alice) = founder_and_member();
    alice.request(1, add("same", 5));
    let held = alice.relayed();
    founder.submit(add("same", 6)).unwrap();
    alice.catch_up(&founder);
    alice.step(vec![Input::Tick]);
    (founder, alice, held)
}

/// The story: a client was told that its name was taken. A validator still had the transaction when that name was free
/// again, and put it into a block: the file appeared after all.
#[test]
fn a_refused_write_cannot_happen_later() {
    let (mut founder, mut alice, held) = a_write_that_came_second();
    assert_eq!(alice.outcome(1), None, "refused while the transaction can still count");
    // Who asks for the same now waits for the same.
    alice.request(2, add("same", 5));
    exchange(&mut alice, &mut founder);
    for request in [1, 2] {
        assert!(matches!(alice.outcome(request), Some(Err(SubmitError::Rejected(_)))));
    }
    founder.submit(remove("same", 6)).unwrap();
    founder.step(vec![Input::Transactions(held)]);
    assert_eq!(founder.replica.reader().counts().unwrap().files, 0);
    // The name is free, and Alice can still write.
    alice.catch_up(&founder);
    alice.request(3, add("same", 5));
    exchange(&mut alice, &mut founder);
    assert!(alice.outcome(3).unwrap().is_ok());
}

#[test]
fn a_write_that_happens_while_it_is_taken_back_is_acknowledged() {
    let (mut founder, mut alice, held) = a_write_that_came_second();
    let void = alice.relayed();
    assert!(void.iter().all(|signed| signed.transaction.action == Action::Void {}));
    founder.submit(remove("same", 6)).unwrap();
    founder.step(vec![Input::Transactions(held)]);
    founder.step(vec![Input::Transactions(void)]);
    alice.outputs.clear();
    let next = alice.replica.head().height + 1;
    alice.step(vec![Input::Blocks { request: RequestId(0), blocks: founder.blocks(next) }]);
    assert!(matches!(alice.outcome(1), Some(Ok(Settled { transaction: Some(_), .. }))));
    assert_eq!(founder.replica.reader().counts().unwrap().files, 1);
    alice.step(vec![Input::Tick]);
    assert!(alice.relayed().is_empty(), "the queue still holds what is final");
}

/// A crash forgets that a write is being taken back, and that somebody waits; not that it may still happen.
#[test]
fn a_write_that_was_being_taken_back_in_a_crash_is_taken_back_again() {
    let (mut founder, mut alice, held) = a_write_that_came_second();
    alice.reopen();
    alice.request(2, add("same", 5));
    assert_eq!(alice.outcome(2), None, "refused while the transaction can still count");
    alice.step(vec![Input::Tick]);
    exchange(&mut alice, &mut founder);
    assert!(matches!(alice.outcome(2), Some(Err(SubmitError::Rejected(_)))));
    founder.submit(remove("same", 6)).unwrap();
    founder.step(vec![Input::Transactions(held)]);
    assert_eq!(founder.replica.reader().counts().unwrap().files, 0);
}
