use std::fs;
use std::os::unix::fs::MetadataExt as _;

use swift_chunks::StoreError;

use crate::bench::{Bench, C, NOW, Sample, hold, put};

#[test]
fn an_upload_of_any_length_is_complete_and_held() {
    let bench = Bench::new();
    for (seed, len) in [0, 1, C - 1, C, C + 1, 3 * C + 17].into_iter().enumerate() {
        let sample = Sample::new(len, seed as u8);
        bench.upload(&sample);
        assert_eq!(fs::read(bench.object_path(&sample)).unwrap(), sample.bytes);
        let object = bench.store.object(sample.manifest.file_id()).unwrap().unwrap();
        assert_eq!(object.state, swift_chunks::ObjectState::Complete);
        assert_eq!(object.held_chunks, sample.manifest.layout().chunk_count());
        assert_eq!(bench.store.holds().unwrap(), [(sample.manifest.file_id(), hold("upload"))]);
        let mut encoded = Vec::new();
        let reader = bench.store.reader(sample.manifest.file_id()).unwrap();
        std::io::copy(&mut reader.manifest_reader().unwrap(), &mut encoded).unwrap();
        assert_eq!(encoded, sample.manifest.encoded());
    }
    assert_eq!(bench.count("uploads"), 0);
}

/// Some hash chunks in pairs and some, for the sake of memory, do not.
#[test]
fn many_uploads_side_by_side_come_to_what_each_comes_to_alone() {
    let bench = Bench::new();
    let samples: Vec<Sample> =
        (0..7).map(|number| Sample::new(u64::from(number) * C / 2 + 9, number)).collect();
    let hint = |sample: &Sample| (sample.bytes.len() % 2 == 1).then_some(sample.bytes.len() as u64);
    let begin = |sample| bench.store.begin_upload(hint(sample)).unwrap();
    let mut uploads: Vec<_> = samples.iter().map(begin).collect();
    for at in (0..samples[6].bytes.len()).step_by(700_000) {
        for (upload, sample) in uploads.iter_mut().zip(&samples) {
            let rest = sample.bytes.get(at..).unwrap_or_default();
            upload.write(&rest[..rest.len().min(700_000)]).unwrap();
        }
    }
    for (upload, sample) in uploads.into_iter().zip(&samples) {
        let staged = upload.finish().unwrap();
        assert_eq!(
            (staged.file_id, staged.manifest_hash),
            (sample.manifest.file_id(), sample.manifest.hash())
        );
    }
    assert_eq!(bench.count("uploads"), 0);
}

#[test]
fn an_upload_that_is_cut_off_leaves_nothing() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    let mut upload = bench.store.begin_upload(Some(3 * C)).unwrap();
    upload.write(&sample.bytes).unwrap();
    assert_eq!(bench.count("uploads"), 2);
    drop(upload);
    assert_eq!(bench.count("uploads"), 0);

    let mut upload = bench.store.begin_upload(None).unwrap();
    upload.write(&sample.bytes).unwrap();
    drop(upload.finish().unwrap());
    assert_eq!(bench.count("uploads"), 0);
    assert_eq!(bench.state(&sample), None);
    assert_eq!(bench.store.usage().unwrap().used, 0);
}

#[test]
fn uploading_what_is_there_costs_no_second_copy() {
    let bench = Bench::new();
    let sample = Sample::new(C + 1, 1);
    bench.upload(&sample);
    let used = bench.store.usage().unwrap().used;
    let inode = fs::metadata(bench.object_path(&sample)).unwrap().ino();
    bench.upload(&sample);
    assert_eq!(bench.store.usage().unwrap().used, used);
    assert_eq!(fs::metadata(bench.object_path(&sample)).unwrap().ino(), inode);
    assert_eq!(bench.count("uploads"), 0);
}

#[test]
fn an_upload_overtakes_a_download_of_the_same_content() {
    let bench = Bench::new();
    let sample = Sample::new(2 * C, 1);
    let download = bench.download(&sample).unwrap();
    crate::bench::write_chunk(&download, &sample, 1);
    download.commit().unwrap();
    bench.store.apply(1, &[put("a", &sample)], NOW).unwrap();
    assert_eq!(bench.upload(&sample).shown, ["a"]);
    assert!(download.is_complete());
    assert_eq!(download.commit().unwrap(), []);
    assert!(download.finish(NOW).unwrap().shown.is_empty());
    assert_eq!(bench.count("partial"), 0);
    assert_eq!(fs::read(bench.file("a")).unwrap(), sample.bytes);
}

#[test]
fn the_quota_refuses_an_upload_and_nothing_is_lost() {
    let bench = Bench::with(|options| options.quota_bytes = Some(2 * C));
    let (small, big) = (Sample::new(C, 1), Sample::new(C + 1, 2));
    bench.upload(&small);
    let announced = bench.store.begin_upload(Some(C)).err().unwrap();
    assert!(
        matches!(announced, StoreError::NoSpace { needed, available } if needed > available),
        "{announced}"
    );

    let mut upload = bench.store.begin_upload(None).unwrap();
    let mut written = big.bytes.chunks(65_536).map(|piece| upload.write(piece));
    assert!(matches!(written.find(std::result::Result::is_err), Some(Err(StoreError::NoSpace { .. }))));
    drop(written);
    drop(upload);

    assert_eq!(fs::read(bench.object_path(&small)).unwrap(), small.bytes);
    assert_eq!(bench.store.usage().unwrap().used, C + 16 + 52);
    bench.upload(&Sample::new(C / 2, 3));
}

#[test]
fn an_upload_fits_to_the_last_byte_of_the_quota() {
    let sample = Sample::new(C + 5, 1);
    let quota = C + 5 + 16 + 2 * 52;
    Bench::with(|options| options.quota_bytes = Some(quota)).upload(&sample);
    let bench = Bench::with(|options| options.quota_bytes = Some(quota - 1));
    let mut upload = bench.store.begin_upload(None).unwrap();
    let result = upload.write(&sample.bytes).and_then(|()| upload.finish().map(drop));
    assert!(matches!(result, Err(StoreError::NoSpace { .. })));
}
