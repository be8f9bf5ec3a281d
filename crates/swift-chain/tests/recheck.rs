//! A ledger that is checked again as if it came from a stranger.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod network;

use std::{ops::ControlFlow, path::Path};

use network::*;
use rusqlite::{
    Connection,
    functions::{Context, FunctionFlags},
    types::ValueRef,
};
use sha2::{Digest as _, Sha256};
use swift_chain::{
    recovery::{Refounding, create_ledger},
    *,
};

fn recheck(path: &Path) -> Result<Rechecked, RecheckError> {
    LedgerReader::open(path).unwrap().recheck(|_| ControlFlow::Continue(())).map(Option::unwrap)
}

/// Members that come and go, names that change.
fn lived() -> (Peer, Peer) {
    let (mut founder, mut member) = founder_and_member();
    founder.submit(add("a", 1)).unwrap();
    member.catch_up(&founder);
    member.request(1, add("b", 2));
    exchange(&mut member, &mut founder);
    founder.submit(replace("a", 3, 1)).unwrap();
    founder.submit(remove("b", 2)).unwrap();
    founder.submit(Action::RemoveNode { node: member.key.id() }).unwrap();
    (founder, member)
}

#[test]
fn a_sound_ledger_is_gone_through_block_by_block_also_one_that_goes_on_from_another() {
    let (founder, _member) = lived();
    let reader = founder.replica.reader();
    let mut heights = Vec::new();
    let done = reader.recheck(|done| {
        heights.push(done.head.height);
        assert_eq!(done.goal, 6);
        ControlFlow::Continue(())
    });
    let done = done.unwrap().unwrap();
    assert_eq!(heights, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!((done.head, done.transactions), (*founder.replica.head(), 6));
    // The genesis block's; three of each block; two more of who came in.
    assert_eq!(done.signatures, 1 + 6 * 3 + 2);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("anew.db");
    let plan = Refounding::plan(key(1).id(), reader).unwrap();
    let genesis = plan.sign(&key(1), [5; 16], founder.now_ms);
    let anew = create_ledger(&path, &genesis, reader).unwrap();
    let mut anew = Replica::new(key(1), anew).unwrap();
    anew.step(Now::at_ms(founder.now_ms), vec![submission(1, add("c", 4))]).unwrap();
    assert_eq!(recheck(&path).unwrap().head, *anew.head());
}

#[test]
fn who_watches_may_break_it_off() {
    let (founder, _member) = lived();
    let mut left = 3;
    let stopped = founder.replica.reader().recheck(|_| {
        left -= 1;
        if left > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    assert_eq!((stopped.unwrap(), left), (None, 0));
}

/// The sum of a row as `docs/formats.md` has it.
fn sum(context: &Context<'_>) -> i64 {
    let mut bytes = Vec::new();
    for at in 0..context.len() {
        let (kind, text) = match context.get_raw(at) {
            ValueRef::Integer(number) => {
                bytes.push(1);
                bytes.extend(number.to_le_bytes());
                continue;
            }
            ValueRef::Text(text) => (3, text),
            ValueRef::Blob(blob) => (4, blob),
            other => panic!("{other:?}"),
        };
        bytes.push(kind);
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text);
    }
    i64::from_le_bytes(Sha256::digest(&bytes)[..8].try_into().unwrap())
}

/// Opens tables to put something else into them: with sums that fit, or with those that stand there.
fn open(path: &Path, stays: Option<i64>) -> Connection {
    let file = Connection::open(path).unwrap();
    let flags =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    let sum = move |context: &Context<'_>| Ok(stays.unwrap_or_else(|| sum(context)));
    file.create_scalar_function("row_sum", -1, flags, sum).unwrap();
    file
}

/// What is said of a ledger in whose block a byte is another, with a sum that does not tell or one that does.
fn with_a_flip(path: &Path, height: u64, at: usize, is_summed: bool) -> (u64, Flaw) {
    let (before, stored): (Vec<u8>, i64) = open(path, None)
        .query_row("SELECT body, sum FROM blocks WHERE height = ?1", [height], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    let put = |body: &[u8], stays| {
        let sql = "UPDATE blocks SET body = ?1 WHERE height = ?2";
        assert_eq!(open(path, stays).execute(sql, rusqlite::params![body, height]).unwrap(), 1);
    };
    let mut body = before.clone();
    let at = at % body.len();
    body[at] ^= 1;
    put(&body, (!is_summed).then_some(stored));
    let found = recheck(path).unwrap_err();
    put(&before, None);
    match found {
        RecheckError::Broken { height, flaw } => (height, flaw),
        RecheckError::Db(error) => panic!("no verdict: {error}"),
    }
}

#[test]
fn a_bit_that_flipped_in_a_stored_block_is_found_with_its_height() {
    let (founder, _member) = lived();
    let path = founder.folder.path().join("ledger.db");
    drop(founder.replica.into_store());
    recheck(&path).unwrap();
    for height in 1..=6 {
        for at in [3, 50, 101, 160] {
            let (found, flaw) = with_a_flip(&path, height, at, false);
            assert!(found == height && matches!(flaw, Flaw::Stored(_)), "block {height}: {found}, {flaw}");
        }
    }
    recheck(&path).unwrap();
}

#[test]
fn what_somebody_put_there_with_a_sum_that_fits_convinces_nobody() {
    let (founder, _member) = lived();
    let path = founder.folder.path().join("ledger.db");
    drop(founder.replica.into_store());
    for height in 1..=6 {
        for at in [3, 50, 101, 160, usize::MAX] {
            let (found, _) = with_a_flip(&path, height, at, true);
            assert_eq!(found, height);
        }
    }
    // Blocks that are gone.
    let cut = |sql: &str| assert_eq!(open(&path, None).execute(sql, []).unwrap(), 1);
    cut("DELETE FROM blocks WHERE height = 6");
    assert!(matches!(recheck(&path).unwrap_err(), RecheckError::Broken { height: 6, .. }));
    cut("DELETE FROM blocks WHERE height = 3");
    assert!(matches!(recheck(&path).unwrap_err(), RecheckError::Broken { height: 3, .. }));
}
