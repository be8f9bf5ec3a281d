//! Each test takes the directory as a crash at some step would leave it, and opens it again.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use swift_chunks::{ObjectState, Store, StoreOptions};

use crate::bench::{Bench, C, NOW, Sample, put, remove, write_chunk};
use crate::old_index::open_index;

/// A copy of a running store's directories, as `kill -9` would leave them.
pub(crate) fn crashed(bench: &Bench) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    copy_tree(bench.dir.path(), dir.path());
    let mut options = StoreOptions::in_dir(dir.path());
    options.free_floor_bytes = 0;
    let store = Store::open(options.clone()).unwrap();
    Bench { dir, options, store }
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
            let modified = entry.metadata().unwrap().modified().unwrap();
            let mode = entry.metadata().unwrap().permissions();
            fs::set_permissions(&target, fs::Permissions::from_mode(0o644)).unwrap();
            fs::OpenOptions::new().write(true).open(&target).unwrap().set_modified(modified).unwrap();
            fs::set_permissions(&target, mode).unwrap();
        }
    }
}

#[test]
fn in_the_middle_of_an_upload_nothing_of_it_remains() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    let mut upload = bench.store.begin_upload(None).unwrap();
    upload.write(&sample.bytes).unwrap();
    let after = crashed(&bench);
    assert_eq!(after.count("uploads"), 0);
    assert_eq!(after.store.usage().unwrap().used, 0);
}

#[test]
fn between_renaming_an_upload_and_recording_it_the_object_is_removed() {
    let bench = Bench::new();
    let sample = Sample::new(C, 1);
    let id = sample.manifest.file_id();
    fs::write(bench.content("objects").join(id.to_string()), &sample.bytes).unwrap();
    fs::write(bench.content("uploads").join(format!("{id}.adopting")), "").unwrap();
    let after = crashed(&bench);
    assert_eq!(after.count("objects") + after.count("uploads"), 0);
    after.upload(&sample);

    // But never one that was recorded.
    fs::write(after.content("uploads").join(format!("{id}.adopting")), "").unwrap();
    let after = crashed(&after);
    assert_eq!(after.state(&sample), Some(ObjectState::Complete));
    assert!(after.object_path(&sample).exists());
}

#[test]
fn in_the_middle_of_a_download_only_the_committed_chunks_are_claimed() {
    let bench = Bench::new();
    let sample = Sample::new(3 * C, 1);
    bench.store.apply(1, &[put("a", &sample)], NOW).unwrap();
    let download = bench.download(&sample).unwrap();
    write_chunk(&download, &sample, 2);
    download.commit().unwrap();
    write_chunk(&download, &sample, 0);
    let after = crashed(&bench);
    assert_eq!(after.store.wanted(None, 1).unwrap()[0].held_chunks, 1);
    assert_eq!(after.fetch(&sample).shown, ["a"]);
    assert_eq!(fs::read(after.file("a")).unwrap(), sample.bytes);
}

#[test]
fn before_and_after_the_final_rename_a_full_download_is_completed_at_start() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    bench.store.apply(1, &[put("a", &sample)], NOW).unwrap();
    let download = bench.download(&sample).unwrap();
    write_chunk(&download, &sample, 0);
    write_chunk(&download, &sample, 1);
    download.commit().unwrap();

    let before = crashed(&bench);
    assert_eq!(before.state(&sample), Some(ObjectState::Complete));
    assert_eq!(before.store.retry_visible(NOW).unwrap().shown, ["a"]);

    let part = fs::read_dir(bench.content("partial")).unwrap().next().unwrap().unwrap().path();
    fs::rename(part, bench.object_path(&sample)).unwrap();
    // The removal of an upload's marker may have been lost: the upload came before the download.
    let marker = format!("{}-1.adopting", sample.manifest.file_id());
    fs::write(bench.content("uploads").join(marker), "").unwrap();
    let after = crashed(&bench);
    assert_eq!(after.state(&sample), Some(ObjectState::Complete));
    assert_eq!(after.count("partial") + after.count("uploads"), 0);
    assert_eq!(fs::read(after.object_path(&sample)).unwrap(), sample.bytes);
}

#[test]
fn a_part_that_vanished_is_not_claimed() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    bench.store.apply(1, &[put("a", &sample)], NOW).unwrap();
    let download = bench.download(&sample).unwrap();
    write_chunk(&download, &sample, 0);
    download.commit().unwrap();
    let part = fs::read_dir(bench.content("partial")).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(part).unwrap();
    let after = crashed(&bench);
    after.fetch(&sample);
    assert_eq!(fs::read(after.file("a")).unwrap(), sample.bytes);
}

#[test]
fn between_quarantine_and_its_rename_the_sound_chunks_are_found_again() {
    let bench = Bench::new();
    let sample = Sample::new(3 * C, 1);
    bench.publish(1, "a", &sample);
    crate::reading::rot(&bench.object_path(&sample), 1);
    bench.store.verify(sample.manifest.file_id(), |_| {}).unwrap();
    let part = fs::read_dir(bench.content("partial")).unwrap().next().unwrap().unwrap().path();
    fs::rename(part, bench.object_path(&sample)).unwrap();
    let after = crashed(&bench);
    let download = after.download(&sample).unwrap();
    assert_eq!(download.held().len(), 2);
    drop(download);
    after.fetch(&sample);
    assert_eq!(fs::read(after.file("a")).unwrap(), sample.bytes);
}

#[test]
fn between_the_ledger_and_the_folder_the_folder_catches_up() {
    let bench = Bench::new();
    let (a, b) = (Sample::new(100, 1), Sample::new(200, 2));
    bench.publish(1, "a", &a);
    bench.upload(&b);
    bench.store.apply(2, &[put("b", &b), remove("a")], NOW).unwrap();
    // The commit is durable; the folder is as before it.
    fs::rename(bench.file("b"), bench.file("a")).unwrap();
    let index = open_index(&bench.content("index.db"));
    let stands = "UPDATE visible SET name = 'a'; INSERT INTO todo VALUES('a'), ('b');";
    index.execute_batch(stands).unwrap();
    drop(index);
    let after = crashed(&bench);
    let changes = after.store.retry_visible(NOW).unwrap();
    assert_eq!((changes.removed, changes.shown, changes.kept.len()), (vec!["a".into()], vec!["b".into()], 0));
    assert!(!after.file("a").exists());
    assert_eq!(fs::read(after.file("b")).unwrap(), b.bytes);
}

#[test]
fn in_the_middle_of_an_expiry_it_is_ended_at_start() {
    let bench = Bench::new();
    let sample = Sample::new(C, 1);
    bench.upload(&sample);
    bench.store.release_hold(b"upload", NOW).unwrap();
    let index = open_index(&bench.content("index.db"));
    index.execute("UPDATE objects SET state = 4", []).unwrap();
    drop(index);
    fs::write(bench.content("doomed").join("7-object"), "left over").unwrap();
    let after = crashed(&bench);
    assert_eq!(after.state(&sample), None);
    assert_eq!(after.count("objects") + after.count("manifests") + after.count("doomed"), 0);
    assert_eq!(after.store.usage().unwrap().used, 0);
    after.upload(&sample);
}

#[test]
fn a_data_folder_restored_from_a_backup_is_taken_as_it_is() {
    let bench = Bench::new();
    let sample = Sample::new(C, 1);
    bench.publish(1, "a", &sample);
    let after = crashed(&bench);
    let changes = after.store.check_visible("a", NOW).unwrap();
    assert!(changes.kept.is_empty() && changes.shown.is_empty(), "{changes:?}");
    assert_eq!(after.state(&sample), Some(ObjectState::Complete));
}
