//! Bringing the files folder in line with the ledger.

use std::collections::{BTreeMap, HashSet};
use std::os::fd::OwnedFd;

use super::Core;
use super::error::StoreError;
use super::folder::{Folder, FolderError, Ready, SafeName, Seen};
use super::index::{Due, Index, NamePlan, OldVisible, STATE_COMPLETE};
use super::names::{KeptEdit, VisibleChanges, VisibleProblem};

/// Names that share one note of what is about to be done, and one sync for each folder.
pub(super) const BATCH: usize = 256;

impl Core {
    /// Brings the files under these names in line with the ledger. The folder's lock keeps everybody else
    /// from changing what is due meanwhile.
    pub(super) fn show(
        &self,
        folder: &mut Folder,
        mut names: Vec<String>,
        now_ms: u64,
    ) -> Result<VisibleChanges, StoreError> {
        // What stands in the end follows from the index, however often a name changed on the way there.
        let mut known = HashSet::new();
        names.retain(|name| known.insert(name.clone()));
        let mut changes = VisibleChanges::default();
        for some in names.chunks(BATCH) {
            self.show_some(folder, some, now_ms, &mut changes)?;
        }
        Ok(changes)
    }

    fn show_some(
        &self,
        folder: &mut Folder,
        names: &[String],
        now_ms: u64,
        changes: &mut VisibleChanges,
    ) -> Result<(), StoreError> {
        let (mut settled, mut prepared) = (Vec::new(), Vec::new());
        for name in names {
            let safe = SafeName::parse(name)?;
            match self.show_one(folder, &safe, name, now_ms, changes) {
                Ok(Outcome::Settled(stands)) => settled.push((name.clone(), stands)),
                Ok(Outcome::Prepared(ready, due)) => prepared.push(Prepared { name, safe, ready, due }),
                Ok(Outcome::Undecided) => {}
                Err(ShowError::Folder(error)) => {
                    changes.problems.push(VisibleProblem { name: name.clone(), error });
                }
                Err(ShowError::Store(error)) => return Err(error),
            }
        }
        // A folder that could not be synchronised is no problem of a name.
        self.disk.check()?;
        if !prepared.is_empty() {
            // Noted before the renames, so that after a crash the files are known to be ours.
            self.index()?.intend_visible(prepared.iter().map(|one| (one.name, &one.due)))?;
            settled.extend(place(folder, prepared, changes));
            self.disk.check()?;
        }
        if !settled.is_empty() {
            self.index()?.settle_names(&settled)?;
        }
        Ok(())
    }

    fn show_one(
        &self,
        folder: &mut Folder,
        safe: &SafeName<'_>,
        name: &str,
        now_ms: u64,
        changes: &mut VisibleChanges,
    ) -> Result<Outcome, ShowError> {
        let plan = self.index()?.name_plan(name)?;
        let parent = folder.parent(safe)?;
        let stands = match &parent {
            Some(parent) => folder.look(parent, safe)?.map(|seen| (parent, Stands::judge(&plan, &seen))),
            None => None,
        };
        match (plan.due, stands) {
            (Some(due), Some((_, Stands::Ours(ours)))) if ours.object == due.object => {
                Ok(Outcome::Settled(Some(ours)))
            }
            (Some(due), stands) => {
                let aside = match stands {
                    Some((parent, Stands::Foreign)) => Some(parent),
                    _ => None,
                };
                self.replace(folder, safe, name, &plan, &due, aside, now_ms, changes)
            }
            // Live, but not complete here: an older version stays until the new one is there, but content
            // that is no longer sound does not.
            (None, Some((_, Stands::Ours(ours)))) if plan.object.is_some_and(|live| live != ours.object) => {
                Ok(Outcome::Settled(Some(ours)))
            }
            (None, Some((parent, Stands::Ours(_)))) => {
                folder.remove(parent, safe)?;
                changes.removed.push(name.to_owned());
                Ok(Outcome::Settled(None))
            }
            // Somebody changed it, and the true content is on its way: decided when it is there.
            (None, Some((_, Stands::Foreign))) if plan.object.is_some() && !plan.ours.is_empty() => {
                self.note_edits(&plan)?;
                Ok(Outcome::Undecided)
            }
            (None, Some((parent, Stands::Foreign))) if !plan.ours.is_empty() => {
                self.note_edits(&plan)?;
                self.keep_edit(folder, parent, safe, name, now_ms, changes)?;
                Ok(Outcome::Settled(None))
            }
            // Nothing of ours ever stood here: what does is none of our business.
            (None, _) => Ok(Outcome::Settled(None)),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one step of `show_one`, split off to be readable")]
    fn replace(
        &self,
        folder: &mut Folder,
        safe: &SafeName<'_>,
        name: &str,
        plan: &NamePlan,
        due: &Due,
        aside: Option<&OwnedFd>,
        now_ms: u64,
        changes: &mut VisibleChanges,
    ) -> Result<Outcome, ShowError> {
        if aside.is_some() {
            self.note_edits(plan)?;
        }
        // Only sound content is shown: an edit may have gone through a hard link into the object.
        let object = {
            let mut index = self.index()?;
            let row = Index::by_id(index.read(), due.object)?.filter(|row| row.state == STATE_COMPLETE);
            match row {
                Some(row) => self.open_complete(&mut index, &row)?,
                None => None,
            }
        };
        // Suspect: `Store::verify` decides, and comes back here.
        let Some(object) = object else { return Ok(Outcome::Undecided) };
        if let Some(parent) = aside {
            self.keep_edit(folder, parent, safe, name, now_ms, changes)?;
        }
        let ready = folder.prepare(&object, &due.file_id.to_string(), due.mtime_ns, safe)?;
        Ok(Outcome::Prepared(ready, *due))
    }

    fn keep_edit(
        &self,
        folder: &Folder,
        parent: &OwnedFd,
        safe: &SafeName<'_>,
        name: &str,
        now_ms: u64,
        changes: &mut VisibleChanges,
    ) -> Result<(), ShowError> {
        let kept_as = folder.set_aside(parent, safe, now_ms)?;
        changes.kept.push(KeptEdit { name: name.to_owned(), kept_as });
        Ok(())
    }

    /// A file of ours was changed: if it shares its bytes with the object, that is suspect now.
    fn note_edits(&self, plan: &NamePlan) -> Result<(), StoreError> {
        let mut index = self.index()?;
        for ours in &plan.ours {
            let row = Index::by_id(index.read(), ours.object)?.filter(|row| row.state == STATE_COMPLETE);
            if let Some(row) = row {
                self.open_complete(&mut index, &row)?;
            }
        }
        Ok(())
    }
}

/// A file that only has to be renamed into place.
struct Prepared<'a> {
    name: &'a str,
    safe: SafeName<'a>,
    ready: Ready,
    due: Due,
}

/// Puts prepared files into place, durably; answers what stands where now.
fn place(
    folder: &Folder,
    prepared: Vec<Prepared<'_>>,
    changes: &mut VisibleChanges,
) -> Vec<(String, Option<OldVisible>)> {
    let mut by_parent = BTreeMap::new();
    for one in prepared {
        match folder.place(&one.ready, &one.safe) {
            Ok(parent) => {
                let (_, placed) =
                    by_parent.entry(one.safe.parent().to_owned()).or_insert_with(|| (parent, Vec::new()));
                placed.push(one);
            }
            Err(error) => changes.problems.push(VisibleProblem { name: one.name.to_owned(), error }),
        }
    }
    let mut settled = Vec::new();
    for (parent, placed) in by_parent.into_values() {
        let synced = folder.sync(&parent);
        for Prepared { name, safe, due, .. } in placed {
            match synced {
                Ok(()) => {
                    changes.shown.push(name.to_owned());
                    let stands = OldVisible { object: due.object, len: due.len, mtime_ns: due.mtime_ns };
                    settled.push((name.to_owned(), Some(stands)));
                }
                Err(errno) => {
                    let error = folder.error("create", &safe, errno);
                    changes.problems.push(VisibleProblem { name: name.to_owned(), error });
                }
            }
        }
    }
    settled
}

/// Whose file stands under a name.
enum Stands {
    Ours(OldVisible),
    Foreign,
}

impl Stands {
    /// A file is ours if it has the length and the time of one we put there. Inode numbers do not count: they
    /// change when a data folder is restored from a backup.
    fn judge(plan: &NamePlan, seen: &Seen) -> Self {
        let is_it =
            |ours: &&OldVisible| seen.is_file && seen.len == ours.len && seen.mtime_ns == ours.mtime_ns;
        // Of two that look alike the due one: an empty file is like any other of the same moment.
        let due = plan.due.map(|due| due.object);
        let found = plan.ours.iter().filter(is_it).max_by_key(|ours| Some(ours.object) == due);
        found.map_or(Self::Foreign, |ours| Self::Ours(*ours))
    }
}

enum Outcome {
    /// This is what of ours stands under the name now.
    Settled(Option<OldVisible>),
    /// A file is ready to be renamed into place.
    Prepared(Ready, Due),
    /// The name must be looked at again.
    Undecided,
}

enum ShowError {
    Folder(FolderError),
    Store(StoreError),
}

impl From<FolderError> for ShowError {
    fn from(error: FolderError) -> Self {
        Self::Folder(error)
    }
}

impl From<StoreError> for ShowError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
