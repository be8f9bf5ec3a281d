//! What may stand on the disk after a crash.

use std::collections::{BTreeMap, BTreeSet, hash_map::DefaultHasher};
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::os::unix::fs::PermissionsExt as _;
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
                    Step::Change(Change::Write { inode, .. } | Change::SetLen { inode, .. }) => inode != *file,
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
                Step::Change(change) => image.apply(change, fate),
                Step::Rot { inode, at } => {
                    image.inodes.entry(*inode).or_default().content.push(Content::Rot(*at));
                }
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
    inodes: BTreeMap<Inode, Node<'a>>,
    index: Option<Arc<IndexFiles>>,
    pub(crate) acknowledged: Option<Arc<Acknowledged>>,
}

#[derive(Default)]
struct Node<'a> {
    content: Vec<Content<'a>>,
    mode: u32,
    mtime_ns: i64,
}

#[derive(Hash)]
enum Content<'a> {
    Bytes { at: u64, start: *const u8, len: usize, #[expect(dead_code, reason = "read through `bytes`")] of: Ignored<'a> },
    SetLen(u64),
    AtLeast(u64),
    Rot(u64),
}
