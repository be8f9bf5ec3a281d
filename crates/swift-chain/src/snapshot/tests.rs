use proptest::prelude::*;

use super::*;
use crate::{
    genesis::{Genesis, GenesisBody, NetworkParams, Origin},
    hash::{BlockHash, NetworkId},
    identity::NodeKey,
    limits::{FILE_LEN_MAX, PROTOCOL_VERSION, SNAPSHOT_FRAMES_MAX},
    transaction::{FileEntry, Role},
};

const TIME_MS: u64 = 1000;

fn founder() -> NodeKey {
    NodeKey::from_seed([1; 32])
}

fn genesis(commitment: Commitment) -> Genesis {
    let Commitment { state, frames } = commitment;
    let (network, hash) = (NetworkId::default(), BlockHash::default());
    let body = GenesisBody {
        protocol_version: PROTOCOL_VERSION,
        nonce: [0; 16],
        time_ms: TIME_MS,
        founder: founder().id(),
        address: "10.0.0.1:1".parse().unwrap(),
        params: NetworkParams::default(),
        origin: Some(Origin { network, height: 9, hash, state, frames }),
    };
    Genesis::sign(&founder(), body)
}

fn member(node: NodeId, role: Role) -> Change {
    imported_member(node, Member { role, address: "10.0.0.1:1".parse().unwrap(), joined_height: 7 })
}

fn node(number: u8) -> NodeId {
    NodeId::from_bytes([number; 32])
}

fn record(name: &str, size: u64, publisher: NodeId) -> FileRecord {
    let entry = FileEntry {
        name: name.parse().unwrap(),
        size,
        file_id: Hash::from_bytes([size.to_le_bytes()[0]; 32]),
        manifest_hash: Hash::default(),
    };
    FileRecord { entry, publisher, height: 5, time_ms: 900 }
}

fn author(node: NodeId, live_files: u64, live_bytes: u64) -> Change {
    Change::Author { node, record: AuthorRecord { last_sequence: 0, live_files, live_bytes } }
}

/// The founder, and files of one other author, counted.
fn state(names: &[&str]) -> Vec<Change> {
    let mut changes = vec![member(founder().id(), Role::Admin)];
    if !names.is_empty() {
        changes.push(author(node(3), names.len() as u64, 10 * names.len() as u64));
    }
    changes.extend(names.iter().map(|name| imported_file(record(name, 10, node(3)))));
    changes
}

fn frames(changes: Vec<Change>) -> (Vec<SnapshotFrame>, Commitment) {
    let mut writer = SnapshotWriter::default();
    let mut frames: Vec<_> = changes.into_iter().filter_map(|change| writer.push(change)).collect();
    let (last, commitment) = writer.finish();
    frames.extend(last);
    (frames, commitment)
}

/// What is said to a state that its genesis block names.
fn judge(changes: Vec<Change>) -> Result<(), SnapshotError> {
    let (frames, commitment) = frames(changes);
    let mut check = SnapshotCheck::new(&genesis(commitment));
    frames.iter().try_for_each(|frame| check.push(frame))?;
    check.finish()
}

fn reason(changes: Vec<Change>) -> &'static str {
    match judge(changes) {
        Err(SnapshotError::Record { reason, .. }) => reason,
        other => panic!("no record was refused: {other:?}"),
    }
}

#[test]
fn a_state_that_a_network_can_begin_with_is_taken() {
    assert_eq!(judge(state(&[])), Ok(()));
    let mut changes = state(&["a", "a b/c", "a-b", "b/c", "b/d/e", "b/d-e"]);
    changes.insert(1, imported_removal(node(2)));
    changes.sort_by_key(|change| match change {
        Change::File { key, .. } => key.as_str().to_owned(),
        _ => String::new(),
    });
    assert_eq!(judge(changes), Ok(()));
}

#[test]
fn records_out_of_order_or_twice_are_refused() {
    let order = "its records are not in their order, each once";
    let (first, second) = (node(3), founder().id());
    assert!(first < second);
    assert_eq!(reason(vec![member(second, Role::Admin), member(first, Role::Reader)]), order);
    assert_eq!(reason(vec![member(second, Role::Admin), member(second, Role::Admin)]), order);
    assert_eq!(reason(state(&["b", "a"])), order);
    assert_eq!(reason(state(&["a", "a"])), order);
    assert_eq!(reason(vec![imported_removal(node(2)), member(second, Role::Admin)]), order);
}

#[test]
fn records_that_a_founding_does_not_make_are_refused() {
    let later = Member { role: Role::Reader, address: "10.0.0.1:1".parse().unwrap(), joined_height: 1 };
    let file = record("a", 10, node(3));
    let with = |change: Change| vec![author(node(3), 1, 10), change];
    let put = |file: FileRecord| Change::File { key: file.entry.name.key(), file: Some(file) };
    let cases: Vec<(Vec<Change>, &str)> = vec![
        (vec![Change::Params(NetworkParams::default())], "of a kind that is not imported"),
        (vec![Change::InvitationUsed { nonce: [1; 16] }], "of a kind that is not imported"),
        (vec![Change::Member { node: node(2), member: None }], "of a kind that is not imported"),
        (vec![Change::Member { node: node(2), member: Some(later) }], "a member that joined later"),
        (vec![Change::Removed { node: node(2), height: 1 }], "a key that was removed later"),
        (vec![member(node(2), Role::Reader), imported_removal(node(2))], "a member whose key was removed"),
        (
            vec![Change::Author {
                node: node(2),
                record: AuthorRecord { last_sequence: 1, live_files: 1, live_bytes: 1 },
            }],
            "counters that were not begun anew",
        ),
        (vec![author(node(2), 0, 0)], "counters that were not begun anew"),
        (with(put(file.clone())), "a file that was published later"),
        (with(put(FileRecord { height: 0, time_ms: TIME_MS + 1, ..file.clone() })), "published later"),
        (
            with(Change::File { key: record("b", 1, node(3)).entry.name.key(), file: Some(file) }),
            "another key",
        ),
        (with(imported_file(record("a", FILE_LEN_MAX + 1, node(3)))), "too large"),
        (with(imported_file(record("a", 10, node(4)))), "no counters"),
    ];
    for (changes, expected) in cases {
        let reason = reason(changes);
        assert!(reason.contains(expected), "{reason:?} does not say {expected:?}");
    }
}

#[test]
fn a_name_that_is_a_directory_of_another_is_refused() {
    let directory = "a file whose name is a directory of another";
    // Others may stand between the two in the order of names.
    assert_eq!(reason(state(&["a", "a b", "a b c", "a-b", "a/b"])), directory);
    assert_eq!(reason(state(&["a/b", "a/b/c/d"])), directory);
    assert_eq!(judge(state(&["a b", "a b c", "a/b", "ab"])), Ok(()));
}

#[test]
fn a_founder_that_is_no_admin_there_is_refused() {
    let founder = founder().id();
    for changes in [
        vec![member(founder, Role::Publisher)],
        vec![member(node(2), Role::Admin)],
        vec![imported_member(
            founder,
            Member { role: Role::Admin, address: "10.0.0.2:1".parse().unwrap(), joined_height: 0 },
        )],
    ] {
        assert_eq!(judge(changes), Err(SnapshotError::Founder(founder)));
    }
}

#[test]
fn counters_that_the_files_do_not_add_up_to_are_refused() {
    for (files, bytes) in [(2, 10), (1, 11)] {
        let changes = vec![
            member(founder().id(), Role::Admin),
            author(node(3), files, bytes),
            imported_file(record("a", 10, node(3))),
        ];
        assert_eq!(judge(changes), Err(SnapshotError::Counters(node(3))));
    }
}

#[test]
fn frames_too_few_too_many_or_others_than_meant_are_refused() {
    let (list, commitment) = frames(state(&["a"]));
    let mut check = SnapshotCheck::new(&genesis(commitment));
    assert!(!check.is_whole());
    check.push(&list[0]).unwrap();
    assert!(check.is_whole());
    assert_eq!(check.push(&list[0]), Err(SnapshotError::TooMany { frames: 1 }));

    let nothing = SnapshotCheck::new(&genesis(Commitment { frames: 2, ..commitment })).finish();
    assert_eq!(nothing, Err(SnapshotError::CutShort { found: 0, frames: 2 }));

    let mut check = SnapshotCheck::new(&genesis(commitment));
    check.push(&frames(state(&["b"])).0[0]).unwrap();
    assert_eq!(check.finish(), Err(SnapshotError::Root));

    let empty = SnapshotFrame::new(Vec::new());
    let mut check = SnapshotCheck::new(&genesis(commitment));
    assert_eq!(check.push(&empty), Err(SnapshotError::Record { frame: 0, reason: "it is empty" }));
}

#[test]
fn many_records_are_spread_over_frames_of_bounded_size() {
    let names: Vec<_> = (0..2000).map(|number| format!("{number:04}{}", "n".repeat(200))).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let (list, commitment) = frames(state(&names));
    assert!(list.len() > 2 && list.len() == commitment.frames as usize);
    assert!(commitment.frames < SNAPSHOT_FRAMES_MAX);
    for frame in &list {
        assert!(frame.to_bytes().len() <= SNAPSHOT_FRAME_LEN_MAX);
        assert_eq!(SnapshotFrame::from_bytes(frame.to_bytes()).as_ref(), Ok(frame));
    }
    let mut swapped = list.clone();
    swapped.swap(0, 1);
    let mut check = SnapshotCheck::new(&genesis(commitment));
    assert!(swapped.iter().try_for_each(|frame| check.push(frame)).is_err());
    assert_eq!(judge(state(&names)), Ok(()));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_are_canonical_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        if let Ok(frame) = SnapshotFrame::from_bytes(&bytes) {
            prop_assert_eq!(frame.to_bytes(), &bytes[..]);
            let (_, commitment) = frames(state(&[]));
            let _ = SnapshotCheck::new(&genesis(commitment)).push(&frame);
        }
    }
}
