//! The state that is taken along: its bytes, its pieces, and that nothing in it can be changed.

use proptest::prelude::*;
use swift_chain::{
    recovery::{RecoveryFile, RecoveryFileError, Refounding, write_recovery_file},
    *,
};

use crate::{Old, accepted, chain, in_folder, network::*, recovery_file, refound};

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
            submission(u64::from(number), action)
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
