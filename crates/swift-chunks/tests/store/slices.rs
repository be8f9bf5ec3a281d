use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;
use swift_chunks::{
    ChangedBy, ChunkFault, ChunkIndex, ChunkWriteError, Download, GRAIN_LEN, GrainTree, Grains, ManifestHash,
    NameChange, Slice, SliceFault, SliceWriteError, SliceWriter, StoreError, WrittenSlice,
};

use crate::bench::{Bench, C, NOW, Sample, put, write_chunk};
use crate::reading::rot;

const G: u64 = GRAIN_LEN;

pub(crate) fn chunk(sample: &Sample, index: u64) -> ChunkIndex {
    sample.manifest.layout().chunk(index).unwrap()
}

/// The tree as it comes from a peer.
pub(crate) fn tree(sample: &Sample, chunk: ChunkIndex) -> GrainTree {
    let layout = sample.manifest.layout();
    let sent = GrainTree::of_chunk(layout, chunk, sample.chunk(chunk.as_u64())).unwrap().encode();
    let expected = sample.manifest.digest(chunk).unwrap().chaining_value;
    GrainTree::decode(layout, chunk, expected, &sent).unwrap()
}

pub(crate) fn slice(sample: &Sample, index: u64, grain: u32, level: u8) -> Slice {
    Slice::around(sample.manifest.layout(), chunk(sample, index), grain, level).unwrap()
}

pub(crate) fn slices(sample: &Sample, index: u64, level: u8) -> Vec<Slice> {
    let (layout, chunk) = (sample.manifest.layout(), chunk(sample, index));
    (0..64).step_by(1 << level).map_while(|grain| Slice::around(layout, chunk, grain, level)).collect()
}

pub(crate) fn bytes(sample: &Sample, slice: Slice) -> &[u8] {
    let range = slice.range(sample.manifest.layout());
    &sample.bytes[range.start as usize..range.end as usize]
}

fn write_bytes(
    download: &Download,
    sample: &Sample,
    slice: Slice,
    bytes: &[u8],
) -> Result<WrittenSlice, SliceWriteError> {
    let mut writer = download.slice_writer(slice, &tree(sample, slice.chunk()))?;
    for piece in bytes.chunks(50_000) {
        writer.write(piece)?;
    }
    writer.finish()
}

pub(crate) fn write_slice(download: &Download, sample: &Sample, slice: Slice) -> WrittenSlice {
    write_bytes(download, sample, slice, bytes(sample, slice)).unwrap()
}

fn is_taken(download: &Download, sample: &Sample, slice: Slice) -> bool {
    let writer = download.slice_writer(slice, &tree(sample, slice.chunk()));
    matches!(writer, Err(StoreError::SliceTaken { slice: taken, .. }) if taken == slice)
}

pub(crate) fn write_in_slices(download: &Download, sample: &Sample, index: u64, level: u8) {
    for slice in slices(sample, index, level) {
        write_slice(download, sample, slice);
    }
    download.record(download.check_chunk(chunk(sample, index)).unwrap()).unwrap();
}

#[test]
fn slices_and_whole_chunks_become_the_file() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C + 2 * G + 5, 1);
    bench.store.apply(1, &[put("a", &sample)], NOW).unwrap();
    let download = bench.download(&sample).unwrap();
    write_in_slices(&download, &sample, 2, 0);
    write_chunk(&download, &sample, 1);
    write_in_slices(&download, &sample, 0, 3);
    assert_eq!(download.finish(NOW).unwrap().shown, ["a"]);
    assert_eq!(fs::read(bench.file("a")).unwrap(), sample.bytes);
    assert_eq!(download.open_chunks(), []);
}

#[test]
fn of_two_chunks_that_are_checked_together_each_is_judged_for_itself() {
    let bench = Bench::new();
    let sample = Sample::new(3 * C + 2 * G + 5, 1);
    bench.store.apply(1, &[put("a", &sample)], NOW).unwrap();
    let download = bench.download(&sample).unwrap();
    for index in 0..4 {
        for slice in slices(&sample, index, 3) {
            write_slice(&download, &sample, slice);
        }
    }
    let part = fs::read_dir(bench.content("partial")).unwrap().next().unwrap().unwrap().path();
    rot(&part, C + 7);

    let [short, rotten] = download.check_chunks([chunk(&sample, 3), chunk(&sample, 1)]);
    download.record(short.unwrap()).unwrap();
    assert!(matches!(rotten, Err(ChunkWriteError::Store(StoreError::ReadBackDiffers { chunk: 1, .. }))));
    let [missing, first] = download.check_chunks([chunk(&sample, 1), chunk(&sample, 0)]);
    assert!(matches!(missing, Err(ChunkWriteError::Store(StoreError::GrainsMissing { missing: 64, .. }))));
    download.record(first.unwrap()).unwrap();
    let [third, again] = download.check_chunks([chunk(&sample, 2), chunk(&sample, 2)]);
    download.record(third.unwrap()).unwrap();
    assert!(matches!(again, Err(ChunkWriteError::Store(StoreError::ChunkTaken { chunk: 2, .. }))));

    write_in_slices(&download, &sample, 1, 6);
    download.finish(NOW).unwrap();
    assert_eq!(fs::read(bench.file("a")).unwrap(), sample.bytes);
}

#[test]
fn the_last_missing_slice_of_a_chunk_says_so() {
    let bench = Bench::new();
    let sample = Sample::new(5 * G, 1);
    let download = bench.download(&sample).unwrap();
    let whole: Vec<bool> = [4, 0, 3, 2, 1]
        .map(|grain| write_slice(&download, &sample, slice(&sample, 0, grain, 0)))
        .to_vec()
        .iter()
        .map(WrittenSlice::is_chunk_whole)
        .collect();
    assert_eq!(whole, [false, false, false, false, true]);
}

#[test]
fn a_slice_with_a_flipped_bit_is_not_claimed_and_can_be_fetched_again() {
    let bench = Bench::new();
    let sample = Sample::new(C, 1);
    let download = bench.download(&sample).unwrap();
    let slice = slice(&sample, 0, 4, 2);
    let mut flipped = bytes(&sample, slice).to_vec();
    flipped[100_000] ^= 2;
    let written = write_bytes(&download, &sample, slice, &flipped);
    assert!(matches!(written, Err(SliceWriteError::Fault(SliceFault::Content))));
    let written = write_bytes(&download, &sample, slice, &flipped[1..]);
    assert!(matches!(written, Err(SliceWriteError::Fault(SliceFault::TooShort { .. }))));
    flipped.push(0);
    let written = write_bytes(&download, &sample, slice, &flipped);
    assert!(matches!(written, Err(SliceWriteError::Fault(SliceFault::TooLong { .. }))));
    assert_eq!(download.open_chunks(), []);

    write_slice(&download, &sample, slice);
    assert_eq!(download.open_chunks(), [(slice.chunk(), slice.grains(download.layout()))]);
    let range = slice.range(download.layout());
    let mut read = vec![0; flipped.len() - 1];
    download.part_reader().read_at(range.start, &mut read).unwrap();
    assert_eq!(read, bytes(&sample, slice));
}

#[test]
fn a_grain_has_one_writer_and_a_verified_grain_none() {
    let bench = Bench::new();
    let sample = Sample::new(C, 1);
    let download = bench.download(&sample).unwrap();
    let (small, around, beside) = (slice(&sample, 0, 5, 0), slice(&sample, 0, 5, 2), slice(&sample, 0, 8, 2));
    let mut writer = download.slice_writer(small, &tree(&sample, small.chunk())).unwrap();
    assert!(
        is_taken(&download, &sample, small) && is_taken(&download, &sample, around),
        "while it is written"
    );
    drop(download.slice_writer(beside, &tree(&sample, beside.chunk())).unwrap());
    writer.write(bytes(&sample, small)).unwrap();
    writer.finish().unwrap();
    assert!(
        is_taken(&download, &sample, small) && is_taken(&download, &sample, around),
        "when it is verified"
    );
    assert!(!is_taken(&download, &sample, slice(&sample, 0, 4, 0)));
}

#[test]
fn slices_and_the_whole_chunk_exclude_each_other() {
    let bench = Bench::new();
    let sample = Sample::new(C, 1);
    let download = bench.download(&sample).unwrap();
    let (chunk, slice) = (chunk(&sample, 0), slice(&sample, 0, 0, 1));
    let is_chunk_taken =
        || matches!(download.chunk_writer(chunk), Err(StoreError::ChunkTaken { chunk: 0, .. }));
    let is_check_refused = || {
        matches!(
            download.check_chunk(chunk),
            Err(ChunkWriteError::Store(StoreError::ChunkTaken { chunk: 0, .. }))
        )
    };

    let whole = download.chunk_writer(chunk).unwrap();
    assert!(is_taken(&download, &sample, slice) && is_check_refused(), "while the chunk is written");
    drop(whole);

    let part = download.slice_writer(slice, &tree(&sample, chunk)).unwrap();
    assert!(is_chunk_taken(), "while a slice is written");
    drop(part);
    assert!(!is_chunk_taken());

    for slice in slices(&sample, 0, 1) {
        write_slice(&download, &sample, slice);
        assert!(is_chunk_taken(), "when a slice is verified");
    }
    let written = download.check_chunk(chunk).unwrap();
    assert!(
        is_chunk_taken() && is_taken(&download, &sample, slice) && is_check_refused(),
        "when it is checked"
    );
    download.record(written).unwrap();
    assert!(
        is_chunk_taken() && is_taken(&download, &sample, slice) && is_check_refused(),
        "when it is recorded"
    );
    download.commit().unwrap();
    assert!(
        is_chunk_taken() && is_taken(&download, &sample, slice) && is_check_refused(),
        "when it is durable"
    );
}

#[test]
fn a_chunk_that_lacks_grains_is_not_checked() {
    let bench = Bench::new();
    let sample = Sample::new(C, 1);
    let download = bench.download(&sample).unwrap();
    let missing = |expected: u32| {
        matches!(
            download.check_chunk(chunk(&sample, 0)),
            Err(ChunkWriteError::Store(StoreError::GrainsMissing { missing, .. })) if missing == expected
        )
    };
    assert!(missing(64));
    write_slice(&download, &sample, slice(&sample, 0, 0, 5));
    assert!(missing(32));
    assert_eq!(download.grains(chunk(&sample, 0)).len(), 32);
}

#[test]
fn a_slice_is_judged_only_by_a_tree_of_its_chunk() {
    let bench = Bench::new();
    let (sample, other) = (Sample::new(2 * C, 1), Sample::new(2 * C, 2));
    let download = bench.download(&sample).unwrap();
    let slice = slice(&sample, 0, 0, 0);
    let of_next = tree(&sample, chunk(&sample, 1));
    let of_other_file = tree(&other, chunk(&other, 0));
    let untrue = GrainTree::of_chunk(download.layout(), slice.chunk(), other.chunk(0)).unwrap();
    for tree in [of_next, of_other_file, untrue] {
        let refused = download.slice_writer(slice, &tree);
        assert!(matches!(refused, Err(StoreError::ForeignSlice { chunk: 0, .. })));
    }
}

#[test]
fn slices_of_chunks_that_are_not_durable_are_forgotten_with_the_download() {
    let bench = Bench::new();
    let sample = Sample::new(3 * C, 1);
    let download = bench.download(&sample).unwrap();
    write_in_slices(&download, &sample, 1, 4);
    download.commit().unwrap();
    write_in_slices(&download, &sample, 2, 4);
    write_slice(&download, &sample, slice(&sample, 0, 0, 5));
    assert_eq!(download.open_chunks().len(), 2);
    let reader = download.part_reader();
    let late = download.slice_writer(slice(&sample, 0, 32, 0), &tree(&sample, chunk(&sample, 0))).unwrap();
    drop(download);
    assert!(reader.can_read(C..2 * C) && !reader.can_read(0..1) && !reader.can_read(2 * C..2 * C + 1));
    assert!(matches!(bench.download(&sample), Err(StoreError::Busy(_))), "a writer is still there");
    drop((late, reader));

    let again = bench.download(&sample).unwrap();
    assert_eq!((again.open_chunks(), again.held().len()), (vec![], 1));
    drop(again);
    let bench = bench.restart();
    let download = bench.download(&sample).unwrap();
    assert_eq!((download.open_chunks(), download.held().len()), (vec![], 1));
    write_in_slices(&download, &sample, 0, 5);
    write_in_slices(&download, &sample, 2, 2);
    download.finish(NOW).unwrap();
    assert_eq!(fs::read(bench.object_path(&sample)).unwrap(), sample.bytes);
}

#[test]
fn a_writer_that_outlives_its_download_claims_nothing() {
    let bench = Bench::new();
    let sample = Sample::new(C, 1);
    let download = bench.download(&sample).unwrap();
    let slice = slice(&sample, 0, 0, 0);
    let mut writer = download.slice_writer(slice, &tree(&sample, slice.chunk())).unwrap();
    let reader = download.part_reader();
    drop(download);
    writer.write(bytes(&sample, slice)).unwrap();
    assert!(matches!(writer.finish(), Err(SliceWriteError::Store(StoreError::ChunkLost { .. }))));
    assert!(!reader.can_read(0..1));
}

#[test]
fn bytes_that_the_disk_lost_between_slices_and_check_blame_no_sender_and_are_fetched_again() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    let download = bench.download(&sample).unwrap();
    for slice in slices(&sample, 1, 4) {
        write_slice(&download, &sample, slice);
    }
    let part = fs::read_dir(bench.content("partial")).unwrap().next().unwrap().unwrap().path();
    rot(&part, C + 99);
    let checked = download.check_chunk(chunk(&sample, 1));
    assert!(matches!(checked, Err(ChunkWriteError::Store(StoreError::ReadBackDiffers { chunk: 1, .. }))));
    assert_eq!(download.open_chunks(), []);
    write_in_slices(&download, &sample, 1, 4);
    write_chunk(&download, &sample, 0);
    download.finish(NOW).unwrap();
    assert_eq!(fs::read(bench.object_path(&sample)).unwrap(), sample.bytes);
}

#[test]
fn slices_of_a_chunk_whose_sha1_is_a_lie_condemn_the_manifest() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    let mut lie = sample.manifest.encoded().to_vec();
    lie[16 + 52] ^= 1;
    let hash = {
        use sha2::Digest as _;
        ManifestHash::from_bytes(sha2::Sha256::digest(&lie).into())
    };
    let file_id = sample.manifest.file_id();
    let put_lie = NameChange::Put {
        name: "lie".into(),
        file_id,
        manifest_hash: hash,
        len: 2 * C,
        by: ChangedBy::default(),
    };
    bench.store.apply(1, &[put_lie], NOW).unwrap();
    let download = bench.store.begin_download(file_id, hash, 2 * C).unwrap();
    download.install_manifest(&lie[..]).unwrap();
    for slice in slices(&sample, 1, 3) {
        write_slice(&download, &sample, slice);
    }
    let checked = download.check_chunk(chunk(&sample, 1));
    assert!(matches!(checked, Err(ChunkWriteError::Fault(ChunkFault::ManifestFalse))));
    download.condemn(chunk(&sample, 1)).unwrap();
    drop(download);
    assert!(matches!(bench.store.begin_download(file_id, hash, 2 * C), Err(StoreError::ManifestFalse(_))));
    let evidence = fs::read_dir(bench.content("evidence")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::read(evidence).unwrap(), sample.chunk(1));
}

#[test]
fn many_threads_race_for_slices_of_every_size_and_each_chunk_is_checked_once() {
    let bench = Bench::new();
    let sample = Sample::new(3 * C + 7 * G + 3, 1);
    let download = bench.download(&sample).unwrap();
    let trees: Vec<GrainTree> = download.layout().chunks().map(|chunk| tree(&sample, chunk)).collect();
    let reader = download.part_reader();
    std::thread::scope(|scope| {
        for level in 0..6 {
            let (download, sample, trees, reader) = (&download, &sample, &trees, &reader);
            scope.spawn(move || {
                for index in 0..4 {
                    for slice in slices(sample, (index + u64::from(level)) % 4, level) {
                        let Ok(mut writer) =
                            download.slice_writer(slice, &trees[slice.chunk().get() as usize])
                        else {
                            continue;
                        };
                        writer.write(bytes(sample, slice)).unwrap();
                        let written = writer.finish().unwrap();
                        let mut read = vec![0; bytes(sample, slice).len()];
                        reader.read_at(slice.range(download.layout()).start, &mut read).unwrap();
                        assert!(read == bytes(sample, slice), "what was verified stays");
                        if written.is_chunk_whole() {
                            download.record(download.check_chunk(slice.chunk()).unwrap()).unwrap();
                            download.commit().unwrap();
                        }
                    }
                }
            });
        }
    });
    // A large slice is refused while a small one in it is written; what nobody wrote then is written now.
    for chunk in download.layout().chunks().filter(|&chunk| !download.held().contains(chunk)) {
        for slice in slices(&sample, chunk.as_u64(), 0) {
            if !download.grains(chunk).contains(slice.grains(download.layout())) {
                write_slice(&download, &sample, slice);
            }
        }
        download.record(download.check_chunk(chunk).unwrap()).unwrap();
    }
    download.finish(NOW).unwrap();
    assert_eq!(fs::read(bench.object_path(&sample)).unwrap(), sample.bytes);
}

/// Divides a chunk into slices: at each step down the tree, `cuts` says whether to go on.
fn divide(sample: &Sample, at: Slice, cuts: &mut impl Iterator<Item = bool>, into: &mut BTreeSet<Slice>) {
    if at.level() == 0 || !cuts.next().unwrap_or(false) {
        into.insert(at);
        return;
    }
    let level = at.level() - 1;
    for grain in [at.first_grain(), at.first_grain() + (1 << level)] {
        if let Some(half) = Slice::around(sample.manifest.layout(), at.chunk(), grain, level) {
            divide(sample, half, cuts, into);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn any_division_in_any_order_with_wrong_bytes_in_between_ends_in_the_right_content(
        len in prop_oneof![1..3 * G, C - G..C + 2 * G, 1..2 * C],
        cuts in prop::collection::vec(any::<bool>(), 64),
        order in prop::collection::vec(any::<u32>(), 128),
        troubles in prop::collection::vec(0..6_u8, 128),
    ) {
        let bench = Bench::new();
        let sample = Sample::new(len, 3);
        let download = bench.download(&sample).unwrap();
        let mut todo = BTreeSet::new();
        let mut cuts = cuts.into_iter().cycle().take(400);
        for chunk in download.layout().chunks() {
            divide(&sample, Slice::of_chunk(chunk), &mut cuts, &mut todo);
        }
        let mut todo: Vec<Slice> = todo.into_iter().collect();
        let (mut order, mut troubles) = (order.into_iter().cycle(), troubles.into_iter().cycle());
        let mut half_written: Vec<(SliceWriter, Slice)> = Vec::new();
        while !todo.is_empty() || !half_written.is_empty() {
            if todo.is_empty() || troubles.next().unwrap() == 0 {
                todo.extend(half_written.drain(..).map(|(_, slice)| slice));
            }
            let slice = todo.swap_remove(order.next().unwrap() as usize % todo.len());
            let true_bytes = bytes(&sample, slice);
            let at = order.next().unwrap() as usize % true_bytes.len();
            let mut wrong = true_bytes.to_vec();
            wrong[at] ^= 1 << (at % 8);
            match troubles.next().unwrap() {
                0 => {
                    let fault = write_bytes(&download, &sample, slice, &wrong);
                    prop_assert!(matches!(fault, Err(SliceWriteError::Fault(SliceFault::Content))));
                }
                1 => {
                    // It dies in the middle, later.
                    let mut writer = download.slice_writer(slice, &tree(&sample, slice.chunk())).unwrap();
                    writer.write(&wrong[..at]).unwrap();
                    prop_assert!(is_taken(&download, &sample, slice));
                    half_written.push((writer, slice));
                    continue;
                }
                _ => {}
            }
            let written = write_slice(&download, &sample, slice);
            prop_assert!(is_taken(&download, &sample, slice));
            prop_assert!(download.grains(slice.chunk()).contains(slice.grains(download.layout())));
            if written.is_chunk_whole() {
                download.record(download.check_chunk(slice.chunk()).unwrap()).unwrap();
            }
        }
        download.finish(NOW).unwrap();
        prop_assert!(fs::read(bench.object_path(&sample)).unwrap() == sample.bytes);
        prop_assert_eq!(download.grains(chunk(&sample, 0)), Grains::all_of(download.layout(), chunk(&sample, 0)));
    }
}
