use std::fs;

use swift_chunks::{
    ChunkFault, ChunkWriteError, ChunkWriter, ContentRef, Download, InstallError, ManifestCheck,
    ManifestFault, ManifestHash, ObjectState, StoreError,
};

use crate::bench::{Bench, C, NOW, Sample, put, write_chunk};
use crate::slices::chunk;

#[test]
fn a_download_in_any_order_becomes_the_file() {
    let bench = Bench::new();
    let sample = Sample::new(3 * C + 5, 1);
    bench.store.apply(1, &[put("dir/a.bin", &sample)], NOW).unwrap();
    let wanted = bench.store.wanted(None, 10).unwrap();
    assert_eq!((wanted.len(), wanted[0].file_id), (1, sample.manifest.file_id()));

    let download = bench.download(&sample).unwrap();
    for chunk in [2, 0, 3, 1] {
        write_chunk(&download, &sample, chunk);
    }
    let durable: Vec<u32> =
        download.commit().unwrap().into_iter().map(swift_chunks::ChunkIndex::get).collect();
    assert_eq!(durable, [2, 0, 3, 1]);
    assert!(!bench.file("dir/a.bin").exists());
    assert_eq!(download.finish(NOW).unwrap().shown, ["dir/a.bin"]);
    assert_eq!(fs::read(bench.file("dir/a.bin")).unwrap(), sample.bytes);
    assert_eq!(bench.state(&sample), Some(ObjectState::Complete));
    assert_eq!(bench.store.wanted(None, 10).unwrap(), []);
    assert_eq!(bench.count("partial"), 0);
}

#[test]
fn chunks_are_written_from_many_threads() {
    let bench = Bench::new();
    let sample = Sample::new(8 * C, 1);
    let download = bench.download(&sample).unwrap();
    std::thread::scope(|scope| {
        for first in 0..4 {
            let (download, sample) = (&download, &sample);
            scope.spawn(move || {
                write_chunk(download, sample, first);
                write_chunk(download, sample, first + 4);
                download.commit().unwrap();
            });
        }
    });
    download.finish(NOW).unwrap();
    assert_eq!(fs::read(bench.object_path(&sample)).unwrap(), sample.bytes);
}

#[test]
fn two_chunks_are_written_together_and_each_is_judged_for_itself() {
    let bench = Bench::new();
    let (long, short) = (Sample::new(2 * C, 1), Sample::new(C + 70_000, 2));
    let (of_long, of_short) = (bench.download(&long).unwrap(), bench.download(&short).unwrap());
    let writer = |download: &Download, index| {
        let chunk = download.layout().chunk(index).unwrap();
        download.chunk_writer(chunk).unwrap()
    };
    let (mut a, mut b) = (writer(&of_long, 0), writer(&of_short, 1));
    let [first, second] = ChunkWriter::write_both(
        (&mut a, &long.chunk(0)[..100_001]),
        (&mut b, &[short.chunk(1), &[0]].concat()),
    );
    first.unwrap();
    assert!(matches!(second, Err(ChunkWriteError::Fault(ChunkFault::TooLong { expected: 70_000 }))));
    let [first, second] =
        ChunkWriter::write_both((&mut a, &long.chunk(0)[100_001..]), (&mut b, short.chunk(1)));
    first.and(second).unwrap();
    of_long.record(a.finish().unwrap()).unwrap();
    of_short.record(b.finish().unwrap()).unwrap();

    let mut flipped = long.chunk(1).to_vec();
    flipped[C as usize / 2] ^= 4;
    let (mut a, mut b) = (writer(&of_long, 1), writer(&of_short, 0));
    for (a_bytes, b_bytes) in flipped.chunks(65_536).zip(short.chunk(0).chunks(65_536)) {
        let [first, second] = ChunkWriter::write_both((&mut a, a_bytes), (&mut b, b_bytes));
        first.and(second).unwrap();
    }
    assert!(matches!(a.finish(), Err(ChunkWriteError::Fault(ChunkFault::Content))));
    of_short.record(b.finish().unwrap()).unwrap();
    write_chunk(&of_long, &long, 1);
    for (download, sample) in [(&of_long, &long), (&of_short, &short)] {
        download.finish(NOW).unwrap();
        assert_eq!(fs::read(bench.object_path(sample)).unwrap(), sample.bytes);
    }
}

#[test]
fn what_was_committed_is_resumed_and_what_was_not_is_not_claimed() {
    let bench = Bench::new();
    let sample = Sample::new(4 * C, 1);
    let download = bench.download(&sample).unwrap();
    write_chunk(&download, &sample, 1);
    write_chunk(&download, &sample, 3);
    download.commit().unwrap();
    // The crash: chunk 0 is written and recorded but never committed, chunk 2 is half written.
    write_chunk(&download, &sample, 0);
    let mut half = download.chunk_writer(download.layout().chunk(2).unwrap()).unwrap();
    half.write(&sample.chunk(2)[..100_000]).unwrap();
    drop((half, download));

    let bench = bench.restart();
    let download = bench.download(&sample).unwrap();
    let held: Vec<u32> = download.held().iter().map(swift_chunks::ChunkIndex::get).collect();
    assert_eq!(held, [1, 3]);
    assert!(download.has_manifest());
    write_chunk(&download, &sample, 0);
    write_chunk(&download, &sample, 2);
    download.finish(NOW).unwrap();
    assert_eq!(fs::read(bench.object_path(&sample)).unwrap(), sample.bytes);
}

#[test]
fn a_flipped_bit_a_short_and_a_long_chunk_are_never_held() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    let download = bench.download(&sample).unwrap();
    let chunk = download.layout().chunk(1).unwrap();

    let mut flipped = sample.chunk(1).to_vec();
    flipped[12_345] ^= 4;
    let mut writer = download.chunk_writer(chunk).unwrap();
    writer.write(&flipped).unwrap();
    assert!(matches!(writer.finish(), Err(ChunkWriteError::Fault(ChunkFault::Content))));

    let mut writer = download.chunk_writer(chunk).unwrap();
    writer.write(&sample.chunk(1)[1..]).unwrap();
    assert!(matches!(writer.finish(), Err(ChunkWriteError::Fault(ChunkFault::TooShort { .. }))));

    let mut writer = download.chunk_writer(chunk).unwrap();
    writer.write(sample.chunk(1)).unwrap();
    let too_long = writer.write(&[0]);
    assert!(matches!(too_long, Err(ChunkWriteError::Fault(ChunkFault::TooLong { .. }))));
    drop(writer);

    assert_eq!(download.commit().unwrap(), []);
    assert!(download.held().is_empty());
    assert!(matches!(download.finish(NOW), Err(StoreError::Incomplete { missing: 2, .. })));
    write_chunk(&download, &sample, 0);
    write_chunk(&download, &sample, 1);
    download.finish(NOW).unwrap();
}

#[test]
fn a_written_chunk_is_never_overwritten() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    let download = bench.download(&sample).unwrap();
    let chunk = download.layout().chunk(0).unwrap();
    let taken = |download: &swift_chunks::Download| {
        matches!(download.chunk_writer(chunk), Err(StoreError::ChunkTaken { chunk: 0, .. }))
    };
    let mut writer = download.chunk_writer(chunk).unwrap();
    assert!(taken(&download), "while it is written");
    writer.write(sample.chunk(0)).unwrap();
    let written = writer.finish().unwrap();
    assert!(taken(&download), "when it is written");
    download.record(written).unwrap();
    assert!(taken(&download), "when it is recorded");
    download.commit().unwrap();
    assert!(taken(&download), "when it is durable");
}

#[test]
fn one_download_at_a_time_per_content() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    let download = bench.download(&sample).unwrap();
    assert!(matches!(bench.download(&sample), Err(StoreError::Busy(_))));
    let writer = download.chunk_writer(download.layout().chunk(0).unwrap()).unwrap();
    drop(download);
    assert!(matches!(bench.download(&sample), Err(StoreError::Busy(_))), "a writer is still there");
    drop(writer);
    bench.download(&sample).unwrap();
}

#[test]
fn an_empty_file_is_complete_without_asking_anybody() {
    let bench = Bench::new();
    let sample = Sample::new(0, 1);
    bench.store.apply(1, &[put("empty", &sample)], NOW).unwrap();
    let id = (sample.manifest.file_id(), sample.manifest.hash());
    let download = bench.store.begin_download(id.0, id.1, 0).unwrap();
    assert!(download.is_complete());
    assert_eq!(download.finish(NOW).unwrap().shown, ["empty"]);
    assert_eq!(fs::read(bench.file("empty")).unwrap(), b"");
    assert_eq!(bench.store.wanted(None, 10).unwrap(), []);

    let lie = bench.store.begin_download(id.0, ManifestHash::from_bytes([7; 32]), 0);
    assert!(matches!(lie, Err(StoreError::ManifestFalse(_))));
}

#[test]
fn the_first_proof_of_a_false_manifest_stops_the_file_for_good() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    // A publisher lies about the SHA-1 of the second chunk.
    let mut lie = sample.manifest.encoded().to_vec();
    lie[16 + 52] ^= 1;
    let hash = {
        use sha2::Digest as _;
        ManifestHash::from_bytes(sha2::Sha256::digest(&lie).into())
    };
    ManifestCheck::new(sample.manifest.file_id(), hash, 2 * C).unwrap();
    let put_lie = swift_chunks::NameChange::Put {
        name: "lie".into(),
        file_id: sample.manifest.file_id(),
        manifest_hash: hash,
        len: 2 * C,
        by: swift_chunks::ChangedBy::default(),
    };
    bench.store.apply(1, &[put_lie], NOW).unwrap();
    let download = bench.store.begin_download(sample.manifest.file_id(), hash, 2 * C).unwrap();
    download.install_manifest(&lie[..]).unwrap();
    write_chunk(&download, &sample, 0);
    let chunk = download.layout().chunk(1).unwrap();
    let mut writer = download.chunk_writer(chunk).unwrap();
    writer.write(sample.chunk(1)).unwrap();
    assert!(matches!(writer.finish(), Err(ChunkWriteError::Fault(ChunkFault::ManifestFalse))));
    download.condemn(chunk).unwrap();
    drop(download);

    let bench = bench.restart();
    assert_eq!(bench.store.wanted(None, 10).unwrap(), []);
    let again = bench.store.begin_download(sample.manifest.file_id(), hash, 2 * C);
    assert!(matches!(again, Err(StoreError::ManifestFalse(_))));
    let evidence = fs::read_dir(bench.content("evidence")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::read(evidence).unwrap(), sample.chunk(1));

    // The same file under its true manifest is not in the way of anything.
    bench.store.apply(2, &[put("true", &sample)], NOW).unwrap();
    assert_eq!(bench.fetch(&sample).shown, ["true"]);
}

#[test]
fn a_manifest_that_is_not_the_one_named_is_not_installed() {
    let bench = Bench::new();
    let (sample, other) = (Sample::new(2 * C, 1), Sample::new(2 * C, 2));
    let id = (sample.manifest.file_id(), sample.manifest.hash());
    let download = bench.store.begin_download(id.0, id.1, 2 * C).unwrap();
    let wrong = download.install_manifest(other.manifest.encoded());
    assert!(matches!(wrong, Err(InstallError::Manifest(ManifestFault::Content))));
    assert!(!download.has_manifest());
    assert_eq!(bench.count("manifests"), 0);
    let early = download.chunk_writer(download.layout().chunk(0).unwrap());
    assert!(matches!(early, Err(StoreError::ManifestMissing(_))));
}

#[test]
fn a_manifest_of_another_file_is_evidence_against_its_publisher() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    let mut lie = sample.manifest.encoded().to_vec();
    lie[16 + 20] ^= 1;
    let hash = {
        use sha2::Digest as _;
        ManifestHash::from_bytes(sha2::Sha256::digest(&lie).into())
    };
    let id = sample.manifest.file_id();
    let download = bench.store.begin_download(id, hash, 2 * C).unwrap();
    let false_one = download.install_manifest(&lie[..]);
    assert!(matches!(false_one, Err(InstallError::Manifest(ManifestFault::ManifestFalse))));
    drop(download);
    assert!(matches!(bench.store.begin_download(id, hash, 2 * C), Err(StoreError::ManifestFalse(_))));
    let evidence = fs::read_dir(bench.content("evidence")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::read(evidence).unwrap(), lie);
    assert_eq!(bench.store.usage().unwrap().used, 0);
}

#[test]
fn a_file_that_is_complete_proves_every_other_manifest_of_it_false() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    let id = sample.manifest.file_id();
    let other = ManifestHash::from_bytes([7; 32]);
    let running = bench.store.begin_download(id, other, 2 * C).unwrap();
    bench.upload(&sample);
    assert_eq!(bench.count("partial"), 0);
    drop(running);
    assert!(matches!(bench.store.begin_download(id, other, 2 * C), Err(StoreError::ManifestFalse(_))));
    assert!(matches!(bench.store.begin_download(id, other, C), Err(StoreError::ManifestFalse(_))));
}

#[test]
fn a_download_that_will_not_fit_is_refused_before_it_starts() {
    let bench = Bench::with(|options| options.quota_bytes = Some(3 * C));
    let (first, second) = (Sample::new(2 * C, 1), Sample::new(2 * C, 2));
    let running = bench.download(&first).unwrap();
    let refused = bench.download(&second).err().unwrap();
    let StoreError::NoSpace { needed, available } = refused else { panic!("{refused}") };
    assert_eq!(needed, 2 * C + 16 + 2 * 52);
    assert_eq!(available, C - 16 - 2 * 52);
    drop(running);
    // Resuming needs no second reservation, before and after a restart.
    drop(bench.download(&first).unwrap());
    let bench = bench.restart();
    bench.fetch(&first);
    assert!(matches!(bench.download(&second), Err(StoreError::NoSpace { .. })));
}

#[test]
fn a_16_tib_download_is_planned_in_a_few_pages() {
    let bench = Bench::with(|options| options.free_floor_bytes = 0);
    let len = swift_chunks::FILE_LEN_MAX - 1;
    let sample = Sample::new(1, 1);
    let planned = bench.store.begin_download(sample.manifest.file_id(), sample.manifest.hash(), len);
    assert!(matches!(planned, Err(StoreError::NoSpace { .. })), "no test machine has that much room");
    let too_long = bench.store.begin_download(sample.manifest.file_id(), sample.manifest.hash(), len + 2);
    assert!(matches!(too_long, Err(StoreError::FileTooLong(_))));
}

#[test]
fn a_priority_is_kept_over_a_restart_until_the_content_is_complete() {
    let bench = Bench::new();
    let (sample, other) = (Sample::new(2 * C, 1), Sample::new(C, 2));
    let (first, second) = (sample.manifest.file_id(), other.manifest.file_id());
    bench.store.set_priority(first, Some(1)).unwrap();
    bench.store.set_priority(second, Some(2)).unwrap();
    bench.store.set_priority(second, Some(-1)).unwrap();
    let bench = bench.restart();
    let mut kept = bench.store.priorities().unwrap();
    kept.sort_unstable_by_key(|(_, priority)| *priority);
    assert_eq!(kept, [(second, -1), (first, 1)]);
    bench.fetch(&sample);
    assert_eq!(bench.store.priorities().unwrap(), [(second, -1)]);
    bench.store.set_priority(second, None).unwrap();
    assert_eq!(bench.store.priorities().unwrap(), []);
}

#[test]
fn of_content_that_is_only_read_room_is_set_aside_for_what_comes() {
    let bench = Bench::new();
    let sample = Sample::new(5 * C, 1);
    let key = ContentRef {
        file_id: sample.manifest.file_id(),
        manifest_hash: sample.manifest.hash(),
        len: sample.bytes.len() as u64,
    };
    let used = || bench.store.usage().unwrap().used;
    let download = bench.store.begin_reading(key, &[C + 5..C + 6, 2 * C..2 * C]).unwrap();
    download.install_manifest(sample.manifest.encoded()).unwrap();
    let manifest = sample.manifest.encoded().len() as u64;
    assert_eq!(used(), manifest);
    let mut writer = download.chunk_writer(chunk(&sample, 1)).unwrap();
    assert_eq!((used(), bench.store.usage().unwrap().reserved), (manifest + C, manifest + C));
    writer.write(sample.chunk(1)).unwrap();
    download.record(writer.finish().unwrap()).unwrap();
    download.commit().unwrap();
    assert_eq!(used(), manifest + C, "it is there, and nothing is set aside besides");
    drop(download.chunk_writer(chunk(&sample, 2)).unwrap());
    assert_eq!(used(), manifest + 2 * C, "it is tried again");
    drop(download);
    assert_eq!(used(), manifest + C);
    // Kept after all, room for all of it is needed.
    let download = bench.download(&sample).unwrap();
    assert_eq!((used(), download.held().len()), (manifest + 5 * C, 1));
}
