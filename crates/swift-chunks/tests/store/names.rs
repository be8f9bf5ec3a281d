use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};

use swift_chunks::{ObjectState, StoreError};

use crate::bench::{Bench, C, NOW, Sample, put, remove};

#[test]
fn a_name_appears_is_replaced_and_goes() {
    let bench = Bench::new();
    let (old, new) = (Sample::new(C, 1), Sample::new(C + 1, 2));
    bench.publish(1, "x/y/a.bin", &old);
    assert_eq!(fs::read(bench.file("x/y/a.bin")).unwrap(), old.bytes);

    bench.store.apply(2, &[put("x/y/a.bin", &new)], NOW).unwrap();
    assert_eq!(
        fs::read(bench.file("x/y/a.bin")).unwrap(),
        old.bytes,
        "the old one stays until the new is here"
    );
    assert_eq!(bench.fetch(&new).shown, ["x/y/a.bin"]);
    assert_eq!(fs::read(bench.file("x/y/a.bin")).unwrap(), new.bytes);

    let changes = bench.store.apply(3, &[remove("x/y/a.bin")], NOW).unwrap();
    assert_eq!(changes.removed, ["x/y/a.bin"]);
    assert!(!bench.file("x").exists(), "empty folders go, too");
    assert_eq!(bench.store.applied_height().unwrap(), Some(3));
}

#[test]
fn a_file_gives_way_to_a_folder_of_its_name() {
    let bench = Bench::new();
    let (a, b) = (Sample::new(10, 1), Sample::new(20, 2));
    bench.publish(1, "a", &a);
    bench.upload(&b);
    let changes = bench.store.apply(2, &[put("a/b", &b), remove("a")], NOW).unwrap();
    assert!(changes.problems.is_empty(), "{changes:?}");
    assert_eq!(fs::read(bench.file("a/b")).unwrap(), b.bytes);
}

#[test]
fn several_names_of_one_content_share_its_room() {
    let bench = Bench::new();
    let sample = Sample::new(C, 1);
    bench.upload(&sample);
    bench.store.apply(1, &[put("a", &sample), put("b", &sample)], NOW).unwrap();
    bench.store.apply(2, &[remove("a")], NOW).unwrap();
    assert!(!bench.file("a").exists());
    assert_eq!(fs::read(bench.file("b")).unwrap(), sample.bytes);
    let names = bench.store.list_names(None, 10).unwrap();
    assert_eq!(names.len(), 1);
    assert_eq!((names[0].name.as_str(), names[0].height, names[0].is_complete), ("b", 1, true));
    assert_eq!(bench.store.list_names(Some("b"), 10).unwrap(), []);
}

#[test]
fn many_names_of_one_block_appear_together_and_one_in_trouble_holds_none_up() {
    let bench = Bench::new();
    let sample = Sample::new(10, 1);
    bench.upload(&sample);
    fs::write(bench.file("blocked"), "a file of the user's, where a folder is needed").unwrap();
    let name = |number: u32| match number {
        299 => "blocked/299".to_owned(),
        _ => format!("{}/{number}", number % 7),
    };
    let puts: Vec<_> = (0..600).map(|number| put(&name(number), &sample)).collect();
    let changes = bench.store.apply(1, &puts, NOW).unwrap();
    assert_eq!(changes.shown.len(), 599);
    assert_eq!(changes.problems.len(), 1, "{:?}", changes.problems);
    for number in (0..600).filter(|number| *number != 299) {
        assert_eq!(fs::read(bench.file(&name(number))).unwrap(), sample.bytes);
    }
    fs::remove_file(bench.file("blocked")).unwrap();
    assert_eq!(bench.store.retry_visible(NOW).unwrap().shown, ["blocked/299"]);
}

#[test]
fn a_name_that_changes_several_times_in_one_go_is_looked_at_once() {
    let bench = Bench::new();
    let (old, new) = (Sample::new(10, 1), Sample::new(20, 2));
    bench.upload(&old);
    bench.upload(&new);
    let changes = [put("a", &old), remove("a"), put("a", &new), put("b", &old), remove("b")];
    let changes = bench.store.apply(1, &changes, NOW).unwrap();
    assert_eq!(changes.shown, ["a"]);
    assert!(changes.removed.is_empty() && changes.problems.is_empty(), "{changes:?}");
    assert_eq!(fs::read(bench.file("a")).unwrap(), new.bytes);
    assert!(!bench.file("b").exists());
}

#[test]
fn a_block_that_was_applied_is_not_applied_again() {
    let bench = Bench::new();
    let sample = Sample::new(10, 1);
    bench.publish(5, "a", &sample);
    bench.store.apply(5, &[remove("a")], NOW).unwrap();
    bench.store.apply(4, &[remove("a")], NOW).unwrap();
    assert!(bench.file("a").exists());
    assert_eq!(bench.store.applied_height().unwrap(), Some(5));
}

#[test]
fn names_that_lead_out_of_the_folder_are_refused_with_everything_beside_them() {
    let bench = Bench::new();
    let sample = Sample::new(10, 1);
    bench.upload(&sample);
    for bad in ["/etc/x", "../x", "a/../../x", "a//b", "", "a/.", "x\0y"] {
        let refused = bench.store.apply(1, &[put("good", &sample), put(bad, &sample)], NOW);
        assert!(matches!(refused, Err(StoreError::NameRefused { .. })), "{bad:?}");
    }
    assert!(!bench.file("good").exists());
    assert_eq!(bench.store.applied_height().unwrap(), None);
}

#[test]
fn a_symbolic_link_on_the_way_is_not_followed() {
    let bench = Bench::new();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), bench.file("dir")).unwrap();
    let sample = Sample::new(10, 1);
    bench.upload(&sample);
    let changes = bench.store.apply(1, &[put("dir/a", &sample)], NOW).unwrap();
    assert_eq!(changes.problems[0].name, "dir/a");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);

    // Once it is out of the way, the file appears.
    fs::remove_file(bench.file("dir")).unwrap();
    assert_eq!(bench.store.retry_visible(NOW).unwrap().shown, ["dir/a"]);

    // A link that takes the folder's place does not lead a removal out either.
    fs::rename(bench.file("dir"), outside.path().join("dir")).unwrap();
    symlink(outside.path().join("dir"), bench.file("dir")).unwrap();
    bench.store.apply(2, &[remove("dir/a")], NOW).unwrap();
    assert!(outside.path().join("dir/a").exists());
}

#[test]
fn a_symbolic_link_in_a_names_place_is_kept_and_its_target_untouched() {
    let bench = Bench::new();
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), "mine").unwrap();
    symlink(outside.path(), bench.file("a")).unwrap();
    let sample = Sample::new(10, 1);
    bench.upload(&sample);
    let changes = bench.store.apply(1, &[put("a", &sample)], NOW).unwrap();
    assert_eq!(changes.kept[0].kept_as, "a.local-20251122T113809Z");
    assert_eq!(fs::read(bench.file("a")).unwrap(), sample.bytes);
    assert!(!fs::symlink_metadata(bench.file("a")).unwrap().is_symlink());
    assert_eq!(fs::read(outside.path()).unwrap(), b"mine");
}

#[test]
fn a_users_edit_is_kept_and_the_true_file_comes_back() {
    let bench = Bench::new();
    let sample = Sample::new(C, 1);
    bench.publish(1, "d/a", &sample);
    // Most programs write a new file and rename it.
    fs::remove_file(bench.file("d/a")).unwrap();
    fs::write(bench.file("d/a"), "edited").unwrap();
    let changes = bench.store.check_visible("d/a", NOW).unwrap();
    assert_eq!(changes.kept[0].kept_as, "d/a.local-20251122T113809Z");
    assert_eq!(changes.shown, ["d/a"]);
    assert_eq!(fs::read(bench.file("d/a")).unwrap(), sample.bytes);
    assert_eq!(fs::read(bench.file("d/a.local-20251122T113809Z")).unwrap(), b"edited");

    // Again within the same second, and on removal.
    fs::remove_file(bench.file("d/a")).unwrap();
    fs::write(bench.file("d/a"), "edited again").unwrap();
    bench.store.apply(2, &[remove("d/a")], NOW).unwrap();
    assert!(!bench.file("d/a").exists());
    assert_eq!(fs::read(bench.file("d/a.local-20251122T113809Z-2")).unwrap(), b"edited again");

    let unchanged = bench.store.check_visible("d/a", NOW).unwrap();
    assert!(unchanged.kept.is_empty() && unchanged.shown.is_empty());
}

#[test]
fn a_deleted_file_comes_back() {
    let bench = Bench::new();
    let sample = Sample::new(C, 1);
    bench.publish(1, "a", &sample);
    fs::remove_file(bench.file("a")).unwrap();
    assert_eq!(bench.store.check_visible("a", NOW).unwrap().shown, ["a"]);
    assert_eq!(fs::read(bench.file("a")).unwrap(), sample.bytes);
}

/// Editing in place reaches the object itself where the visible file is a hard link of it. Whatever the file
/// system offered, the outcome must be the same: the edit is kept, and nothing false is claimed.
#[test]
fn an_edit_in_place_never_reaches_what_is_claimed() {
    let bench = Bench::new();
    let sample = Sample::new(3 * C, 1);
    bench.publish(1, "a", &sample);
    edit_in_place(&bench, "a", C + 5);

    let first = bench.store.check_visible("a", NOW).unwrap();
    let object = bench.state(&sample).unwrap();
    if object == ObjectState::Partial {
        let wanted = bench.store.wanted(None, 1).unwrap();
        assert_eq!(wanted[0].held_chunks, 2, "the untouched chunks were saved");
        let last = bench.fetch(&sample);
        assert_eq!(last.kept.len(), 1);
    } else {
        assert_eq!(first.kept.len(), 1);
    }
    assert_eq!(fs::read(bench.file("a")).unwrap(), sample.bytes);
    let kept = fs::read(bench.file("a.local-20251122T113809Z")).unwrap();
    assert_eq!(&kept[C as usize + 5..C as usize + 11], b"edited");
    assert_eq!(bench.store.verify(sample.manifest.file_id(), |_| {}).unwrap().bad, []);
}

#[test]
fn an_edit_in_place_is_noticed_by_the_first_reader_after_a_restart() {
    let bench = Bench::new();
    let sample = Sample::new(3 * C, 1);
    bench.publish(1, "a", &sample);
    edit_in_place(&bench, "a", 5);
    let bench = bench.restart();
    let reader = bench.store.reader(sample.manifest.file_id()).unwrap();
    let chunk = reader.layout().chunk(0).unwrap();
    let mut buffer = Vec::new();
    if reader.holds(chunk) {
        reader.read_verified_chunk(chunk, &mut buffer).unwrap();
        assert_eq!(buffer, sample.chunk(0));
    } else {
        assert_eq!(bench.store.suspects(10).unwrap(), [sample.manifest.file_id()]);
        let begun = bench.download(&sample);
        assert!(matches!(begun, Err(StoreError::Suspect(_))));
        assert_eq!(bench.store.verify(sample.manifest.file_id(), |_| {}).unwrap().bad.len(), 1);
        assert_eq!(bench.store.suspects(10).unwrap(), []);
    }
}

/// The edit went through a hard link while a reader had the object open, so nothing had looked at the file's
/// time again. Repairing "rot" in place would have overwritten the user's edit.
#[test]
fn an_edit_in_place_under_an_open_reader_is_not_repaired_away() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    bench.publish(1, "a", &sample);
    let reader = bench.store.reader(sample.manifest.file_id()).unwrap();
    edit_in_place(&bench, "a", 5);
    let mut buffer = Vec::new();
    let chunk = reader.layout().chunk(0).unwrap();
    if reader.read_verified_chunk(chunk, &mut buffer).is_err() {
        assert_eq!(bench.state(&sample), Some(ObjectState::Suspect));
        assert_eq!(bench.store.verify(sample.manifest.file_id(), |_| {}).unwrap().bad.len(), 1);
        bench.fetch(&sample);
    } else {
        bench.store.check_visible("a", NOW).unwrap();
    }
    assert_eq!(fs::read(bench.file("a")).unwrap(), sample.bytes);
    let kept = fs::read(bench.file("a.local-20251122T113809Z")).unwrap();
    assert_eq!(&kept[5..11], b"edited");
    reader.read_verified_chunk(chunk, &mut buffer).unwrap();
    assert_eq!(buffer, sample.chunk(0));
}

#[test]
fn a_file_that_was_only_touched_stays() {
    let bench = Bench::new();
    let sample = Sample::new(C, 1);
    bench.publish(1, "a", &sample);
    let path = bench.file("a");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let shares_inode = bench.store.reader(sample.manifest.file_id()).is_ok()
        && fs::metadata(bench.object_path(&sample)).unwrap().modified().unwrap()
            == std::time::SystemTime::UNIX_EPOCH;
    let changes = bench.store.check_visible("a", NOW).unwrap();
    assert_eq!(changes.kept.is_empty(), shares_inode);
    assert_eq!(fs::read(&path).unwrap(), sample.bytes);
    assert_eq!(bench.state(&sample), Some(ObjectState::Complete));
}

#[test]
fn what_the_user_put_beside_the_names_is_left_alone() {
    let bench = Bench::new();
    let sample = Sample::new(10, 1);
    bench.publish(1, "d/a", &sample);
    fs::write(bench.file("d/mine"), "mine").unwrap();
    fs::write(bench.file("b"), "mine, too").unwrap();
    bench.store.apply(2, &[remove("d/a"), remove("b")], NOW).unwrap();
    assert_eq!(fs::read(bench.file("d/mine")).unwrap(), b"mine");
    assert_eq!(fs::read(bench.file("b")).unwrap(), b"mine, too");
}

#[test]
fn wanted_names_contents_in_the_order_of_the_ledger_page_by_page() {
    let bench = Bench::new();
    let samples: Vec<Sample> = (0..5).map(|seed| Sample::new(10, seed)).collect();
    for (at, sample) in samples.iter().enumerate().rev() {
        // Heights must grow; the order of the ledger is that of the heights.
        bench.store.apply(10 - at as u64, &[put(&format!("n{at}"), sample)], NOW).unwrap();
    }
    let mut seen = Vec::new();
    let mut last = None;
    loop {
        let page = bench.store.wanted(last.as_ref(), 2).unwrap();
        let Some(&newest) = page.last() else { break };
        seen.extend(page.iter().map(|wanted| wanted.height));
        last = Some(newest);
    }
    assert_eq!(seen, [6, 7, 8, 9, 10]);
}

fn edit_in_place(bench: &Bench, name: &str, offset: u64) {
    let path = bench.file(name);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(b"edited", offset).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
}
