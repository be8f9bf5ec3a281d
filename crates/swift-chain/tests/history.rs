//! Who did what, as the ledger remembers it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod network;

use network::*;
use swift_chain::*;

/// Heights and positions of what is found, newest first, page by page of `limit`.
fn places(reader: &LedgerReader, filter: &HistoryFilter) -> Vec<(u64, u16)> {
    let (mut found, mut filter) = (Vec::new(), filter.clone());
    loop {
        let page = reader.history(&filter).unwrap();
        assert!(page.entries.len() <= filter.limit);
        for entry in &page.entries {
            let block = reader.block(entry.place.height).unwrap().unwrap().block;
            assert_eq!(block.transactions[usize::from(entry.place.position)], entry.signed);
            assert_eq!(block.header.time_ms, entry.time_ms);
            found.push((entry.place.height, entry.place.position));
        }
        match page.next {
            Some(next) => filter.before = Some(next),
            None => return found,
        }
    }
}

fn of_name(name: &str) -> HistoryFilter {
    let name: FileName = name.parse().unwrap();
    HistoryFilter { name: Some(name.key()), limit: 100, ..HistoryFilter::default() }
}

fn of_node(node: NodeId) -> HistoryFilter {
    HistoryFilter { node: Some(node), limit: 100, ..HistoryFilter::default() }
}

fn everything() -> HistoryFilter {
    HistoryFilter { limit: 100, ..HistoryFilter::default() }
}

/// Block 1 takes a publisher in, 2 to 6 are about names, 7 holds three files, 8 changes the role.
fn lived() -> (Peer, Peer) {
    let (mut founder, mut member) = founder_and_member();
    founder.submit(add("a", 1)).unwrap();
    founder.submit(add("b", 2)).unwrap();
    founder.submit(replace("a", 3, 1)).unwrap();
    founder.submit(remove("a", 3)).unwrap();
    member.catch_up(&founder);
    member.request(1, add("a", 4));
    exchange(&mut member, &mut founder);
    let three = (1..=3).map(|number| submission(number, add(&format!("dir/{number}"), 5))).collect();
    founder.step(three);
    let role = NodeChange::Role(Role::Reader);
    founder.submit(Action::UpdateNode { node: key(2).id(), change: role }).unwrap();
    (founder, member)
}

#[test]
fn all_that_was_done_is_found_from_the_newest_back_in_pages_of_any_length() {
    let (founder, _member) = lived();
    let reader = founder.replica.reader();
    let all = vec![(8, 0), (7, 2), (7, 1), (7, 0), (6, 0), (5, 0), (4, 0), (3, 0), (2, 0), (1, 0)];
    for limit in 1..12 {
        assert_eq!(places(reader, &HistoryFilter { limit, ..everything() }), all, "{limit} a page");
    }
}

#[test]
fn a_name_is_found_with_all_that_it_meant_however_it_was_written() {
    let (founder, _member) = lived();
    let reader = founder.replica.reader();
    for limit in [1, 2, 100] {
        assert_eq!(
            places(reader, &HistoryFilter { limit, ..of_name("a") }),
            [(6, 0), (5, 0), (4, 0), (2, 0)]
        );
    }
    assert_eq!(places(reader, &of_name("DIR/2")), [(7, 1)]);
    assert_eq!(places(reader, &of_name("dir")), []);
}

#[test]
fn a_node_is_found_with_what_it_did_and_what_was_done_to_it() {
    let (founder, _member) = lived();
    let reader = founder.replica.reader();
    assert_eq!(places(reader, &of_node(key(2).id())), [(8, 0), (6, 0), (1, 0)]);
    assert_eq!(places(reader, &of_node(key(9).id())), []);
    let both = HistoryFilter { node: Some(key(2).id()), limit: 1, ..of_name("a") };
    assert_eq!(places(reader, &both), [(6, 0)]);
}

#[test]
fn what_is_older_than_a_moment_is_not_looked_at() {
    let (founder, _member) = lived();
    let reader = founder.replica.reader();
    let since_ms = reader.block(5).unwrap().unwrap().block.header.time_ms;
    assert_eq!(places(reader, &HistoryFilter { since_ms, ..of_name("a") }), [(6, 0), (5, 0)]);
    assert_eq!(places(reader, &HistoryFilter { since_ms, ..everything() }).last(), Some(&(5, 0)));
    assert_eq!(places(reader, &HistoryFilter { since_ms: u64::MAX, ..everything() }), []);
}

#[test]
fn a_follower_remembers_the_same() {
    let (founder, mut member) = lived();
    member.catch_up(&founder);
    let (here, there) = (founder.replica.reader(), member.replica.reader());
    for filter in [of_name("a"), of_node(key(1).id()), everything()] {
        assert_eq!(here.history(&filter).unwrap(), there.history(&filter).unwrap());
    }
}

/// A ledger went to a newer program, back to an older one that knows no index, and to the newer one again: what the older one
/// had taken over was in no answer about a name or a node, and nobody was told.
#[test]
fn what_a_program_without_the_index_wrote_is_found_after_the_next_start() {
    let (founder, _) = lived();
    let Peer { replica, folder, .. } = founder;
    let (path, before) = (folder.path().join("ledger.db"), folder.path().join("older.db"));
    let all = places(replica.reader(), &of_node(key(2).id()));
    replica.reader().copy_to(&before).unwrap();
    drop(replica);
    for (path, from) in [(path, 7_u64), (before, 1)] {
        let connection = rusqlite::Connection::open(&path).unwrap();
        let sql = "DELETE FROM history WHERE substr(entry, 17, 8) >= ?1";
        assert!(connection.execute(sql, [from.to_be_bytes()]).unwrap() > 0);
        drop(connection);
        let ledger = LedgerDb::open(&path).unwrap().unwrap();
        assert_eq!(places(ledger.reader(), &of_node(key(2).id())), all);
        ledger.check_file().unwrap();
    }
}
