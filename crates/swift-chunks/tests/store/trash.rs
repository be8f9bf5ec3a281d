use std::fs;

use swift_chunks::{ChangedBy, ContentRef, NameChange, ObjectState, Removed, StoreError, TrashCursor};

use crate::bench::{Bench, C, NOW, Sample, hold, put, remove, write_chunk};
use crate::old_index::to_format_4;

const DAY: u64 = 24 * 60 * 60 * 1000;

#[test]
fn content_no_name_uses_goes_to_the_trash_and_expires() {
    let bench = Bench::new();
    let sample = Sample::new(C + 1, 1);
    bench.publish(1, "a", &sample);
    bench.store.apply(2, &[remove("a")], NOW).unwrap();
    assert!(!bench.file("a").exists());
    let object = bench.store.object(sample.manifest.file_id()).unwrap().unwrap();
    assert_eq!((object.state, object.trashed_ms), (ObjectState::Complete, Some(NOW)));
    assert_eq!(bench.store.usage().unwrap().trashed, C + 1 + 16 + 104);

    assert_eq!(bench.store.expire(NOW + 7 * DAY - 1).unwrap().objects, 0);
    let expired = bench.store.expire(NOW + 7 * DAY).unwrap();
    assert_eq!((expired.objects, expired.bytes), (1, C + 1));
    assert_eq!(bench.state(&sample), None);
    assert_eq!(bench.count("objects") + bench.count("manifests") + bench.count("doomed"), 0);
    assert_eq!(bench.store.usage().unwrap().used, 0);
}

#[test]
fn publishing_again_takes_content_from_the_trash_at_once() {
    let bench = Bench::new();
    let sample = Sample::new(C, 1);
    bench.publish(1, "a", &sample);
    bench.store.apply(2, &[remove("a")], NOW).unwrap();
    let changes = bench.store.apply(3, &[put("b", &sample)], NOW + DAY).unwrap();
    assert_eq!(changes.shown, ["b"]);
    assert_eq!(bench.store.wanted(None, 1).unwrap(), []);
    assert_eq!(bench.store.expire(NOW + 100 * DAY).unwrap().objects, 0);
    assert_eq!(fs::read(bench.file("b")).unwrap(), sample.bytes);
}

#[test]
fn uploading_again_takes_content_from_the_trash_too() {
    let bench = Bench::new();
    let sample = Sample::new(C, 1);
    bench.upload(&sample);
    assert!(bench.store.release_hold(b"upload", NOW).unwrap());
    assert!(!bench.store.release_hold(b"upload", NOW).unwrap());
    assert!(bench.store.object(sample.manifest.file_id()).unwrap().unwrap().trashed_ms.is_some());
    bench.upload(&sample);
    assert!(bench.store.object(sample.manifest.file_id()).unwrap().unwrap().trashed_ms.is_none());
}

#[test]
fn a_hold_keeps_content_and_survives_a_restart() {
    let bench = Bench::new();
    let sample = Sample::new(C, 1);
    bench.upload(&sample);
    let bench = bench.restart();
    assert_eq!(bench.store.expire(NOW + 100 * DAY).unwrap().objects, 0);
    assert_eq!(bench.store.holds().unwrap(), [(sample.manifest.file_id(), hold("upload"))]);
    bench.store.release_hold(b"upload", NOW).unwrap();
    assert_eq!(bench.store.expire(NOW + 100 * DAY).unwrap().objects, 1);
}

#[test]
fn a_name_that_means_something_else_now_frees_the_old_content() {
    let bench = Bench::new();
    let (old, new) = (Sample::new(C, 1), Sample::new(C, 2));
    bench.publish(1, "a", &old);
    bench.publish(2, "b", &old);
    bench.store.apply(3, &[put("a", &new)], NOW).unwrap();
    assert!(bench.store.object(old.manifest.file_id()).unwrap().unwrap().trashed_ms.is_none());
    bench.store.apply(4, &[remove("b")], NOW).unwrap();
    assert!(bench.store.object(old.manifest.file_id()).unwrap().unwrap().trashed_ms.is_some());
}

#[test]
fn a_running_download_is_not_expired_and_a_stopped_one_is() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    bench.store.apply(1, &[put("a", &sample)], NOW).unwrap();
    let download = bench.download(&sample).unwrap();
    write_chunk(&download, &sample, 0);
    download.commit().unwrap();
    bench.store.apply(2, &[remove("a")], NOW).unwrap();
    assert_eq!(bench.store.expire(NOW + 100 * DAY).unwrap().objects, 0);
    write_chunk(&download, &sample, 1);
    download.finish(NOW).unwrap();
    drop(download);
    assert_eq!(bench.store.expire(NOW + 100 * DAY).unwrap().objects, 1);
    assert_eq!(bench.store.usage().unwrap().used, 0);
}

#[test]
fn a_reader_may_finish_reading_what_has_expired() {
    let bench = Bench::new();
    let sample = Sample::new(C, 1);
    bench.upload(&sample);
    let reader = bench.store.reader(sample.manifest.file_id()).unwrap();
    bench.store.release_hold(b"upload", NOW).unwrap();
    assert_eq!(bench.store.expire(NOW + 100 * DAY).unwrap().objects, 1);
    let mut buffer = vec![0; 100];
    reader.read_at(7, &mut buffer).unwrap();
    assert_eq!(buffer, sample.bytes[7..107]);
    bench.upload(&sample);
    assert_eq!(bench.state(&sample), Some(ObjectState::Complete));
}

fn by(member: &str, time_ms: u64) -> ChangedBy {
    ChangedBy { member: Some(member.to_owned()), client: Some("a client".to_owned()), time_ms }
}

fn content_of(sample: &Sample) -> ContentRef {
    ContentRef {
        file_id: sample.manifest.file_id(),
        manifest_hash: sample.manifest.hash(),
        len: sample.bytes.len() as u64,
    }
}

/// Every page of the trash, one after the other, each asked for by the text of the cursor before.
fn listed(bench: &Bench, limit: usize) -> Vec<Removed> {
    let (mut all, mut after) = (Vec::new(), None::<TrashCursor>);
    loop {
        let page = bench.store.trash(after.as_ref(), limit).unwrap();
        let Some(last) = page.last() else { return all };
        after = Some(last.cursor().to_string().parse().unwrap());
        all.extend(page);
    }
}

#[test]
fn the_trash_tells_what_had_which_name_and_who_took_it_away() {
    let bench = Bench::new();
    let (old, new, twice) = (Sample::new(C + 1, 1), Sample::new(C, 2), Sample::new(9, 3));
    bench.publish(1, "a", &old);
    bench.publish(2, "b", &twice);
    bench.publish(3, "c", &twice);
    bench.upload(&Sample::new(7, 4));
    bench.store.release_hold(b"upload", NOW + 5).unwrap();
    bench.upload(&new);
    let NameChange::Put { name, file_id, manifest_hash, len, .. } = put("a", &new) else { panic!() };
    let replaced = NameChange::Put { name, file_id, manifest_hash, len, by: by("m", NOW + 1) };
    let removed = NameChange::Remove { name: "b".into(), by: by("n", NOW + 2) };
    bench.store.apply(4, &[replaced, removed], NOW + 10).unwrap();

    let bench = bench.restart();
    for limit in [1, 2, 100] {
        let all = listed(&bench, limit);
        let told: Vec<_> = all.iter().map(|one| (one.name.as_deref(), one.held_bytes, one.is_used)).collect();
        // One content is live under another name still, and one never had any.
        assert_eq!(told, [(Some("a"), C + 1, false), (Some("b"), 9, true), (None, 7, false)]);
        assert_eq!((&all[0].by, &all[1].by), (&by("m", NOW + 1), &by("n", NOW + 2)));
        let expire = [NOW + 10 + 7 * DAY, NOW + 2 + 7 * DAY, NOW + 5 + 7 * DAY];
        assert_eq!(all.iter().map(|one| one.expires_ms).collect::<Vec<_>>(), expire);
        assert!(all.iter().all(|one| one.is_complete));
    }
    assert_eq!(bench.store.removed("a").unwrap()[0].content, content_of(&old));
    assert!("".parse::<TrashCursor>().is_err() && "a/b".parse::<TrashCursor>().is_err());

    // Both are forgotten in time: what is live elsewhere stays itself.
    bench.store.expire(NOW + 10 + 7 * DAY).unwrap();
    assert_eq!(listed(&bench, 9), []);
    assert_eq!(fs::read(bench.file("c")).unwrap(), twice.bytes);
    assert!(bench.store.removed("a").unwrap().is_empty());
}

#[test]
fn a_name_that_means_its_content_again_was_not_removed() {
    let bench = Bench::new();
    let (first, second) = (Sample::new(C, 1), Sample::new(C, 2));
    bench.publish(1, "a", &first);
    bench.publish(2, "a", &second);
    bench.publish(3, "a", &first);
    let contents: Vec<_> = bench.store.removed("a").unwrap().iter().map(|one| one.content).collect();
    assert_eq!(contents, [content_of(&second)]);
}

#[test]
fn content_in_the_trash_is_held_again_without_its_bytes() {
    let bench = Bench::new();
    let sample = Sample::new(C + 1, 1);
    bench.publish(1, "a", &sample);
    bench.store.apply(2, &[remove("a")], NOW).unwrap();
    bench.store.hold_again(&content_of(&sample), &hold("again"), NOW).unwrap();
    assert_eq!(bench.store.empty_trash().unwrap().objects, 0);
    let bench = bench.restart();
    assert_eq!(bench.store.holds().unwrap(), [(sample.manifest.file_id(), hold("again"))]);
    assert_eq!(bench.store.apply(3, &[put("b", &sample)], NOW).unwrap().shown, ["b"]);
    assert_eq!(fs::read(bench.file("b")).unwrap(), sample.bytes);
}

#[test]
fn what_is_not_whole_or_not_sound_is_not_held_again() {
    let bench = Bench::new();
    let (partial, changed) = (Sample::new(2 * C, 1), Sample::new(C, 2));
    let again = |sample| bench.store.hold_again(&content_of(sample), &hold("again"), NOW);
    assert!(matches!(again(&partial), Err(StoreError::NotFound(_))));
    let download = bench.download(&partial).unwrap();
    write_chunk(&download, &partial, 1);
    download.commit().unwrap();
    assert!(matches!(again(&partial), Err(StoreError::Incomplete { missing: 1, .. })));
    bench.publish(1, "a", &changed);
    bench.store.apply(2, &[remove("a")], NOW).unwrap();
    let file = fs::File::options().write(true).open(make_writable(bench.object_path(&changed))).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert!(matches!(again(&changed), Err(StoreError::Suspect(_))));
    assert_eq!(bench.store.holds().unwrap(), []);
}

fn make_writable(path: std::path::PathBuf) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    path
}

#[test]
fn emptying_takes_what_nothing_uses_now_and_says_how_much() {
    let bench = Bench::new();
    let (gone, shared, held, coming) =
        (Sample::new(C + 1, 1), Sample::new(C, 2), Sample::new(C, 3), Sample::new(2 * C, 4));
    bench.publish(1, "gone", &gone);
    bench.publish(2, "shared", &shared);
    bench.publish(3, "live", &shared);
    bench.store.apply(4, &[put("coming", &coming)], NOW).unwrap();
    let download = bench.download(&coming).unwrap();
    write_chunk(&download, &coming, 0);
    download.commit().unwrap();
    // Later than any clock that empties it: somebody set it back since.
    bench.store.apply(5, &[remove("gone"), remove("shared"), remove("coming")], NOW + 100 * DAY).unwrap();
    bench.upload(&held);

    let emptied = bench.store.empty_trash().unwrap();
    assert_eq!((emptied.objects, emptied.bytes), (1, C + 1));
    let state = |sample| bench.state(sample);
    assert_eq!((state(&gone), state(&shared)), (None, Some(ObjectState::Complete)));
    assert_eq!((state(&held), state(&coming)), (Some(ObjectState::Complete), Some(ObjectState::Partial)));
    write_chunk(&download, &coming, 1);
    download.finish(NOW).unwrap();
    let left: Vec<_> = bench.store.trash(None, 9).unwrap().into_iter().map(|one| one.name).collect();
    assert_eq!(left, [Some("coming".to_owned())]);
}

#[test]
fn an_index_of_the_third_format_is_taken_over() {
    let bench = Bench::new();
    let sample = Sample::new(C, 1);
    bench.publish(1, "a", &sample);
    let Bench { dir, options, store } = bench;
    drop(store);
    let index = to_format_4(&options.content_dir.join("index.db"));
    index.execute_batch("DROP TABLE removed; DROP TABLE scrubs; DROP TABLE rot; DROP INDEX objects_verified; ALTER TABLE objects DROP COLUMN verified_ms; PRAGMA user_version = 3;").unwrap();
    drop(index);
    let store = swift_chunks::Store::open(options.clone()).unwrap();
    let bench = Bench { dir, options, store };
    bench.store.apply(2, &[remove("a")], NOW).unwrap();
    assert_eq!(bench.store.removed("a").unwrap().len(), 1);
}
