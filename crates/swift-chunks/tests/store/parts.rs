//! Grains of chunks that are not whole: durable with the commits, and there again after a crash.

use std::fs;

use swift_chunks::{
    ChunkIndex, ChunkWriteError, ContentReader, Download, GRAIN_LEN, Grains, ReadError, StoreError,
};

use crate::bench::{Bench, C, NOW, Sample, put, write_chunk};
use crate::crashes::crashed;
use crate::old_index::to_format_4;
use crate::reading::rot;
use crate::slices::{bytes, chunk, slice, slices, tree, write_in_slices, write_slice};

const G: u64 = GRAIN_LEN;

/// Writes some slices of a chunk and nothing else.
fn write_grains(download: &Download, sample: &Sample, index: u64, grains: std::ops::Range<u32>) {
    for grain in grains {
        write_slice(download, sample, slice(sample, index, grain, 0));
    }
}

fn open_of(bench: &Bench, sample: &Sample) -> Vec<(ChunkIndex, Grains)> {
    bench.store.reader(sample.manifest.file_id()).unwrap().open_chunks()
}

fn reads(reader: &ContentReader, sample: &Sample, range: std::ops::Range<u64>) -> bool {
    let mut buffer = vec![0; (range.end - range.start) as usize];
    match reader.read_at(range.start, &mut buffer) {
        Ok(_) => {
            assert!(buffer == sample.bytes[range.start as usize..range.end as usize]);
            true
        }
        Err(ReadError::NotHeld { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

/// Rows that claim grains or keep trees.
fn rows(bench: &Bench) -> (i64, i64) {
    let index = rusqlite::Connection::open(bench.content("index.db")).unwrap();
    let count =
        |table| index.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
    (count("grains"), count("trees"))
}

#[test]
fn committed_grains_are_there_after_a_crash_and_only_these() {
    let bench = Bench::new();
    let sample = Sample::new(3 * C + G + 7, 1);
    bench.store.apply(1, &[put("a", &sample)], NOW).unwrap();
    let download = bench.download(&sample).unwrap();
    write_grains(&download, &sample, 1, 3..9);
    write_grains(&download, &sample, 3, 1..2);
    write_chunk(&download, &sample, 0);
    assert_eq!(download.commit().unwrap(), [chunk(&sample, 0)], "grains are not told as chunks");
    // Written after the commit, or half written: the bytes may or may not be there, and are not claimed.
    write_grains(&download, &sample, 1, 20..22);
    write_grains(&download, &sample, 2, 0..1);
    let half = slice(&sample, 1, 40, 0);
    let mut writer = download.slice_writer(half, &tree(&sample, half.chunk())).unwrap();
    writer.write(&bytes(&sample, half)[..1000]).unwrap();

    let after = crashed(&bench);
    let claimed = vec![
        (chunk(&sample, 1), Grains::from_bits(0b1_1111_1000)),
        (chunk(&sample, 3), Grains::from_bits(0b10)),
    ];
    let wanted = after.store.wanted(None, 1).unwrap()[0];
    assert_eq!((wanted.held_chunks, wanted.durable_bytes), (1, C + 6 * G + 7));
    assert_eq!(open_of(&after, &sample), claimed);
    let reader = after.store.reader(sample.manifest.file_id()).unwrap();
    assert!(
        reads(&reader, &sample, C + 3 * G..C + 9 * G) && reads(&reader, &sample, 3 * C + G..3 * C + G + 7)
    );
    assert!(!reads(&reader, &sample, C + 9 * G..C + 9 * G + 1) && !reads(&reader, &sample, 2 * C..2 * C + 1));

    let download = after.download(&sample).unwrap();
    assert_eq!(download.open_chunks(), claimed);
    for (chunk, grains) in claimed {
        assert_eq!(download.grains(chunk), grains);
    }
    let restored = slice(&sample, 1, 3, 0);
    let taken = download.slice_writer(restored, &tree(&sample, restored.chunk()));
    assert!(matches!(taken, Err(StoreError::SliceTaken { .. })), "what is claimed is not written again");
    for index in 1..4 {
        for slice in slices(&sample, index, 0) {
            if !download.grains(slice.chunk()).contains(slice.grains(download.layout())) {
                write_slice(&download, &sample, slice);
            }
        }
        download.record(download.check_chunk(chunk(&sample, index)).unwrap()).unwrap();
    }
    assert_eq!(download.finish(NOW).unwrap().shown, ["a"]);
    assert_eq!(fs::read(after.file("a")).unwrap(), sample.bytes);
    assert_eq!(rows(&after), (0, 0));
}

#[test]
fn what_is_synchronised_and_not_committed_is_not_claimed() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    let download = bench.download(&sample).unwrap();
    write_grains(&download, &sample, 0, 0..8);
    let part = fs::read_dir(bench.content("partial")).unwrap().next().unwrap().unwrap().path();
    fs::File::open(part).unwrap().sync_all().unwrap();
    let after = crashed(&bench);
    assert_eq!(open_of(&after, &sample), []);
    assert_eq!(after.download(&sample).unwrap().open_chunks(), []);
}

#[test]
fn a_commit_that_has_nothing_new_writes_nothing() {
    let bench = Bench::new();
    let sample = Sample::new(C, 1);
    let download = bench.download(&sample).unwrap();
    write_grains(&download, &sample, 0, 0..3);
    download.commit().unwrap();
    let log = || fs::metadata(bench.content("index.db-wal")).unwrap().modified().unwrap();
    let before = log();
    download.commit().unwrap();
    assert_eq!(log(), before);
    write_grains(&download, &sample, 0, 3..4);
    download.commit().unwrap();
    assert_eq!(open_of(&bench, &sample), [(chunk(&sample, 0), Grains::from_bits(0b1111))]);
    assert_eq!(rows(&bench), (1, 1));
}

#[test]
fn a_restored_chunk_with_every_grain_is_checked_and_then_held() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    let download = bench.download(&sample).unwrap();
    for slice in slices(&sample, 1, 3) {
        write_slice(&download, &sample, slice);
    }
    download.commit().unwrap();
    let after = crashed(&bench);
    let download = after.download(&sample).unwrap();
    assert!(download.held().is_empty());
    download.record(download.check_chunk(chunk(&sample, 1)).unwrap()).unwrap();
    assert_eq!(download.commit().unwrap(), [chunk(&sample, 1)]);
    assert_eq!(
        (rows(&after), after.store.usage().unwrap().used),
        ((0, 0), bench.store.usage().unwrap().used)
    );
    let after = crashed(&after);
    assert_eq!(after.download(&sample).unwrap().held().len(), 1);
}

#[test]
fn a_restored_grain_that_has_rotted_is_found_when_its_chunk_is_whole_and_the_chunk_is_fetched_again() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    let download = bench.download(&sample).unwrap();
    write_grains(&download, &sample, 1, 0..40);
    download.commit().unwrap();
    let after = crashed(&bench);
    let part = fs::read_dir(after.content("partial")).unwrap().next().unwrap().unwrap().path();
    rot(&part, C + 5 * G + 99);

    let download = after.download(&sample).unwrap();
    write_grains(&download, &sample, 1, 40..64);
    let checked = download.check_chunk(chunk(&sample, 1));
    assert!(matches!(checked, Err(ChunkWriteError::Store(StoreError::ReadBackDiffers { chunk: 1, .. }))));
    assert_eq!((download.open_chunks(), rows(&after)), (vec![], (0, 0)));
    // Bytes that are about to be written over must not be claimed, whenever the next crash comes.
    write_grains(&download, &sample, 1, 0..1);
    assert_eq!(open_of(&crashed(&after), &sample), []);
    for slice in slices(&sample, 1, 0).into_iter().skip(1) {
        write_slice(&download, &sample, slice);
    }
    download.record(download.check_chunk(chunk(&sample, 1)).unwrap()).unwrap();
    write_in_slices(&download, &sample, 0, 6);
    download.finish(NOW).unwrap();
    assert_eq!(fs::read(after.object_path(&sample)).unwrap(), sample.bytes);
}

#[test]
fn durable_grains_outlive_the_download_and_the_others_do_not() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    let download = bench.download(&sample).unwrap();
    write_grains(&download, &sample, 0, 0..4);
    download.commit().unwrap();
    write_grains(&download, &sample, 0, 4..8);
    write_grains(&download, &sample, 1, 0..8);
    let reader = download.part_reader();
    drop(download);
    assert!(reads(&reader, &sample, 0..4 * G) && !reads(&reader, &sample, 4 * G..4 * G + 1));
    let again = bench.download(&sample).unwrap();
    assert_eq!(again.open_chunks(), [(chunk(&sample, 0), Grains::from_bits(0b1111))]);
}

#[test]
fn the_tree_of_a_part_goes_with_it() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    let download = bench.download(&sample).unwrap();
    write_grains(&download, &sample, 0, 7..8);
    let tree_of = |reader: &ContentReader, index| reader.grain_tree(chunk(&sample, index));
    assert_eq!(tree_of(&download.part_reader(), 0).unwrap(), tree(&sample, chunk(&sample, 0)));
    download.commit().unwrap();
    let after = crashed(&bench);
    let reader = after.store.reader(sample.manifest.file_id()).unwrap();
    assert_eq!(tree_of(&reader, 0).unwrap(), tree(&sample, chunk(&sample, 0)));
    assert!(matches!(tree_of(&reader, 1), Err(ReadError::NotHeld { chunk: 1, .. })));
}

#[test]
fn a_part_file_that_vanished_leaves_no_claim_on_grains() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    let download = bench.download(&sample).unwrap();
    write_grains(&download, &sample, 0, 0..9);
    download.commit().unwrap();
    drop(download);
    let part = fs::read_dir(bench.content("partial")).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(part).unwrap();
    let after = crashed(&bench);
    let download = after.download(&sample).unwrap();
    assert_eq!((download.open_chunks(), rows(&after)), (vec![], (0, 0)));
    write_in_slices(&download, &sample, 0, 2);
    write_in_slices(&download, &sample, 1, 2);
    download.finish(NOW).unwrap();
}

#[test]
fn content_that_is_given_up_leaves_nothing_of_its_grains() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    let download = bench.download(&sample).unwrap();
    write_grains(&download, &sample, 0, 0..9);
    download.commit().unwrap();
    drop(download);
    assert_eq!(rows(&bench), (1, 1));
    let week_ms = 8 * 24 * 60 * 60 * 1000;
    bench.store.expire(NOW + week_ms).unwrap();
    assert_eq!((rows(&bench), bench.store.usage().unwrap().used), ((0, 0), 0));
}

#[test]
fn an_index_of_the_second_format_is_taken_over() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    let download = bench.download(&sample).unwrap();
    write_chunk(&download, &sample, 0);
    download.commit().unwrap();
    let Bench { dir, options, store } = bench;
    drop((download, store));
    let index = to_format_4(&options.content_dir.join("index.db"));
    index
        .execute_batch("DROP TABLE removed; DROP TABLE scrubs; DROP TABLE rot; DROP INDEX objects_verified; ALTER TABLE objects DROP COLUMN verified_ms; DROP TABLE grains; DROP TABLE trees; PRAGMA user_version = 2;")
        .unwrap();
    drop(index);
    let store = swift_chunks::Store::open(options.clone()).unwrap();
    let bench = Bench { dir, options, store };
    let download = bench.download(&sample).unwrap();
    assert_eq!((download.held().len(), download.open_chunks()), (1, vec![]));
    write_grains(&download, &sample, 1, 0..1);
    download.commit().unwrap();
    assert_eq!(rows(&bench), (1, 1));
}
