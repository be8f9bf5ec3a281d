//! Going on after the validators were lost for good: what is taken along, who can check it, what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "../network/mod.rs"]
mod network;
mod snapshot;

use std::path::{Path, PathBuf};

use network::*;
use rusqlite::functions::FunctionFlags;
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
    // A block that lost all it said, under the sum that it had.
    let sum = "SELECT sum FROM blocks WHERE height = 3";
    let sum: i64 = tables.query_row(sum, [], |row| row.get(0)).unwrap();
    let flags = FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    tables.create_scalar_function("row_sum", -1, flags, move |_| Ok(sum)).unwrap();
    tables.execute("UPDATE blocks SET body = zeroblob(length(body)) WHERE height = 3", []).unwrap();
    let error = refound(&old.admin, &path).err().unwrap();
    assert!(matches!(&error, RecoverError::Db(error) if error.is_damage()), "{error}");
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
