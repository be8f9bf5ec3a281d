//! What there is to be stored, what a store has promised of it, and whether a directory keeps the promise.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use swift_chunks::{
    ContentReader, Grains, NameChange, ObjectState, Store, StoreOptions, VisibleChanges, manifest_len,
};

use crate::bench::{NOW, Sample, hold, put, remove, write_chunk};

/// When everything that is in the trash has been there for long enough.
pub(crate) const MUCH_LATER: u64 = NOW + 30 * 24 * 60 * 60 * 1000;

/// What the store told its caller, who relies on it. Numbers are those of samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct Acknowledged {
    /// Blocks that were applied.
    pub(crate) height: u64,
    pub(crate) whole: BTreeSet<usize>,
    pub(crate) chunks: BTreeMap<usize, BTreeSet<u64>>,
    pub(crate) grains: BTreeMap<usize, Grains>,
    pub(crate) manifests: BTreeSet<usize>,
    pub(crate) holds: BTreeSet<&'static str>,
    /// Contents of which nothing may be left.
    pub(crate) gone: BTreeSet<usize>,
    /// Chunks that the disk has changed since.
    pub(crate) rotten: bool,
    /// A user has changed a file in the folder, which is to be kept.
    pub(crate) edited: bool,
}

/// One change of a name, or its end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Block {
    Put(&'static str, usize),
    Remove(&'static str),
}

/// Contents, and the ledger that names them: block by block.
pub(crate) struct World {
    pub(crate) samples: Vec<Sample>,
    pub(crate) blocks: Vec<Block>,
    /// Contents that come as uploads.
    pub(crate) uploads: BTreeSet<usize>,
}

impl World {
    pub(crate) fn change(&self, height: u64) -> NameChange {
        match self.blocks[height as usize - 1] {
            Block::Put(name, sample) => put(name, &self.samples[sample]),
            Block::Remove(name) => remove(name),
        }
    }

    fn names(&self, height: u64) -> BTreeMap<String, usize> {
        let mut names = BTreeMap::new();
        for block in &self.blocks[..height as usize] {
            match *block {
                Block::Put(name, sample) => names.insert(name.to_owned(), sample),
                Block::Remove(name) => names.remove(name),
            };
        }
        names
    }

    pub(crate) fn upload(&self, store: &Store, sample: usize) -> Result<(), Box<dyn std::error::Error>> {
        let mut upload = store.begin_upload(None)?;
        let bytes = &self.samples[sample].bytes;
        for piece in bytes.chunks(bytes.len().div_ceil(2).max(1)) {
            upload.write(piece)?;
        }
        store.adopt(upload.finish()?, &hold("upload"), NOW)?;
        Ok(())
    }

    /// Fetches what is missing of a content.
    pub(crate) fn fetch(&self, store: &Store, sample: usize) {
        let sample = &self.samples[sample];
        let (id, hash) = (sample.manifest.file_id(), sample.manifest.hash());
        let download = store.begin_download(id, hash, sample.bytes.len() as u64).unwrap();
        if !download.is_complete() {
            download.install_manifest(sample.manifest.encoded()).unwrap();
        }
        for chunk in download.held().missing() {
            let open = download.grains(chunk);
            if open == Grains::all_of(download.layout(), chunk) {
                download.record(download.check_chunk(chunk).unwrap()).unwrap();
            } else if open.is_empty() {
                write_chunk(&download, sample, chunk.as_u64());
            } else {
                crate::scenarios::write_slices(&download, sample, chunk, 0..u32::MAX).unwrap();
                download.record(download.check_chunk(chunk).unwrap()).unwrap();
            }
        }
        download.finish(NOW).unwrap();
    }

    /// Opens the store that stands in `root`, and holds it to what it said before.
    pub(crate) fn check(&self, root: &Path, acknowledged: &Acknowledged) {
        let mut options = StoreOptions::in_dir(root);
        options.free_floor_bytes = 0;
        let store = Store::open(options).unwrap();
        if acknowledged.rotten {
            for sample in &self.samples {
                let _ = store.verify(sample.manifest.file_id(), |_| {});
            }
        }
        for (number, sample) in self.samples.iter().enumerate() {
            self.check_claims(&store, number, sample, acknowledged);
        }
        every_file_has_a_row(root);
        let height = store.applied_height().unwrap().unwrap_or(0);
        assert!(height >= acknowledged.height, "height {height} of {}", acknowledged.height);
        let names = store.list_names(None, 100).unwrap().into_iter();
        let found: BTreeMap<_, _> = names.map(|name| (name.name, name.content.file_id)).collect();
        let expected = self.names(height).into_iter();
        let expected: BTreeMap<_, _> =
            expected.map(|(name, sample)| (name, self.samples[sample].manifest.file_id())).collect();
        assert_eq!(found, expected, "names at height {height}");
        let holds = store.holds().unwrap();
        for key in &acknowledged.holds {
            assert!(holds.iter().any(|(_, hold)| hold.key == key.as_bytes()), "hold {key}");
        }
        self.check_end(root, &store, height, acknowledged);
    }

    fn check_claims(&self, store: &Store, number: usize, sample: &Sample, acknowledged: &Acknowledged) {
        let id = sample.manifest.file_id();
        let mut object = store.object(id).unwrap();
        let is_whole = acknowledged.whole.contains(&number);
        if object.is_some_and(|object| object.state == ObjectState::Complete) {
            // Looks at the file, as every use does.
            drop(store.reader(id));
            object = store.object(id).unwrap();
        }
        if object.is_some_and(|object| object.state == ObjectState::Suspect) {
            assert!(!is_whole, "content {number} is suspect");
            store.verify(id, |_| {}).unwrap();
        }
        if acknowledged.gone.contains(&number) {
            assert!(object.is_none(), "content {number} is back");
        }
        let Some(_) = object else {
            assert!(!is_whole, "content {number} is lost");
            assert!(!acknowledged.chunks.contains_key(&number), "chunks of {number} are lost");
            assert!(!acknowledged.grains.contains_key(&number), "grains of {number} are lost");
            return;
        };
        let reader = store.reader(id).unwrap();
        assert!(!is_whole || reader.is_complete(), "content {number} is not whole");
        for chunk in acknowledged.chunks.get(&number).into_iter().flatten() {
            assert!(
                reader.holds(reader.layout().chunk(*chunk).unwrap()),
                "chunk {chunk} of {number} is lost"
            );
        }
        if let Some(&grains) = acknowledged.grains.get(&number) {
            let chunk = reader.layout().chunk(0).unwrap();
            let open = reader.open_chunks();
            let has = open.iter().any(|(found, has)| *found == chunk && has.contains(grains));
            assert!(has || reader.holds(chunk), "grains of {number} are lost");
        }
        for chunk in reader.held().iter() {
            let range = reader.layout().range(chunk);
            read(&reader, sample, range);
        }
        for (chunk, grains) in reader.open_chunks() {
            let start = reader.layout().range(chunk).start;
            for grain in 0..64_u32 {
                let one = Grains::from_bits(1 << grain);
                if grains.contains(one) {
                    let at = start + u64::from(grain) * swift_chunks::GRAIN_LEN;
                    let end = (at + swift_chunks::GRAIN_LEN).min(sample.bytes.len() as u64);
                    read(&reader, sample, at..end);
                }
            }
        }
        match reader.manifest_reader() {
            Ok(mut manifest) => {
                let mut encoded = Vec::new();
                std::io::Read::read_to_end(&mut manifest, &mut encoded).unwrap();
                assert!(encoded == sample.manifest.encoded(), "the manifest of {number} is another");
            }
            Err(error) => {
                let has = acknowledged.manifests.contains(&number) || reader.is_complete();
                assert!(!has, "the manifest of {number} is lost: {error}");
            }
        }
    }

    /// What was under way is done again, and ends as if nothing had happened.
    fn check_end(&self, root: &Path, store: &Store, height: u64, acknowledged: &Acknowledged) {
        let in_line = |changes: VisibleChanges| {
            assert!(changes.kept.is_empty() || acknowledged.edited, "{changes:?}");
            assert!(changes.problems.is_empty(), "{changes:?}");
        };
        in_line(store.retry_visible(NOW).unwrap());
        for height in height + 1..=self.blocks.len() as u64 {
            for &sample in &self.uploads {
                self.upload(store, sample).unwrap();
            }
            in_line(store.apply(height, &[self.change(height)], NOW).unwrap());
        }
        let names = self.names(self.blocks.len() as u64);
        for &sample in names.values() {
            if store.object(self.samples[sample].manifest.file_id()).unwrap().unwrap().state
                != ObjectState::Complete
            {
                self.fetch(store, sample);
            }
        }
        for (_, hold) in store.holds().unwrap() {
            store.release_hold(&hold.key, NOW).unwrap();
        }
        store.expire(MUCH_LATER).unwrap();
        in_line(store.retry_visible(NOW).unwrap());
        for name in names.keys() {
            in_line(store.check_visible(name, NOW).unwrap());
        }

        let mut shown = BTreeSet::new();
        shown_below(&root.join("files"), "", &mut shown);
        shown.retain(|name| !(acknowledged.edited && name.contains(".local-")));
        assert_eq!(shown, names.keys().cloned().collect(), "in the files folder");
        let live: BTreeSet<usize> = names.values().copied().collect();
        let mut used = 0;
        for &sample in &live {
            let sample = &self.samples[sample];
            let object = root.join("content/objects").join(sample.manifest.file_id().to_string());
            assert!(fs::read(&object).unwrap() == sample.bytes);
            used += sample.bytes.len() as u64 + manifest_len(sample.manifest.layout());
        }
        for (name, &sample) in &names {
            let id = self.samples[sample].manifest.file_id().to_string();
            let (file, object) = (root.join("files").join(name), root.join("content/objects").join(id));
            let is_link = fs::metadata(&file).unwrap().ino() == fs::metadata(object).unwrap().ino();
            assert!(is_link || fs::read(&file).unwrap() == self.samples[sample].bytes, "{name}");
        }
        assert_eq!(store.usage().unwrap().used, used);
        let content = root.join("content");
        for (dir, count) in [
            ("objects", live.len()),
            ("manifests", live.len()),
            ("partial", 0),
            ("uploads", 0),
            ("doomed", 0),
            ("evidence", 0),
        ] {
            assert_eq!(
                files_in(&content.join(dir)).len(),
                count,
                "{dir}: {:?}",
                files_in(&content.join(dir))
            );
        }
    }
}

fn read(reader: &ContentReader, sample: &Sample, range: std::ops::Range<u64>) {
    let mut buffer = vec![0; (range.end - range.start) as usize];
    reader.read_at(range.start, &mut buffer).unwrap();
    assert!(
        buffer == sample.bytes[range.start as usize..range.end as usize],
        "{range:?} is claimed and wrong"
    );
}

/// What no row knows of would take its room for ever.
fn every_file_has_a_row(root: &Path) {
    let content = root.join("content");
    let index = rusqlite::Connection::open(content.join("index.db")).unwrap();
    let mut statement = index.prepare("SELECT id, lower(hex(file_id)) FROM objects").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))).unwrap();
    let rows: Vec<_> = rows.map(Result::unwrap).collect();
    for file in files_in(&content.join("objects")) {
        assert!(rows.iter().any(|(_, id)| *id == file), "objects/{file} is nobody's");
    }
    for dir in ["manifests", "partial", "evidence"] {
        for file in files_in(&content.join(dir)) {
            let of = file.trim_end_matches(".new");
            assert!(rows.iter().any(|(row, id)| format!("{id}-{row}") == of), "{dir}/{file} is nobody's");
        }
    }
}

/// Every file below the files folder, by its name in the ledger.
pub(crate) fn shown_below(dir: &Path, above: &str, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let name = format!("{above}{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            shown_below(&entry.path(), &format!("{name}/"), names);
        } else {
            names.insert(name);
        }
    }
}

fn files_in(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries
        .filter(|entry| !entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}
