//! What a store is asked to do, and what it says it has done.

use std::collections::BTreeSet;
use std::error::Error;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use swift_chunks::{
    Adoption, CHUNK_LEN, ChunkIndex, Download, EvictOutcome, GrainTree, Grains, HeldPromise, KeepRule,
    ObjectState, Slice, Store, StoreOptions,
};

use crate::bench::{NOW, Sample, hold};
use crate::record::{Record, Recorder};
use crate::world::{Acknowledged, Block, MUCH_LATER, World};

type Outcome = Result<(), Box<dyn Error>>;

/// One thing that a store goes through.
pub(crate) struct Scenario {
    pub(crate) world: World,
    /// Done before the record begins, and acknowledged.
    before: fn(&Store, &World) -> Outcome,
    /// What is relied on then.
    acknowledged: Acknowledged,
    during: fn(&Stage<'_>) -> Outcome,
}

/// A store that is being recorded.
struct Stage<'a> {
    store: &'a Store,
    world: &'a World,
    recorder: &'a Recorder,
}

impl Scenario {
    /// Plays it in a directory; the recorder may make it fail.
    pub(crate) fn play(
        &self,
        root: &Path,
        until_failure: Option<usize>,
    ) -> (Arc<Recorder>, Option<Store>, Outcome) {
        let mut options = StoreOptions::in_dir(root);
        options.free_floor_bytes = 0;
        if self.acknowledged.height > 0 {
            (self.before)(&Store::open(options.clone()).unwrap(), &self.world).unwrap();
        }
        let recorder = Recorder::new(root, self.acknowledged.clone(), until_failure);
        let store = match Store::open_watched(options, recorder.clone()) {
            Ok(store) => store,
            Err(error) => return (recorder, None, Err(error.into())),
        };
        let outcome = (self.during)(&Stage { store: &store, world: &self.world, recorder: &recorder });
        (recorder, Some(store), outcome)
    }

    /// Opens the store that a crash left, and writes down what that does.
    pub(crate) fn open_again(&self, root: &Path, acknowledged: &Acknowledged) -> Record {
        let mut options = StoreOptions::in_dir(root);
        options.free_floor_bytes = 0;
        let recorder = Recorder::new(root, acknowledged.clone(), None);
        let store = Store::open_watched(options, recorder.clone()).unwrap();
        for sample in &self.world.samples {
            // Loads what is known of it, which looks at its files.
            drop(store.reader(sample.manifest.file_id()));
        }
        store.retry_visible(NOW).unwrap();
        drop(store);
        recorder.take()
    }

    pub(crate) fn all() -> Vec<(&'static str, Self)> {
        vec![
            ("first start", first_start()),
            ("upload", upload()),
            ("together", together()),
            ("download", download()),
            ("slices", slices()),
            ("replace", replace()),
            ("removal", removal()),
            ("eviction", eviction()),
            ("repair", repair()),
            ("overtaken", overtaken()),
            ("touch", touch()),
            ("edit", edit()),
            ("return", back_from_the_trash()),
        ]
    }
}

fn small(seed: u8) -> Sample {
    Sample::new(150_000, seed)
}

/// Two chunks, of which the second is short.
fn large(seed: u8) -> Sample {
    Sample::new(CHUNK_LEN + 20_000, seed)
}

fn nothing(_: &Store, _: &World) -> Outcome {
    Ok(())
}

/// The first block's content is here under its name.
fn published(store: &Store, world: &World) -> Outcome {
    world.upload(store, 0)?;
    store.apply(1, &[world.change(1)], NOW)?;
    store.release_hold(b"upload", NOW)?;
    Ok(())
}

fn is_published() -> Acknowledged {
    Acknowledged {
        height: 1,
        whole: BTreeSet::from([0]),
        manifests: BTreeSet::from([0]),
        ..Acknowledged::default()
    }
}

/// The first block's content is wanted.
fn announced(store: &Store, world: &World) -> Outcome {
    store.apply(1, &[world.change(1)], NOW)?;
    Ok(())
}

fn is_announced() -> Acknowledged {
    Acknowledged { height: 1, ..Acknowledged::default() }
}

fn first_start() -> Scenario {
    let world = World {
        samples: vec![Sample::new(10, 1)],
        blocks: vec![Block::Put("folder/a", 0)],
        uploads: BTreeSet::from([0]),
    };
    Scenario { world, before: nothing, acknowledged: Acknowledged::default(), during: upload_and_publish }
}

fn upload() -> Scenario {
    let world = World {
        samples: vec![small(1), small(2)],
        blocks: vec![Block::Put("a", 0), Block::Put("b", 1)],
        uploads: BTreeSet::from([1]),
    };
    Scenario { world, before: published, acknowledged: is_published(), during: upload_and_publish }
}

/// The last block's content.
fn upload_and_publish(stage: &Stage<'_>) -> Outcome {
    let Stage { store, world, recorder } = stage;
    let (last, height) = (world.samples.len() - 1, world.blocks.len() as u64);
    world.upload(store, last)?;
    recorder.acknowledge(|said| {
        said.whole.insert(last);
        said.holds.insert("upload");
    });
    store.apply(height, &[world.change(height)], NOW)?;
    recorder.acknowledge(|said| {
        said.height = height;
        said.holds.clear();
    });
    store.release_hold(b"upload", NOW)?;
    Ok(())
}

/// One content that a name waits for, and an upload.
fn together() -> Scenario {
    let world = World {
        samples: vec![Sample::new(5000, 1), Sample::new(10, 2)],
        blocks: vec![Block::Put("a", 0), Block::Put("b", 1)],
        uploads: BTreeSet::from([1]),
    };
    Scenario { world, before: announced, acknowledged: is_announced(), during: adopt_together }
}

fn adopt_together(stage: &Stage<'_>) -> Outcome {
    let Stage { store, world, recorder } = stage;
    let mut adoptions = Vec::new();
    for (sample, hold) in world.samples.iter().zip([None, Some(hold("upload"))]) {
        let mut upload = store.begin_upload(None)?;
        upload.write(&sample.bytes)?;
        adoptions.push(Adoption { staged: upload.finish()?, hold });
    }
    store.adopt_all(adoptions, NOW)?;
    recorder.acknowledge(|said| {
        said.whole.extend([0, 1]);
        said.holds.insert("upload");
    });
    store.apply(2, &[world.change(2)], NOW)?;
    recorder.acknowledge(|said| {
        said.height = 2;
        said.holds.clear();
    });
    store.release_holds(&[b"upload"], NOW)?;
    Ok(())
}

fn begin(stage: &Stage<'_>, sample: usize) -> Result<Download, Box<dyn Error>> {
    let sample = &stage.world.samples[sample];
    let (id, hash) = (sample.manifest.file_id(), sample.manifest.hash());
    Ok(stage.store.begin_download(id, hash, sample.bytes.len() as u64)?)
}

fn write(download: &Download, sample: &Sample, chunk: u64) -> Outcome {
    let mut writer = download.chunk_writer(download.layout().chunk(chunk).ok_or("no such chunk")?)?;
    let bytes = sample.chunk(chunk);
    for piece in bytes.chunks(bytes.len().div_ceil(2)) {
        writer.write(piece)?;
    }
    Ok(download.record(writer.finish()?)?)
}

fn commit(stage: &Stage<'_>, download: &Download, sample: usize) -> Outcome {
    let chunks = download.commit()?;
    stage.recorder.acknowledge(|said| {
        said.chunks.entry(sample).or_default().extend(chunks.iter().map(|chunk| chunk.as_u64()));
    });
    Ok(())
}

fn finish(stage: &Stage<'_>, download: &Download, sample: usize) -> Outcome {
    download.finish(NOW)?;
    stage.recorder.acknowledge(|said| {
        said.whole.insert(sample);
    });
    Ok(())
}

fn download() -> Scenario {
    let world = World { samples: vec![large(1)], blocks: vec![Block::Put("a", 0)], uploads: BTreeSet::new() };
    Scenario { world, before: announced, acknowledged: is_announced(), during: download_chunks }
}

fn download_chunks(stage: &Stage<'_>) -> Outcome {
    let (download, sample) = (begin(stage, 0)?, &stage.world.samples[0]);
    download.install_manifest(sample.manifest.encoded())?;
    stage.recorder.acknowledge(|said| {
        said.manifests.insert(0);
    });
    write(&download, sample, 1)?;
    commit(stage, &download, 0)?;
    write(&download, sample, 0)?;
    finish(stage, &download, 0)
}

pub(crate) fn write_slices(
    download: &Download,
    sample: &Sample,
    chunk: ChunkIndex,
    grains: Range<u32>,
) -> Outcome {
    let layout = sample.manifest.layout();
    let expected = sample.manifest.digest(chunk).ok_or("no such chunk")?.chaining_value;
    let tree = GrainTree::of_chunk(layout, chunk, sample.chunk(chunk.as_u64()))?.encode();
    let tree = GrainTree::decode(layout, chunk, expected, &tree)?;
    for grain in grains {
        let Some(slice) = Slice::around(layout, chunk, grain, 0) else { break };
        let verified = download.grains(chunk);
        if verified.meets(slice.grains(layout)) {
            continue;
        }
        let range = slice.range(layout);
        let mut writer = download.slice_writer(slice, &tree)?;
        writer.write(&sample.bytes[range.start as usize..range.end as usize])?;
        writer.finish()?;
    }
    Ok(())
}

fn slices() -> Scenario {
    let world = World { samples: vec![small(1)], blocks: vec![Block::Put("a", 0)], uploads: BTreeSet::new() };
    Scenario { world, before: announced, acknowledged: is_announced(), during: download_slices }
}

fn download_slices(stage: &Stage<'_>) -> Outcome {
    let (download, sample) = (begin(stage, 0)?, &stage.world.samples[0]);
    download.install_manifest(sample.manifest.encoded())?;
    let chunk = download.layout().chunk(0).ok_or("no such chunk")?;
    for (grains, bits) in [(1..2, 0b10), (0..1, 0b11)] {
        write_slices(&download, sample, chunk, grains)?;
        download.commit()?;
        stage.recorder.acknowledge(|said| {
            said.grains.insert(0, Grains::from_bits(bits));
        });
    }
    write_slices(&download, sample, chunk, 2..3)?;
    download.record(download.check_chunk(chunk)?)?;
    commit(stage, &download, 0)?;
    finish(stage, &download, 0)
}

fn replace() -> Scenario {
    let world = World {
        samples: vec![small(1), small(2)],
        blocks: vec![Block::Put("a", 0), Block::Put("a", 1)],
        uploads: BTreeSet::from([1]),
    };
    Scenario { world, before: published, acknowledged: is_published(), during: upload_and_expire }
}

fn upload_and_expire(stage: &Stage<'_>) -> Outcome {
    upload_and_publish(stage)?;
    expire(stage)
}

/// The first content is in the trash.
fn expire(stage: &Stage<'_>) -> Outcome {
    stage.recorder.acknowledge(|said| {
        said.whole.remove(&0);
        said.manifests.remove(&0);
    });
    stage.store.expire(MUCH_LATER)?;
    stage.recorder.acknowledge(|said| {
        said.gone.insert(0);
    });
    Ok(())
}

/// The second of two names of one content is removed after the first.
fn removal() -> Scenario {
    let world = World {
        samples: vec![small(1)],
        blocks: vec![Block::Put("a", 0), Block::Put("b/c", 0), Block::Remove("a"), Block::Remove("b/c")],
        uploads: BTreeSet::new(),
    };
    let during = |stage: &Stage<'_>| {
        for height in 2..=4 {
            stage.store.apply(height, &[stage.world.change(height)], NOW)?;
            stage.recorder.acknowledge(|said| said.height = height);
        }
        expire(stage)
    };
    Scenario { world, before: published, acknowledged: is_published(), during }
}

fn eviction() -> Scenario {
    let world = World { samples: vec![small(1)], blocks: vec![Block::Put("a", 0)], uploads: BTreeSet::new() };
    let during = |stage: &Stage<'_>| {
        stage.store.set_keep_rule(KeepRule::None, NOW)?;
        stage.recorder.acknowledge(|said| {
            said.whole.clear();
            said.manifests.clear();
        });
        let file_id = stage.world.samples[0].manifest.file_id();
        let promise = HeldPromise { file_id, until_ms: MUCH_LATER, statement: b"signed".to_vec() };
        let outcome = stage.store.evict(&promise, NOW)?;
        assert!(matches!(outcome, EvictOutcome::Gone { .. }), "{outcome:?}");
        Ok(())
    };
    Scenario { world, before: published, acknowledged: is_published(), during }
}

fn object(sample: &Sample) -> PathBuf {
    Path::new("content/objects").join(sample.manifest.file_id().to_string())
}

fn repair() -> Scenario {
    let world = World { samples: vec![large(1)], blocks: vec![Block::Put("a", 0)], uploads: BTreeSet::new() };
    let during = |stage: &Stage<'_>| {
        let sample = &stage.world.samples[0];
        stage.recorder.acknowledge(|said| {
            said.whole.clear();
            said.chunks.insert(0, BTreeSet::from([1]));
            said.rotten = true;
        });
        stage.recorder.rot(&object(sample), 77);
        let report = stage.store.verify(sample.manifest.file_id(), |_| {})?;
        assert_eq!(report.bad.len(), 1);
        stage.recorder.acknowledge(|said| said.rotten = false);
        let download = begin(stage, 0)?;
        write(&download, sample, 0)?;
        finish(stage, &download, 0)
    };
    Scenario { world, before: published, acknowledged: is_published(), during }
}

/// An upload of what was being downloaded.
fn overtaken() -> Scenario {
    let world = World { samples: vec![small(1)], blocks: vec![Block::Put("a", 0)], uploads: BTreeSet::new() };
    let during = |stage: &Stage<'_>| {
        let (download, sample) = (begin(stage, 0)?, &stage.world.samples[0]);
        download.install_manifest(sample.manifest.encoded())?;
        let chunk = download.layout().chunk(0).ok_or("no such chunk")?;
        write_slices(&download, sample, chunk, 1..2)?;
        download.commit()?;
        stage.recorder.acknowledge(|said| {
            said.grains.insert(0, Grains::from_bits(0b10));
        });
        drop(download);
        stage.world.upload(stage.store, 0)?;
        stage.recorder.acknowledge(|said| {
            said.whole.insert(0);
            said.holds.insert("upload");
        });
        Ok(())
    };
    Scenario { world, before: announced, acknowledged: is_announced(), during }
}

/// Somebody gave the file in the folder, which is the object, another time.
fn touch() -> Scenario {
    let world = World { samples: vec![small(1)], blocks: vec![Block::Put("a", 0)], uploads: BTreeSet::new() };
    let during = |stage: &Stage<'_>| {
        let id = stage.world.samples[0].manifest.file_id();
        stage.recorder.acknowledge(|said| said.whole.clear());
        stage.recorder.touch(&object(&stage.world.samples[0]), NOW);
        let changes = stage.store.check_visible("a", NOW)?;
        assert!(changes.kept.len() <= 1, "{changes:?}");
        assert_eq!(stage.store.object(id)?.map(|object| object.state), Some(ObjectState::Complete));
        stage.recorder.acknowledge(|said| {
            said.whole.insert(0);
        });
        Ok(())
    };
    Scenario { world, before: published, acknowledged: is_published(), during }
}

/// Somebody wrote into the file in the folder, which is the object.
fn edit() -> Scenario {
    let world = World { samples: vec![large(1)], blocks: vec![Block::Put("a", 0)], uploads: BTreeSet::new() };
    let during = |stage: &Stage<'_>| {
        stage.recorder.acknowledge(|said| {
            said.whole.clear();
            said.edited = true;
        });
        stage.recorder.touch(&object(&stage.world.samples[0]), NOW);
        stage.recorder.rot(&object(&stage.world.samples[0]), 77);
        stage.store.check_visible("a", NOW)?;
        stage.recorder.acknowledge(|said| {
            said.chunks.insert(0, BTreeSet::from([1]));
        });
        let download = begin(stage, 0)?;
        write(&download, &stage.world.samples[0], 0)?;
        assert_eq!(download.finish(NOW)?.kept.len(), 1);
        stage.recorder.acknowledge(|said| {
            said.whole.insert(0);
        });
        Ok(())
    };
    Scenario { world, before: published, acknowledged: is_published(), during }
}

/// Content that was removed is uploaded again, and published under another name.
fn back_from_the_trash() -> Scenario {
    let world = World {
        samples: vec![small(1)],
        blocks: vec![Block::Put("a", 0), Block::Remove("a"), Block::Put("b", 0)],
        uploads: BTreeSet::from([0]),
    };
    let during = |stage: &Stage<'_>| {
        stage.store.apply(2, &[stage.world.change(2)], NOW)?;
        stage.recorder.acknowledge(|said| said.height = 2);
        upload_and_publish(stage)
    };
    Scenario { world, before: published, acknowledged: is_published(), during }
}
