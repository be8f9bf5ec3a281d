use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use swift_chunks::{ObjectState, ReadError};

use crate::bench::{Bench, C, NOW, Sample, put, write_chunk};

/// Changes a byte as a failing disk does: nobody's clock notices.
pub(crate) fn rot(path: &Path, offset: u64) {
    let before = fs::metadata(path).unwrap();
    let file = fs::OpenOptions::new().write(true).read(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
    assert_eq!(fs::metadata(path).unwrap().mtime_nsec(), before.mtime_nsec());
}

#[test]
fn any_range_of_a_complete_file_is_read() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C + 10, 1);
    bench.upload(&sample);
    let reader = bench.store.reader(sample.manifest.file_id()).unwrap();
    let mut buffer = vec![0; 1000];
    assert_eq!(reader.read_at(C - 500, &mut buffer).unwrap(), 1000);
    assert_eq!(buffer, sample.bytes[C as usize - 500..C as usize + 500]);
    assert_eq!(reader.read_at(2 * C + 3, &mut buffer).unwrap(), 7);
    assert_eq!(reader.read_at(2 * C + 10, &mut buffer).unwrap(), 0);
    assert_eq!(reader.read_at(u64::MAX, &mut buffer).unwrap(), 0);
    let mut chunk = Vec::new();
    for index in reader.layout().chunks() {
        reader.read_verified_chunk(index, &mut chunk).unwrap();
        assert_eq!(chunk, sample.chunk(index.as_u64()));
    }
}

/// Whether a system can tell what is in memory, and has it there, is its own affair.
#[test]
fn what_is_read_without_waiting_is_what_is_read_with_it() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    let download = bench.download(&sample).unwrap();
    write_chunk(&download, &sample, 1);
    download.commit().unwrap();
    let reader = bench.store.reader(sample.manifest.file_id()).unwrap();
    let mut buffer = vec![0; 1000];
    assert!(matches!(reader.read_cached_at(C - 500, &mut buffer), Err(ReadError::NotHeld { chunk: 0, .. })));
    for (at, len_max) in [(C, 1000), (2 * C - 7, 7), (2 * C, 0)] {
        let len = reader.read_cached_at(at, &mut buffer).unwrap();
        assert!(len <= len_max);
        assert_eq!(buffer[..len], sample.bytes[at as usize..at as usize + len]);
    }
}

#[test]
fn a_reader_of_a_partial_file_sees_durable_chunks_only() {
    let bench = Bench::new();
    let sample = Sample::new(3 * C, 1);
    let download = bench.download(&sample).unwrap();
    let reader = bench.store.reader(sample.manifest.file_id()).unwrap();
    write_chunk(&download, &sample, 1);
    let mut buffer = vec![0; 100];
    assert!(matches!(reader.read_at(C, &mut buffer), Err(ReadError::NotHeld { chunk: 1, .. })));
    download.commit().unwrap();
    assert_eq!(reader.read_at(C, &mut buffer).unwrap(), 100);
    assert!(matches!(reader.read_at(2 * C - 50, &mut buffer), Err(ReadError::NotHeld { chunk: 2, .. })));
    write_chunk(&download, &sample, 0);
    write_chunk(&download, &sample, 2);
    download.finish(NOW).unwrap();
    assert!(reader.is_complete());
    assert_eq!(reader.read_at(2 * C - 50, &mut buffer).unwrap(), 100);
}

#[test]
fn a_rotten_chunk_is_quarantined_and_repaired() {
    let bench = Bench::new();
    let sample = Sample::new(3 * C, 1);
    bench.publish(1, "a", &sample);
    rot(&bench.object_path(&sample), C + 77);
    let reader = bench.store.reader(sample.manifest.file_id()).unwrap();
    let chunk = reader.layout().chunk(1).unwrap();
    let mut buffer = Vec::new();
    assert!(matches!(
        reader.read_verified_chunk(chunk, &mut buffer),
        Err(ReadError::Rotten { chunk: 1, .. })
    ));
    assert!(!reader.holds(chunk));
    assert_eq!(bench.state(&sample), Some(ObjectState::Partial));
    assert_eq!(bench.store.wanted(None, 10).unwrap()[0].held_chunks, 2);
    assert!(!bench.file("a").exists(), "what is not sound is not shown");
    reader.read_verified_chunk(reader.layout().chunk(0).unwrap(), &mut buffer).unwrap();
    drop(reader);

    let bench = bench.restart();
    assert_eq!(bench.fetch(&sample).shown, ["a"]);
    assert_eq!(fs::read(bench.file("a")).unwrap(), sample.bytes);
    assert_eq!(bench.state(&sample), Some(ObjectState::Complete));
}

#[test]
fn verification_finds_every_rotten_chunk() {
    let bench = Bench::new();
    let sample = Sample::new(4 * C + 1, 1);
    bench.upload(&sample);
    let mut progress = Vec::new();
    let id = sample.manifest.file_id();
    let report = bench.store.verify(id, |bytes| progress.push(bytes)).unwrap();
    assert_eq!((report.checked, report.bad.len(), progress.last()), (5, 0, Some(&(4 * C + 1))));
    for offset in [3, 4 * C] {
        rot(&bench.object_path(&sample), offset);
    }
    let report = bench.store.verify(id, |_| {}).unwrap();
    assert_eq!(report.bad.iter().map(|chunk| chunk.get()).collect::<Vec<_>>(), [0, 4]);
    let report = bench.store.verify(id, |_| {}).unwrap();
    assert_eq!((report.checked, report.bad.len()), (3, 0));
    bench.fetch(&sample);
    assert_eq!(fs::read(bench.object_path(&sample)).unwrap(), sample.bytes);
}

#[test]
fn a_chunk_quarantined_during_a_download_can_be_fetched_again_by_it() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    let download = bench.download(&sample).unwrap();
    write_chunk(&download, &sample, 0);
    download.commit().unwrap();
    let part = fs::read_dir(bench.content("partial")).unwrap().next().unwrap().unwrap().path();
    rot(&part, 5);
    let report = bench.store.verify(sample.manifest.file_id(), |_| {}).unwrap();
    assert_eq!(report.bad.len(), 1);
    write_chunk(&download, &sample, 0);
    write_chunk(&download, &sample, 1);
    download.finish(NOW).unwrap();
    assert_eq!(fs::read(bench.object_path(&sample)).unwrap(), sample.bytes);
}

#[test]
fn a_rotten_manifest_blames_nobody_and_is_made_again() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    bench.publish(1, "a", &sample);
    let manifest = fs::read_dir(bench.content("manifests")).unwrap().next().unwrap().unwrap().path();
    rot(&manifest, 16 + 20);
    let reader = bench.store.reader(sample.manifest.file_id()).unwrap();
    let chunk = reader.layout().chunk(0).unwrap();
    let mut buffer = Vec::new();
    assert!(matches!(reader.read_verified_chunk(chunk, &mut buffer), Err(ReadError::Store(_))));
    let report = bench.store.verify(sample.manifest.file_id(), |_| {}).unwrap();
    assert!(report.manifest_rotted && report.bad.is_empty());
    reader.read_verified_chunk(chunk, &mut buffer).unwrap();
    assert_eq!(bench.state(&sample), Some(ObjectState::Complete));

    // And in the middle of a download: nobody is blamed by it, it is fetched again.
    let other = Sample::new(2 * C, 2);
    bench.store.apply(2, &[put("b", &other)], NOW).unwrap();
    drop(bench.download(&other).unwrap());
    for entry in fs::read_dir(bench.content("manifests")).unwrap() {
        rot(&entry.unwrap().path(), 16);
    }
    let id = (other.manifest.file_id(), other.manifest.hash());
    let download = bench.store.begin_download(id.0, id.1, 2 * C).unwrap();
    assert!(!download.has_manifest());
    drop(download);
    bench.fetch(&other);
}
