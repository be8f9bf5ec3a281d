//! A store in a directory of its own, and content to put into it.

use std::path::PathBuf;

use swift_chunks::{
    CHUNK_LEN, ChangedBy, Download, Hold, Manifest, NameChange, ObjectState, Store, StoreError, StoreOptions,
    VisibleChanges,
};
use tempfile::TempDir;

pub(crate) const C: u64 = CHUNK_LEN;

/// A time to start from: 2025-11-22T11:38:09Z.
pub(crate) const NOW: u64 = 1_763_811_489_000;

pub(crate) struct Bench {
    pub(crate) dir: TempDir,
    pub(crate) options: StoreOptions,
    pub(crate) store: Store,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut StoreOptions)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut options = StoreOptions::in_dir(dir.path());
        options.free_floor_bytes = 0;
        change(&mut options);
        let store = Store::open(options.clone()).unwrap();
        Self { dir, options, store }
    }

    /// Stops the store without any farewell and starts it again.
    pub(crate) fn restart(self) -> Self {
        let Self { dir, options, store } = self;
        drop(store);
        let store = Store::open(options.clone()).unwrap();
        Self { dir, options, store }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.options.files_dir.join(name)
    }

    pub(crate) fn content(&self, below: &str) -> PathBuf {
        self.options.content_dir.join(below)
    }

    pub(crate) fn object_path(&self, sample: &Sample) -> PathBuf {
        self.content("objects").join(sample.manifest.file_id().to_string())
    }

    pub(crate) fn upload(&self, sample: &Sample) -> VisibleChanges {
        let mut upload = self.store.begin_upload(None).unwrap();
        for piece in sample.bytes.chunks(100_000) {
            upload.write(piece).unwrap();
        }
        let staged = upload.finish().unwrap();
        assert_eq!(staged.file_id, sample.manifest.file_id());
        assert_eq!(staged.manifest_hash, sample.manifest.hash());
        self.store.adopt(staged, &hold("upload"), NOW).unwrap()
    }

    /// Uploads and publishes under a name.
    pub(crate) fn publish(&self, height: u64, name: &str, sample: &Sample) {
        self.upload(sample);
        self.store.apply(height, &[put(name, sample)], NOW).unwrap();
        self.store.release_hold(b"upload", NOW).unwrap();
    }

    pub(crate) fn download(&self, sample: &Sample) -> Result<Download, StoreError> {
        let manifest = &sample.manifest;
        let download =
            self.store.begin_download(manifest.file_id(), manifest.hash(), sample.bytes.len() as u64)?;
        if !download.is_complete() {
            download.install_manifest(manifest.encoded()).unwrap();
        }
        Ok(download)
    }

    /// Fetches what is missing from the sample, and finishes.
    pub(crate) fn fetch(&self, sample: &Sample) -> VisibleChanges {
        let download = self.download(sample).unwrap();
        let missing: Vec<u64> = download.held().missing().map(swift_chunks::ChunkIndex::as_u64).collect();
        missing.into_iter().for_each(|chunk| write_chunk(&download, sample, chunk));
        download.finish(NOW).unwrap()
    }

    pub(crate) fn state(&self, sample: &Sample) -> Option<ObjectState> {
        self.store.object(sample.manifest.file_id()).unwrap().map(|object| object.state)
    }

    /// Files below a directory of the store.
    pub(crate) fn count(&self, below: &str) -> usize {
        std::fs::read_dir(self.content(below)).unwrap().count()
    }
}

pub(crate) struct Sample {
    pub(crate) bytes: Vec<u8>,
    pub(crate) manifest: Manifest,
}

impl Sample {
    pub(crate) fn new(len: u64, seed: u8) -> Self {
        let mut state = u64::from(seed) + 1;
        let bytes: Vec<u8> = (0..len)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect();
        let manifest = Manifest::of(&bytes[..]).unwrap();
        Self { bytes, manifest }
    }

    pub(crate) fn chunk(&self, index: u64) -> &[u8] {
        let chunk = self.manifest.layout().chunk(index).unwrap();
        let range = self.manifest.layout().range(chunk);
        &self.bytes[range.start as usize..range.end as usize]
    }
}

pub(crate) fn write_chunk(download: &Download, sample: &Sample, index: u64) {
    let chunk = download.layout().chunk(index).unwrap();
    let mut writer = download.chunk_writer(chunk).unwrap();
    for piece in sample.chunk(index).chunks(65_536) {
        writer.write(piece).unwrap();
    }
    download.record(writer.finish().unwrap()).unwrap();
}

pub(crate) fn put(name: &str, sample: &Sample) -> NameChange {
    NameChange::Put {
        name: name.to_owned(),
        file_id: sample.manifest.file_id(),
        manifest_hash: sample.manifest.hash(),
        len: sample.bytes.len() as u64,
        by: ChangedBy::default(),
    }
}

pub(crate) fn remove(name: &str) -> NameChange {
    NameChange::Remove { name: name.to_owned(), by: ChangedBy::default() }
}

pub(crate) fn hold(key: &str) -> Hold {
    Hold { key: key.as_bytes().to_vec(), payload: b"intent".to_vec() }
}
