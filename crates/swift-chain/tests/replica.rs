//! A node's ledger over time: finality, crashes, other writers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod network;

use network::*;
use proptest::prelude::*;
use swift_chain::*;

#[test]
fn what_was_settled_is_there_after_a_crash() {
    let mut founder = Peer::founder();
    founder.submit(add("a", 1)).unwrap();
    let head = *founder.replica.head();
    founder.reopen();
    assert_eq!(*founder.replica.head(), head);
    let name: FileName = "a".parse().unwrap();
    let record = founder.replica.reader().file(&name.key()).unwrap().unwrap();
    assert_eq!((record.publisher, record.height), (key(1).id(), 1));
    founder.submit(add("b", 2)).unwrap();
}

/// A node that joined was told so before the member it asked counted it in, and was refused the chain.
#[test]
fn a_block_is_told_before_the_writes_that_it_settles() {
    let mut founder = Peer::founder();
    founder.submit(add("a", 1)).unwrap();
    let kinds: Vec<_> = founder
        .outputs
        .iter()
        .map(|output| match output {
            Output::Committed(_) => "committed",
            Output::Settled { .. } => "settled",
            _ => "other",
        })
        .collect();
    assert_eq!(kinds, ["committed", "settled"]);
}

#[test]
fn an_idle_ledger_makes_no_blocks() {
    let mut founder = Peer::founder();
    for _ in 0..100 {
        founder.step(vec![Input::Tick]);
    }
    assert_eq!(founder.replica.head().height, 0);
}

#[test]
fn a_members_write_survives_a_crash_before_it_was_relayed() {
    let mut founder = Peer::founder();
    let mut alice = founder.admit(2, Role::Publisher);
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
fn two_writers_at_once_both_get_into_the_ledger() {
    let mut founder = Peer::founder();
    let mut alice = founder.admit(2, Role::Publisher);
    alice.request(1, add("hers", 5));
    founder.submit(add("his", 6)).unwrap();
    exchange(&mut alice, &mut founder);
    assert!(alice.outcome(1).unwrap().is_ok());
    assert_eq!(alice.replica.head(), founder.replica.head());
    assert_eq!(alice.replica.reader().counts().unwrap().files, 2);
}

/// A member with more writes waiting than validators keep of one author sent them all, again and again; what did not fit
/// was dropped there, after its signature was checked, and sat out the pause before it was sent once more.
#[test]
fn of_a_long_queue_only_so_much_is_sent_as_is_kept_and_none_of_it_waits_for_the_clock() {
    let mut founder = Peer::founder();
    let mut alice = founder.admit(2, Role::Publisher);
    let part = "n".repeat(200);
    let submit = |number: u64| {
        let action = add(&format!("{part}/{part}/{part}/{part}/{number}"), 5);
        Input::Submit { request: RequestId(number), action, on_behalf_of: None }
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
fn two_writers_of_one_name_end_with_one_file_and_one_refusal() {
    let mut founder = Peer::founder();
    let mut alice = founder.admit(2, Role::Publisher);
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

/// The story: a client was told that its name was taken. A validator still had the transaction when that name was free
/// again, and put it into a block: the file appeared after all.
#[test]
fn a_refused_write_cannot_happen_later() {
    let mut founder = Peer::founder();
    let mut alice = founder.admit(2, Role::Publisher);
    alice.request(1, add("same", 5));
    let held = alice.relayed();
    founder.submit(add("same", 6)).unwrap();
    alice.catch_up(&founder);
    alice.step(vec![Input::Tick]);
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
    let mut founder = Peer::founder();
    let mut alice = founder.admit(2, Role::Publisher);
    alice.request(1, add("same", 5));
    let held = alice.relayed();
    founder.submit(add("same", 6)).unwrap();
    alice.catch_up(&founder);
    alice.step(vec![Input::Tick]);
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
    let mut founder = Peer::founder();
    let mut alice = founder.admit(2, Role::Publisher);
    alice.request(1, add("same", 5));
    let held = alice.relayed();
    founder.submit(add("same", 6)).unwrap();
    alice.catch_up(&founder);
    alice.step(vec![Input::Tick]);
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

#[test]
fn a_write_that_lapsed_while_the_validator_was_away_is_signed_anew() {
    let mut founder = Peer::founder();
    let mut alice = founder.admit(2, Role::Publisher);
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
    let mut founder = Peer::founder();
    let mut alice = founder.admit(2, Role::Publisher);
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

#[test]
fn a_member_whose_clock_is_hours_behind_can_write() {
    let mut founder = Peer::founder();
    let mut alice = founder.admit(2, Role::Publisher);
    founder.now_ms += 6 * 60 * 60 * 1000;
    alice.request(1, add("x", 5));
    exchange(&mut alice, &mut founder);
    assert!(alice.outcome(1).unwrap().is_ok());
}

#[test]
fn a_waiting_write_is_not_sent_again_at_every_tick() {
    let mut founder = Peer::founder();
    let mut alice = founder.admit(2, Role::Publisher);
    alice.request(1, add("x", 5));
    assert_eq!(alice.relayed().len(), 1);
    alice.step(vec![Input::Tick]);
    assert_eq!(alice.relayed().len(), 0);
    alice.now_ms += 10_000;
    alice.step(vec![Input::Tick]);
    assert_eq!(alice.relayed().len(), 1);
}

#[test]
fn heights_beyond_all_chains_are_not_found() {
    let founder = Peer::founder();
    let reader = founder.replica.reader();
    assert_eq!(reader.block_hash(u64::MAX).unwrap(), None);
    assert_eq!(reader.block(u64::MAX).unwrap(), None);
    assert!(reader.frames(u64::MAX, 1).unwrap().0.is_empty());
}

#[test]
fn an_overtaken_write_is_signed_anew_with_a_higher_sequence() {
    let mut founder = Peer::founder();
    let mut alice = founder.admit(2, Role::Publisher);
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
fn equal_requests_share_one_transaction_and_all_get_their_answer() {
    let mut founder = Peer::founder();
    let mut alice = founder.admit(2, Role::Publisher);
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
fn transactions_of_a_stranger_or_of_another_network_make_no_block() {
    let mut founder = Peer::founder();
    let network = founder.replica.reader().network();
    let body = |network, author: u8| Transaction {
        network,
        author: key(author).id(),
        sequence: 1,
        valid_until_ms: u64::MAX,
        on_behalf_of: None,
        action: add("a", 1),
    };
    let stranger = SignedTransaction::sign(&key(66), body(network, 66));
    let elsewhere = SignedTransaction::sign(&key(1), body(NetworkId::default(), 1));
    let forged = SignedTransaction::sign(&key(66), body(network, 1));
    founder.step(vec![Input::Transactions(vec![stranger, elsewhere, forged])]);
    assert_eq!(founder.replica.head().height, 0);
    assert!(!founder.replica.has_work(), "what can never count still waits");
}

#[test]
fn a_thousand_blocks_are_caught_up_and_give_the_same_state() {
    let mut founder = Peer::founder();
    let mut follower = founder.admit(2, Role::Reader);
    for number in 0..500u32 {
        let entry = FileEntry { name: format!("file-{number}").parse().unwrap(), ..file("x", 1) };
        founder.submit(Action::AddFile { file: entry.clone(), replaces: None }).unwrap();
        founder.submit(Action::RemoveFile { name: entry.name, file_id: entry.file_id }).unwrap();
    }
    follower.catch_up(&founder);
    assert_eq!(follower.replica.head().height, 1001);
}

#[test]
fn files_are_listed_by_prefix_in_pages() {
    let mut founder = Peer::founder();
    for (number, name) in ["b", "a/2", "A/1", "a/3", "c"].into_iter().enumerate() {
        founder.submit(add(name, u8::try_from(number).unwrap() + 1)).unwrap();
    }
    let reader = founder.replica.reader();
    let page = |prefix: Option<&str>, after: Option<NameKey>| {
        let filter = FileFilter { prefix: prefix.map(str::to_owned), after, limit: 2 };
        reader.files(&filter).unwrap().into_iter().map(|file| file.entry.name).collect::<Vec<_>>()
    };
    let first = page(Some("a/"), None);
    assert_eq!(first.iter().map(FileName::as_str).collect::<Vec<_>>(), ["A/1", "a/2"]);
    let second = page(Some("a/"), Some(first[1].key()));
    assert_eq!(second.iter().map(FileName::as_str).collect::<Vec<_>>(), ["a/3"]);
    assert_eq!(page(None, Some(second[0].key())).len(), 2);
}

#[test]
fn a_ledger_of_a_newer_program_and_a_foreign_file_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    assert!(LedgerDb::open(&path).unwrap().is_none());
    drop(LedgerDb::create(&path, &founder_genesis(NetworkParams::default())).unwrap());
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let error = LedgerDb::open(&path).unwrap_err();
    assert!(matches!(error, DbError::Newer { found: 99, .. }), "{error}");
    connection.pragma_update(None, "application_id", 1).unwrap();
    let error = LedgerDb::open(&path).unwrap_err();
    assert!(matches!(error, DbError::NotALedger { .. }), "{error}");
}

/// The tables vanish under the running ledger: nothing is known of what is stored.
#[test]
fn a_replica_whose_storage_fails_says_why_and_takes_no_further_step() {
    let mut founder = Peer::founder();
    let path = founder.folder.path().join("ledger.db");
    let submit = |number: u8| Input::Submit {
        request: RequestId(u64::from(number)),
        action: add(&format!("{number}"), 1),
        on_behalf_of: None,
    };
    rusqlite::Connection::open(path).unwrap().execute_batch("DROP TABLE blocks").unwrap();
    let now = Now::at_ms(founder.now_ms);
    let error = founder.replica.step(now, vec![submit(1)]).unwrap_err();
    assert!(error.to_string().contains("no such table"), "{error}");
    assert_eq!(founder.replica.step(now, vec![submit(2)]).unwrap_err(), error);
    assert!(!founder.replica.has_work());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever sequence of writes two members try, the follower, the founder and an audit from the bytes agree.
    #[test]
    fn any_history_gives_one_state_on_every_node(
        writes in prop::collection::vec((any::<bool>(), 0u8..4, 1u8..4, 0u8..3), 1..24)
    ) {
        let mut founder = Peer::founder();
        let mut alice = founder.admit(2, Role::Publisher);
        for (number, (by_alice, name, content, kind)) in writes.into_iter().enumerate() {
            let name = ["a", "a/b", "B", "b"][usize::from(name)];
            let action = match kind {
                0 => add(name, content),
                1 => replace(name, content, (content % 3) + 1),
                _ => remove(name, content),
            };
            if by_alice {
                alice.request(number as u64, action);
                exchange(&mut alice, &mut founder);
            } else {
                founder.request(number as u64, action);
            }
        }
        alice.catch_up(&founder);
        let (chain, _) = founder.replica.reader().frames(0, usize::MAX).unwrap();
        let network = founder.replica.reader().network();
        let audit = Audit::read(chain.as_slice(), Some(network), |_| {}).unwrap();
        prop_assert_eq!(audit.head(), founder.replica.head());
        prop_assert_eq!(audit.head(), alice.replica.head());
        let all = FileFilter { limit: 100, ..FileFilter::default() };
        let here = founder.replica.reader().files(&all).unwrap();
        prop_assert_eq!(&here, &alice.replica.reader().files(&all).unwrap());
        prop_assert_eq!(here, audit.state().files().cloned().collect::<Vec<_>>());
        prop_assert_eq!(
            founder.replica.reader().counts().unwrap().files,
            audit.state().files().count() as u64
        );
    }
}

/// It made blocks after its backup that it does not know of: a second one at such a height would fork the chain.
#[test]
fn a_validator_from_a_backup_makes_no_block_before_it_knows_what_others_have() {
    let mut founder = Peer::founder();
    let mut member = founder.admit(2, Role::Publisher);
    let copy = founder.folder.path().join("copy.db");
    founder.replica.reader().copy_to(&copy).unwrap();
    founder.submit(add("after-the-backup", 1)).unwrap();
    member.catch_up(&founder);

    let restored = LedgerDb::open(&copy).unwrap().unwrap();
    restored.check_file().unwrap();
    restored.mark_restored().unwrap();
    assert!(restored.reader().is_restored().unwrap());
    let mut back = Peer::founder();
    back.replica = Replica::new(key(1), restored).unwrap();
    back.now_ms = founder.now_ms;
    assert!(back.replica.is_held());
    let height = back.replica.head().height;
    back.request(1, add("later", 2));
    back.step(vec![Input::Tick]);
    assert_eq!((back.replica.head().height, back.outcome(1)), (height, None));

    back.catch_up(&member);
    back.step(vec![Input::EndHold]);
    back.now_ms += 10_000;
    back.step(vec![Input::Tick]);
    assert_eq!(back.replica.head().height, height + 2);
    assert!(!back.replica.is_held() && !back.replica.reader().is_restored().unwrap());
    member.catch_up(&back);
}
