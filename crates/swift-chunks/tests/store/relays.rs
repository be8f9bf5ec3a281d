use std::fs;

use swift_chunks::{ContentReader, GRAIN_LEN, ObjectState, ReadError};

use crate::bench::{Bench, C, NOW, Sample, write_chunk};
use crate::reading::rot;
use crate::slices::{chunk, slice, slices, tree, write_in_slices, write_slice};

const G: u64 = GRAIN_LEN;

#[test]
fn a_relay_reads_what_is_verified_before_it_is_durable_and_nothing_else() {
    let bench = Bench::new();
    let sample = Sample::new(3 * C, 1);
    let download = bench.download(&sample).unwrap();
    let (reader, durable_only) =
        (download.part_reader(), bench.store.reader(sample.manifest.file_id()).unwrap());
    let reads = |reader: &ContentReader, offset: u64| {
        let mut buffer = vec![0; 1000];
        match reader.read_at(offset, &mut buffer) {
            Ok(read) => {
                assert_eq!((read, &buffer[..]), (1000, &sample.bytes[offset as usize..][..1000]));
                true
            }
            Err(ReadError::NotHeld { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    };

    write_slice(&download, &sample, slice(&sample, 0, 2, 1));
    assert!(reads(&reader, 2 * G) && reads(&reader, 4 * G - 1000));
    assert!(!reads(&reader, 2 * G - 1) && !reads(&reader, 4 * G - 999) && !reads(&reader, 0));
    assert!(!reads(&durable_only, 2 * G));
    assert!(!reader.holds(chunk(&sample, 0)) && reader.held().is_empty(), "nothing is claimed");

    let mut writer = download.chunk_writer(chunk(&sample, 1)).unwrap();
    writer.write(sample.chunk(1)).unwrap();
    assert!(!reads(&reader, C), "written and not judged");
    let written = writer.finish().unwrap();
    assert!(reads(&reader, C) && !reads(&durable_only, C), "written");
    download.record(written).unwrap();
    assert!(reads(&reader, C) && !reads(&durable_only, C), "recorded");
    download.commit().unwrap();
    assert!(reads(&reader, C) && reads(&durable_only, C), "durable");
    assert!(!reads(&reader, 2 * C - 1));

    write_slice(&download, &sample, slice(&sample, 2, 0, 0));
    assert!(reads(&reader, 2 * C - 1), "across a durable chunk and a slice");
    for slice in &slices(&sample, 0, 1)[..] {
        if slice.first_grain() != 2 {
            write_slice(&download, &sample, *slice);
        }
    }
    let checked = download.check_chunk(chunk(&sample, 0)).unwrap();
    assert!(reads(&reader, 0), "checked");
    drop(checked);
    assert!(!reads(&reader, 0), "a checked chunk that nobody records is forgotten");
}

#[test]
fn the_grain_tree_of_a_held_chunk_is_what_peers_take() {
    let bench = Bench::new();
    let sample = Sample::new(C + 3 * G + 1, 1);
    bench.upload(&sample);
    let reader = bench.store.reader(sample.manifest.file_id()).unwrap();
    for chunk in reader.layout().chunks() {
        assert_eq!(reader.grain_tree(chunk).unwrap(), tree(&sample, chunk));
    }

    let partial = Sample::new(2 * C, 2);
    let download = bench.download(&partial).unwrap();
    let reader = bench.store.reader(partial.manifest.file_id()).unwrap();
    let second = chunk(&partial, 1);
    write_chunk(&download, &partial, 1);
    assert!(matches!(reader.grain_tree(second), Err(ReadError::NotHeld { chunk: 1, .. })));
    assert_eq!(download.part_reader().grain_tree(second).unwrap(), tree(&partial, second));
    download.commit().unwrap();
    assert_eq!(reader.grain_tree(second).unwrap(), tree(&partial, second));
}

#[test]
fn a_rotten_chunk_gives_no_grain_tree_and_is_quarantined() {
    let bench = Bench::new();
    let sample = Sample::new(3 * C, 1);
    bench.publish(1, "a", &sample);
    rot(&bench.object_path(&sample), C + 77);
    let reader = bench.store.reader(sample.manifest.file_id()).unwrap();
    let rotten = chunk(&sample, 1);
    assert!(matches!(reader.grain_tree(rotten), Err(ReadError::Rotten { chunk: 1, .. })));
    assert!(!reader.holds(rotten));
    assert_eq!(bench.state(&sample), Some(ObjectState::Partial));
    reader.grain_tree(chunk(&sample, 0)).unwrap();
    drop(reader);

    let download = bench.download(&sample).unwrap();
    write_in_slices(&download, &sample, 1, 2);
    download.finish(NOW).unwrap();
    assert_eq!(fs::read(bench.file("a")).unwrap(), sample.bytes);
}
