use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use swift_chunks::{Store, StoreError};
use tempfile::TempDir;

use crate::image::Crash;
use crate::record::Record;
use crate::scenarios::Scenario;
use crate::world::MUCH_LATER;

/// In memory where the system has such a place: a crash is played here, none happens.
pub(crate) fn tempdir() -> TempDir {
    let memory = Path::new("/dev/shm");
    let in_memory = tempfile::tempdir_in(memory).ok().filter(|_| memory.is_dir());
    in_memory.unwrap_or_else(|| tempfile::tempdir().unwrap())
}

/// Opens the store on what each crash may leave, once for all that leave the same. Answers how many there were.
pub(crate) fn check(
    name: &str,
    scenario: &Scenario,
    record: &Record,
    crashes: impl Iterator<Item = Crash>,
) -> usize {
    let mut seen = HashSet::new();
    for crash in crashes {
        let image = record.image(&crash);
        if !seen.insert(image.number()) {
            continue;
        }
        let root = tempdir();
        image.make(record, root.path());
        let acknowledged = image.acknowledged.as_ref().unwrap();
        let checked = catch_unwind(AssertUnwindSafe(|| scenario.world.check(root.path(), acknowledged)));
        if checked.is_err() {
            for (at, step) in record.steps.iter().enumerate().take(crash.after).skip(record.base) {
                let fate = crash.fates.iter().find(|(change, _)| *change == at);
                eprintln!(
                    "{at:4} {step:?} {}",
                    fate.map_or(String::new(), |(_, fate)| format!("<- {fate:?}"))
                );
            }
            panic!("{name}: {crash:?}, having said {acknowledged:?}");
        }
    }
    seen.len()
}

fn play(name: &str) -> (Scenario, Record) {
    let scenario = Scenario::all().into_iter().find(|(other, _)| *other == name).unwrap().1;
    let root = tempdir();
    let (recorder, store, outcome) = scenario.play(root.path(), None);
    outcome.unwrap();
    drop(store);
    (scenario, recorder.take())
}

fn at_every_point(name: &str) {
    let (scenario, record) = play(name);
    let count = check(name, &scenario, &record, record.crashes());
    println!("{name}: {} steps leave {count} directories", record.steps.len() - record.base);
    assert!(record.crashes().any(|crash| !crash.fates.is_empty()), "nothing was at risk");
}

/// A crash, and another one while the store brings itself in order.
fn twice(name: &str) {
    let (scenario, record) = play(name);
    let (mut count, mut seen) = (0, HashSet::new());
    for after in record.base..=record.steps.len() {
        let image = record.image(&Crash { after, fates: Vec::new() });
        if !seen.insert(image.number()) {
            continue;
        }
        let root = tempdir();
        image.make(&record, root.path());
        let again = scenario.open_again(root.path(), image.acknowledged.as_deref().unwrap());
        count += check(name, &scenario, &again, again.crashes());
    }
    println!("{name}: {count} directories after a second crash");
}

#[test]
fn a_second_crash_while_the_store_is_opened_changes_nothing() {
    for name in ["upload", "slices", "removal", "eviction", "repair", "overtaken"] {
        twice(name);
    }
}

#[test]
fn what_a_failed_synchronisation_covered_is_not_claimed_and_the_store_does_nothing_more() {
    for (name, scenario) in Scenario::all() {
        let mut failures = 0;
        loop {
            let root = tempdir();
            let (recorder, store, outcome) = scenario.play(root.path(), Some(failures + 1));
            if !recorder.has_failed() {
                outcome.unwrap();
                break;
            }
            failures += 1;
            let error = outcome.unwrap_err().to_string();
            assert!(error.starts_with("the store has stopped"), "{name}, failure {failures}: {error}");
            assert!(error.contains("cannot synchronise"), "{error}");
            if let Some(store) = store {
                refuses_everything(&store, &scenario);
            }
            let record = recorder.take();
            let all = record.crashes_after(record.steps.len());
            check(name, &scenario, &record, all.into_iter());
        }
        println!("{name}: {failures} synchronisations failed");
        assert!(failures > 3, "{name}");
    }
}

fn refuses_everything(store: &Store, scenario: &Scenario) {
    let id = scenario.world.samples[0].manifest.file_id();
    let is_stopped = |error: StoreError| matches!(error, StoreError::Stopped(_));
    assert!(is_stopped(store.object(id).unwrap_err()));
    assert!(is_stopped(store.begin_upload(None).map(drop).unwrap_err()));
    assert!(is_stopped(store.reader(id).map(drop).unwrap_err()));
    assert!(is_stopped(store.apply(u64::MAX, &[], MUCH_LATER).unwrap_err()));
    assert!(is_stopped(store.expire(MUCH_LATER).unwrap_err()));
    assert!(is_stopped(store.verify(id, |_| {}).unwrap_err()));
    assert!(is_stopped(store.usage().unwrap_err()));
    let (tell, told) = std::sync::mpsc::channel();
    store.on_stop(move |reason| tell.send(reason.to_owned()).unwrap());
    assert!(told.recv().unwrap().starts_with("cannot synchronise"));
}

macro_rules! scenarios {
    ($($name:ident: $what:literal,)*) => {
        $(
            #[test]
            fn $name() {
                at_every_point($what);
            }
        )*
    };
}

scenarios! {
    a_first_start_is_begun_again: "first start",
    an_upload_is_there_once_it_was_adopted: "upload",
    a_download_keeps_every_chunk_it_called_durable: "download",
    a_download_keeps_every_slice_it_called_durable: "slices",
    a_name_means_the_old_content_or_the_new: "replace",
    what_was_removed_does_not_come_back_and_leaves_nothing: "removal",
    an_eviction_is_complete_or_can_be_made_good: "eviction",
    a_repair_keeps_what_was_sound: "repair",
    an_upload_that_overtakes_a_download_loses_nothing: "overtaken",
    an_object_that_was_touched_counts_once_it_was_verified: "touch",
    an_edit_is_kept_and_so_is_what_was_sound: "edit",
    content_from_the_trash_is_there_again: "return",
}
