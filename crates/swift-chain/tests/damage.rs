//! Bits of a ledger's file that change by themselves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod network;

use std::fs;

use network::{Peer, add, fleet::Fleet, founder_and_member, key, remove, submission};
use rusqlite::{
    Connection,
    functions::FunctionFlags,
    types::{Value, ValueRef},
};
use swift_chain::{
    Action, BlockHash, DbError, FileFilter, Input, LedgerDb, LedgerReader, LedgerStore as _, Now, Role, Vote,
    VoteKind,
    consensus::{ConsensusMessage, SignedVote},
    recovery::{Refounding, create_ledger},
};

/// All that the ledger says, in words.
fn said(ledger: &LedgerDb) -> Result<String, DbError> {
    let reader = ledger.reader();
    let all = FileFilter { limit: 1000, ..FileFilter::default() };
    // Certificates too.
    let (chain, _) = reader.frames(0, usize::MAX)?;
    let chain: u64 = chain.iter().fold(7, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    let tables =
        (reader.head()?, reader.counts()?, reader.members()?, reader.removed()?, reader.files(&all)?);
    let own = (ledger.outbox()?, ledger.wal()?, reader.validator_sets(u64::MAX)?, reader.evidence(9)?);
    Ok(format!("{tables:?} {own:?} {chain}"))
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

/// The columns of a table, but for the sum.
fn columns(file: &Connection, table: &str) -> Vec<String> {
    let mut statement = file.prepare(&format!("SELECT name FROM pragma_table_xinfo('{table}')")).unwrap();
    let names = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    names.map(Result::unwrap).filter(|name| name != "sum").collect()
}

/// A value with one bit changed, in the middle of it.
fn flipped(value: ValueRef<'_>) -> Option<Value> {
    match value {
        ValueRef::Integer(number) => Some(Value::Integer(number ^ (1 << 40))),
        ValueRef::Blob([]) | ValueRef::Null | ValueRef::Real(_) => None,
        ValueRef::Blob(bytes) => {
            let mut bytes = bytes.to_vec();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
            Some(Value::Blob(bytes))
        }
        ValueRef::Text(text) => {
            let mut text = String::from_utf8(text.to_vec()).unwrap();
            let last = text.pop().unwrap();
            text.push(char::from_u32(u32::from(last) ^ 1).unwrap());
            Some(Value::Text(text))
        }
    }
}

/// Changes one bit of each value of each table's first and last row, one at a time, and looks whether it is found; the
/// tables that had rows.
fn flip_each(path: &std::path::Path) -> Vec<String> {
    LedgerReader::open(path).unwrap().check_file().unwrap();
    let sound = fs::read(path).unwrap();
    // Whoever opens it so works out the sum that stands there already: it stays as it was, and what it is of does not.
    let open = |sum: i64| {
        let file = Connection::open(path).unwrap();
        let flags = FunctionFlags::SQLITE_UTF8
            | FunctionFlags::SQLITE_DETERMINISTIC
            | FunctionFlags::SQLITE_INNOCUOUS;
        file.create_scalar_function("row_sum", -1, flags, move |_| Ok(sum)).unwrap();
        file
    };
    let file = open(0);
    let mut statement = file
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        .unwrap();
    let tables: Vec<String> =
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    drop(statement);
    drop(file);
    let mut filled = Vec::new();
    for table in tables {
        let columns = columns(&open(0), &table);
        let (key, mut looked_at) = (&columns[0], false);
        for order in ["ASC", "DESC"] {
            for column in &columns {
                let sql = format!("SELECT {key}, {column}, sum FROM {table} ORDER BY {key} {order} LIMIT 1");
                let found = open(0).query_row(&sql, [], |row| {
                    Ok((row.get::<_, Value>(0)?, flipped(row.get_ref(1)?), row.get::<_, i64>(2)?))
                });
                let Ok((at, Some(value), sum)) = found else { continue };
                looked_at = true;
                let rotten = open(sum);
                let sql = format!("UPDATE {table} SET {column} = ?1 WHERE {key} = ?2");
                assert_eq!(rotten.execute(&sql, [value, at]).unwrap(), 1);
                drop(rotten);
                let found = LedgerReader::open(path).and_then(|reader| reader.check_file());
                assert!(found.is_err_and(|error| error.is_damage()), "{table}.{column} {order} is not found");
                LedgerDb::remove(path).unwrap();
                fs::write(path, &sound).unwrap();
            }
        }
        filled.extend(looked_at.then_some(table));
    }
    filled
}

/// Certificates had no sum, and a bit that flipped in one was found by nobody but who fetched it.
#[test]
fn a_bit_that_flips_in_any_table_is_found() {
    // With every kind of record, and a write that waits.
    let (mut founder, mut member) = founder_and_member();
    let reader = founder.admit(3, Role::Reader);
    founder.submit(Action::RemoveNode { node: reader.key.id() }).unwrap();
    founder.submit(add("a", 1)).unwrap();
    founder.submit(remove("a", 1)).unwrap();
    founder.submit(add("b", 2)).unwrap();
    member.catch_up(&founder);
    member.request(1, add("c", 3));
    let path = member.folder.path().join("ledger.db");
    drop(member.replica.into_store());
    let mut filled = flip_each(&path);
    // What only a validator among others has: its own votes, and those of one that voted twice.
    let mut fleet = Fleet::of(4);
    let network = fleet.peers[0].replica.reader().network();
    let at = (0..4).find(|at| fleet.peers[*at].proposer(0).id() == fleet.peers[*at].key.id()).unwrap();
    let liar = fleet.peers[(at + 1) % 4].key.clone();
    fleet.away.extend((0..4).filter(|other| *other != at));
    fleet.step(at, vec![submission(9, add("d", 4))]);
    for block in [None, Some(BlockHash::from_bytes([7; 32]))] {
        let height = fleet.height(at) + 1;
        let vote = Vote { kind: VoteKind::Prevote, height, round: 0, block, validator: liar.id() };
        let message = ConsensusMessage::Vote(SignedVote::sign(&liar, &network, vote));
        fleet.peers[at].step(vec![Input::Consensus { from: liar.id(), message }]);
    }
    let Peer { replica, folder: validator, .. } = fleet.peers.remove(at);
    drop(replica.into_store());
    let path = validator.path().join("ledger.db");
    // What only a network has that goes on from another.
    let anew = founder.folder.path().join("anew.db");
    let plan = Refounding::plan(key(1).id(), founder.replica.reader()).unwrap();
    let genesis = plan.sign(&key(1), [5; 16], founder.now_ms);
    drop(create_ledger(&anew, &genesis, founder.replica.reader()).unwrap());
    filled.extend(flip_each(&path));
    filled.extend(flip_each(&anew));
    filled.sort();
    filled.dedup();
    let all = [
        "authors",
        "blocks",
        "evidence",
        "files",
        "history",
        "invitations",
        "members",
        "meta",
        "outbox",
        "removed",
        "snapshot",
        "validator_sets",
        "wal",
    ];
    assert_eq!(filled, all);
}
