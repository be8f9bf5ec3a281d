//! Bits of a ledger's file that change by themselves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod network;

use std::fs;

use network::{Peer, add, submission};
use swift_chain::{DbError, FileFilter, LedgerDb, LedgerReader, LedgerStore as _, Now};

/// All that the ledger says, in words.
fn said(ledger: &LedgerDb) -> Result<String, DbError> {
    let reader = ledger.reader();
    let all = FileFilter { limit: 1000, ..FileFilter::default() };
    let (chain, _) = reader.frames(0, usize::MAX)?;
    let tables =
        (reader.head()?, reader.counts()?, reader.members()?, reader.removed()?, reader.files(&all)?);
    let own = (ledger.outbox()?, ledger.wal()?, reader.validator_sets(u64::MAX)?, reader.evidence(9)?);
    Ok(format!("{tables:?} {own:?} {} bytes", chain.len()))
}

#[test]
fn every_bit_that_flips_is_found_by_looking_through_the_file_or_is_where_nothing_is() {
    let mut founder = Peer::founder();
    for number in 0..30 {
        let submit = submission(number, add(&format!("dir/{number}"), 1));
        founder.replica.step(Now::at_ms(founder.now_ms + number), vec![submit]).unwrap();
    }
    let path = founder.folder.path().join("ledger.db");
    let before = said(founder.replica.store()).unwrap();
    let Peer { folder, replica, .. } = founder;
    replica.into_store().check_file().unwrap();
    let sound = fs::read(&path).unwrap();
    let (mut found, mut harmless, mut at) = (0, 0, 7919_usize);
    for flipped in 0..400_usize {
        // Somewhere else each time, where something is.
        at = (at * 31 + 17) % sound.len();
        while sound[at] == 0 {
            at = (at + 1) % sound.len();
        }
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (flipped % 8);
        LedgerDb::remove(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        let looked = LedgerDb::open(&path).and_then(|ledger| {
            let ledger = ledger.ok_or(DbError::Missing("all of it"))?;
            ledger.check_file()?;
            said(&ledger)
        });
        match looked {
            // A certificate is checked by whoever follows the chain.
            Ok(after) => {
                assert_eq!(after, before, "byte {at}");
                harmless += 1;
            }
            Err(error) => {
                assert!(error.is_damage() || matches!(error, DbError::Newer { .. }), "byte {at}: {error}");
                found += 1;
            }
        }
        let _ = LedgerReader::open(&path);
    }
    assert!(found > 200 && harmless < 200, "{found} found, {harmless} harmless");
    drop(folder);
}
