//! Going on after the validators were lost for good: what is taken along, who can check it, what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod network;

use std::path::{Path, PathBuf};

use network::*;
use proptest::prelude::*;
use swift_chain::{
    recovery::{
        AcceptError, CarriedOver, RecoverError, RecoveryFile, RecoveryFileError, Refounding, Standing,
        carry_over, create_ledger, examine, write_recovery_file,
    },
    *,
};

/// A network with a founder, a second admin, a publisher and one that was removed, and files of several of them.
struct Old {
    founder: Peer,
    admin: Peer,
    publisher: Peer,
}

impl Old {
    fn new() -> Self {
        let mut founder = Peer::founder();
        let mut admin = founder.admit(2, Role::Admin);
        let mut publisher = founder.admit(3, Role::Publisher);
        founder.admit(4, Role::Reader);
        founder.submit(Action::RemoveNode { node: key(4).id() }).unwrap();
        founder.submit(add("a", 1)).unwrap();
        founder.submit(replace("a", 2, 1)).unwrap();
        founder.submit(add("dir/b", 3)).unwrap();
        founder.submit(add("gone", 4)).unwrap();
        founder.submit(remove("gone", 4)).unwrap();
        publisher.catch_up(&founder);
        publisher.request(1, add("dir/c", 5));
        exchange(&mut publisher, &mut founder);
        admin.catch_up(&founder);
        Self { founder, admin, publisher }
    }
}

/// Founds the network of `of` anew; its ledger is that file then.
fn refound(of: &Peer, path: &Path) -> Result<(Genesis, LedgerDb), RecoverError> {
    let plan = Refounding::plan(of.key.id(), of.replica.reader())?;
    let genesis = plan.sign(&of.key, [5; 16], of.now_ms);
    let db = create_ledger(path, &genesis, of.replica.reader())?;
    Ok((genesis, db))
}

fn in_folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.db");
    (folder, path)
}

fn recovery_file(db: &LedgerDb) -> Vec<u8> {
    let mut file = Vec::new();
    write_recovery_file(db.reader(), &mut file).unwrap();
    file
}

fn chain(reader: &LedgerReader) -> Vec<u8> {
    reader.frames(0, usize::MAX).unwrap().0
}

fn accepted(file: &[u8], path: &Path) -> Result<LedgerDb, RecoveryFileError> {
    RecoveryFile::open(file)?.into_ledger(path)
}

#[test]
fn members_removed_keys_files_and_limits_are_taken_along() {
    let old = Old::new();
    let (_folder, path) = in_folder();
    let (genesis, db) = refound(&old.admin, &path).unwrap();
    let (before, now) = (old.admin.replica.reader(), db.reader());

    let head = old.admin.replica.head();
    let origin = genesis.body().origin.unwrap();
    assert_eq!((origin.network, origin.height, origin.hash), (before.network(), head.height, head.hash));
    assert_ne!(now.network(), before.network());
    assert_eq!(now.head().unwrap().height, 0);
    assert!(now.head().unwrap().time_ms > head.time_ms);
    assert_eq!(now.validators().unwrap(), ValidatorSet::sole(key(2).id()));
    assert_eq!(now.validator_sets(9).unwrap(), [(1, ValidatorSet::sole(key(2).id()))]);
    assert_eq!(now.counts().unwrap(), before.counts().unwrap());

    let as_imported = |(node, member): (NodeId, Member)| (node, Member { joined_height: 0, ..member });
    let members: Vec<_> = before.members().unwrap().into_iter().map(as_imported).collect();
    assert_eq!(now.members().unwrap(), members);
    assert_eq!(now.removed_at(&key(4).id()).unwrap(), Some(0));
    let all = FileFilter { limit: 100, ..FileFilter::default() };
    let files = |reader: &LedgerReader| reader.files(&all).unwrap();
    let expected: Vec<_> = files(before).into_iter().map(|file| FileRecord { height: 0, ..file }).collect();
    assert_eq!((files(now), expected.len()), (expected, 3));

    let (before, now) = (before.state(), now.state());
    assert_eq!(now.params().unwrap(), before.params().unwrap());
    assert_eq!(now.protocol().unwrap(), before.protocol().unwrap());
    assert_eq!(now.admin_count().unwrap(), before.admin_count().unwrap());
    for number in 1..=4 {
        let (then, counters) =
            (before.author(&key(number).id()).unwrap(), now.author(&key(number).id()).unwrap());
        assert_eq!(counters, AuthorRecord { last_sequence: 0, ..then });
    }
    // Signed under the old network's id, they are void in the new one.
    assert!(!now.invitation_used(&[2; 16]).unwrap());
}

#[test]
fn the_network_works_on_and_its_chain_verifies_from_its_id_alone() {
    let mut old = Old::new();
    let (_folder, path) = in_folder();
    let (genesis, db) = refound(&old.admin, &path).unwrap();
    let file = recovery_file(&db);
    old.admin.replica = Replica::new(key(2), db).unwrap();
    let (_folder, path) = in_folder();
    old.publisher.replica = Replica::new(key(3), accepted(&file, &path).unwrap()).unwrap();

    // Roles, names and counters count on; a removed key stays out, and a new one comes in.
    assert!(matches!(old.admin.refused(add("dir/b", 9)), Rejection::NameTaken { .. }));
    assert!(matches!(old.admin.refused(add("dir", 9)), Rejection::NameIsDirectory { .. }));
    let invitation = old.admin.invitation(Role::Reader, 7);
    let back = old.admin.join_action(&key(4), 4, invitation);
    assert_eq!(old.admin.refused(back), Rejection::Removed { node: key(4).id(), height: 0 });
    old.admin.submit(remove("dir/c", 5)).unwrap();
    old.publisher.catch_up(&old.admin);
    old.publisher.request(2, add("dir/c", 6));
    exchange(&mut old.publisher, &mut old.admin);
    assert!(matches!(old.publisher.outcome(2), Some(Ok(Settled { height: 2, .. }))));

    let bytes = chain(old.admin.replica.reader());
    let audit = Audit::read(bytes.as_slice(), Some(genesis.id()), |_| {}).unwrap();
    assert_eq!((audit.head(), audit.origin()), (old.admin.replica.head(), genesis.body().origin));
    assert_eq!(audit.state().files().count(), 3);
    let cut_off = &bytes[..5 + genesis.to_bytes().len()];
    let error = Audit::read(cut_off, None, |_| {}).unwrap_err();
    assert!(matches!(error, AuditError::Snapshot(SnapshotError::CutShort { .. })), "{error}");

    // Recovered once, it can be recovered again.
    old.publisher.catch_up(&old.admin);
    let (_folder, path) = in_folder();
    let (again, db) = refound(&old.admin, &path).unwrap();
    assert_eq!(again.body().origin.unwrap().network, genesis.id());
    assert_eq!(examine(old.publisher.replica.reader(), &again).unwrap(), Standing::Level);
    assert!(Audit::read(chain(db.reader()).as_slice(), Some(again.id()), |_| {}).is_ok());
}

#[test]
fn only_an_admin_founds_a_network_anew() {
    let old = Old::new();
    let (_folder, path) = in_folder();
    let refused = refound(&old.publisher, &path).err();
    assert!(
        matches!(refused, Some(RecoverError::NotAnAdmin { role: Some(Role::Publisher), .. })),
        "{refused:?}"
    );
    let stranger = Refounding::plan(key(9).id(), old.admin.replica.reader()).err();
    assert!(matches!(stranger, Some(RecoverError::NotAnAdmin { role: None, .. })), "{stranger:?}");
}

/// Whoever founded it anew could have added or dropped a file: then the state is not what others have.
#[test]
fn each_member_sees_by_its_own_ledger_whether_a_recovery_is_right() {
    let mut old = Old::new();
    let (_folder, path) = in_folder();
    let (genesis, _db) = refound(&old.admin, &path).unwrap();
    let own = old.publisher.replica.reader();
    assert_eq!(examine(own, &genesis).unwrap(), Standing::Level);

    let change = |change: &dyn Fn(&mut Origin)| {
        let mut body = genesis.body().clone();
        change(body.origin.as_mut().unwrap());
        examine(own, &Genesis::sign(&key(2), body)).map_err(|error| error.to_string())
    };
    let says = |outcome: Result<Standing, String>, word: &str| {
        let error = outcome.unwrap_err();
        assert!(error.contains(word), "{error:?} does not say {word:?}");
    };
    says(change(&|origin| origin.network = NetworkId::default()), "goes on from network");
    says(change(&|origin| origin.hash = BlockHash::default()), "forked");
    says(change(&|origin| origin.height -= 1), "forked");
    says(change(&|origin| origin.state = Hash::default()), "members, files or limits");
    says(change(&|origin| origin.frames += 1), "members, files or limits");
    let mut body = genesis.body().clone();
    body.params.live_files_per_author_max += 1;
    let changed = examine(own, &Genesis::sign(&key(2), body)).unwrap_err();
    assert!(matches!(changed, AcceptError::OtherState { .. }), "{changed}");
    let fresh = examine(own, &founder_genesis(NetworkParams::default())).unwrap_err();
    assert!(matches!(fresh, AcceptError::NotRecovered(_)), "{fresh}");

    // A ledger that is shorter cannot tell, one that is longer can.
    let height = own.head().unwrap().height;
    let late = Peer::new(key(5), old.founder.replica.reader().genesis());
    assert_eq!(examine(late.replica.reader(), &genesis).unwrap(), Standing::Behind { height: 0 });
    old.founder.submit(add("later", 7)).unwrap();
    let ahead = old.founder.replica.reader();
    assert_eq!(examine(ahead, &genesis).unwrap(), Standing::Ahead { height: height + 1 });
    let mut body = genesis.body().clone();
    body.origin.as_mut().unwrap().state = Hash::default();
    let changed = examine(ahead, &Genesis::sign(&key(2), body)).unwrap_err();
    assert!(matches!(changed, AcceptError::OtherState { .. }), "{changed}");
}

/// A damaged disk is not to become the beginning of a network.
#[test]
fn a_ledger_whose_tables_are_not_what_its_chain_says_is_not_gone_on_from() {
    let old = Old::new();
    let tables = rusqlite::Connection::open(old.admin.folder.path().join("ledger.db")).unwrap();
    tables.execute("DELETE FROM files WHERE key = 'dir/c'", []).unwrap();
    let (_folder, path) = in_folder();
    let error = refound(&old.admin, &path).err().unwrap();
    assert!(matches!(error, RecoverError::Tables("members and files")), "{error}");
    tables.execute("UPDATE blocks SET body = zeroblob(length(body)) WHERE height = 3", []).unwrap();
    let error = refound(&old.admin, &path).err().unwrap();
    assert!(matches!(error, RecoverError::Audit(_)), "{error}");
}

#[test]
fn writes_that_waited_are_carried_over_and_signed_anew() {
    let mut old = Old::new();
    // The validator is gone: these wait.
    let invitation = old.admin.invitation(Role::Reader, 9);
    let join = old.admin.join_action(&key(9), 9, invitation);
    let waiting = [
        add("waiting", 7),
        join,
        remove("dir/b", 3),
        Action::Upgrade { version: 2, from_height: 1000 },
        Action::UpdateNode { node: key(3).id(), change: NodeChange::Role(Role::Reader) },
    ];
    for (number, action) in waiting.into_iter().enumerate() {
        old.admin.request(number as u64, action);
    }
    let mut before = LedgerDb::open(&old.admin.folder.path().join("ledger.db")).unwrap().unwrap();
    let promotion = Transaction {
        network: before.reader().network(),
        author: key(2).id(),
        sequence: 99,
        valid_until_ms: old.admin.now_ms,
        on_behalf_of: None,
        action: Action::UpdateNode { node: key(3).id(), change: NodeChange::ValidatorWeight(1) },
    };
    before.enqueue(&SignedTransaction::sign(&key(2), promotion)).unwrap();
    let (_folder, path) = in_folder();
    let (_, mut db) = refound(&old.admin, &path).unwrap();
    let carried = carry_over(&old.admin.key, &before, &mut db, old.admin.now_ms).unwrap();
    assert_eq!(carried, CarriedOver { carried: 3, dropped: 3 });
    old.admin.replica = Replica::new(key(2), db).unwrap();
    old.admin.step(vec![Input::Tick]);
    let reader = old.admin.replica.reader();
    assert_eq!(old.admin.replica.head().height, 1);
    let names: Vec<_> = reader.files(&FileFilter { limit: 9, ..FileFilter::default() }).unwrap();
    let names: Vec<_> = names.iter().map(|file| file.entry.name.as_str()).collect();
    assert_eq!(names, ["a", "dir/c", "waiting"]);
    assert_eq!(reader.member(&key(3).id()).unwrap().unwrap().role, Role::Reader);
}

#[test]
fn a_recovery_file_is_read_as_far_as_the_state_and_not_further() {
    let mut old = Old::new();
    let (_folder, path) = in_folder();
    let (genesis, db) = refound(&old.admin, &path).unwrap();
    let file = recovery_file(&db);
    assert_eq!(file, chain(db.reader()));
    old.admin.replica = Replica::new(key(2), db).unwrap();
    old.admin.submit(add("later", 7)).unwrap();
    // An exported chain serves as well; its blocks come from the members.
    let exported = chain(old.admin.replica.reader());
    let (_folder, path) = in_folder();
    let db = accepted(&exported, &path).unwrap();
    assert_eq!((db.reader().network(), db.reader().head().unwrap().height), (genesis.id(), 0));
    let mut again = Vec::new();
    write_recovery_file(old.admin.replica.reader(), &mut again).unwrap();
    assert!(again == file);

    let plain = chain(old.founder.replica.reader());
    assert!(matches!(RecoveryFile::open(plain.as_slice()), Err(RecoveryFileError::NotRecovered)));
    let of_old = write_recovery_file(old.founder.replica.reader(), Vec::new());
    assert!(matches!(of_old, Err(RecoveryFileError::NotRecovered)));
    assert!(matches!(RecoveryFile::open(&b""[..]), Err(RecoveryFileError::Order)));
    let missing = &file[..5 + genesis.to_bytes().len()];
    let (_folder, path) = in_folder();
    let error = accepted(missing, &path).err().unwrap();
    assert!(
        matches!(error, RecoveryFileError::Db(DbError::Snapshot(SnapshotError::CutShort { .. }))),
        "{error}"
    );
    assert!(LedgerDb::open(&path).unwrap().is_none(), "half a ledger is one");
}

/// Many long names: several frames.
fn large() -> (Genesis, Vec<u8>) {
    let mut founder = Peer::founder();
    for round in 0..4_u8 {
        let submit = |number: u8| {
            let name = format!("{round}-{number}/{}", "n".repeat(220)).repeat(2);
            let action = add(&name, number.max(1));
            Input::Submit { request: RequestId(u64::from(number)), action, on_behalf_of: None }
        };
        founder.step((0..=255).map(submit).collect());
    }
    assert_eq!(founder.replica.reader().counts().unwrap().files, 1024);
    let (_folder, path) = in_folder();
    let (genesis, db) = refound(&founder, &path).unwrap();
    assert!(genesis.body().origin.unwrap().frames > 1);
    (genesis, chain(db.reader()))
}

#[test]
fn a_large_state_comes_in_pieces_and_can_be_asked_for_piece_by_piece() {
    let (genesis, file) = large();
    let (_folder, path) = in_folder();
    let db = accepted(&file, &path).unwrap();
    let (mut pieces, mut next) = (Vec::new(), ChainPosition::Genesis);
    while next != (ChainPosition::Block { height: 1 }) {
        let (piece, then) = db.reader().frames(next, 1).unwrap();
        assert!(piece.len() <= limits::SNAPSHOT_FRAME_LEN_MAX + 5);
        pieces.extend_from_slice(&piece);
        next = then;
    }
    assert!(pieces == file);
    // A frame that is missing, or there twice, or in another place.
    let head = 5 + genesis.to_bytes().len();
    let first = 5 + u32::from_le_bytes(file[head + 1..head + 5].try_into().unwrap()) as usize;
    let (begin, one, rest) = (&file[..head], &file[head..head + first], &file[head + first..]);
    for forged in [
        [begin, rest].concat(),
        [begin, one, one, rest].concat(),
        [begin, rest, one].concat(),
        [begin, one, rest, one].concat(),
    ] {
        let error = Audit::read(forged.as_slice(), None, |_| {}).unwrap_err();
        assert!(matches!(error, AuditError::Snapshot(_)), "{error}");
    }
}

fn small() -> (NetworkId, Vec<u8>) {
    let old = Old::new();
    let (_folder, path) = in_folder();
    let (genesis, db) = refound(&old.admin, &path).unwrap();
    (genesis.id(), recovery_file(&db))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_flipped_bit_is_found(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        static CHAIN: std::sync::OnceLock<(NetworkId, Vec<u8>)> = std::sync::OnceLock::new();
        let (network, mut chain) = CHAIN.get_or_init(small).clone();
        let at = at.index(chain.len());
        chain[at] ^= 1 << bit;
        let audited = Audit::read(chain.as_slice(), Some(network), |_| {});
        prop_assert!(audited.is_err());
        let (_folder, path) = in_folder();
        let taken = accepted(&chain, &path).is_ok_and(|db| db.reader().network() == network);
        prop_assert!(!taken);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever happened in a network: the state that is imported is the state it had, and writing it out once more
    /// gives the same bytes.
    #[test]
    fn an_imported_state_is_the_state_it_was_made_of(
        steps in prop::collection::vec((0u8..6, 1u8..5, 0usize..8), 0..30),
    ) {
        let mut founder = Peer::founder();
        founder.admit(2, Role::Admin);
        let names = ["a", "b", "dir/a", "dir/b", "dir/c/d", "A b", "z/z", "ø"];
        for (kind, content, name) in steps {
            let name = names[name];
            let live = founder.replica.reader().file(&name.parse::<FileName>().unwrap().key()).unwrap();
            let live = live.map(|file| file.entry.file_id.as_bytes()[0]);
            let action = match (kind, live) {
                (0 | 1, Some(current)) => remove(name, current),
                (_, Some(current)) => replace(name, content, current),
                (_, None) => add(name, content),
            };
            // Some are refused, a name that is a directory for example.
            let _ = founder.submit(action);
        }
        let (_folder, path) = in_folder();
        let (genesis, db) = refound(&founder, &path).unwrap();
        let audit = Audit::read(chain(db.reader()).as_slice(), Some(genesis.id()), |_| {}).unwrap();
        let before: Vec<_> = founder.replica.reader().files(&FileFilter { limit: 99, ..Default::default() }).unwrap();
        let before: Vec<_> = before.into_iter().map(|file| FileRecord { height: 0, ..file }).collect();
        prop_assert_eq!(audit.state().files().cloned().collect::<Vec<_>>(), before);
        for number in 1..=2 {
            let id = key(number).id();
            prop_assert_eq!(audit.state().author(&id).unwrap(), db.state().author(&id).unwrap());
        }
        // Nothing happened since, so the next one imports the same.
        let again = Refounding::plan(key(1).id(), db.reader()).unwrap();
        let origin = genesis.body().origin.unwrap();
        prop_assert_eq!((again.origin().state, again.origin().frames), (origin.state, origin.frames));
    }
}
