use std::fs;
use std::time::{Duration, Instant};

use swift_chunks::{OpenError, Store};

use crate::bench::{Bench, C, NOW, Sample, put, write_chunk};
use crate::old_index::to_format_4;

#[test]
fn a_directory_in_use_is_refused() {
    let bench = Bench::new();
    let second = Store::open(bench.options.clone());
    assert!(matches!(second, Err(OpenError::InUse { path }) if path == bench.options.content_dir));
    bench.restart();
}

#[test]
fn an_index_of_a_newer_format_is_refused_and_left_alone() {
    let bench = Bench::new();
    let (options, dir) = (bench.options, bench.dir);
    drop(bench.store);
    let index = options.content_dir.join("index.db");
    let connection = rusqlite::Connection::open(&index).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let refused = Store::open(options).err().unwrap();
    assert!(matches!(refused, OpenError::NewerFormat { found: 99, known: 5, .. }), "{refused}");
    drop(dir);
}

#[test]
fn everything_acknowledged_is_there_after_a_restart() {
    let bench = Bench::new();
    let samples: Vec<Sample> = (0..4).map(|seed| Sample::new(u64::from(seed) * C / 2, seed)).collect();
    for (at, sample) in samples.iter().enumerate() {
        bench.publish(at as u64, &format!("{at}"), sample);
    }
    let used = bench.store.usage().unwrap().used;
    let bench = bench.restart();
    assert_eq!(bench.store.usage().unwrap().used, used);
    assert_eq!(bench.store.applied_height().unwrap(), Some(3));
    assert_eq!(bench.store.list_objects(None, 10).unwrap().len(), 4);
    for (at, sample) in samples.iter().enumerate() {
        assert_eq!(fs::read(bench.file(&at.to_string())).unwrap(), sample.bytes);
        let reader = bench.store.reader(sample.manifest.file_id()).unwrap();
        assert!(reader.is_complete());
    }
}

/// Nothing at start may grow with what is stored: 20,000 names, and objects that would take seconds to hash.
#[test]
fn opening_does_not_walk_what_is_stored() {
    let bench = Bench::new();
    let sample = Sample::new(0, 1);
    let changes: Vec<_> = (0..20_000u32)
        .map(|number| {
            let mut id = [0; 32];
            id[..4].copy_from_slice(&number.to_be_bytes());
            swift_chunks::NameChange::Put {
                name: format!("dir/{number}"),
                file_id: swift_chunks::FileId::from_bytes(id),
                manifest_hash: sample.manifest.hash(),
                len: 1 << 40,
                by: swift_chunks::ChangedBy::default(),
            }
        })
        .collect();
    bench.store.apply(1, &changes, NOW).unwrap();
    let (dir, options) = (bench.dir, bench.options);
    drop(bench.store);
    let started = Instant::now();
    let store = Store::open(options).unwrap();
    let took = started.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(store.wanted(None, 3).unwrap().len(), 3);
    drop((store, dir));
}

#[test]
fn objects_are_listed_page_by_page() {
    let bench = Bench::new();
    for seed in 0..5 {
        let sample = Sample::new(10, seed);
        bench.store.apply(u64::from(seed), &[put(&format!("{seed}"), &sample)], NOW).unwrap();
    }
    let first = bench.store.list_objects(None, 3).unwrap();
    let rest = bench.store.list_objects(Some(first[2].file_id), 3).unwrap();
    assert_eq!((first.len(), rest.len()), (3, 2));
    assert!(first.iter().chain(&rest).map(|object| object.file_id).is_sorted());
}

#[test]
fn an_index_of_the_fourth_format_is_taken_over_with_all_it_says() {
    let bench = Bench::new();
    let (a, b) = (Sample::new(C, 1), Sample::new(2 * C, 2));
    bench.publish(1, "a", &a);
    bench.store.set_priority(b.manifest.file_id(), Some(3)).unwrap();
    let download = bench.download(&b).unwrap();
    write_chunk(&download, &b, 0);
    download.commit().unwrap();
    let Bench { dir, options, store } = bench;
    drop((download, store));
    let usage = Store::open(options.clone()).unwrap().usage().unwrap();
    drop(to_format_4(&options.content_dir.join("index.db")));
    for _ in 0..2 {
        let store = Store::open(options.clone()).unwrap();
        assert_eq!(store.usage().unwrap().used, usage.used);
        assert_eq!(store.applied_height().unwrap(), Some(1));
        assert_eq!(store.list_names(None, 9).unwrap().len(), 1);
    }
    let bench = Bench { dir, store: Store::open(options.clone()).unwrap(), options };
    let download = bench.download(&b).unwrap();
    assert_eq!(download.held().len(), 1);
    write_chunk(&download, &b, 1);
    download.finish(NOW).unwrap();
    assert_eq!(fs::read(bench.file("a")).unwrap(), a.bytes);
}
