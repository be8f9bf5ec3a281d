//! What may stand on the disk after a crash.

use std::collections::{BTreeMap, BTreeSet, hash_map::DefaultHasher};
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use crate::record::{Change, IndexFiles, Inode, Record, Step};
use crate::world::Acknowledged;

/// What became of a change that no synchronisation covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fate {
    Dropped,
    /// The length is there, and this half of the bytes; the other reads as zeros.
    FirstHalf,
    SecondHalf,
}

/// A crash after so many steps, in which some of the changes had these fates.
#[derive(Clone, Debug)]
pub(crate) struct Crash {
    pub(crate) after: usize,
    pub(crate) fates: Vec<(usize, Fate)>,
}

impl Record {
    /// Every prefix, and of each every way in which at most two changes that were not durable were dropped or torn.
    pub(crate) fn crashes(&self) -> impl Iterator<Item = Crash> + '_ {
        (self.base..=self.steps.len()).flat_map(|after| self.crashes_after(after))
    }

    pub(crate) fn crashes_after(&self, after: usize) -> Vec<Crash> {
        let pending = self.pending(after);
        let fates = |at: usize| match self.steps[at] {
            Step::Change(Change::Write { .. }) => &[Fate::Dropped, Fate::FirstHalf, Fate::SecondHalf][..],
            _ => &[Fate::Dropped],
        };
        let mut crashes = vec![Crash { after, fates: Vec::new() }];
        for (place, &first) in pending.iter().enumerate() {
            for &fate in fates(first) {
                crashes.push(Crash { after, fates: vec![(first, fate)] });
                for &second in &pending[place + 1..] {
                    let both = |&other| Crash { after, fates: vec![(first, fate), (second, other)] };
                    crashes.extend(fates(second).iter().map(both));
                }
            }
        }
        crashes
    }

    /// The changes that no synchronisation has made durable by then.
    fn pending(&self, after: usize) -> Vec<usize> {
        let mut pending: Vec<usize> = Vec::new();
        for (at, step) in self.steps[..after].iter().enumerate().skip(self.base) {
            match step {
                Step::Change(_) => pending.push(at),
                Step::SyncData(file) => pending.retain(|&at| match self.steps[at] {
                    Step::Change(Change::Write { inode, .. } | Change::SetLen { inode, .. }) => {
                        inode != *file
                    }
                    _ => true,
                }),
                Step::SyncAll(file) => pending.retain(|&at| match self.steps[at] {
                    Step::Change(
                        Change::Write { inode, .. }
                        | Change::SetLen { inode, .. }
                        | Change::Attributes { inode, .. },
                    ) => inode != *file,
                    _ => true,
                }),
                Step::SyncDir(dir) => pending.retain(|&at| match &self.steps[at] {
                    Step::Change(
                        Change::Name { path, .. }
                        | Change::Remove { path }
                        | Change::Rename { to: path, .. }
                        | Change::MakeDir { path }
                        | Change::RemoveDir { path },
                    ) => path.parent() != Some(dir),
                    _ => true,
                }),
                Step::Commit(_) | Step::Acknowledge(_) | Step::Rot { .. } => {}
            }
        }
        pending
    }

    pub(crate) fn image(&self, crash: &Crash) -> Image<'_> {
        let mut image = Image::default();
        for (at, step) in self.steps[..crash.after].iter().enumerate() {
            let fate = crash.fates.iter().find(|(change, _)| *change == at).map(|(_, fate)| *fate);
            match step {
                Step::Change(_) if fate == Some(Fate::Dropped) => {}
                Step::Change(change) => image.apply(at, change, fate),
                Step::Rot { inode, at } => image.node(*inode).content.push(Content::Rot(*at)),
                Step::Commit(files) => image.index = Some(Arc::clone(files)),
                Step::Acknowledge(acknowledged) => image.acknowledged = Some(Arc::clone(acknowledged)),
                Step::SyncData(_) | Step::SyncAll(_) | Step::SyncDir(_) => {}
            }
        }
        image
    }
}

/// A directory tree that shares its bytes with the record.
#[derive(Default)]
pub(crate) struct Image<'a> {
    dirs: BTreeSet<&'a Path>,
    names: BTreeMap<&'a Path, Inode>,
    inodes: BTreeMap<Inode, Node>,
    index: Option<Arc<IndexFiles>>,
    pub(crate) acknowledged: Option<Arc<Acknowledged>>,
}

#[derive(Default, Hash)]
struct Node {
    content: Vec<Content>,
    mode: u32,
    mtime_ns: i64,
}

#[derive(Hash)]
enum Content {
    /// The bytes of this step, or half of them.
    Write(usize, Option<Fate>),
    SetLen(u64),
    Rot(u64),
}

impl<'a> Image<'a> {
    fn apply(&mut self, at: usize, change: &'a Change, fate: Option<Fate>) {
        match change {
            Change::Name { path, inode } => {
                self.node(*inode);
                self.names.insert(path, *inode);
            }
            Change::Remove { path } => {
                self.names.remove(&**path);
            }
            Change::Rename { from, to, inode } => {
                self.node(*inode);
                self.names.remove(&**from);
                self.names.insert(to, *inode);
            }
            Change::MakeDir { path } => {
                self.dirs.insert(path);
            }
            Change::RemoveDir { path } => {
                self.dirs.remove(&**path);
            }
            Change::Write { inode, .. } => self.node(*inode).content.push(Content::Write(at, fate)),
            Change::SetLen { inode, len } => self.node(*inode).content.push(Content::SetLen(*len)),
            Change::Attributes { inode, mode, mtime_ns } => {
                let node = self.node(*inode);
                (node.mode, node.mtime_ns) = (*mode, *mtime_ns);
            }
        }
    }

    fn node(&mut self, inode: Inode) -> &mut Node {
        self.inodes.entry(inode).or_default()
    }

    /// What cannot be reached does not exist.
    fn is_reachable(&self, path: &Path) -> bool {
        path.ancestors().skip(1).all(|above| above.as_os_str().is_empty() || self.dirs.contains(above))
    }

    /// Two images with the same number are the same directory after the same acknowledgements.
    pub(crate) fn number(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for dir in self.dirs.iter().filter(|dir| self.is_reachable(dir)) {
            dir.hash(&mut hasher);
        }
        for (path, inode) in self.names.iter().filter(|(path, _)| self.is_reachable(path)) {
            (path, inode, &self.inodes.get(inode)).hash(&mut hasher);
        }
        self.index.as_ref().map(Arc::as_ptr).hash(&mut hasher);
        self.acknowledged.as_ref().map(Arc::as_ptr).hash(&mut hasher);
        hasher.finish()
    }

    /// Makes the directory tree.
    pub(crate) fn make(&self, record: &Record, root: &Path) {
        for dir in self.dirs.iter().filter(|dir| self.is_reachable(dir)) {
            fs::create_dir(root.join(dir)).unwrap();
        }
        let mut made: BTreeMap<Inode, PathBuf> = BTreeMap::new();
        for (path, inode) in self.names.iter().filter(|(path, _)| self.is_reachable(path)) {
            let path = root.join(path);
            match made.get(inode) {
                Some(other) => fs::hard_link(other, &path).unwrap(),
                None => {
                    self.inodes[inode].make(record, &path);
                    made.insert(*inode, path);
                }
            }
        }
        if let Some(index) = self.index.as_ref().filter(|_| self.dirs.contains(Path::new("content"))) {
            for (name, bytes) in &index.0 {
                fs::write(root.join("content").join(name), &bytes.0).unwrap();
            }
        }
    }
}

impl Node {
    fn make(&self, record: &Record, path: &Path) {
        let file = fs::OpenOptions::new().write(true).read(true).create_new(true).open(path).unwrap();
        for content in &self.content {
            match content {
                Content::Write(step, fate) => {
                    let Step::Change(Change::Write { at, bytes, .. }) = &record.steps[*step] else {
                        panic!("step {step} is no write")
                    };
                    write(&file, &bytes.0, *at, *fate);
                }
                Content::SetLen(len) => file.set_len(*len).unwrap(),
                Content::Rot(at) => crate::rot::flip(path, *at, 0),
            }
        }
        let time = UNIX_EPOCH + Duration::from_nanos(self.mtime_ns.max(0) as u64);
        file.set_modified(time).unwrap();
        file.set_permissions(fs::Permissions::from_mode(if self.mode == 0 { 0o644 } else { self.mode }))
            .unwrap();
    }
}

fn write(file: &fs::File, bytes: &[u8], at: u64, fate: Option<Fate>) {
    let half = bytes.len() / 2;
    let (at, bytes, end) = match fate {
        Some(Fate::Dropped) => return,
        Some(Fate::FirstHalf) => (at, &bytes[..half], at + bytes.len() as u64),
        Some(Fate::SecondHalf) => (at + half as u64, &bytes[half..], 0),
        None => (at, bytes, 0),
    };
    file.write_all_at(bytes, at).unwrap();
    if file.metadata().unwrap().len() < end {
        file.set_len(end).unwrap();
    }
}
