//! Passes over everything that is held, a little at a time and durable: what was looked at is not looked at again after a
//! restart.

use super::error::StoreError;
use super::index::{Index, ObjectRow, STATE_PARTIAL, Verified};
use super::scrub::VerifyReport;
use super::{Store, Whole};
use crate::id::FileId;

/// A pass: all that was not verified since some time is verified, what was longest ago first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrubPass {
    /// When it began, which also names it.
    pub started_ms: u64,
    /// What was last verified before this is looked at.
    pub before_ms: u64,
    /// Contents that were looked at.
    pub contents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of them were not sound.
    pub bad: u64,
    /// When it ended, if it has.
    pub ended_ms: Option<u64>,
}

/// A content that a pass is to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubDue {
    /// BLAKE3 of the content.
    pub file_id: FileId,
    /// Bytes that are held of it and its manifest.
    pub bytes: u64,
    /// When it was verified last; 0 if nobody knows.
    pub verified_ms: u64,
    pub(super) row: i64,
}

/// What came of looking at some contents.
#[derive(Debug, Default)]
pub struct Scrubbed {
    /// Contents that lost chunks, or had a manifest that was not sound.
    pub bad: Vec<FileId>,
    /// Contents that could not be looked at, and why; they stay due.
    pub failed: Vec<(FileId, StoreError)>,
}

/// A content that was found to be unsound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rot {
    /// BLAKE3 of the content.
    pub file_id: FileId,
    /// A name that means it, or did last.
    pub name: Option<String>,
    /// Chunks that were not what they should be.
    pub bad_chunks: u64,
    /// When that was found.
    pub found_ms: u64,
    /// Whether it is whole again.
    pub is_repaired: bool,
}

impl VerifyReport {
    /// Whether anything was not what it should be.
    pub fn is_bad(&self) -> bool {
        !self.bad.is_empty() || self.manifest_rotted
    }
}

impl Store {
    /// Begins a pass over what was not verified since `before_ms`. If one is under way it goes on, up to that time.
    pub fn begin_scrub(&self, before_ms: u64, now_ms: u64) -> Result<ScrubPass, StoreError> {
        self.core.note_time(now_ms);
        self.core.index()?.begin_scrub(before_ms, now_ms)
    }

    /// The pass under way: one that a stop cut short, too.
    pub fn scrub_running(&self) -> Result<Option<ScrubPass>, StoreError> {
        Index::scrub_running(self.core.index()?.read())
    }

    /// The last pass that ended.
    pub fn scrub_last(&self) -> Result<Option<ScrubPass>, StoreError> {
        self.core.index()?.scrub_last()
    }

    /// Ends the pass under way, when the index was looked at as well. One that is damaged stops the store: what was
    /// acknowledged would be written on top of it.
    pub fn end_scrub(&self, now_ms: u64) -> Result<(), StoreError> {
        self.core.note_time(now_ms);
        let path = self.core.paths.index();
        if let Some(reason) = Index::find_damage(&path)? {
            return Err(self
                .core
                .disk
                .stop(&format!("the content index {} is damaged: {reason}", path.display())));
        }
        self.core.index()?.end_scrub(now_ms)
    }

    /// Up to `limit` contents that were not verified since `before_ms`, what was longest ago first, after `after`.
    pub fn scrub_due(
        &self,
        before_ms: u64,
        after: Option<&ScrubDue>,
        limit: usize,
    ) -> Result<Vec<ScrubDue>, StoreError> {
        let after = after.map_or((0, -1), |after| (after.verified_ms, after.row));
        self.core.index()?.scrub_due(before_ms, after, limit)
    }

    /// A file, to be looked at whenever it was last; none if nothing of it is here.
    pub fn scrub_due_of(&self, file_id: FileId) -> Result<Option<ScrubDue>, StoreError> {
        let index = self.core.index()?;
        let Some(row) = index.best(file_id)?.filter(|row| row.stored > 0) else { return Ok(None) };
        let verified_ms = index.verified_ms(row.id)?;
        Ok(Some(ScrubDue { file_id, bytes: row.stored, verified_ms, row: row.id }))
    }

    /// How much was not verified since `before_ms`.
    pub fn scrub_left(&self, before_ms: u64) -> Result<Whole, StoreError> {
        self.core.index()?.scrub_left(before_ms)
    }

    /// Verifies contents as [`Store::verify`] does, and records all of it in one commit. What is being downloaded is
    /// left out until it is complete: it is verified as it comes.
    ///
    /// `progress` gets the bytes read so far, at most every 4 MiB. Where it says false the rest is left for another
    /// time; whoever scrubs slowly waits in it.
    pub fn scrub(
        &self,
        due: &[ScrubDue],
        now_ms: u64,
        mut progress: impl FnMut(u64) -> bool,
    ) -> Result<Scrubbed, StoreError> {
        let core = &self.core;
        core.note_time(now_ms);
        let (mut scrubbed, mut verified) = (Scrubbed::default(), Vec::new());
        let (mut before, mut goes_on) = (0, true);
        for one in due {
            if !goes_on {
                break;
            }
            let row = Index::by_id(core.index()?.read(), one.row)?;
            // Who has downloaded it may hold on to the download for a while after its end.
            let is_due = |row: &ObjectRow| row.state != STATE_PARTIAL || !core.is_downloading(row.id);
            let Some(row) = row.filter(is_due) else { continue };
            let report = core.verify(&row, &mut |read| {
                goes_on = progress(before + read);
                goes_on
            });
            before += one.bytes;
            match report {
                Ok(report) => {
                    if report.is_bad() {
                        scrubbed.bad.push(one.file_id);
                    }
                    verified.push(Verified::new(&row, &report));
                }
                Err(error @ StoreError::Stopped(_)) => return Err(error),
                // Deleted meanwhile.
                Err(StoreError::NotFound(_)) => {}
                Err(error) => scrubbed.failed.push((one.file_id, error)),
            }
        }
        core.index()?.note_verified(&verified, core.latest_ms())?;
        Ok(scrubbed)
    }

    /// Up to `limit` contents that were found to be unsound since the last pass began, or before and are not whole
    /// again; those first that are not.
    pub fn rot(&self, limit: usize) -> Result<Vec<Rot>, StoreError> {
        self.core.index()?.rot(limit)
    }

    /// A file, if it was found to be unsound.
    pub fn rot_of(&self, file_id: FileId) -> Result<Option<Rot>, StoreError> {
        self.core.index()?.rot_of(file_id)
    }

    /// How many contents were found to be unsound and are not whole again.
    pub fn unrepaired(&self) -> Result<u64, StoreError> {
        self.core.index()?.unrepaired()
    }

    /// Whether content is being taken in at this moment, from clients or from other nodes.
    pub fn is_taking_in(&self) -> bool {
        self.core.is_taking_in()
    }
}
