//! The ledger's rules for names and files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod network;

use network::*;
use swift_chain::*;

#[test]
fn a_name_is_taken_once() {
    let mut founder = Peer::founder();
    founder.submit(add("a.txt", 1)).unwrap();
    let rejection = founder.refused(add("a.txt", 2));
    let taken =
        Rejection::NameTaken { name: "a.txt".parse().unwrap(), publisher: key(1).id(), file_id: hash(1) };
    assert_eq!(rejection, taken);
}

#[test]
fn asking_again_for_what_is_so_is_success_and_makes_no_block() {
    let mut founder = Peer::founder();
    let first = founder.submit(add("a.txt", 1)).unwrap();
    founder.submit(add("b.txt", 2)).unwrap();
    let again = founder.submit(add("a.txt", 1)).unwrap();
    assert_eq!(again, Settled { height: first.height, transaction: None });
    assert_eq!(founder.replica.head().height, 2);
}

#[test]
fn names_that_differ_in_case_only_are_one_name() {
    let mut founder = Peer::founder();
    founder.submit(add("Readme.md", 1)).unwrap();
    assert!(matches!(founder.refused(add("README.MD", 2)), Rejection::NameTaken { .. }));
    let spelled_otherwise = replace("README.MD", 2, 1);
    assert!(matches!(founder.refused(spelled_otherwise), Rejection::NameTaken { .. }));
    assert!(matches!(founder.refused(remove("README.MD", 1)), Rejection::NoSuchFile { .. }));
}

#[test]
fn a_file_is_no_directory_and_a_directory_no_file() {
    let mut founder = Peer::founder();
    founder.submit(add("a/b/c", 1)).unwrap();
    for name in ["a", "a/b", "A/B", "a/b/c/d", "a/b/C/d/e"] {
        let rejection = founder.refused(add(name, 2));
        let live = "a/b/c".parse().unwrap();
        assert_eq!(rejection, Rejection::NameIsDirectory { name: name.parse().unwrap(), live });
    }
    // Neighbours whose names begin alike are in nobody's way.
    founder.submit(add("a/b/c0", 2)).unwrap();
    founder.submit(add("a/b.c", 3)).unwrap();
    founder.submit(remove("a/b/c", 1)).unwrap();
    founder.submit(remove("a/b/c0", 2)).unwrap();
    founder.submit(add("a/b", 2)).unwrap();
}

#[test]
fn replacing_and_removing_name_the_current_content() {
    let mut founder = Peer::founder();
    founder.submit(add("a", 1)).unwrap();
    let stale = founder.refused(replace("a", 3, 2));
    let name: FileName = "a".parse().unwrap();
    assert_eq!(stale, Rejection::ContentChanged { name: name.clone(), expected: hash(2), current: hash(1) });
    founder.submit(replace("a", 2, 1)).unwrap();
    assert!(matches!(founder.refused(remove("a", 1)), Rejection::ContentChanged { .. }));
    founder.submit(remove("a", 2)).unwrap();
    assert_eq!(founder.refused(remove("a", 2)), Rejection::NoSuchFile { name: name.clone() });
    assert_eq!(founder.refused(replace("a", 2, 1)), Rejection::NoSuchFile { name });
}

#[test]
fn only_its_publisher_or_an_admin_changes_a_file() {
    let (mut founder, mut alice) = founder_and_member();
    founder.submit(add("founders", 1)).unwrap();
    alice.catch_up(&founder);
    let rejection = alice.refused(replace("founders", 2, 1));
    assert!(matches!(rejection, Rejection::NotThePublisher { .. }));
    assert!(matches!(alice.refused(remove("founders", 1)), Rejection::NotThePublisher { .. }));

    alice.request(1, add("hers", 3));
    exchange(&mut alice, &mut founder);
    assert!(alice.outcome(1).unwrap().is_ok());
    founder.submit(replace("hers", 4, 3)).unwrap();
    alice.catch_up(&founder);
    // The admin who replaced it is its publisher now.
    assert!(matches!(alice.refused(remove("hers", 4)), Rejection::NotThePublisher { .. }));
}

#[test]
fn a_reader_publishes_nothing() {
    let mut founder = Peer::founder();
    let mut reader = founder.admit(2, Role::Reader);
    let rejection = reader.refused(add("a", 1));
    let (node, has, needs) = (key(2).id(), Role::Reader, Role::Publisher);
    assert_eq!(rejection, Rejection::Role { node, has, needs });
}

#[test]
fn a_file_larger_than_16_tib_is_refused() {
    let mut founder = Peer::founder();
    let largest = FileEntry { size: 16 << 40, ..file("a", 1) };
    founder.submit(Action::AddFile { file: largest, replaces: None }).unwrap();
    let over = FileEntry { size: (16 << 40) + 1, ..file("b", 1) };
    let rejection = founder.refused(Action::AddFile { file: over, replaces: None });
    assert_eq!(rejection, Rejection::FileTooLarge { size: (16 << 40) + 1 });
    let absurd = FileEntry { size: u64::MAX, ..file("c", 1) };
    let rejection = founder.refused(Action::AddFile { file: absurd, replaces: None });
    assert_eq!(rejection, Rejection::FileTooLarge { size: u64::MAX });
}

#[test]
fn an_author_stays_within_the_limits_of_the_genesis_block() {
    let params = NetworkParams {
        live_files_per_author_max: 2,
        live_bytes_per_author_max: 5_000,
        transactions_per_author_and_block_max: 100,
    };
    let mut founder = Peer::new(key(1), &founder_genesis(params));
    founder.submit(add("a", 1)).unwrap();
    assert!(matches!(founder.refused(add("b", 5)), Rejection::TooManyBytes { live: 6_000, .. }));
    founder.submit(add("b", 4)).unwrap();
    assert!(matches!(founder.refused(add("c", 0)), Rejection::TooManyFiles { live: 2, max: 2, .. }));
    // What is replaced or removed counts no longer.
    founder.submit(replace("b", 3, 4)).unwrap();
    founder.submit(remove("a", 1)).unwrap();
    founder.submit(add("c", 2)).unwrap();
}

#[test]
fn one_author_gets_its_share_of_a_block_and_the_rest_of_its_writes_in_the_next() {
    let params = NetworkParams { transactions_per_author_and_block_max: 3, ..NetworkParams::default() };
    let mut founder = Peer::new(key(1), &founder_genesis(params));
    let submit = |number: u8| submission(u64::from(number), add(&format!("file-{number}"), number));
    founder.step((1..=7).map(submit).collect());
    let lens: Vec<_> = founder.blocks(1).iter().map(|sealed| sealed.block.transactions.len()).collect();
    assert_eq!(lens, [3, 3, 1]);
    assert!((1..=7).all(|number| founder.outcome(number).unwrap().is_ok()));
}

#[test]
fn two_writes_for_one_name_in_one_block_give_one_file_and_one_clear_refusal() {
    let mut founder = Peer::founder();
    let submit = |number: u64, content| submission(number, add("same", content));
    founder.step(vec![submit(1, 1), submit(2, 2)]);
    assert!(founder.outcome(1).unwrap().is_ok());
    let refusal = founder.outcome(2).unwrap().unwrap_err();
    assert!(matches!(refusal, SubmitError::Rejected(Rejection::NameTaken { .. })));
}
