//! The folder of files that people see. Every step goes through directory handles and follows no symbolic
//! link, so nothing outside the folder is ever touched, whatever somebody puts into it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, Stat, Timespec, Timestamps};
use rustix::io::Errno;

use super::disk::{Disk, DiskFile, DiskOp, Place, Synced};
use super::error::StoreError;

/// New files are made here and renamed into place. No valid name of a file contains a colon.
const TEMP_DIR: &str = ".swiftserve:new";

const DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Why a file could not be put into the folder or taken out. It is tried again at the next start, or when the
/// caller asks.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A symbolic link or a file stands where a folder is needed. It was left alone.
    #[error("{} is in the way: it is not a folder; move it away", path.display())]
    InTheWay {
        /// What stands there.
        path: PathBuf,
    },
    /// The system refused something.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

/// A relative path that cannot lead out of the folder.
pub(super) struct SafeName<'a> {
    whole: &'a str,
    dirs: Vec<&'a str>,
    leaf: &'a str,
}

impl<'a> SafeName<'a> {
    pub(super) fn parse(name: &'a str) -> Result<Self, StoreError> {
        let refuse = |reason| Err(StoreError::NameRefused { name: name.to_owned(), reason });
        let mut dirs: Vec<&str> = name.split('/').collect();
        if name.len() > 4096 {
            return refuse("it is longer than 4096 bytes");
        }
        if name.contains('\0') {
            return refuse("it contains a zero byte");
        }
        for part in &dirs {
            match *part {
                "" => return refuse("it is empty, absolute, or has an empty part"),
                "." | ".." => return refuse("it has a part that is `.` or `..`"),
                TEMP_DIR => return refuse("it is reserved"),
                part if part.len() > 255 => return refuse("it has a part longer than 255 bytes"),
                _ => {}
            }
        }
        let leaf = dirs.pop().unwrap_or_default();
        Ok(Self { whole: name, dirs, leaf })
    }

    /// The folders on the way to the file; none for a file right in the folder.
    pub(super) fn parent(&self) -> &'a str {
        self.whole.rsplit_once('/').map_or("", |(parent, _)| parent)
    }
}

/// What stands under a name, without following it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) is_file: bool,
    pub(super) len: u64,
    pub(super) mtime_ns: i64,
}

/// A complete file in the temporary folder, ready to be renamed into place.
pub(super) struct Ready {
    temp: String,
    _bytes: Bytes,
}

/// Why the bytes of a file are on the disk itself.
enum Bytes {
    /// They are those of an object that the index claims.
    OfObject,
    Own {
        _synced: Synced<()>,
    },
}

pub(super) struct Folder {
    disk: Disk,
    root: OwnedFd,
    path: PathBuf,
    temp: OwnedFd,
    objects: OwnedFd,
    objects_path: PathBuf,
    next_temp: u64,
    can_reflink: bool,
}

impl Folder {
    /// Opens the folder, makes it if there is none, and removes temporary files that a crash left in it.
    pub(super) fn open(path: &Path, objects_path: &Path, disk: &Disk) -> Result<Self, StoreError> {
        disk.make_dirs(path)?;
        let open = |dir: &Path| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::open(dir, flags, Mode::empty())
                .map_err(|errno| StoreError::io("open", dir)(errno.into()))
        };
        let (root, objects) = (open(path)?, open(objects_path)?);
        let temp_path = path.join(TEMP_DIR);
        let temp_error = |errno: Errno| match disk.check() {
            Err(stopped) => stopped,
            Ok(()) => StoreError::io("open", &temp_path)(errno.into()),
        };
        make_dir(disk, &root, TEMP_DIR, path).map_err(temp_error)?;
        let temp = rustix::fs::openat(&root, TEMP_DIR, DIR, Mode::empty()).map_err(temp_error)?;
        for entry in rustix::fs::Dir::read_from(&temp).map_err(temp_error)? {
            let entry = entry.map_err(temp_error)?;
            // Nobody but this store has a file here; folders are somebody's mistake and stay.
            let Ok(name) = entry.file_name().to_str() else { continue };
            let _ = unlink(disk, &temp, name);
        }
        let (path, objects_path) = (path.to_path_buf(), objects_path.to_path_buf());
        let disk = disk.clone();
        Ok(Self { disk, root, path, temp, objects, objects_path, next_temp: 0, can_reflink: true })
    }

    /// The folder a name's file is in, if all folders on the way are real ones.
    pub(super) fn parent(&self, name: &SafeName<'_>) -> Result<Option<OwnedFd>, FolderError> {
        match self.walk(name, Missing::Stop) {
            Ok(parent) => Ok(Some(parent)),
            Err((_, Errno::NOENT | Errno::NOTDIR | Errno::LOOP)) => Ok(None),
            Err((path, errno)) => Err(FolderError::Io { doing: "open", path, source: errno.into() }),
        }
    }

    /// The folder a name's file belongs in, made if need be.
    fn make_parent(&self, name: &SafeName<'_>) -> Result<OwnedFd, FolderError> {
        self.walk(name, Missing::Make).map_err(|(path, errno)| match errno {
            Errno::NOTDIR | Errno::LOOP => FolderError::InTheWay { path },
            errno => FolderError::Io { doing: "create", path, source: errno.into() },
        })
    }

    pub(super) fn look(&self, parent: &OwnedFd, name: &SafeName<'_>) -> Result<Option<Seen>, FolderError> {
        match rustix::fs::statat(parent, name.leaf, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(seen(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.error("examine", name, errno)),
        }
    }

    /// Makes a file with the content of an object: reflink, else read-only hard link, else copy. It gets the
    /// object's modification time, by which it is recognised later.
    pub(super) fn prepare(
        &mut self,
        object: &DiskFile,
        file_id: &str,
        mtime_ns: i64,
        name: &SafeName<'_>,
    ) -> Result<Ready, FolderError> {
        self.next_temp += 1;
        let temp = self.next_temp.to_string();
        if self.can_reflink {
            match self.reflink(object, &temp, mtime_ns) {
                Ok(synced) => return Ok(Ready { temp, _bytes: Bytes::Own { _synced: synced } }),
                Err(_) => {
                    self.can_reflink = false;
                    self.discard(&temp);
                }
            }
        }
        let op = DiskOp::Link(Place::In(&self.objects, file_id), Place::In(&self.temp, &temp));
        let linked = self.disk.change_at(&op, || {
            rustix::fs::linkat(&self.objects, file_id, &self.temp, &temp, AtFlags::empty())
        });
        if linked.is_ok() {
            return Ok(Ready { temp, _bytes: Bytes::OfObject });
        }
        let synced = self.copy(file_id, &temp, mtime_ns).map_err(|source| {
            self.discard(&temp);
            FolderError::Io { doing: "copy", path: self.path.join(name.whole), source }
        })?;
        Ok(Ready { temp, _bytes: Bytes::Own { _synced: synced } })
    }

    /// Renames a prepared file into place, over what stands there, and answers the folder it is in: the file is there
    /// for good when that was synchronised.
    pub(super) fn place(&self, ready: &Ready, name: &SafeName<'_>) -> Result<OwnedFd, FolderError> {
        let placed = self.make_parent(name).and_then(|parent| {
            let op = DiskOp::Rename(Place::In(&self.temp, &ready.temp), Place::In(&parent, name.leaf));
            let renamed = self
                .disk
                .change_at(&op, || rustix::fs::renameat(&self.temp, &ready.temp, &parent, name.leaf));
            match renamed {
                Ok(()) => Ok(parent),
                Err(errno) => Err(self.error("create", name, errno)),
            }
        });
        // Renaming one hard link over another of the same file does nothing and leaves both.
        self.discard(&ready.temp);
        placed
    }

    /// Makes renames in a folder durable.
    pub(super) fn sync(&self, parent: &OwnedFd) -> Result<(), Errno> {
        self.disk.sync_dir_at(parent, &self.path).map_err(|_| Errno::IO)
    }

    /// Removes a file, and the folders on the way to it that are empty then.
    pub(super) fn remove(&self, parent: &OwnedFd, name: &SafeName<'_>) -> Result<(), FolderError> {
        match unlink(&self.disk, parent, name.leaf) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(self.error("remove", name, errno)),
        }
        self.sync(parent).map_err(|errno| self.error("remove", name, errno))?;
        self.remove_empty_dirs(name);
        Ok(())
    }

    /// Renames what stands under a name to `NAME.local-TIME` and makes it the user's own; answers the new
    /// name.
    pub(super) fn set_aside(
        &self,
        parent: &OwnedFd,
        name: &SafeName<'_>,
        now_ms: u64,
    ) -> Result<String, FolderError> {
        let suffix = format!(".local-{}", utc(now_ms));
        for attempt in 1..1000 {
            let numbered = if attempt == 1 { suffix.clone() } else { format!("{suffix}-{attempt}") };
            let mut stem_len = name.leaf.len().min(255 - numbered.len());
            while !name.leaf.is_char_boundary(stem_len) {
                stem_len -= 1;
            }
            let aside = format!("{}{numbered}", &name.leaf[..stem_len]);
            match self.rename_to_free(parent, name.leaf, &aside) {
                Ok(()) => {
                    self.sync(parent).map_err(|errno| self.error("set aside", name, errno))?;
                    return Ok([&name.dirs[..], &[&aside]].concat().join("/"));
                }
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(self.error("set aside", name, errno)),
            }
        }
        Err(self.error("set aside", name, Errno::EXIST))
    }

    /// Renames within a folder without replacing anything, on file systems that cannot promise that too.
    fn rename_to_free(&self, parent: &OwnedFd, from: &str, to: &str) -> Result<(), Errno> {
        let rename = || match rustix::fs::renameat_with(parent, from, parent, to, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                match rustix::fs::statat(parent, to, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(_) => Err(Errno::EXIST),
                    Err(_) => rustix::fs::renameat(parent, from, parent, to),
                }
            }
            renamed => renamed,
        };
        self.disk.change_at(&DiskOp::Rename(Place::In(parent, from), Place::In(parent, to)), rename)
    }

    fn walk(&self, name: &SafeName<'_>, missing: Missing) -> Result<OwnedFd, (PathBuf, Errno)> {
        let mut path = self.path.clone();
        let mut dir = self.root.try_clone().map_err(|_| (path.clone(), Errno::MFILE))?;
        for part in &name.dirs {
            path.push(part);
            let mut next = rustix::fs::openat(&dir, *part, DIR, Mode::empty());
            if next.as_ref().is_err_and(|&errno| errno == Errno::NOENT) && missing == Missing::Make {
                make_dir(&self.disk, &dir, part, &path).map_err(|errno| (path.clone(), errno))?;
                next = rustix::fs::openat(&dir, *part, DIR, Mode::empty());
            }
            dir = next.map_err(|errno| (path.clone(), errno))?;
        }
        Ok(dir)
    }

    fn remove_empty_dirs(&self, name: &SafeName<'_>) {
        for depth in (0..name.dirs.len()).rev() {
            let above =
                SafeName { whole: name.whole, dirs: name.dirs[..depth].to_vec(), leaf: name.dirs[depth] };
            let Ok(Some(parent)) = self.parent(&above) else { return };
            // A folder that is not empty refuses, and so do all above it.
            let op = DiskOp::RemoveDir(Place::In(&parent, above.leaf));
            let removed =
                self.disk.change_at(&op, || rustix::fs::unlinkat(&parent, above.leaf, AtFlags::REMOVEDIR));
            if removed.is_err() {
                return;
            }
        }
    }

    fn create(&self, temp: &str) -> io::Result<DiskFile> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o644);
        let op = DiskOp::Create(Place::In(&self.temp, temp));
        let file = self.disk.change_at(&op, || rustix::fs::openat(&self.temp, temp, flags, mode))?;
        Ok(DiskFile::new(File::from(file), &self.disk))
    }

    fn reflink(&self, object: &DiskFile, temp: &str, mtime_ns: i64) -> io::Result<Synced<()>> {
        let file = self.create(temp)?;
        file.fill(|file| reflink_copy::reflink_file(object.as_source(), file))?;
        self.seal(&file, mtime_ns)
    }

    fn copy(&self, file_id: &str, temp: &str, mtime_ns: i64) -> io::Result<Synced<()>> {
        // A handle with a position of its own, which the shared one must keep.
        let mut source = File::open(self.objects_path.join(file_id))?;
        let file = self.create(temp)?;
        file.fill(|mut file| io::copy(&mut source, &mut file))?;
        self.seal(&file, mtime_ns)
    }

    fn seal(&self, file: &DiskFile, mtime_ns: i64) -> io::Result<Synced<()>> {
        file.set_attributes(|file| set_mtime(file, mtime_ns))?;
        file.sync_all(&self.path, ()).map_err(io::Error::other)
    }

    fn discard(&self, temp: &str) {
        let _ = unlink(&self.disk, &self.temp, temp);
    }

    pub(super) fn error(&self, doing: &'static str, name: &SafeName<'_>, errno: Errno) -> FolderError {
        FolderError::Io { doing, path: self.path.join(name.whole), source: errno.into() }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Make,
    Stop,
}

fn unlink(disk: &Disk, parent: &OwnedFd, name: &str) -> Result<(), Errno> {
    let op = DiskOp::Remove(Place::In(parent, name));
    disk.change_at(&op, || rustix::fs::unlinkat(parent, name, AtFlags::empty()))
}

fn make_dir(disk: &Disk, parent: &OwnedFd, name: &str, path: &Path) -> Result<(), Errno> {
    let op = DiskOp::MakeDir(Place::In(parent, name));
    match disk.change_at(&op, || rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))) {
        Ok(()) => disk.sync_dir_at(parent, path).map_err(|_| Errno::IO),
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn set_mtime(file: &File, mtime_ns: i64) -> io::Result<()> {
    let time =
        Timespec { tv_sec: mtime_ns.div_euclid(1_000_000_000), tv_nsec: mtime_ns.rem_euclid(1_000_000_000) };
    Ok(rustix::fs::futimens(file, &Timestamps { last_access: time, last_modification: time })?)
}

#[allow(clippy::unnecessary_cast, reason = "the widths of these fields differ between machines")]
fn seen(stat: &Stat) -> Seen {
    Seen {
        is_file: rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile,
        len: u64::try_from(stat.st_size).unwrap_or(0),
        mtime_ns: (stat.st_mtime as i64)
            .saturating_mul(1_000_000_000)
            .saturating_add(i64::try_from(stat.st_mtime_nsec as u64).unwrap_or(0)),
    }
}

/// A time as `20251122T113800Z`, which every file system takes in a name.
fn utc(now_ms: u64) -> String {
    let seconds = now_ms / 1000;
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    // Years counted from March, so that the leap day comes last: 400 of them have 146,097 days.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + next_year;
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", time / 3600, time / 60 % 60, time % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for bad in ["", "/", "/etc/x", "a//b", "a/", "../x", "a/../../x", "./a", "a/.", "a\0b", TEMP_DIR] {
            assert!(SafeName::parse(bad).is_err(), "{bad:?}");
        }
        assert!(SafeName::parse(&"a/".repeat(3000)).is_err());
        assert!(SafeName::parse(&"a".repeat(256)).is_err());
        for good in ["a", "a/b/c.txt", ".hidden", "..a", "\u{e9}t\u{e9}"] {
            assert!(SafeName::parse(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(utc(0), "19700101T000000Z");
        assert_eq!(utc(951_782_400_000), "20000229T000000Z");
        assert_eq!(utc(1_763_811_489_123), "20251122T113809Z");
        assert_eq!(utc(4_102_444_799_000), "20991231T235959Z");
    }
}
