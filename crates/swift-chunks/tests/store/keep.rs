//! What the store wants, by its rule and its pins.

use std::fs;

use swift_chunks::{KeepRule, Pinned};

use crate::bench::{Bench, C, NOW, Sample, put, remove};
use crate::old_index::to_format_4;

fn rule(text: &str) -> KeepRule {
    text.parse().unwrap()
}

/// The seeds of the samples that are wanted.
fn wanted(bench: &Bench, samples: &[Sample]) -> Vec<usize> {
    let wanted = bench.store.wanted(None, 100).unwrap();
    let is_wanted = |sample: &Sample| wanted.iter().any(|it| it.file_id == sample.manifest.file_id());
    for sample in samples {
        assert_eq!(bench.store.is_kept(sample.manifest.file_id()).unwrap(), is_wanted(sample));
    }
    (0..samples.len()).filter(|&at| is_wanted(&samples[at])).collect()
}

#[test]
fn a_rule_says_what_is_wanted_of_old_and_new_names() {
    let bench = Bench::new();
    let samples: Vec<Sample> = (0..4).map(|seed| Sample::new(C, seed)).collect();
    bench.store.apply(1, &[put("a.iso", &samples[0]), put("b/c.iso", &samples[1])], NOW).unwrap();
    assert_eq!(wanted(&bench, &samples), [0, 1]);
    assert!(bench.store.set_keep_rule(rule("*.iso"), NOW).unwrap());
    assert!(!bench.store.set_keep_rule(rule("*.iso"), NOW).unwrap());
    assert_eq!(wanted(&bench, &samples), [0]);
    bench.store.apply(2, &[put("d.iso", &samples[2]), put("d", &samples[3])], NOW).unwrap();
    assert_eq!(wanted(&bench, &samples), [0, 2]);

    let bench = bench.restart();
    assert_eq!(*bench.store.keep_rule(), rule("*.iso"));
    bench.store.set_keep_rule(KeepRule::None, NOW).unwrap();
    assert_eq!(wanted(&bench, &samples), Vec::<usize>::new());
    bench.store.set_keep_rule(KeepRule::All, NOW).unwrap();
    assert_eq!(wanted(&bench, &samples), [0, 1, 2, 3]);
}

#[test]
fn a_pin_outlives_a_restart_and_goes_with_its_name() {
    let bench = Bench::new();
    let samples: Vec<Sample> = (0..2).map(|seed| Sample::new(C, seed)).collect();
    let ids: Vec<_> = samples.iter().map(|sample| sample.manifest.file_id()).collect();
    bench.store.set_keep_rule(KeepRule::None, NOW).unwrap();
    bench.store.apply(1, &[put("a", &samples[0])], NOW).unwrap();
    assert_eq!(bench.store.pin("nothing", NOW).unwrap(), Pinned::NoSuchName);
    assert_eq!(bench.store.pin("a", NOW).unwrap(), Pinned::New(ids[0]));
    let bench = bench.restart();
    assert_eq!(bench.store.pin("a", NOW).unwrap(), Pinned::Already(ids[0]));
    assert_eq!(wanted(&bench, &samples), [0]);

    // Other content under the name is kept as well, and nothing of the old is wanted any more.
    bench.store.apply(2, &[put("a", &samples[1])], NOW).unwrap();
    assert_eq!(
        (wanted(&bench, &samples), bench.store.pins(None, 10).unwrap()),
        (vec![1], vec!["a".to_owned()])
    );

    bench.store.apply(3, &[remove("a")], NOW).unwrap();
    bench.store.apply(4, &[put("a", &samples[1])], NOW).unwrap();
    assert_eq!((wanted(&bench, &samples), bench.store.unpin("a", NOW).unwrap()), (vec![], None));
}

#[test]
fn an_unpinned_name_is_left_to_the_rule() {
    let bench = Bench::new();
    let samples: Vec<Sample> = (0..2).map(|seed| Sample::new(C, seed)).collect();
    bench.store.set_keep_rule(rule("k*"), NOW).unwrap();
    bench.store.apply(1, &[put("kept", &samples[0]), put("other", &samples[1])], NOW).unwrap();
    for name in ["kept", "other"] {
        bench.store.pin(name, NOW).unwrap();
    }
    assert_eq!(wanted(&bench, &samples), [0, 1]);
    for (name, sample) in ["kept", "other"].into_iter().zip(&samples) {
        assert_eq!(bench.store.unpin(name, NOW).unwrap(), Some(sample.manifest.file_id()));
    }
    assert_eq!(wanted(&bench, &samples), [0]);
}

#[test]
fn content_with_several_names_is_wanted_for_any_of_them() {
    let bench = Bench::new();
    let samples = [Sample::new(C, 1)];
    bench.store.set_keep_rule(rule("k*"), NOW).unwrap();
    bench.store.apply(1, &[put("kept", &samples[0]), put("other", &samples[0])], NOW).unwrap();
    assert_eq!(wanted(&bench, &samples), [0]);
    bench.store.apply(2, &[remove("kept")], NOW).unwrap();
    assert_eq!(wanted(&bench, &samples), Vec::<usize>::new());
    bench.store.pin("other", NOW).unwrap();
    assert_eq!(wanted(&bench, &samples), [0]);
}

/// What a node published stays, whatever the rule.
#[test]
fn content_that_is_here_stays_when_the_rule_does_not_cover_it() {
    let bench = Bench::new();
    let sample = Sample::new(C, 1);
    bench.store.set_keep_rule(KeepRule::None, NOW).unwrap();
    bench.publish(1, "a", &sample);
    let bench = bench.restart();
    assert_eq!(fs::read(bench.file("a")).unwrap(), sample.bytes);
    assert_eq!(bench.store.expire(u64::MAX).unwrap().objects, 0);
    assert_eq!(fs::read(bench.file("a")).unwrap(), sample.bytes);
}

#[test]
fn an_index_of_the_first_format_is_taken_over() {
    let bench = Bench::new();
    let sample = Sample::new(C, 1);
    bench.publish(1, "a", &sample);
    let (dir, options) = (bench.dir, bench.options);
    drop(bench.store);
    let index = to_format_4(&options.content_dir.join("index.db"));
    index
        .execute_batch(
            "DROP TABLE removed; DROP TABLE scrubs; DROP TABLE rot; DROP INDEX objects_verified; ALTER TABLE objects DROP COLUMN verified_ms; DROP TABLE grains; DROP TABLE trees; DROP TABLE keep; DROP TABLE pins; DROP TABLE promised; DROP TABLE promises; DROP INDEX objects_surplus; DROP INDEX objects_whole; ALTER TABLE names DROP COLUMN kept; PRAGMA user_version = 1;",
        )
        .unwrap();
    drop(index);
    let store = swift_chunks::Store::open(options.clone()).unwrap();
    let bench = Bench { dir, options, store };
    let names = bench.store.list_names(None, 10).unwrap();
    assert_eq!((names.len(), names[0].is_kept, names[0].is_complete), (1, true, true));
    assert_eq!(*bench.store.keep_rule(), KeepRule::All);
}
