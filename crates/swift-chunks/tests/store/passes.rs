use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};

use swift_chunks::{ObjectState, ScrubDue, StoreError};

use crate::bench::{Bench, C, NOW, Sample, hold, put, remove, write_chunk};

/// Flips a byte as a failing disk does: the file keeps its times.
fn rot(bench: &Bench, sample: &Sample, at: u64) {
    let path = bench.object_path(sample);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[!sample.bytes[at as usize]], at).unwrap();
    file.set_times(fs::FileTimes::new().set_modified(modified)).unwrap();
}

/// Uploads at a time.
fn upload_at(bench: &Bench, sample: &Sample, now_ms: u64) {
    let mut upload = bench.store.begin_upload(None).unwrap();
    upload.write(&sample.bytes).unwrap();
    bench.store.adopt(upload.finish().unwrap(), &hold("upload"), now_ms).unwrap();
}

fn ids(due: &[ScrubDue]) -> Vec<swift_chunks::FileId> {
    due.iter().map(|due| due.file_id).collect()
}

#[test]
fn what_was_verified_longest_ago_is_due_first_also_after_a_restart() {
    let bench = Bench::new();
    let samples: Vec<_> = (0..4).map(|seed| Sample::new(1000, seed)).collect();
    for (at, sample) in [(2, &samples[0]), (0, &samples[1]), (1, &samples[2]), (9, &samples[3])] {
        upload_at(&bench, sample, NOW + at);
    }
    let due = bench.store.scrub_due(NOW + 9, None, 9).unwrap();
    assert_eq!(ids(&due), [1, 2, 0].map(|at: usize| samples[at].manifest.file_id()));
    assert_eq!(ids(&bench.store.scrub_due(NOW + 9, Some(&due[0]), 1).unwrap()), [due[1].file_id]);

    let scrubbed = bench.store.scrub(&due[..1], NOW + 20, |_| true).unwrap();
    assert!(scrubbed.bad.is_empty() && scrubbed.failed.is_empty());
    let bench = bench.restart();
    assert_eq!(ids(&bench.store.scrub_due(NOW + 9, None, 9).unwrap()), ids(&due[1..]));
    let last = bench.store.scrub_due(NOW + 21, None, 9).unwrap().pop().unwrap();
    assert_eq!((last.file_id, last.verified_ms), (due[0].file_id, NOW + 20));
    assert_eq!(bench.store.scrub_left(NOW + 9).unwrap().files, 2);
}

#[test]
fn a_pass_goes_on_where_a_stop_cut_it_short_and_tells_what_it_came_to() {
    let bench = Bench::new();
    let samples: Vec<_> = (0..3).map(|seed| Sample::new(C + 1000, seed)).collect();
    samples.iter().for_each(|sample| upload_at(&bench, sample, NOW));
    let pass = bench.store.begin_scrub(NOW + 1, NOW + 1).unwrap();
    assert_eq!((pass.started_ms, pass.contents, pass.ended_ms), (NOW + 1, 0, None));
    let due = bench.store.scrub_due(pass.before_ms, None, 9).unwrap();
    let mut reads = Vec::new();
    // The second content is left in its middle.
    let scrubbed = bench.store.scrub(&due, NOW + 2, |read| {
        reads.push(read);
        reads.len() < 3
    });
    assert!(scrubbed.unwrap().bad.is_empty());
    assert_eq!(reads, [C, C + 1000, due[0].bytes + C]);

    let bench = bench.restart();
    let going = bench.store.scrub_running().unwrap().unwrap();
    assert_eq!((going.started_ms, going.contents, going.bytes), (NOW + 1, 1, due[0].bytes));
    // To ask again for what goes on already does not begin another one.
    assert_eq!(bench.store.begin_scrub(NOW + 1, NOW + 5).unwrap(), going);
    let left = bench.store.scrub_due(going.before_ms, None, 9).unwrap();
    assert_eq!(ids(&left), ids(&due[1..]));
    bench.store.scrub(&left, NOW + 6, |_| true).unwrap();
    bench.store.end_scrub(NOW + 7).unwrap();
    assert_eq!(bench.store.scrub_running().unwrap(), None);
    let ended = bench.restart().store.scrub_last().unwrap().unwrap();
    assert_eq!((ended.contents, ended.bad, ended.ended_ms), (3, 0, Some(NOW + 7)));
}

#[test]
fn what_has_rotted_is_quarantined_counted_and_remembered_until_it_is_whole_again() {
    let bench = Bench::new();
    let (rotten, sound, removed) = (Sample::new(3 * C, 1), Sample::new(C, 2), Sample::new(C, 3));
    bench.publish(1, "a", &rotten);
    bench.publish(2, "b", &sound);
    bench.publish(3, "c", &removed);
    bench.store.apply(4, &[remove("c")], NOW).unwrap();
    rot(&bench, &rotten, 7);
    rot(&bench, &rotten, 2 * C + 7);
    rot(&bench, &removed, 7);
    let pass = bench.store.begin_scrub(NOW + 1, NOW + 1).unwrap();
    let due = bench.store.scrub_due(pass.before_ms, None, 9).unwrap();
    let scrubbed = bench.store.scrub(&due, NOW + 2, |_| true).unwrap();
    assert_eq!(scrubbed.bad, [rotten.manifest.file_id(), removed.manifest.file_id()]);
    bench.store.end_scrub(NOW + 3).unwrap();
    assert_eq!(bench.store.scrub_last().unwrap().unwrap().bad, 2);

    let bench = bench.restart();
    let told = |bench: &Bench| {
        let rot = bench.store.rot(9).unwrap();
        rot.into_iter().map(|rot| (rot.name.unwrap(), rot.bad_chunks, rot.is_repaired)).collect::<Vec<_>>()
    };
    assert_eq!(told(&bench), [("a".into(), 2, false), ("c".into(), 1, false)]);
    assert_eq!((bench.store.unrepaired().unwrap(), bench.state(&rotten)), (2, Some(ObjectState::Partial)));
    bench.fetch(&rotten);
    assert_eq!(told(&bench), [("c".into(), 1, false), ("a".into(), 2, true)]);
    // The next pass begins with what is still to be repaired.
    bench.store.begin_scrub(NOW + 9, NOW + 9).unwrap();
    assert_eq!(told(&bench), [("c".into(), 1, false)]);
    bench.store.empty_trash().unwrap();
    assert_eq!((told(&bench), bench.store.unrepaired().unwrap()), (vec![], 0));
}

#[test]
fn what_was_found_before_a_stop_is_quarantined() {
    let bench = Bench::new();
    let sample = Sample::new(3 * C, 1);
    bench.publish(1, "a", &sample);
    rot(&bench, &sample, 7);
    let due = bench.store.scrub_due(NOW + 1, None, 9).unwrap();
    assert_eq!(bench.store.scrub(&due, NOW + 1, |_| false).unwrap().bad, [sample.manifest.file_id()]);
    assert_eq!(bench.store.object(sample.manifest.file_id()).unwrap().unwrap().held_chunks, 2);
    assert_eq!(bench.store.rot(9).unwrap().len(), 1);
    // It was not looked at as a whole.
    assert_eq!(bench.store.scrub_due(NOW + 1, None, 9).unwrap().len(), 1);
}

#[test]
fn what_is_being_downloaded_is_left_out_and_what_lies_there_in_part_is_not() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    bench.store.apply(1, &[put("a", &sample)], NOW).unwrap();
    let download = bench.download(&sample).unwrap();
    assert!(bench.store.is_taking_in());
    write_chunk(&download, &sample, 1);
    download.commit().unwrap();
    let due = bench.store.scrub_due_of(sample.manifest.file_id()).unwrap().unwrap();
    let look = || {
        let mut read = 0;
        bench
            .store
            .scrub(&[due], NOW + 5, |bytes| {
                read = bytes;
                true
            })
            .unwrap();
        read
    };
    assert_eq!(look(), 0);
    drop(download);
    assert_eq!(look(), C);
    assert!(!bench.store.is_taking_in());
    assert_eq!(bench.store.scrub_due(NOW + 5, None, 9).unwrap(), []);
    assert_eq!(bench.store.scrub_due_of(Sample::new(1, 9).manifest.file_id()).unwrap(), None);
}

#[test]
fn content_that_was_changed_from_outside_is_not_judged_by_half_a_look() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    bench.publish(1, "a", &sample);
    let path = bench.object_path(&sample);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    let due = bench.store.scrub_due(NOW + 1, None, 9).unwrap();
    let scrubbed = bench.store.scrub(&due, NOW + 1, |_| false).unwrap();
    assert!(matches!(scrubbed.failed[..], [(_, StoreError::Suspect(_))]));
    assert!(bench.store.scrub(&due, NOW + 1, |_| true).unwrap().failed.is_empty());
    assert_eq!(bench.state(&sample), Some(ObjectState::Complete));
}

/// A download that had just ended was passed over, and the pass counted one content less.
#[test]
fn what_was_downloaded_is_looked_at_although_its_download_is_still_held() {
    let bench = Bench::new();
    let (whole, coming) = (Sample::new(C + 1, 1), Sample::new(2 * C, 2));
    bench.store.apply(1, &[put("whole", &whole), put("coming", &coming)], NOW).unwrap();
    let (ended, running) = (bench.download(&whole).unwrap(), bench.download(&coming).unwrap());
    for chunk in 0..2 {
        write_chunk(&ended, &whole, chunk);
    }
    ended.finish(NOW).unwrap();
    write_chunk(&running, &coming, 0);
    running.commit().unwrap();
    let pass = bench.store.begin_scrub(NOW + 1, NOW + 1).unwrap();
    let due = bench.store.scrub_due(pass.before_ms, None, 9).unwrap();
    assert_eq!(due.len(), 2);
    bench.store.scrub(&due, NOW + 1, |_| true).unwrap();
    assert_eq!(
        bench.store.scrub_running().unwrap().unwrap().contents,
        1,
        "the other is verified as it comes"
    );
    drop((ended, running));
}
