//! A thousand bits that change by themselves: 1,000 flips over content, manifests and the index, from one seed.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use swift_chunks::{ObjectState, OpenError, ReadError, Store, StoreError, StoreOptions};
use tempfile::TempDir;

use crate::bench::{NOW, Sample};
use crate::crashes::tempdir;
use crate::rot::flip;
use crate::world::{Acknowledged, Block, World};

const SEED: u64 = 0x5eed_0b17;

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    /// A place where something is.
    fn in_use(&mut self, bytes: &[u8]) -> u64 {
        loop {
            let at = self.below(bytes.len() as u64);
            if bytes[at as usize] != 0 {
                return at;
            }
        }
    }
}

/// Three published files, one of them of two names.
fn world() -> World {
    World {
        samples: vec![Sample::new(90_000, 1), Sample::new(1, 2), Sample::new(200_000, 3)],
        blocks: vec![Block::Put("a", 0), Block::Put("b", 1), Block::Put("c", 2), Block::Put("d", 2)],
        uploads: [0, 1, 2].into(),
    }
}

fn options(root: &Path) -> StoreOptions {
    let mut options = StoreOptions::in_dir(root);
    options.free_floor_bytes = 0;
    options
}

fn filled(world: &World) -> (TempDir, Store) {
    let root = tempdir();
    let store = Store::open(options(root.path())).unwrap();
    for sample in 0..world.samples.len() {
        world.upload(&store, sample).unwrap();
    }
    for height in 1..=world.blocks.len() as u64 {
        store.apply(height, &[world.change(height)], NOW).unwrap();
    }
    store.release_hold(b"upload", NOW).unwrap();
    (root, store)
}

/// Reads a content as a client does. Whatever is answered is right; else the first error.
fn read(store: &Store, sample: &Sample) -> Result<(), ReadError> {
    let reader = store.reader(sample.manifest.file_id())?;
    let mut buffer = Vec::new();
    for chunk in reader.layout().chunks() {
        reader.read_verified_chunk(chunk, &mut buffer)?;
        assert!(buffer == sample.chunk(chunk.as_u64()), "wrong bytes were served");
    }
    Ok(())
}

fn file_of(root: &Path, dir: &str, sample: &Sample) -> PathBuf {
    let id = sample.manifest.file_id().to_string();
    let entries = fs::read_dir(root.join("content").join(dir)).unwrap().map(|entry| entry.unwrap().path());
    let mut found = entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&id));
    found.next().unwrap()
}

#[test]
fn a_flipped_bit_of_content_is_found_and_fetched_again() {
    let (world, mut numbers) = (world(), Numbers(SEED));
    let (root, mut store) = filled(&world);
    for flipped in 0..450 {
        let number = numbers.below(3) as usize;
        let sample = &world.samples[number];
        let id = sample.manifest.file_id();
        let (at, bit) = (numbers.below(sample.bytes.len() as u64), numbers.below(8) as u32);
        flip(&file_of(root.path(), "objects", sample), at, bit);
        match flipped % 3 {
            0 => assert!(matches!(read(&store, sample), Err(ReadError::Rotten { .. })), "flip {flipped}"),
            1 => assert_eq!(store.verify(id, |_| {}).unwrap().bad.len(), 1, "flip {flipped}"),
            _ => {
                drop(store);
                store = Store::open(options(root.path())).unwrap();
                assert!(matches!(read(&store, sample), Err(ReadError::Rotten { .. })), "flip {flipped}");
            }
        }
        assert_eq!(store.object(id).unwrap().unwrap().state, ObjectState::Partial);
        let wanted = store.wanted(None, 10).unwrap();
        assert_eq!(wanted.iter().map(|wanted| wanted.file_id).collect::<Vec<_>>(), [id]);
        world.fetch(&store, number);
        read(&store, sample).unwrap();
    }
    drop(store);
    world.check(root.path(), &Acknowledged { height: 4, whole: [0, 1, 2].into(), ..Acknowledged::default() });
}

#[test]
fn a_flipped_bit_of_a_manifest_is_found_and_the_manifest_made_again() {
    let (world, mut numbers) = (world(), Numbers(SEED + 1));
    let (root, mut store) = filled(&world);
    let mut met = [0; 2];
    for flipped in 0..250 {
        let sample = &world.samples[numbers.below(3) as usize];
        let id = sample.manifest.file_id();
        let len = sample.manifest.encoded().len() as u64;
        flip(&file_of(root.path(), "manifests", sample), numbers.below(len), numbers.below(8) as u32);
        if flipped % 2 == 0 {
            drop(store);
            store = Store::open(options(root.path())).unwrap();
        }
        // A client is served only by what it says of BLAKE3. Where that is right the bytes are.
        let is_met = read(&store, sample).is_err();
        met[usize::from(is_met)] += 1;
        if is_met {
            assert_eq!(store.suspects(10).unwrap(), [id], "it is looked after");
        }
        assert!(store.verify(id, |_| {}).unwrap().manifest_rotted, "flip {flipped}");
        read(&store, sample).unwrap();
        let mut encoded = Vec::new();
        store.reader(id).unwrap().manifest_reader().unwrap().read_to_end(&mut encoded).unwrap();
        assert!(encoded == sample.manifest.encoded());
        assert!(store.wanted(None, 1).unwrap().is_empty(), "the content is what it was");
    }
    assert!(met[0] > 50 && met[1] > 50, "{met:?}");
    drop(store);
    world.check(root.path(), &Acknowledged { height: 4, whole: [0, 1, 2].into(), ..Acknowledged::default() });
}

#[test]
fn a_flipped_bit_of_the_index_is_reported_or_is_where_nothing_is() {
    let (world, mut numbers) = (world(), Numbers(SEED + 2));
    let (root, store) = filled(&world);
    drop(store);
    let index = root.path().join("content/index.db");
    let bytes = fs::read(&index).unwrap();
    let len = bytes.len() as u64;
    assert!(!root.path().join("content/index.db-wal").exists(), "all of it is in one file");
    let (mut reported, mut harmless) = (0, 0);
    for flipped in 0..300 {
        let copy = tempdir();
        copy_tree(root.path(), copy.path());
        // Most of an index this small is empty.
        let at = if flipped % 4 == 0 { numbers.below(len) } else { numbers.in_use(&bytes) };
        flip(&copy.path().join("content/index.db"), at, numbers.below(8) as u32);
        match Store::open(options(copy.path())) {
            Err(OpenError::IndexDamaged { path, .. }) => {
                reported += 1;
                assert!(path.ends_with("content/index.db"));
            }
            Err(OpenError::NewerFormat { .. }) => reported += 1,
            Err(OpenError::InUse { .. }) => panic!("nobody uses it"),
            // It was found a moment later, in what a start reads.
            Err(OpenError::Store(error)) => {
                reported += 1;
                assert!(error.to_string().contains("content index"), "{error}");
            }
            // It is where nothing is: all that the index says is as it was.
            Ok(store) => {
                drop(store);
                harmless += 1;
                let whole = Acknowledged { height: 4, whole: [0, 1, 2].into(), ..Acknowledged::default() };
                world.check(copy.path(), &whole);
            }
        }
    }
    assert!(harmless > 15, "{harmless}");
    assert!(reported > 100, "{reported}");
}

/// What the index says is compared with its sums as long as the store is open, too.
#[test]
fn a_bit_of_the_index_that_flips_while_it_is_used_is_found_by_a_scrub_and_stops_the_store() {
    let (world, mut numbers) = (world(), Numbers(SEED + 3));
    let mut found = 0;
    for _ in 0..60 {
        let (root, store) = filled(&world);
        drop(store);
        let store = Store::open(options(root.path())).unwrap();
        let index = root.path().join("content/index.db");
        let at = numbers.in_use(&fs::read(&index).unwrap());
        flip(&index, at, numbers.below(8) as u32);
        store.begin_scrub(NOW, NOW).unwrap();
        match store.end_scrub(NOW) {
            Ok(()) => {
                for sample in &world.samples {
                    read(&store, sample).unwrap();
                }
            }
            Err(StoreError::Stopped(reason)) => {
                found += 1;
                assert!(reason.contains("content/index.db is damaged"), "{reason}");
                assert!(matches!(store.usage(), Err(StoreError::Stopped(_))), "nothing goes on");
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(found > 15, "{found}");
}

fn copy_tree(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy_tree(&from, &to);
        } else {
            let metadata = entry.metadata().unwrap();
            fs::write(&to, fs::read(&from).unwrap()).unwrap();
            let file = fs::File::options().write(true).open(&to).unwrap();
            file.set_modified(metadata.modified().unwrap()).unwrap();
            file.set_permissions(fs::Permissions::from_mode(metadata.permissions().mode())).unwrap();
        }
    }
}
