//! Live files in three orders, in pages, as a page of files shows them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod network;

use network::*;
use swift_chain::*;

const ORDERS: [FileOrder; 3] = [FileOrder::Name, FileOrder::Size, FileOrder::Published];
const DIRECTIONS: [Direction; 2] = [Direction::Ascending, Direction::Descending];

fn names(files: &[FileRecord]) -> Vec<&str> {
    files.iter().map(|file| file.entry.name.as_str()).collect()
}

/// All that is found, page by page of `limit`.
fn found(reader: &LedgerReader, search: &FileSearch) -> Vec<FileRecord> {
    let (mut found, mut search) = (Vec::new(), search.clone());
    loop {
        let page = reader.search_files(&search).unwrap();
        assert!(page.files.len() <= search.limit);
        found.extend(page.files);
        match page.next {
            Some(next) => search.after = Some(next),
            None => {
                assert_eq!(page.total, Some(found.len() as u64));
                return found;
            }
        }
    }
}

/// Sizes are 1000 times the number; two of them are alike, and three are published in one block.
fn lived() -> (Peer, Peer) {
    let (mut founder, mut member) = founder_and_member();
    founder.submit(add("dir/Straße", 5)).unwrap();
    founder.submit(add("b", 9)).unwrap();
    founder.submit(add("gone", 7)).unwrap();
    member.catch_up(&founder);
    member.request(1, add("A", 2));
    exchange(&mut member, &mut founder);
    founder.step(
        [("z", 1), ("c", 3), ("Dir/x", 5)].map(|(name, content)| submission(0, add(name, content))).into(),
    );
    founder.submit(remove("gone", 7)).unwrap();
    founder.submit(replace("b", 4, 9)).unwrap();
    (founder, member)
}

#[test]
fn files_come_in_the_order_that_is_asked_for_from_either_end_in_pages_of_any_length() {
    let (founder, _member) = lived();
    let reader = founder.replica.reader();
    for order in ORDERS {
        let expected = match order {
            FileOrder::Name => ["A", "b", "c", "dir/Straße", "Dir/x", "z"],
            FileOrder::Size => ["z", "A", "c", "b", "dir/Straße", "Dir/x"],
            FileOrder::Published => ["dir/Straße", "A", "c", "Dir/x", "z", "b"],
        };
        for (direction, limit) in DIRECTIONS.into_iter().flat_map(|way| (1..8).map(move |limit| (way, limit)))
        {
            let mut expected = expected;
            if direction == Direction::Descending {
                expected.reverse();
            }
            let search = FileSearch { order, direction, limit, ..FileSearch::default() };
            assert_eq!(names(&found(reader, &search)), expected, "{order:?} {direction:?}, {limit} a page");
        }
    }
}

#[test]
fn what_is_looked_for_is_compared_as_names_are_and_counted_on_all_pages() {
    let (founder, member) = lived();
    let reader = founder.replica.reader();
    let looked_for = |text: &str| Some(NameKey::fold_prefix(text));
    let all = FileSearch { limit: 2, ..FileSearch::default() };
    for (order, direction) in ORDERS.into_iter().flat_map(|order| DIRECTIONS.map(|way| (order, way))) {
        let all = FileSearch { order, direction, ..all.clone() };
        let sorted = |search: FileSearch| {
            let mut names = names(&found(reader, &search)).into_iter().map(str::to_owned).collect::<Vec<_>>();
            names.sort_unstable();
            names
        };
        let text = |text| sorted(FileSearch { text: looked_for(text), ..all.clone() });
        assert_eq!(text("STRASSE"), ["dir/Straße"]);
        assert_eq!(text("R/"), ["Dir/x", "dir/Straße"]);
        assert_eq!(text("nowhere"), [""; 0]);
        let prefix = |prefix| sorted(FileSearch { prefix: looked_for(prefix), ..all.clone() });
        assert_eq!(prefix("DIR/"), ["Dir/x", "dir/Straße"]);
        assert_eq!(prefix("ir/"), [""; 0]);
        let both = FileSearch { prefix: looked_for("d"), text: looked_for("x"), ..all.clone() };
        assert_eq!(sorted(both), ["Dir/x"]);
        let of = |node: NodeId| sorted(FileSearch { publisher: Some(node), ..all.clone() });
        assert_eq!(of(member.key.id()), ["A"]);
        assert_eq!(of(founder.key.id()), ["Dir/x", "b", "c", "dir/Straße", "z"]);
        let of_member = FileSearch { publisher: Some(member.key.id()), text: looked_for("b"), ..all.clone() };
        assert_eq!(sorted(of_member), [""; 0]);
    }
}

#[test]
fn a_page_begins_where_the_one_before_ended_though_files_came_and_went() {
    let (mut founder, _member) = lived();
    for (order, direction) in ORDERS.into_iter().flat_map(|order| DIRECTIONS.map(|way| (order, way))) {
        let search = FileSearch { order, direction, limit: 3, ..FileSearch::default() };
        let first = founder.replica.reader().search_files(&search).unwrap();
        let last = first.files[2].entry.clone();
        let rest = FileSearch { after: first.next, limit: 99, ..search };
        let before = founder.replica.reader().search_files(&rest).unwrap().files;
        // The file at which the page ended goes, and another one comes on it.
        let gone = Action::RemoveFile { name: last.name.clone(), file_id: last.file_id };
        founder.submit(gone).unwrap();
        let after = founder.replica.reader().search_files(&rest).unwrap().files;
        assert_eq!(names(&after), names(&before), "{order:?} {direction:?}");
        founder.submit(Action::AddFile { file: last, replaces: None }).unwrap();
    }
}
