//! Judging an imported state frame by frame, as it comes.

use std::collections::{BTreeMap, BTreeSet};

use super::SnapshotFrame;
use crate::{
    address::Address,
    genesis::Genesis,
    hash::Hash,
    identity::NodeId,
    limits::FILE_LEN_MAX,
    merkle,
    name::NameKey,
    state::{AuthorRecord, Change, FileRecord, Member},
    transaction::Role,
};

/// Why an imported state is not the one that a genesis block names, or not one that a network can begin with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// More frames than the genesis block names; any frame at all, where it names none.
    #[error("the imported state has more parts than the {frames} that the genesis block names")]
    TooMany {
        /// What it names.
        frames: u32,
    },
    /// Fewer frames than the genesis block names.
    #[error("the imported state ends after {found} of {frames} parts")]
    CutShort {
        /// What came.
        found: u32,
        /// What the genesis block names.
        frames: u32,
    },
    /// A record breaks a rule.
    #[error("part {frame} of the imported state: {reason}")]
    Record {
        /// In which frame, from 0.
        frame: u32,
        /// Which rule.
        reason: &'static str,
    },
    /// The founder is no admin in it, or is dialled elsewhere.
    #[error(
        "by the imported state, {0} is no admin with the address in the genesis block, so it cannot found the network anew"
    )]
    Founder(NodeId),
    /// An author has not as many live files as its counters say.
    #[error("in the imported state, the counters of {0} are not those of its files")]
    Counters(NodeId),
    /// It is another state.
    #[error("the imported state is not the one that the genesis block names")]
    Root,
}

/// Where in the order of records: variants, then keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Member(NodeId),
    Removed(NodeId),
    Author(NodeId),
    File(NameKey),
}

/// Judges the frames of an imported state. Holds what is needed to judge the next one, never the files.
#[derive(Debug)]
pub struct SnapshotCheck {
    state: Hash,
    frames: u32,
    founder: NodeId,
    address: Address,
    time_ms: u64,
    leaves: Vec<Hash>,
    last: Option<Place>,
    members: BTreeSet<NodeId>,
    founder_is_admin: bool,
    /// What each author's counters say, and what its files add up to so far.
    authors: BTreeMap<NodeId, (AuthorRecord, AuthorRecord)>,
    /// Of the names so far those that the last one begins with, the shortest first: one of them may be a directory
    /// above the next name.
    prefixes: Vec<NameKey>,
}

impl SnapshotCheck {
    /// For the state that this genesis block imports, if any.
    pub fn new(genesis: &Genesis) -> Self {
        let body = genesis.body();
        Self {
            state: body.origin.map_or(Hash::default(), |origin| origin.state),
            frames: body.origin.map_or(0, |origin| origin.frames),
            founder: body.founder,
            address: body.address.clone(),
            time_ms: body.time_ms,
            leaves: Vec::new(),
            last: None,
            members: BTreeSet::new(),
            founder_is_admin: false,
            authors: BTreeMap::new(),
            prefixes: Vec::new(),
        }
    }

    /// Whether every frame has come.
    pub fn is_whole(&self) -> bool {
        self.found() == self.frames
    }

    /// Takes the next frame. After an error there is nothing to go on with.
    pub fn push(&mut self, frame: &SnapshotFrame) -> Result<(), SnapshotError> {
        if self.is_whole() {
            return Err(SnapshotError::TooMany { frames: self.frames });
        }
        let index = self.found();
        let wrong = |reason| SnapshotError::Record { frame: index, reason };
        if frame.changes().is_empty() {
            return Err(wrong("it is empty"));
        }
        for change in frame.changes() {
            self.record(change).map_err(wrong)?;
        }
        self.leaves.push(frame.leaf());
        Ok(())
    }

    /// Ends: all of it came, it is the state that was meant, and a network can begin with it.
    pub fn finish(self) -> Result<(), SnapshotError> {
        if !self.is_whole() {
            return Err(SnapshotError::CutShort { found: self.found(), frames: self.frames });
        }
        if self.frames == 0 {
            return Ok(());
        }
        if merkle::root_of(&self.leaves) != self.state {
            return Err(SnapshotError::Root);
        }
        if !self.founder_is_admin {
            return Err(SnapshotError::Founder(self.founder));
        }
        match self.authors.iter().find(|(_, (said, found))| said != found) {
            Some((author, _)) => Err(SnapshotError::Counters(*author)),
            None => Ok(()),
        }
    }

    /// Frames that have come.
    pub fn found(&self) -> u32 {
        // One frame at most beyond the number that the genesis block names is looked at.
        u32::try_from(self.leaves.len()).unwrap_or(u32::MAX)
    }

    fn record(&mut self, change: &Change) -> Result<(), &'static str> {
        let place = match change {
            Change::Member { node, member: Some(member) } => self.member(*node, member)?,
            Change::Removed { node, height } => self.removal(*node, *height)?,
            Change::Author { node, record } => self.author(*node, *record)?,
            Change::File { key, file: Some(file) } => self.file(key, file)?,
            _ => return Err("a record of a kind that is not imported"),
        };
        if self.last.as_ref().is_some_and(|last| *last >= place) {
            return Err("its records are not in their order, each once");
        }
        self.last = Some(place);
        Ok(())
    }

    fn member(&mut self, node: NodeId, member: &Member) -> Result<Place, &'static str> {
        if member.joined_height != 0 {
            return Err("a member that joined later");
        }
        self.members.insert(node);
        self.founder_is_admin |=
            node == self.founder && member.role == Role::Admin && member.address == self.address;
        Ok(Place::Member(node))
    }

    fn removal(&self, node: NodeId, height: u64) -> Result<Place, &'static str> {
        if height != 0 {
            return Err("a key that was removed later");
        }
        if self.members.contains(&node) {
            Err("a member whose key was removed")
        } else {
            Ok(Place::Removed(node))
        }
    }

    fn author(&mut self, node: NodeId, record: AuthorRecord) -> Result<Place, &'static str> {
        if record.last_sequence != 0 || record.live_files == 0 {
            return Err("an author's counters that were not begun anew");
        }
        self.authors.insert(node, (record, AuthorRecord::default()));
        Ok(Place::Author(node))
    }

    fn file(&mut self, key: &NameKey, file: &FileRecord) -> Result<Place, &'static str> {
        if *key != file.entry.name.key() {
            return Err("a file under another key than its name's");
        }
        if file.height != 0 || file.time_ms > self.time_ms {
            return Err("a file that was published later");
        }
        if file.entry.size > FILE_LEN_MAX {
            return Err("a file that is too large");
        }
        let author = self.authors.get_mut(&file.publisher);
        let (_, found) = author.ok_or("a file whose publisher has no counters")?;
        found.count(file);
        self.no_directory(key)?;
        Ok(Place::File(key.clone()))
    }

    /// Names come in order, so all that begin with one come right behind it.
    fn no_directory(&mut self, key: &NameKey) -> Result<(), &'static str> {
        while self.prefixes.last().is_some_and(|prefix| !key.as_str().starts_with(prefix.as_str())) {
            self.prefixes.pop();
        }
        if key.directories().any(|directory| self.prefixes.contains(&directory)) {
            return Err("a file whose name is a directory of another");
        }
        self.prefixes.push(key.clone());
        Ok(())
    }
}
