//! The switch, cut short at every step.

use swift_chain::{Genesis, GenesisBody, NetworkParams, PROTOCOL_VERSION};
use tempfile::TempDir;

use super::{switch::Step, *};

/// A folder with a key and a ledger, and the new ledger beside it.
struct Folder {
    folder: TempDir,
    old: NetworkId,
    new: NetworkId,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(folder.path()).unwrap();
        let key = data_dir.key().unwrap();
        let body = GenesisBody {
            protocol_version: PROTOCOL_VERSION,
            nonce: [1; 16],
            time_ms: 1,
            founder: key.id(),
            address: "127.0.0.1:8000".parse().unwrap(),
            params: NetworkParams::default(),
            origin: None,
        };
        let genesis = Genesis::sign(&key, body);
        let ledger = LedgerDb::create(&data_dir.file("ledger.db"), &genesis).unwrap();
        let plan = Refounding::plan(key.id(), ledger.reader()).unwrap();
        let refounded = plan.sign(&key, [2; 16], 5);
        drop(create_ledger(&data_dir.file(NEW_LEDGER), &refounded, ledger.reader()).unwrap());
        Self { folder, old: genesis.id(), new: refounded.id() }
    }

    fn data_dir(&self) -> DataDir {
        DataDir::open(self.folder.path()).unwrap()
    }

    fn network(&self, name: &str) -> Option<NetworkId> {
        let ledger = LedgerDb::open(&self.folder.path().join(name)).unwrap();
        ledger.map(|ledger| ledger.reader().network())
    }
}

/// Stands for a crash.
fn cut_at(step: Step) -> impl FnMut(Step) -> Result<(), RecoveryError> {
    move |reached| {
        if reached == step { Err(RecoveryError::NoLedger(PathBuf::new())) } else { Ok(()) }
    }
}

#[test]
fn a_switch_cut_short_leaves_the_old_network_or_the_new_one() {
    for (step, switched) in [(Step::Keep, false), (Step::Replace, false), (Step::Done, true)] {
        let folder = Folder::new();
        let data_dir = folder.data_dir();
        let switch = Switch::new(&data_dir, folder.old);
        assert!(switch.carry_out(cut_at(step)).is_err());
        let expected = if switched { folder.new } else { folder.old };
        assert_eq!(folder.network("ledger.db"), Some(expected), "{step:?}");
        if !switched {
            // Tried again, it comes to its end, and leaves one copy of the old ledger.
            switch.carry_out(|_| Ok(())).unwrap();
            assert_eq!(folder.network("ledger.db"), Some(folder.new), "{step:?}");
        }
        assert_eq!(folder.network(&format!("ledger-{}.db", folder.old)), Some(folder.old), "{step:?}");
        assert_eq!(folder.network(&format!("ledger-{}-2.db", folder.old)), None, "{step:?}");
        assert_eq!(folder.network(NEW_LEDGER), None, "{step:?}");
    }
}

/// An operator went back to the old ledger by hand, and changed it: both are kept.
#[test]
fn an_older_copy_of_the_ledger_is_not_overwritten() {
    let folder = Folder::new();
    let data_dir = folder.data_dir();
    let first = data_dir.file(&format!("ledger-{}.db", folder.old));
    fs::write(&first, b"kept before").unwrap();
    let kept = Switch::new(&data_dir, folder.old).carry_out(|_| Ok(())).unwrap();
    assert_eq!(kept, data_dir.file(&format!("ledger-{}-2.db", folder.old)));
    assert_eq!(fs::read(first).unwrap(), b"kept before");
    assert_eq!(folder.network("ledger.db"), Some(folder.new));
}

/// SQLite would play the old ledger's log into the new one.
#[test]
fn a_ledger_whose_log_is_not_merged_is_not_switched() {
    let folder = Folder::new();
    let data_dir = folder.data_dir();
    let log = data_dir.file("ledger.db-wal");
    fs::write(&log, b"what the database lacks").unwrap();
    let refused = Switch::new(&data_dir, folder.old).carry_out(|_| Ok(()));
    assert!(matches!(refused, Err(RecoveryError::InUse(_))), "{refused:?}");
    fs::remove_file(log).unwrap();
    assert_eq!(folder.network("ledger.db"), Some(folder.old));
}

#[test]
fn a_folder_that_was_founded_anew_a_moment_ago_is_not_founded_anew_again() {
    let folder = Folder::new();
    fs::remove_file(folder.folder.path().join(NEW_LEDGER)).unwrap();
    let done = Recovery::plan(folder.folder.path()).unwrap().carry_out(None).unwrap();
    assert_eq!(done.old, folder.old);
    assert_eq!(folder.network("ledger.db"), Some(done.network));
    let refused = Recovery::plan(folder.folder.path()).err();
    assert!(
        matches!(refused, Some(RecoveryError::DoneAlready(network)) if network == done.network),
        "{refused:?}"
    );

    // The file can be had again.
    let written = fs::read(&done.file).unwrap();
    let refused = Recovery::rewrite_file(folder.folder.path(), None);
    assert!(matches!(refused, Err(RecoveryError::FileExists(_))), "{refused:?}");
    let other = folder.folder.path().join("other");
    assert_eq!(Recovery::rewrite_file(folder.folder.path(), Some(&other)).unwrap(), other);
    assert!(fs::read(other).unwrap() == written);
}

#[test]
fn a_file_that_cannot_be_written_stops_a_recovery_before_the_switch() {
    let folder = Folder::new();
    let nowhere = folder.folder.path().join("no/such/folder");
    let refused = Recovery::plan(folder.folder.path()).unwrap().carry_out(Some(&nowhere));
    assert!(refused.is_err(), "{refused:?}");
    let taken = folder.folder.path().join("node.key");
    let refused = Recovery::plan(folder.folder.path()).unwrap().carry_out(Some(&taken));
    assert!(matches!(refused, Err(RecoveryError::FileExists(_))), "{refused:?}");
    assert_eq!(folder.network("ledger.db"), Some(folder.old));
    assert!(Recovery::plan(folder.folder.path()).unwrap().carry_out(None).is_ok());
}

#[test]
fn a_folder_without_a_node_is_named_and_nothing_is_made_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let refused = Recovery::plan(folder.path()).err().unwrap().to_string();
    assert!(refused.contains("node.key"), "{refused}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
