//! What the ledger says is live.

use super::content::ContentRef;
use super::error::StoreError;
use super::folder::{FolderError, SafeName};
use super::index::Index;
use super::show::BATCH;
use super::{Core, Store};
use crate::id::{FileId, ManifestHash};

/// A change of the ledger's live names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameChange {
    /// The name now means this content, whatever it meant before.
    Put {
        /// A relative path.
        name: String,
        /// BLAKE3 of the content.
        file_id: FileId,
        /// SHA-256 of its manifest.
        manifest_hash: ManifestHash,
        /// Bytes in it.
        len: u64,
        /// Who says so.
        by: ChangedBy,
    },
    /// The name means nothing any more.
    Remove {
        /// A relative path.
        name: String,
        /// Who says so.
        by: ChangedBy,
    },
}

/// Who changed a name, and when, in the caller's words: remembered with what the name meant before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangedBy {
    /// The member; none when nobody knows.
    pub member: Option<String>,
    /// For which client of its.
    pub client: Option<String>,
    /// When.
    pub time_ms: u64,
}

/// A live name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameInfo {
    /// A relative path.
    pub name: String,
    /// What it means.
    pub content: ContentRef,
    /// The height at which it came to mean that.
    pub height: u64,
    /// Whether the content is complete here.
    pub is_complete: bool,
    /// Whether the rule or a pin covers it.
    pub is_kept: bool,
}

/// What happened in the files folder.
#[derive(Debug, Default)]
pub struct VisibleChanges {
    /// Names whose files appeared or were replaced.
    pub shown: Vec<String>,
    /// Names whose files were taken away.
    pub removed: Vec<String>,
    /// Files that somebody had changed, and where they are now.
    pub kept: Vec<KeptEdit>,
    /// Names whose files could not be brought in line; tried again at the next start and by
    /// [`Store::retry_visible`].
    pub problems: Vec<VisibleProblem>,
}

/// A user's file that stood under a name of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptEdit {
    /// The name.
    pub name: String,
    /// The name it has now.
    pub kept_as: String,
}

/// A name whose file could not be brought in line with the ledger.
#[derive(Debug)]
pub struct VisibleProblem {
    /// The name.
    pub name: String,
    /// Why.
    pub error: FolderError,
}

impl Store {
    /// Applies a block's changes of names, in one commit with its height, and brings the files folder in
    /// line. A height that was applied already changes nothing, so a caller may repeat after a crash. Content
    /// that nothing uses any more goes to the trash.
    ///
    /// What goes wrong in the files folder is no error: the ledger has decided; see
    /// [`VisibleChanges::problems`].
    pub fn apply(
        &self,
        height: u64,
        changes: &[NameChange],
        now_ms: u64,
    ) -> Result<VisibleChanges, StoreError> {
        for change in changes {
            let (NameChange::Put { name, .. } | NameChange::Remove { name, .. }) = change;
            SafeName::parse(name)?;
        }
        self.core.note_time(now_ms);
        let mut folder = self.core.folder();
        {
            let mut index = self.core.index()?;
            let rule = self.core.keep_rule();
            if index.applied_height()?.is_some_and(|applied| height <= applied) {
                return Ok(VisibleChanges::default());
            }
            let transaction = index.begin()?;
            let mut touched = Vec::new();
            for change in changes {
                match change {
                    NameChange::Put { name, file_id, manifest_hash, len, by } => {
                        let key = ContentRef { file_id: *file_id, manifest_hash: *manifest_hash, len: *len };
                        let row = Index::ensure(&transaction, &key)?;
                        touched.push(row.id);
                        let is_kept = rule.covers(name) || Index::is_pinned(&transaction, name)?;
                        touched.extend(Index::put_name(&transaction, name, row.id, height, is_kept, by)?);
                    }
                    NameChange::Remove { name, by } => {
                        touched.extend(Index::remove_name(&transaction, name, by)?);
                    }
                }
            }
            for id in touched {
                Index::refresh_use(&transaction, id, now_ms)?;
            }
            Index::set_applied_height(&transaction, height)?;
            transaction.commit()?;
        }
        // Removals first: a name may have been freed for another that needs a folder in its place.
        let (mut names, mut puts) = (Vec::new(), Vec::new());
        for change in changes {
            match change {
                NameChange::Put { name, .. } => puts.push(name.clone()),
                NameChange::Remove { name, .. } => names.push(name.clone()),
            }
        }
        names.append(&mut puts);
        self.core.show(&mut folder, names, now_ms)
    }

    /// The height of the last block that was applied.
    pub fn applied_height(&self) -> Result<Option<u64>, StoreError> {
        self.core.index()?.applied_height()
    }

    /// Up to `limit` live names in order, after the name `after`.
    pub fn list_names(&self, after: Option<&str>, limit: usize) -> Result<Vec<NameInfo>, StoreError> {
        self.core.index()?.names_after(after.unwrap_or(""), limit)
    }

    /// Looks at what stands under one name: a file that somebody changed is kept as `NAME.local-TIME`, and
    /// the true file comes back. If the change went through a hard link into the object itself, that is
    /// verified first, which reads all of it.
    pub fn check_visible(&self, name: &str, now_ms: u64) -> Result<VisibleChanges, StoreError> {
        SafeName::parse(name)?;
        self.core.note_time(now_ms);
        let mut changes = self.core.show(&mut self.core.folder(), vec![name.to_owned()], now_ms)?;
        let plan = self.core.index()?.name_plan(name)?;
        let Some(object) = plan.object else { return Ok(changes) };
        let row = Index::by_id(self.core.index()?.read(), object)?;
        if let Some(row) = row.filter(|row| row.state == super::STATE_SUSPECT) {
            self.verify(row.key.file_id, |_| {})?;
            changes.append(self.core.show(&mut self.core.folder(), vec![name.to_owned()], now_ms)?);
        }
        Ok(changes)
    }

    /// Tries again whatever is not in line in the files folder: after a start, and after problems.
    pub fn retry_visible(&self, now_ms: u64) -> Result<VisibleChanges, StoreError> {
        self.core.note_time(now_ms);
        let mut changes = VisibleChanges::default();
        let mut after = String::new();
        loop {
            let mut folder = self.core.folder();
            let names = self.core.index()?.queued_names(&after, BATCH)?;
            let Some(last) = names.last() else { return Ok(changes) };
            after.clone_from(last);
            changes.append(self.core.show(&mut folder, names, now_ms)?);
        }
    }
}

impl VisibleChanges {
    fn append(&mut self, mut later: Self) {
        self.shown.append(&mut later.shown);
        self.removed.append(&mut later.removed);
        self.kept.append(&mut later.kept);
        self.problems.append(&mut later.problems);
    }
}

impl Core {
    /// The live names of a content.
    pub(super) fn names_of(&self, key: &ContentRef) -> Result<Vec<String>, StoreError> {
        let index = self.index()?;
        match Index::by_key(index.read(), key)? {
            Some(row) => index.names_of(row.id),
            None => Ok(Vec::new()),
        }
    }
}
