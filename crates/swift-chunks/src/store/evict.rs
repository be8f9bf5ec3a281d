//! Letting go of content that nothing here keeps, and the promises that make it safe.
//!
//! A node lets go of a file only when another has promised to keep it for a time, and while it has itself promised to
//! keep a file it does not let go of it. Both are decided under the index's lock, in the commit that makes them so:
//! whatever nodes ask each other at the same time, whoever promised still has it.

use super::error::StoreError;
use super::index::{Index, ObjectRow, STATE_COMPLETE};
use super::names::VisibleChanges;
use super::trash::Gone;
use super::{Core, Store};
use crate::id::FileId;

/// How long promises of others are kept on record after they are over.
const RECORD_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// Content that is here, whole or in part, although neither rule nor pin nor promise keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surplus {
    /// BLAKE3 of the content.
    pub file_id: FileId,
    /// Bytes in it.
    pub len: u64,
    row: i64,
}

/// What came of a wish that a file be kept for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromiseOutcome {
    /// It is promised, durably.
    Given,
    /// It is not here as a whole, or no live name means it.
    NotHeld,
    /// It is here, but neither the rule nor a pin keeps it.
    NotKept,
}

/// What came of letting go of a file.
#[derive(Debug)]
pub enum EvictOutcome {
    /// Nothing of it is here any more.
    Gone {
        /// Bytes that were held.
        bytes: u64,
        /// What happened in the files folder.
        visible: VisibleChanges,
    },
    /// The rule, a pin, an upload or a promise keeps it by now.
    Kept,
    /// Somebody reads or writes it at this moment.
    InUse,
    /// The promise of the other holder is over.
    PromiseOver,
    /// Nothing of it was here.
    NotHere,
}

/// A promise that this node has given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenPromise {
    /// Which file.
    pub file_id: FileId,
    /// To whom: the caller's name for it.
    pub to: Vec<u8>,
    /// Until when.
    pub until_ms: u64,
}

/// A promise of another, by which this node let go of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldPromise {
    /// Which file.
    pub file_id: FileId,
    /// Until when.
    pub until_ms: u64,
    /// The promise as it was given, to be shown later.
    pub statement: Vec<u8>,
}

impl Store {
    /// Up to `limit` contents that nothing here keeps, after `after`.
    pub fn surplus(&self, after: Option<&Surplus>, limit: usize) -> Result<Vec<Surplus>, StoreError> {
        let rows = self.core.index()?.surplus(after.map_or(-1, |surplus| surplus.row), limit)?;
        let surplus =
            rows.into_iter().map(|row| Surplus { file_id: row.key.file_id, len: row.key.len, row: row.id });
        Ok(surplus.collect())
    }

    /// Promises somebody to keep a file until a time; a later time replaces an earlier one. With `only_if_kept`, only
    /// what the rule or a pin keeps anyway. Durable when this returns.
    pub fn promise(
        &self,
        promise: &GivenPromise,
        only_if_kept: bool,
        now_ms: u64,
    ) -> Result<PromiseOutcome, StoreError> {
        let core = &self.core;
        core.note_time(now_ms);
        let mut index = core.index()?;
        let row = index.best(promise.file_id)?.filter(|row| row.state == STATE_COMPLETE);
        let Some(row) = row.filter(|row| row.trashed_ms.is_none()) else {
            return Ok(PromiseOutcome::NotHeld);
        };
        if core.open_complete(&mut index, &row)?.is_none() {
            return Ok(PromiseOutcome::NotHeld);
        }
        let transaction = index.begin()?;
        match Index::has_kept_name(&transaction, row.id)? {
            None => return Ok(PromiseOutcome::NotHeld),
            Some(false) if only_if_kept => return Ok(PromiseOutcome::NotKept),
            Some(_) => {}
        }
        Index::put_given(&transaction, row.id, &promise.to, promise.until_ms)?;
        Index::refresh_use(&transaction, row.id, now_ms)?;
        transaction.commit()?;
        Ok(PromiseOutcome::Given)
    }

    /// Lets go of a file by somebody else's promise, if nothing keeps it and nobody uses it.
    pub fn evict(&self, promise: &HeldPromise, now_ms: u64) -> Result<EvictOutcome, StoreError> {
        let core = &self.core;
        core.note_time(now_ms);
        if promise.until_ms <= now_ms {
            return Ok(EvictOutcome::PromiseOver);
        }
        let (bytes, visible) = {
            let mut folder = core.folder();
            let row = {
                let mut index = core.index()?;
                let Some(row) = index.best(promise.file_id)? else { return Ok(EvictOutcome::NotHere) };
                if index.is_wanted(promise.file_id)? || !index.is_surplus(row.id)? {
                    return Ok(if row.held > 0 { EvictOutcome::Kept } else { EvictOutcome::NotHere });
                }
                if core.in_use(row.id).is_some() {
                    return Ok(EvictOutcome::InUse);
                }
                let transaction = index.begin()?;
                // Should the commit fail, or a crash come before it, the content is gone and is noticed to be: another
                // has promised to keep it, so nothing is lost.
                core.set_aside(&row)?;
                Index::set_evicted(&transaction, row.id)?;
                Index::put_held(&transaction, promise)?;
                transaction.commit()?;
                core.contents().by_row.remove(&row.id);
                // Not before: content that is still claimed is judged by it.
                core.disk.remove(&core.paths.manifest_of(&row))?;
                row
            };
            let names = core.names_of(&row.key)?;
            (row.durable_bytes(), core.show(&mut folder, names, now_ms)?)
        };
        core.clear_doomed()?;
        Ok(EvictOutcome::Gone { bytes, visible })
    }

    /// Forgets what is over: promises of this node at once, those of others a while later. Answers how many files it
    /// is not bound to any more.
    pub fn forget_promises(&self, now_ms: u64) -> Result<u64, StoreError> {
        self.core.note_time(now_ms);
        let mut index = self.core.index()?;
        if !index.has_promises_before(now_ms, now_ms.saturating_sub(RECORD_MS))? {
            return Ok(0);
        }
        let transaction = index.begin()?;
        let freed = Index::take_given_before(&transaction, now_ms)?;
        for &object in &freed {
            Index::refresh_use(&transaction, object, now_ms)?;
        }
        Index::forget_held_before(&transaction, now_ms.saturating_sub(RECORD_MS))?;
        transaction.commit()?;
        Ok(freed.len() as u64)
    }

    /// Up to `limit` promises that this node has given, those that last longest first.
    pub fn promises_given(&self, limit: usize) -> Result<Vec<GivenPromise>, StoreError> {
        self.core.index()?.promises_given(limit)
    }

    /// Up to `limit` promises of others, the newest first.
    pub fn promises_held(&self, limit: usize) -> Result<Vec<HeldPromise>, StoreError> {
        self.core.index()?.promises_held(limit)
    }
}

impl Core {
    /// Moves a content's bytes to where they wait to be deleted.
    fn set_aside(&self, row: &ObjectRow) -> Result<(), StoreError> {
        let mut gone = Gone::new(self);
        // The object's file may be another row's, of the same file under another manifest.
        if row.state == STATE_COMPLETE {
            gone.doom(self.paths.object(row.key.file_id), row.id, "object")?;
        }
        gone.doom(self.paths.part_of(row), row.id, "part")?;
        gone.sync()
    }
}
