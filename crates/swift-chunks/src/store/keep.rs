//! What the node keeps of the live names: its rule, and the names that are pinned besides.

use std::sync::{Arc, PoisonError};

use super::error::StoreError;
use super::index::Index;
use super::{Core, Store};
use crate::id::FileId;
use crate::keep::KeepRule;

/// Names that are judged in one go when the rule changes.
const BATCH: usize = 1024;

/// What came of pinning a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pinned {
    /// It is pinned now.
    New(FileId),
    /// It was before.
    Already(FileId),
    /// No live name.
    NoSuchName,
}

impl Store {
    /// The rule that says which live names are kept.
    pub fn keep_rule(&self) -> Arc<KeepRule> {
        self.core.keep_rule()
    }

    /// Puts another rule in force, durably, and judges every live name by it. Says whether it is another one.
    pub fn set_keep_rule(&self, rule: KeepRule, now_ms: u64) -> Result<bool, StoreError> {
        let core = &self.core;
        core.note_time(now_ms);
        let mut index = core.index()?;
        if *core.keep_rule() == rule {
            return Ok(false);
        }
        let transaction = index.begin()?;
        Index::set_keep(&transaction, &rule.to_stored())?;
        let mut after = String::new();
        loop {
            let names = Index::kept_after(&transaction, &after, BATCH)?;
            let Some(last) = names.last() else { break };
            after.clone_from(&last.name);
            for named in &names {
                let is_kept = named.is_pinned || rule.covers(&named.name);
                if is_kept != named.is_kept {
                    Index::set_kept(&transaction, &named.name, is_kept)?;
                    Index::refresh_use(&transaction, named.object, now_ms)?;
                }
            }
        }
        transaction.commit()?;
        // Under the index's lock: no name is judged by the old rule after this.
        *core.keep.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(rule);
        Ok(true)
    }

    /// Keeps a live name whatever the rule says, also with other content, until it is unpinned or not live any more.
    /// Durable when this returns.
    pub fn pin(&self, name: &str, now_ms: u64) -> Result<Pinned, StoreError> {
        self.core.note_time(now_ms);
        let mut index = self.core.index()?;
        let transaction = index.begin()?;
        let Some((object, file_id)) = Index::named(&transaction, name)? else {
            return Ok(Pinned::NoSuchName);
        };
        if !Index::put_pin(&transaction, name)? {
            return Ok(Pinned::Already(file_id));
        }
        Index::set_kept(&transaction, name, true)?;
        Index::refresh_use(&transaction, object, now_ms)?;
        transaction.commit()?;
        Ok(Pinned::New(file_id))
    }

    /// Leaves a name to the rule again. Tells its content if it was pinned.
    pub fn unpin(&self, name: &str, now_ms: u64) -> Result<Option<FileId>, StoreError> {
        self.core.note_time(now_ms);
        let rule = self.core.keep_rule();
        let mut index = self.core.index()?;
        let transaction = index.begin()?;
        if !Index::remove_pin(&transaction, name)? {
            return Ok(None);
        }
        let named = Index::named(&transaction, name)?;
        if let Some((object, _)) = named {
            Index::set_kept(&transaction, name, rule.covers(name))?;
            Index::refresh_use(&transaction, object, now_ms)?;
        }
        transaction.commit()?;
        Ok(named.map(|(_, file_id)| file_id))
    }

    /// Up to `limit` pinned names in order, after the name `after`.
    pub fn pins(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, StoreError> {
        self.core.index()?.pins_after(after.unwrap_or(""), limit)
    }

    /// Whether the rule or a pin covers a live name of this file.
    pub fn is_kept(&self, file_id: FileId) -> Result<bool, StoreError> {
        self.core.index()?.is_wanted(file_id)
    }
}

impl Core {
    pub(super) fn keep_rule(&self) -> Arc<KeepRule> {
        self.keep.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
