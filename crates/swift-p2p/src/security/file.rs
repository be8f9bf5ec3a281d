//! The log on disk: lines of JSON, in files that take turns.
//!
//! An event is written when it happens first, and once more when it is over and was counted several times: of lines with one
//! id the last one counts. A line is no promise to anybody, so nothing is synchronised.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use tracing::warn;

use super::SecurityEvent;

/// Bytes of one file, and how many there are.
const LEN_MAX: u64 = 4 << 20;
const FILES: u32 = 4;
/// Bytes of a line.
const LINE_MAX: usize = 8 << 10;

/// The file that is written.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    len: u64,
    len_max: u64,
    is_failing: bool,
}

impl Journal {
    /// Opens the file or makes it, and reads what the last two hold.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<SecurityEvent>)> {
        let mut past = BTreeMap::new();
        for path in [numbered(path, 1), path.to_owned()] {
            read(&path, &mut past)?;
        }
        let file = create(path)?;
        let len = file.metadata()?.size();
        let mut journal = Self { path: path.to_owned(), file, len, len_max: LEN_MAX, is_failing: false };
        if len > 0 {
            // What a crash cut off ends here.
            journal.append(b"\n");
        }
        Ok((journal, past.into_values().collect()))
    }

    /// Writes a line. A failure is told once, and the next line is tried again.
    pub(super) fn write(&mut self, event: &SecurityEvent) {
        // Numbers and texts: nothing that JSON could not hold.
        let mut line = serde_json::to_vec(event).unwrap_or_default();
        line.push(b'\n');
        if self.len + line.len() as u64 > self.len_max
            && let Err(error) = self.rotate()
        {
            self.fail(&error);
        }
        self.append(&line);
    }

    fn append(&mut self, bytes: &[u8]) {
        match self.file.write_all(bytes) {
            Ok(()) => (self.len, self.is_failing) = (self.len + bytes.len() as u64, false),
            Err(error) => self.fail(&error),
        }
    }

    fn fail(&mut self, error: &io::Error) {
        if !self.is_failing {
            warn!(path = %self.path.display(), %error, "the security log cannot be written");
        }
        self.is_failing = true;
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..FILES).rev() {
            let from = if number == 1 { self.path.clone() } else { numbered(&self.path, number - 1) };
            match fs::rename(from, numbered(&self.path, number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.file = create(&self.path)?;
        self.len = 0;
        Ok(())
    }
}

fn create(path: &Path) -> io::Result<File> {
    // Nobody else is to see who came when.
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// Reads the lines that are events; others are passed over.
fn read(path: &Path, into: &mut BTreeMap<u64, SecurityEvent>) -> io::Result<()> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let mut lines = BufReader::new(file.take(2 * LEN_MAX));
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        if line.len() <= LINE_MAX
            && let Ok(event) = serde_json::from_slice::<SecurityEvent>(&line)
        {
            into.insert(event.id, event);
        }
        line.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::SecurityKind, *};

    fn event(id: u64, count: u64) -> SecurityEvent {
        let (who, detail) = ("10.0.0.1".to_owned(), "x".repeat(100));
        SecurityEvent { id, time_ms: id, last_ms: id, kind: SecurityKind::BadToken, who, detail, count }
    }

    #[test]
    fn a_log_goes_on_after_a_crash_and_the_last_word_on_an_event_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("security.log");
        let (mut journal, past) = Journal::open(&path).unwrap();
        assert!(past.is_empty());
        for event in [event(1, 1), event(2, 1), event(1, 7)] {
            journal.write(&event);
        }
        journal.append(b"{\"id\":3,\"time_");
        drop(journal);
        let (mut journal, past) = Journal::open(&path).unwrap();
        assert_eq!(past, [event(1, 7), event(2, 1)]);
        journal.write(&event(3, 1));
        drop(journal);
        assert_eq!(Journal::open(&path).unwrap().1, [event(1, 7), event(2, 1), event(3, 1)]);
    }

    #[test]
    fn files_take_turns_and_their_number_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("security.log");
        let mut journal = Journal { len_max: 1000, ..Journal::open(&path).unwrap().0 };
        for id in 0..200 {
            journal.write(&event(id, 1));
        }
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["security.log", "security.log.1", "security.log.2", "security.log.3"]);
        for name in names {
            let file = fs::metadata(folder.path().join(name)).unwrap();
            assert!(file.len() <= 1000 && file.mode() & 0o077 == 0);
        }
        assert_eq!(Journal::open(&path).unwrap().1.last(), Some(&event(199, 1)));
    }
}
