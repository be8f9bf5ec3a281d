//! Rules of names and files.

use super::{AlreadyTrue, BlockContext, JudgeError, Rejection};
use crate::{
    hash::Hash,
    identity::NodeId,
    limits::FILE_LEN_MAX,
    name::FileName,
    state::{AuthorRecord, Change, FileRecord, Member, StateView},
    transaction::{FileEntry, Role},
};

pub(super) fn add(
    state: &dyn StateView,
    block: BlockContext,
    author: NodeId,
    member: &Member,
    entry: &FileEntry,
    replaces: Option<&Hash>,
) -> Result<Vec<Change>, JudgeError> {
    if entry.size > FILE_LEN_MAX {
        return Err(Rejection::FileTooLarge { size: entry.size }.into());
    }
    let key = entry.name.key();
    let live = state.file(&key)?;
    match (&live, replaces) {
        (Some(live), _) if is_same(live, author, entry) => {
            let (name, height) = (entry.name.clone(), live.height);
            return Err(Rejection::AlreadyTrue(AlreadyTrue::Published { name, height }).into());
        }
        (Some(live), None) => return Err(taken(live).into()),
        // A replacement keeps the spelling; another spelling is another name, which is taken.
        (Some(live), Some(_)) if live.entry.name != entry.name => return Err(taken(live).into()),
        (Some(live), Some(expected)) => may_change(live, author, member, expected)?,
        (None, Some(_)) => return Err(Rejection::NoSuchFile { name: entry.name.clone() }.into()),
        (None, None) => no_directory(state, entry)?,
    }

    let mut counters = Counters::default();
    if let Some(live) = &live {
        counters.take(state, live)?;
    }
    counters.give(state, author, entry)?;
    let file =
        FileRecord { entry: entry.clone(), publisher: author, height: block.height, time_ms: block.time_ms };
    let mut changes = counters.0;
    changes.push(Change::File { key, file: Some(file) });
    Ok(changes)
}

pub(super) fn remove(
    state: &dyn StateView,
    author: NodeId,
    member: &Member,
    name: &FileName,
    file_id: &Hash,
) -> Result<Vec<Change>, JudgeError> {
    let key = name.key();
    let live = state.file(&key)?.filter(|live| live.entry.name == *name);
    let live = live.ok_or_else(|| Rejection::NoSuchFile { name: name.clone() })?;
    may_change(&live, author, member, file_id)?;
    let mut counters = Counters::default();
    counters.take(state, &live)?;
    let mut changes = counters.0;
    changes.push(Change::File { key, file: None });
    Ok(changes)
}

fn is_same(live: &FileRecord, author: NodeId, entry: &FileEntry) -> bool {
    live.publisher == author && live.entry == *entry
}

fn taken(live: &FileRecord) -> Rejection {
    let (name, publisher) = (live.entry.name.clone(), live.publisher);
    Rejection::NameTaken { name, publisher, file_id: live.file_id() }
}

/// Publisher or admin, and the content is the one they mean.
fn may_change(live: &FileRecord, author: NodeId, member: &Member, expected: &Hash) -> Result<(), Rejection> {
    let name = live.entry.name.clone();
    if live.publisher != author && member.role != Role::Admin {
        return Err(Rejection::NotThePublisher { name, publisher: live.publisher });
    }
    if live.file_id() != *expected {
        return Err(Rejection::ContentChanged { name, expected: *expected, current: live.file_id() });
    }
    Ok(())
}

/// No live name is a directory above the new one, and none lies below it.
fn no_directory(state: &dyn StateView, entry: &FileEntry) -> Result<(), JudgeError> {
    let key = entry.name.key();
    let mut in_the_way = state.file_below(&key, None)?;
    for directory in key.directories() {
        in_the_way = match in_the_way {
            Some(live) => Some(live),
            None => state.file(&directory)?,
        };
    }
    match in_the_way {
        Some(live) => {
            let (name, live) = (entry.name.clone(), live.entry.name);
            Err(Rejection::NameIsDirectory { name, live }.into())
        }
        None => Ok(()),
    }
}

/// The authors' counters that one transaction changes, each author once.
#[derive(Default)]
struct Counters(Vec<Change>);

impl Counters {
    fn take(&mut self, state: &dyn StateView, live: &FileRecord) -> Result<(), JudgeError> {
        let record = self.record(state, live.publisher)?;
        record.live_files = record.live_files.saturating_sub(1);
        record.live_bytes = record.live_bytes.saturating_sub(live.entry.size);
        Ok(())
    }

    fn give(&mut self, state: &dyn StateView, node: NodeId, entry: &FileEntry) -> Result<(), JudgeError> {
        let params = state.params()?;
        let record = self.record(state, node)?;
        let live = record.live_files.saturating_add(1);
        if live > params.live_files_per_author_max {
            let (live, max) = (record.live_files, params.live_files_per_author_max);
            return Err(Rejection::TooManyFiles { node, live, max }.into());
        }
        let bytes = record.live_bytes.saturating_add(entry.size);
        if bytes > params.live_bytes_per_author_max {
            let max = params.live_bytes_per_author_max;
            return Err(Rejection::TooManyBytes { node, live: bytes, max }.into());
        }
        record.live_files = live;
        record.live_bytes = bytes;
        Ok(())
    }

    fn record(&mut self, state: &dyn StateView, of: NodeId) -> Result<&mut AuthorRecord, JudgeError> {
        let known =
            self.0.iter().position(|change| matches!(change, Change::Author { node, .. } if *node == of));
        let at = match known {
            Some(at) => at,
            None => {
                self.0.push(Change::Author { node: of, record: state.author(&of)? });
                self.0.len() - 1
            }
        };
        match &mut self.0[at] {
            Change::Author { record, .. } => Ok(record),
            _ => unreachable!("only author records are counted"),
        }
    }
}
