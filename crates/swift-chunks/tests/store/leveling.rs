//! Names brought level as a whole: after a network was founded anew, no block leads from the old names to the new ones.

use std::fs;

use swift_chunks::{ContentRef, LiveName, ObjectState, StoreError};

use crate::bench::{Bench, C, NOW, Sample, put};

fn live(name: &str, sample: &Sample, height: u64) -> LiveName {
    let (file_id, manifest_hash) = (sample.manifest.file_id(), sample.manifest.hash());
    let content = ContentRef { file_id, manifest_hash, len: sample.bytes.len() as u64 };
    LiveName { name: name.to_owned(), content, height }
}

fn inode(bench: &Bench, name: &str) -> u64 {
    std::os::unix::fs::MetadataExt::ino(&fs::metadata(bench.file(name)).unwrap())
}

#[test]
fn names_that_stay_keep_their_files_and_others_come_and_go() {
    let bench = Bench::new();
    let (stays, goes, moves, wanted) =
        (Sample::new(C, 1), Sample::new(10, 2), Sample::new(20, 3), Sample::new(30, 4));
    bench.publish(7, "stays", &stays);
    bench.publish(8, "goes", &goes);
    bench.publish(9, "moves", &moves);
    let before = inode(&bench, "stays");

    bench.store.forget_height().unwrap();
    assert_eq!(bench.store.applied_height().unwrap(), None);
    let gone = ["goes".to_owned(), "moves".to_owned()];
    assert_eq!(bench.store.level(&[], &gone, NOW).unwrap().removed, gone);
    let names = [live("moved/here", &moves, 0), live("stays", &stays, 0), live("wanted", &wanted, 0)];
    let changes = bench.store.level(&names, &[], NOW).unwrap();
    assert_eq!(changes.shown, ["moved/here"]);
    bench.store.set_level(0).unwrap();

    assert_eq!(bench.store.applied_height().unwrap(), Some(0));
    assert_eq!(inode(&bench, "stays"), before, "a file was written again");
    assert_eq!(fs::read(bench.file("moved/here")).unwrap(), moves.bytes);
    let listed = bench.store.list_names(None, 10).unwrap();
    let listed: Vec<_> =
        listed.iter().map(|name| (name.name.as_str(), name.height, name.is_complete)).collect();
    assert_eq!(listed, [("moved/here", 0, true), ("stays", 0, true), ("wanted", 0, false)]);
    let missing = bench.store.wanted(None, 10).unwrap();
    assert_eq!(missing.iter().map(|wanted| wanted.file_id).collect::<Vec<_>>(), [wanted.manifest.file_id()]);
    assert!(bench.store.object(goes.manifest.file_id()).unwrap().unwrap().trashed_ms.is_some());

    // Heights of the new network count from here, though they are lower than the old one's.
    bench.upload(&goes);
    bench.store.apply(1, &[put("goes", &goes)], NOW).unwrap();
    assert!(bench.file("goes").exists());
}

/// A crash in the middle leaves some names level and some not; the next start begins once more.
#[test]
fn a_leveling_that_was_cut_short_is_done_again() {
    let bench = Bench::new();
    let (one, other) = (Sample::new(10, 1), Sample::new(20, 2));
    bench.publish(5, "a", &one);
    bench.store.forget_height().unwrap();
    bench.store.level(&[live("b", &other, 0)], &[], NOW).unwrap();
    let bench = bench.restart();
    assert_eq!(bench.store.applied_height().unwrap(), None);
    for _ in 0..2 {
        bench.store.level(&[live("a", &one, 0), live("b", &other, 0)], &[], NOW).unwrap();
    }
    bench.store.set_level(3).unwrap();
    assert_eq!(bench.state(&one), Some(ObjectState::Complete));
    assert_eq!(bench.store.list_names(None, 10).unwrap().len(), 2);
    assert_eq!(bench.store.applied_height().unwrap(), Some(3));
}

#[test]
fn a_name_that_leads_out_of_the_folder_is_refused_with_everything_beside_it() {
    let bench = Bench::new();
    let sample = Sample::new(10, 1);
    let refused = bench.store.level(&[live("good", &sample, 0), live("../x", &sample, 0)], &[], NOW);
    assert!(matches!(refused, Err(StoreError::NameRefused { .. })));
    let refused = bench.store.level(&[], &["/etc/x".to_owned()], NOW);
    assert!(matches!(refused, Err(StoreError::NameRefused { .. })));
    assert_eq!(bench.store.list_names(None, 10).unwrap(), []);
}
