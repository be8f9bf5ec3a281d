//! Letting go of what nothing keeps, and being bound by promises.

use std::fs;

use swift_chunks::{
    ContentRef, EvictOutcome, GivenPromise, HeldPromise, KeepRule, ObjectState, PromiseOutcome,
};

use crate::bench::{Bench, C, NOW, Sample, put, remove, write_chunk};

const LATER: u64 = NOW + 1000;

fn held(sample: &Sample) -> HeldPromise {
    HeldPromise { file_id: sample.manifest.file_id(), until_ms: LATER, statement: b"signed".to_vec() }
}

fn given(sample: &Sample, until_ms: u64) -> GivenPromise {
    GivenPromise { file_id: sample.manifest.file_id(), to: b"somebody".to_vec(), until_ms }
}

/// A file that is here under the name `a`, and a rule that does not cover it.
fn bench_with(sample: &Sample) -> Bench {
    let bench = Bench::new();
    bench.publish(1, "a", sample);
    bench.store.set_keep_rule(KeepRule::None, NOW).unwrap();
    bench
}

fn sample_ref(sample: &Sample) -> ContentRef {
    let (file_id, manifest_hash) = (sample.manifest.file_id(), sample.manifest.hash());
    ContentRef { file_id, manifest_hash, len: sample.bytes.len() as u64 }
}

fn surplus(bench: &Bench) -> usize {
    bench.store.surplus(None, 10).unwrap().len()
}

#[test]
fn what_nothing_keeps_goes_by_a_promise_with_its_file_and_its_room() {
    let sample = Sample::new(C + 1, 1);
    let bench = bench_with(&sample);
    assert_eq!(surplus(&bench), 1);
    let Ok(EvictOutcome::Gone { bytes, visible }) = bench.store.evict(&held(&sample), NOW) else {
        panic!("it is still here")
    };
    assert_eq!((bytes, visible.removed), (C + 1, vec!["a".to_owned()]));
    assert!(!bench.file("a").exists());
    assert_eq!((bench.count("objects"), bench.count("manifests"), bench.count("doomed")), (0, 0, 0));
    assert_eq!((bench.store.usage().unwrap().used, surplus(&bench)), (0, 0));
    assert!(matches!(bench.store.evict(&held(&sample), NOW), Ok(EvictOutcome::NotHere)));

    // The name is live as before, and the file comes again when it is wanted.
    let bench = bench.restart();
    assert_eq!(bench.state(&sample), Some(ObjectState::Partial));
    assert_eq!(bench.store.promises_held(10).unwrap(), [held(&sample)]);
    bench.store.pin("a", NOW).unwrap();
    assert_eq!(bench.fetch(&sample).shown, ["a"]);
    assert_eq!(fs::read(bench.file("a")).unwrap(), sample.bytes);
}

#[test]
fn a_part_of_a_file_goes_too() {
    let bench = Bench::new();
    let sample = Sample::new(3 * C, 1);
    bench.store.apply(1, &[put("a", &sample)], NOW).unwrap();
    let download = bench.download(&sample).unwrap();
    write_chunk(&download, &sample, 1);
    download.commit().unwrap();
    bench.store.set_keep_rule(KeepRule::None, NOW).unwrap();
    assert!(matches!(bench.store.evict(&held(&sample), NOW), Ok(EvictOutcome::InUse)));
    drop(download);
    let outcome = bench.store.evict(&held(&sample), NOW);
    assert!(matches!(outcome, Ok(EvictOutcome::Gone { bytes: C, .. })), "{outcome:?}");
    assert_eq!((bench.count("partial"), bench.store.usage().unwrap().used), (0, 0));
}

#[test]
fn room_for_what_will_not_come_is_given_back_and_set_aside_again_when_it_does() {
    let bench = Bench::new();
    let sample = Sample::new(3 * C, 1);
    let (content, manifest) = (sample_ref(&sample), sample.manifest.encoded().len() as u64);
    let used = |bench: &Bench| bench.store.usage().unwrap().used;
    bench.store.set_keep_rule(KeepRule::None, NOW).unwrap();
    bench.store.apply(1, &[put("a", &sample)], NOW).unwrap();
    let download = bench.download(&sample).unwrap();
    write_chunk(&download, &sample, 1);
    download.commit().unwrap();
    assert!(!bench.store.give_back_room(&content).unwrap(), "a download runs");
    assert_eq!(used(&bench), 3 * C + manifest);
    drop(download);
    assert!(bench.store.give_back_room(&content).unwrap());
    assert_eq!(used(&bench), C + manifest);

    // Without a word, too, when the program ended before it could say so.
    drop(bench.download(&sample).unwrap());
    assert_eq!(used(&bench), 3 * C + manifest);
    let bench = bench.restart();
    assert_eq!(used(&bench), C + manifest);

    // What is kept keeps its room.
    drop(bench.download(&sample).unwrap());
    bench.store.pin("a", NOW).unwrap();
    assert!(bench.store.give_back_room(&content).unwrap());
    assert_eq!(used(&bench), 3 * C + manifest);
    let bench = bench.restart();
    assert_eq!(used(&bench), 3 * C + manifest);
    assert_eq!(bench.fetch(&sample).shown, ["a"]);
}

#[test]
fn what_somebody_reads_stays_until_it_is_read() {
    let sample = Sample::new(C, 1);
    let bench = bench_with(&sample);
    let reader = bench.store.reader(sample.manifest.file_id()).unwrap();
    assert!(matches!(bench.store.evict(&held(&sample), NOW), Ok(EvictOutcome::InUse)));
    drop(reader);
    assert!(matches!(bench.store.evict(&held(&sample), NOW), Ok(EvictOutcome::Gone { .. })));
}

#[test]
fn what_a_rule_a_pin_or_an_upload_keeps_does_not_go() {
    let sample = Sample::new(C, 1);
    let bench = bench_with(&sample);
    let stays = || assert!(matches!(bench.store.evict(&held(&sample), NOW), Ok(EvictOutcome::Kept)));
    bench.store.pin("a", NOW).unwrap();
    stays();
    bench.store.unpin("a", NOW).unwrap();
    bench.upload(&sample);
    stays();
    bench.store.release_hold(b"upload", NOW).unwrap();
    bench.store.set_keep_rule(KeepRule::All, NOW).unwrap();
    stays();
    bench.store.set_keep_rule(KeepRule::None, NOW).unwrap();
    assert!(matches!(bench.store.evict(&held(&sample), LATER), Ok(EvictOutcome::PromiseOver)));
    assert_eq!(fs::read(bench.file("a")).unwrap(), sample.bytes);
}

#[test]
fn a_promise_binds_until_its_end_also_after_a_restart() {
    let sample = Sample::new(C, 1);
    let bench = bench_with(&sample);
    let promise = given(&sample, LATER - 1);
    assert_eq!(bench.store.promise(&promise, true, NOW).unwrap(), PromiseOutcome::NotKept);
    assert_eq!(bench.store.promise(&promise, false, NOW).unwrap(), PromiseOutcome::Given);
    // An earlier end takes nothing back.
    assert_eq!(bench.store.promise(&given(&sample, NOW + 1), false, NOW).unwrap(), PromiseOutcome::Given);
    let bench = bench.restart();
    assert_eq!(bench.store.promises_given(10).unwrap(), [promise]);
    assert_eq!((bench.store.forget_promises(LATER - 2).unwrap(), surplus(&bench)), (0, 0));
    assert!(matches!(bench.store.evict(&held(&sample), LATER - 2), Ok(EvictOutcome::Kept)));
    // A change of the rule does not end it either.
    bench.store.set_keep_rule(KeepRule::All, NOW).unwrap();
    bench.store.set_keep_rule(KeepRule::None, NOW).unwrap();
    assert!(matches!(bench.store.evict(&held(&sample), LATER - 2), Ok(EvictOutcome::Kept)));

    assert_eq!((bench.store.forget_promises(LATER - 1).unwrap(), surplus(&bench)), (1, 1));
    assert!(matches!(bench.store.evict(&held(&sample), LATER - 1), Ok(EvictOutcome::Gone { .. })));
}

#[test]
fn what_is_promised_and_damaged_is_wanted_again() {
    let sample = Sample::new(C, 1);
    let bench = bench_with(&sample);
    bench.store.promise(&given(&sample, LATER), false, NOW).unwrap();
    fs::remove_file(bench.object_path(&sample)).unwrap();
    fs::remove_file(bench.file("a")).unwrap();
    assert!(!bench.store.reader(sample.manifest.file_id()).unwrap().is_complete());
    assert_eq!(bench.store.wanted(None, 10).unwrap().len(), 1);
}

#[test]
fn only_what_is_whole_and_live_is_promised() {
    let bench = Bench::new();
    let (partial, gone) = (Sample::new(2 * C, 1), Sample::new(C, 2));
    bench.store.apply(1, &[put("partial", &partial)], NOW).unwrap();
    bench.publish(2, "gone", &gone);
    bench.store.apply(3, &[remove("gone")], NOW).unwrap();
    for sample in [&partial, &gone, &Sample::new(1, 9)] {
        let outcome = bench.store.promise(&given(sample, LATER), false, NOW).unwrap();
        assert_eq!(outcome, PromiseOutcome::NotHeld);
    }
}

#[test]
fn records_of_others_promises_go_a_week_after_their_end() {
    let sample = Sample::new(C, 1);
    let bench = bench_with(&sample);
    bench.store.evict(&held(&sample), NOW).unwrap();
    let week = 7 * 24 * 60 * 60 * 1000;
    bench.store.forget_promises(LATER + week - 1).unwrap();
    assert_eq!(bench.store.promises_held(10).unwrap().len(), 1);
    bench.store.forget_promises(LATER + week).unwrap();
    assert_eq!(bench.store.promises_held(10).unwrap(), []);
}

/// A copy of the index without content keeps no promise.
#[test]
fn a_restored_index_is_bound_by_nothing() {
    let sample = Sample::new(C, 1);
    let bench = bench_with(&sample);
    bench.store.promise(&given(&sample, LATER), false, NOW).unwrap();
    let copy = bench.dir.path().join("copy.db");
    swift_chunks::copy_index(&bench.options.content_dir, &copy).unwrap();
    swift_chunks::forget_content(&copy).unwrap();
    let index = rusqlite::Connection::open(&copy).unwrap();
    let count = |sql: &str| index.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM promised"), 0);
    assert_eq!(count("SELECT count(*) FROM objects WHERE wanted_height IS NOT NULL"), 0);
}
