//! An index without its content: after a restore it must claim nothing that is not there.

use swift_chunks::{CHUNK_LEN, ObjectState, Store, StoreOptions, copy_index, forget_content};

use crate::bench::{Bench, C, NOW, Sample, put, write_chunk};

#[test]
fn a_restored_index_wants_what_names_need_and_claims_nothing() {
    let bench = Bench::new();
    let (complete, half, held, trashed) =
        (Sample::new(C + 1, 1), Sample::new(3 * C, 2), Sample::new(10, 3), Sample::new(20, 4));
    bench.publish(1, "complete", &complete);
    bench.store.apply(2, &[put("half", &half)], NOW).unwrap();
    let download = bench.download(&half).unwrap();
    write_chunk(&download, &half, 1);
    download.commit().unwrap();
    bench.publish(3, "trashed", &trashed);
    bench.store.apply(4, &[crate::bench::remove("trashed")], NOW).unwrap();
    bench.upload(&held);

    // The copy is taken while the store is in use, and while it writes.
    let restored = tempfile::tempdir().unwrap();
    let options = StoreOptions { free_floor_bytes: 0, ..StoreOptions::in_dir(restored.path()) };
    std::fs::create_dir_all(&options.content_dir).unwrap();
    let index = options.content_dir.join("index.db");
    assert!(copy_index(&bench.options.content_dir, &index).unwrap());
    assert_eq!(forget_content(&index).unwrap(), 1, "one upload was under way");
    // Twice is as good as once.
    assert_eq!(forget_content(&index).unwrap(), 0);

    let store = Store::open(options).unwrap();
    assert_eq!(store.applied_height().unwrap(), Some(4));
    let wanted: Vec<_> = store.wanted(None, 10).unwrap().iter().map(|wanted| wanted.file_id).collect();
    assert_eq!(wanted, [complete.manifest.file_id(), half.manifest.file_id()]);
    assert!(store.holds().unwrap().is_empty());
    assert!(store.object(trashed.manifest.file_id()).unwrap().is_none());
    let usage = store.usage().unwrap();
    assert_eq!((usage.used, usage.trashed), (0, 0));
    for sample in [&complete, &half] {
        let info = store.object(sample.manifest.file_id()).unwrap().unwrap();
        assert_eq!((info.state, info.held_chunks), (ObjectState::Partial, 0));
    }

    // It is fetched like anything that is lacking.
    let back = Bench { dir: restored, options: bench.options.clone(), store };
    back.fetch(&complete);
    assert_eq!(back.state(&complete), Some(ObjectState::Complete));
    assert!(back.dir.path().join("files/complete").exists());
    assert!(complete.bytes.len() as u64 > CHUNK_LEN);
}

#[test]
fn without_an_index_there_is_nothing_to_copy() {
    let folder = tempfile::tempdir().unwrap();
    assert!(!copy_index(folder.path(), &folder.path().join("copy.db")).unwrap());
}
