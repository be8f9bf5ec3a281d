use std::fs;

use swift_chunks::ObjectState;

use crate::bench::{Bench, C, NOW, Sample, hold, put, remove, write_chunk};

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
