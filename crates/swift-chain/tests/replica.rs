//! A node's ledger over time: finality, crashes, catching up, reading.
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
fn heights_beyond_all_chains_are_not_found() {
    let founder = Peer::founder();
    let reader = founder.replica.reader();
    assert_eq!(reader.block_hash(u64::MAX).unwrap(), None);
    assert_eq!(reader.block(u64::MAX).unwrap(), None);
    assert!(reader.frames(u64::MAX, 1).unwrap().0.is_empty());
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

/// A newer program worked on the file, which this one has open: it would go on without what the newer one keeps beside it.
#[test]
fn a_ledger_that_a_newer_program_took_over_is_not_written_any_more() {
    let mut founder = Peer::founder();
    let connection = rusqlite::Connection::open(founder.folder.path().join("ledger.db")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let now = Now::at_ms(founder.now_ms);
    let error = founder.replica.step(now, vec![submission(1, add("a", 1))]).unwrap_err();
    assert!(error.to_string().contains("tables of version 99"), "{error}");
    let blocks = "SELECT count(*) FROM blocks";
    assert_eq!(connection.query_row(blocks, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
}

/// The tables vanish under the running ledger: nothing is known of what is stored.
#[test]
fn a_replica_whose_storage_fails_says_why_and_takes_no_further_step() {
    let mut founder = Peer::founder();
    let path = founder.folder.path().join("ledger.db");
    let submit = |number: u8| submission(u64::from(number), add(&format!("{number}"), 1));
    rusqlite::Connection::open(path).unwrap().execute_batch("DROP TABLE blocks").unwrap();
    let now = Now::at_ms(founder.now_ms);
    let error = founder.replica.step(now, vec![submit(1)]).unwrap_err();
    assert!(error.to_string().contains("no such table"), "{error}");
    assert_eq!(founder.replica.step(now, vec![submit(2)]).unwrap_err(), error);
    assert!(!founder.replica.has_work());
}

/// It made blocks after its backup that it does not know of: a second one at such a height would fork the chain.
#[test]
fn a_validator_from_a_backup_makes_no_block_before_it_knows_what_others_have() {
    let (mut founder, mut member) = founder_and_member();
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever sequence of writes two members try, the follower, the founder and an audit from the bytes agree.
    #[test]
    fn any_history_gives_one_state_on_every_node(
        writes in prop::collection::vec((any::<bool>(), 0u8..4, 1u8..4, 0u8..3), 1..24)
    ) {
        let (mut founder, mut alice) = founder_and_member();
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
