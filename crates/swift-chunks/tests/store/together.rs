use std::fs;
use std::os::unix::fs::MetadataExt as _;

use swift_chunks::{Adoption, ObjectState};

use crate::bench::{Bench, C, NOW, Sample, hold, put};

fn adoption(bench: &Bench, sample: &Sample, key: Option<&str>) -> Adoption {
    let mut upload = bench.store.begin_upload(Some(sample.bytes.len() as u64)).unwrap();
    upload.write(&sample.bytes).unwrap();
    Adoption { staged: upload.finish().unwrap(), hold: key.map(hold) }
}

#[test]
fn contents_that_come_together_are_all_there_and_held() {
    let bench = Bench::new();
    let samples: Vec<Sample> =
        [0, 1, 150_000, C + 1].iter().zip(1..).map(|(&len, seed)| Sample::new(len, seed)).collect();
    let keys = ["a", "b", "c", "d"];
    let adoptions = samples.iter().zip(keys).map(|(sample, key)| adoption(&bench, sample, Some(key)));
    bench.store.adopt_all(adoptions.collect(), NOW).unwrap();
    let bench = bench.restart();
    for sample in &samples {
        assert_eq!(bench.state(sample), Some(ObjectState::Complete));
        assert_eq!(fs::read(bench.object_path(sample)).unwrap(), sample.bytes);
    }
    assert_eq!(bench.store.holds().unwrap().len(), keys.len());
    assert_eq!(bench.count("uploads"), 0);
    assert_eq!(bench.store.release_holds(&[b"a", b"nobody's", b"d"], NOW).unwrap(), 2);
    assert_eq!(bench.store.holds().unwrap().len(), 2);
}

#[test]
fn the_same_content_twice_is_there_once_and_held_twice() {
    let bench = Bench::new();
    let sample = Sample::new(C + 5, 1);
    let both = vec![adoption(&bench, &sample, Some("a")), adoption(&bench, &sample, Some("b"))];
    bench.store.adopt_all(both, NOW).unwrap();
    let inode = fs::metadata(bench.object_path(&sample)).unwrap().ino();
    bench.store.adopt_all(vec![adoption(&bench, &sample, Some("c"))], NOW).unwrap();
    assert_eq!(fs::metadata(bench.object_path(&sample)).unwrap().ino(), inode);
    assert_eq!(bench.store.holds().unwrap().len(), 3);
    assert_eq!((bench.count("uploads"), bench.count("objects")), (0, 1));
    assert_eq!(
        bench.store.usage().unwrap().used,
        sample.bytes.len() as u64 + sample.manifest.encoded().len() as u64
    );
}

#[test]
fn what_a_name_waits_for_appears_and_what_nobody_wants_goes_to_the_trash() {
    let bench = Bench::new();
    let (wanted, unwanted) = (Sample::new(1000, 1), Sample::new(1000, 2));
    bench.store.apply(1, &[put("d/a", &wanted)], NOW).unwrap();
    let both = vec![adoption(&bench, &wanted, None), adoption(&bench, &unwanted, None)];
    let changes = bench.store.adopt_all(both, NOW).unwrap();
    assert_eq!(changes.shown, ["d/a"]);
    assert_eq!(fs::read(bench.file("d/a")).unwrap(), wanted.bytes);
    assert!(bench.store.wanted(None, 10).unwrap().is_empty());
    let trashed =
        |sample: &Sample| bench.store.object(sample.manifest.file_id()).unwrap().unwrap().trashed_ms;
    assert_eq!((trashed(&wanted), trashed(&unwanted)), (None, Some(NOW)));
}

/// Its part is given up: what is here as a whole needs no download any more.
#[test]
fn a_content_that_comes_as_a_whole_overtakes_its_download() {
    let bench = Bench::new();
    let sample = Sample::new(100_000, 1);
    bench.store.apply(1, &[put("a", &sample)], NOW).unwrap();
    let download = bench.download(&sample).unwrap();
    bench.store.adopt_all(vec![adoption(&bench, &sample, None)], NOW).unwrap();
    assert!(download.is_complete());
    assert_eq!(bench.count("partial"), 0);
    drop(download);
    assert_eq!(fs::read(bench.file("a")).unwrap(), sample.bytes);
}
