//! Writes down everything that a store does to its directory, and what it had acknowledged by then.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use swift_chunks::{DiskOp, DiskWatcher, Place};

use crate::world::Acknowledged;

/// A number for each file, whatever names it has.
pub(crate) type Inode = usize;

/// Paths are below the data folder.
#[derive(Debug)]
pub(crate) enum Change {
    Name { path: PathBuf, inode: Inode },
    Remove { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf, inode: Inode },
    MakeDir { path: PathBuf },
    RemoveDir { path: PathBuf },
    Write { inode: Inode, at: u64, bytes: Bytes },
    SetLen { inode: Inode, len: u64 },
    Attributes { inode: Inode, mode: u32, mtime_ns: i64 },
}

#[derive(Debug)]
pub(crate) enum Step {
    Change(Change),
    /// What the disk did to itself: a bit at this offset is another.
    Rot {
        inode: Inode,
        at: u64,
    },
    SyncData(Inode),
    SyncAll(Inode),
    SyncDir(PathBuf),
    /// The database and its log as they stand on the disk. SQLite promises that with a write-ahead log and
    /// `synchronous=FULL` a commit is one step, and durable when it ends.
    Commit(Arc<IndexFiles>),
    Acknowledge(Arc<Acknowledged>),
}

#[derive(Debug)]
pub(crate) struct IndexFiles(pub(crate) Vec<(&'static str, Bytes)>);

pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} bytes", self.0.len())
    }
}

pub(crate) struct Recorder {
    root: PathBuf,
    state: Mutex<State>,
}

struct State {
    steps: Vec<Step>,
    /// Steps before this one are durable.
    base: usize,
    by_number: HashMap<u64, Inode>,
    names: HashMap<PathBuf, Inode>,
    attributes: Vec<(u32, i64)>,
    acknowledged: Acknowledged,
    /// Synchronisations and commits until one fails.
    until_failure: Option<usize>,
}

pub(crate) struct Record {
    pub(crate) steps: Vec<Step>,
    pub(crate) base: usize,
}

impl Recorder {
    /// Takes what stands in a directory, where no store is running, as durable.
    pub(crate) fn new(root: &Path, acknowledged: Acknowledged, until_failure: Option<usize>) -> Arc<Self> {
        let mut state = State {
            steps: Vec::new(),
            base: 0,
            by_number: HashMap::new(),
            names: HashMap::new(),
            attributes: Vec::new(),
            acknowledged: acknowledged.clone(),
            until_failure,
        };
        let root = fs::canonicalize(root).unwrap();
        state.scan(&root, &root);
        state.snapshot(&root);
        state.steps.push(Step::Acknowledge(Arc::new(acknowledged)));
        state.base = state.steps.len();
        Arc::new(Self { root, state: Mutex::new(state) })
    }

    /// What the store has told its caller by now, or what it is relieved of because the caller asks for a change.
    pub(crate) fn acknowledge(&self, change: impl FnOnce(&mut Acknowledged)) {
        let mut state = self.state.lock().unwrap();
        change(&mut state.acknowledged);
        let acknowledged = Arc::new(state.acknowledged.clone());
        state.steps.push(Step::Acknowledge(acknowledged));
    }

    /// Flips a bit, which no clock notices.
    pub(crate) fn rot(&self, path: &Path, at: u64) {
        crate::rot::flip(&self.root.join(path), at, 0);
        let mut state = self.state.lock().unwrap();
        let inode = state.names[path];
        state.steps.push(Step::Rot { inode, at });
    }

    /// Gives a file another time, as a user may. It is on the disk at once.
    pub(crate) fn touch(&self, path: &Path, now_ms: u64) {
        let file = File::open(self.root.join(path)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_millis(now_ms)).unwrap();
        let mut state = self.state.lock().unwrap();
        state.note_attributes(&file);
        let inode = state.inode(&file);
        state.steps.push(Step::SyncAll(inode));
    }

    /// Whether the failure that was asked for has come.
    pub(crate) fn has_failed(&self) -> bool {
        self.state.lock().unwrap().until_failure == Some(0)
    }

    pub(crate) fn take(&self) -> Record {
        let mut state = self.state.lock().unwrap();
        Record { steps: std::mem::take(&mut state.steps), base: state.base }
    }

    fn path(&self, place: &Place<'_>) -> PathBuf {
        match place {
            Place::Path(path) => self.below_root(path),
            Place::In(dir, name) => self.dir(*dir).join(name),
        }
    }

    fn dir(&self, dir: &dyn AsFd) -> PathBuf {
        let fd = dir.as_fd().as_raw_fd();
        self.below_root(&fs::read_link(format!("/proc/self/fd/{fd}")).unwrap())
    }

    fn below_root(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root)
            .unwrap_or_else(|_| panic!("{} is elsewhere", path.display()))
            .to_path_buf()
    }
}

impl DiskWatcher for Recorder {
    fn run(&self, op: &DiskOp<'_>, action: &mut dyn FnMut() -> io::Result<()>) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        let is_durability =
            matches!(op, DiskOp::SyncData(_) | DiskOp::SyncAll(_) | DiskOp::SyncDir(_) | DiskOp::Commit);
        if let Some(left) = state.until_failure.as_mut().filter(|_| is_durability) {
            *left = left.checked_sub(1).expect("nothing is synchronised after a failure");
            if *left == 0 {
                return Err(io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error()));
            }
        }
        action()?;
        match op {
            DiskOp::Create(place) => state.create(&self.root, self.path(place)),
            DiskOp::Link(from, to) => {
                let inode = state.names[&self.path(from)];
                state.name(self.path(to), inode);
            }
            DiskOp::Rename(from, to) => state.rename(self.path(from), self.path(to)),
            DiskOp::Remove(place) => {
                let path = self.path(place);
                state.names.remove(&path);
                state.push(Change::Remove { path });
            }
            DiskOp::MakeDir(place) => state.push(Change::MakeDir { path: self.path(place) }),
            DiskOp::RemoveDir(place) => state.push(Change::RemoveDir { path: self.path(place) }),
            DiskOp::Write(file, bytes, at) => state.write(file, bytes, *at),
            DiskOp::Fill(file) => {
                let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
                file.read_exact_at(&mut bytes, 0).unwrap();
                state.write(file, &bytes, 0);
            }
            DiskOp::SetLen(file, len) => {
                let inode = state.inode(file);
                state.push(Change::SetLen { inode, len: *len });
                state.note_attributes(file);
            }
            DiskOp::SetAttributes(file) => state.note_attributes(file),
            DiskOp::SyncData(file) => {
                let inode = state.inode(file);
                state.steps.push(Step::SyncData(inode));
            }
            DiskOp::SyncAll(file) => {
                let inode = state.inode(file);
                state.steps.push(Step::SyncAll(inode));
            }
            DiskOp::SyncDir(dir) => {
                let dir = self.dir(*dir);
                state.steps.push(Step::SyncDir(dir));
            }
            DiskOp::Commit => state.snapshot(&self.root),
        }
        Ok(())
    }
}

impl State {
    fn push(&mut self, change: Change) {
        self.steps.push(Step::Change(change));
    }

    fn inode(&self, file: &File) -> Inode {
        self.by_number[&file.metadata().unwrap().ino()]
    }

    fn name(&mut self, path: PathBuf, inode: Inode) {
        self.names.insert(path.clone(), inode);
        self.push(Change::Name { path, inode });
    }

    fn create(&mut self, root: &Path, path: PathBuf) {
        if let Some(&inode) = self.names.get(&path) {
            return self.push(Change::SetLen { inode, len: 0 });
        }
        let inode = self.attributes.len();
        let file = File::open(root.join(&path)).unwrap();
        self.by_number.insert(file.metadata().unwrap().ino(), inode);
        self.attributes.push((0, 0));
        self.name(path, inode);
        self.note_attributes(&file);
    }

    fn rename(&mut self, from: PathBuf, to: PathBuf) {
        let inode = self.names[&from];
        // Renaming one name of a file over another does nothing.
        if self.names.get(&to) == Some(&inode) {
            return;
        }
        self.names.remove(&from);
        self.names.insert(to.clone(), inode);
        self.push(Change::Rename { from, to, inode });
    }

    fn write(&mut self, file: &File, bytes: &[u8], at: u64) {
        let inode = self.inode(file);
        self.push(Change::Write { inode, at, bytes: Bytes(bytes.to_vec()) });
        self.note_attributes(file);
    }

    fn note_attributes(&mut self, file: &File) {
        let (inode, metadata) = (self.inode(file), file.metadata().unwrap());
        let now = (metadata.mode() & 0o7777, crate::rot::mtime_ns(&metadata));
        if std::mem::replace(&mut self.attributes[inode], now) != now {
            self.push(Change::Attributes { inode, mode: now.0, mtime_ns: now.1 });
        }
    }

    fn snapshot(&mut self, root: &Path) {
        let read = |name| fs::read(root.join("content").join(name)).ok().map(|bytes| (name, Bytes(bytes)));
        let files: Vec<_> = ["index.db", "index.db-wal"].into_iter().filter_map(read).collect();
        if !files.is_empty() {
            self.steps.push(Step::Commit(Arc::new(IndexFiles(files))));
        }
    }

    fn scan(&mut self, root: &Path, dir: &Path) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let below = path.strip_prefix(root).unwrap().to_path_buf();
            if path.is_dir() {
                self.push(Change::MakeDir { path: below });
                self.scan(root, &path);
            } else if !below.starts_with("content/index.db") && is_of_store(&below) {
                let file = File::open(&path).unwrap();
                let number = file.metadata().unwrap().ino();
                if let Some(&inode) = self.by_number.get(&number) {
                    self.name(below, inode);
                    continue;
                }
                self.create(root, below);
                self.write(&file, &fs::read(&path).unwrap(), 0);
            }
        }
    }
}

/// The lock and the index are not files that the store writes.
fn is_of_store(below: &Path) -> bool {
    let name = below.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    !(below.starts_with("content") && (name == "lock" || name.starts_with("index.db")))
}
